"""The command `influence`: scenes of a folder or of the simulator, the table with its intervals, and what is refused."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simplejpeg
import tiny_checkpoint
from scipy.stats import t as student
from worker_rig import Here

from drivers.cobot_magic import CAMERAS, ready_pose
from models.data import hdf5
from models.data.episode import Episode
from models.influence import Influence
from runtime.errors import RuntimeFault, SettingsError
from runtime.evaluation import influence
from runtime.evaluation.influence_table import Row, interval, lines

_STEPS = 40


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command measures in this process."""
    monkeypatch.setattr(influence, "WorkerPool", Here)


def demonstration(seed: int, task: str) -> Episode:
    """Pictures by chance, arms that drift."""
    random = np.random.default_rng(seed)
    q = (ready_pose() + np.cumsum(random.normal(scale=1e-3, size=(_STEPS, 14)), axis=0)).astype(np.float32)
    q[:, [6, 13]] = 0.04
    jpegs = {
        camera: [simplejpeg.encode_jpeg(random.integers(0, 256, (48, 64, 3), dtype=np.uint8)) for _ in range(_STEPS)]
        for camera in CAMERAS
    }
    return Episode(q, q * 0, q * 0, q, jpegs, ("wait here",), task, seed)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three demonstrations of one task, and one of another, which is none of ours."""
    folder = tmp_path_factory.mktemp("data")
    for seed, task in enumerate(["pick_apple_messy"] * 3 + ["fold_towel"]):
        (folder / task).mkdir(exist_ok=True)
        hdf5.write(folder / task / f"episode_{seed:06d}.hdf5", demonstration(seed, task))
    return folder


def line(*flags: str) -> list[str]:
    return [*flags, "--workers", "1", *tiny_checkpoint.flags()]


def test_demonstrations_are_measured(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "figures.json"
    given = line("--data", str(data), "--task", "pick_apple_messy", "--steps", "5,30", "--json", str(path))
    assert influence.main(given) == 0
    record = json.loads(path.read_text())
    assert [(row["task"], row["step"]) for row in record["rows"]] == [("pick_apple_messy", 5), ("pick_apple_messy", 30)]
    figures = record["rows"][1]["figures"]
    assert record["rows"][1]["scenes"] == [f"episode_{seed:06d}.hdf5" for seed in range(3)]
    assert all(len(figure["scenes"]) == 3 for figure in figures.values()) and len(figures) == 8
    heard = figures["tokens_rad"]
    assert heard["low"] < heard["mean"] == pytest.approx(np.mean(heard["scenes"])) and heard["mean"] > 0
    said = capsys.readouterr().out
    assert "pick_apple_messy, 3 scenes" in said and "step 30" in said
    assert f"{heard['mean']:.4f} ± " in said
    assert said.splitlines()[-1].endswith("--swap system2") and "evaluate" in said.splitlines()[-1]


def test_scenes_are_made_where_no_folder_is_given(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    given = line("--task", "pick_apple_messy", "--scenes", "2", "--steps", "4", "--shift", "all", "--json", str(path))
    found: list[Any] = []
    for _ in range(2):
        assert influence.main(given) == 0
        found.append(json.loads(path.read_text())["rows"])
    assert found[0] == found[1], "the same line gives the same figures"
    assert found[0][0]["scenes"] == ["scene 1000000", "scene 1000001"]
    assert found[0][0]["figures"]["pictures_rad"]["mean"] > 0


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--task", "nope"], "--task nope: must be all, or one or more of block_handover"),
        (["--data", "/nowhere"], "--data /nowhere: does not exist"),
        (["--scenes", "1"], "--scenes 1: must be a whole number from 2"),
        (["--steps", "-1"], "--steps -1: must be"),
        (["--shift", "blackout"], "--shift blackout: changes no scene"),
        (["--json", "/nowhere/x"], "--json /nowhere/x: its folder does not exist"),
    ],
)
def test_a_wrong_flag_is_one_line(flags: list[str], said: str) -> None:
    with pytest.raises(SettingsError, match=said) as error:
        influence.main(line(*flags))
    assert "\n" not in str(error.value)


def test_what_a_folder_does_not_hold_is_said(data: Path) -> None:
    with pytest.raises(SettingsError, match=r"--task block_handover: .* fold_towel, pick_apple_messy"):
        influence.main(line("--data", str(data), "--task", "block_handover"))
    with pytest.raises(SettingsError, match=r"--steps 5: 1 of the scenes of fold_towel are so long, at least 2"):
        influence.main(line("--data", str(data), "--task", "fold_towel", "--steps", "5"))
    with pytest.raises(SettingsError, match=r"--steps 900: 0 of the scenes"):
        influence.main(line("--data", str(data), "--steps", "900"))


def test_a_damaged_demonstration_is_one_line(data: Path, tmp_path: Path) -> None:
    shutil.copytree(data, tmp_path / "data")
    first = tmp_path / "data" / "pick_apple_messy" / "episode_000000.hdf5"
    first.write_bytes(first.read_bytes()[:5000])
    with pytest.raises(RuntimeFault, match=r"episode_000000.hdf5"):
        influence.main(line("--data", str(tmp_path / "data"), "--steps", "5"))


def test_an_interval_is_students() -> None:
    """Of 1, 2, 3: 2 +- 4.303 / sqrt 3, from a printed table."""
    low, high = interval([1.0, 2.0, 3.0])
    assert (low, high) == pytest.approx((2 - 2.484, 2 + 2.484), abs=1e-3)
    values = list(np.random.default_rng(0).normal(size=16))
    centre, scale = np.mean(values), np.std(values, ddof=1) / 4
    assert interval(values) == pytest.approx(student.interval(0.95, 15, centre, scale))


def test_a_table_says_what_there_is() -> None:
    heard = Influence(0.03, 0.1, 0.2, 0.04, 0.05, 0.06, 0.98)
    alone = Influence(None, 0.1, 0.2, 0.04, None, None, 0.5)
    names = ("a", "b")
    said = lines([Row("a_task", 20, names, (heard, heard)), Row("a_task", 40, names, (alone, alone))])
    assert "2 scenes" in said[0] and "step 20" in said[0]
    tokens, kept = said[1], said[-1]
    assert tokens.split()[-5:] == ["0.0300", "±", "0.0000", "rad", "-"]
    assert kept.endswith("50 ± 0 %") and "98 ± 0 %" in kept
    assert "0.0100 ± 0.0000 rad" in said[-2], "own tokens spare what their mean errs more"
