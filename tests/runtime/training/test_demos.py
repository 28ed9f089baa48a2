"""Writing demonstrations: real experts, real pictures, files that can be learnt from, and going on after a stop."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from drivers.sim import hues, training_worlds
from drivers.sim.appearance import from_json
from models.data import hdf5
from runtime.errors import SettingsError
from runtime.host.worker_pool import WorkerPool
from runtime.training import demos

SMALL = ["--width-px", "48", "--height-px", "36", "--workers", "1"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two demonstrations of one task."""
    out = tmp_path_factory.mktemp("demonstrations")
    demos.main(["--task", "pick_apple_messy", "--episodes", "2", "--seed", "5", "--out", str(out), *SMALL])
    return out / "pick_apple_messy"


def test_every_episode_can_be_read_and_moves(folder: Path) -> None:
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["episode_000005.hdf5", "episode_000006.hdf5"]
    for name in names:
        found = hdf5.read(folder / name)
        assert np.ptp(found.q, axis=0).max() > 0.3
        assert np.abs(found.leader[:-1] - found.q[1:]).max() < 0.2  # the arms follow what is commanded
        assert found.task == "pick_apple_messy"
        assert len(found.instructions) == 3


def test_what_is_there_must_be_whole_and_of_the_same_size(folder: Path, tmp_path: Path) -> None:
    line = ["--task", "pick_apple_messy", "--episodes", "2", "--seed", "5", "--workers", "1"]
    with pytest.raises(SettingsError, match=r"has images of 48x36 px, got 64x48 px; give another --out"):
        demos.main([*line, "--out", str(folder.parent), "--width-px", "64", "--height-px", "48"])
    (tmp_path / "pick_apple_messy").mkdir()
    (tmp_path / "pick_apple_messy" / "episode_000005.hdf5").touch()
    with pytest.raises(SettingsError, match=r"episode_000005\.hdf5: cannot be read .*; delete the file"):
        demos.main([*line, "--out", str(tmp_path), *SMALL[:4]])
    (tmp_path / "file").touch()
    for out in (tmp_path / "file", Path("/proc/nowhere")):
        with pytest.raises(SettingsError, match=f"--out {out}"):
            demos.main([*line, "--out", str(out), *SMALL[:4]])


def test_what_is_there_is_not_made_again(folder: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    (folder / "episode_000009.part").touch()  # left by a run that was killed
    demos.main(["--task", "pick_apple_messy", "--episodes", "2", "--seed", "5", "--out", str(folder.parent), *SMALL])
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_a_scene_that_is_not_done_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = demos.Job("pick_apple_messy", 3, tmp_path, 48, 36)
    job.path.parent.mkdir()
    still = np.tile(demos.Rollout(demos.make_task("pick_apple_messy"), 48, 36).physics.arms()[:, 0].ravel(), (40, 1))
    monkeypatch.setattr("drivers.sim.experts.plan", lambda physics: still)
    assert demos.demonstrate(job) is False
    assert job.failed.exists()
    assert not job.path.exists()


def test_a_second_try_begins_with_the_arms_away_from_rest(tmp_path: Path, folder: Path) -> None:
    flags = ["--after-failure", "--seed", "500000", "--out", str(tmp_path), *SMALL]
    demos.main(["--task", "pick_apple_messy", "--episodes", "1", *flags])
    (path,) = tmp_path.rglob("*.hdf5")
    fresh = hdf5.read(folder / "episode_000005.hdf5")
    assert np.abs(hdf5.read(path).q[0] - fresh.q[0]).max() > 0.1


def test_drawn_worlds_are_stored_and_can_be_made_again(tmp_path: Path) -> None:
    line = ["--task", "pick_apple_messy", "--episodes", "2", "--randomise", "--out", str(tmp_path), *SMALL]
    demos.main(line)
    paths = sorted(tmp_path.rglob("*.hdf5"))
    found = [hdf5.read(path) for path in paths]
    for episode in found:
        assert from_json(episode.world) == training_worlds.draw("pick_apple_messy", episode.seed)
        assert episode.instructions == hues.wordings("pick_apple_messy", from_json(episode.world).looks)
    assert found[0].world != found[1].world
    with pytest.raises(SettingsError, match=r"--randomise: .* was made with --randomise; give another --out"):
        demos.main([flag for flag in line if flag != "--randomise"])


def test_an_opening_is_the_beginning_of_an_episode_and_all_of_its_targets(folder: Path, tmp_path: Path) -> None:
    line = ["--task", "pick_apple_messy", "--episodes", "1", "--seed", "5", "--out", str(tmp_path), *SMALL]
    demos.main([*line, "--cut-after", "3"])
    (path,) = tmp_path.rglob("*.hdf5")
    assert path.name == "opening_000005.hdf5"
    opening, whole = hdf5.read(path), hdf5.read(folder / "episode_000005.hdf5")
    assert len(opening) == 3
    assert opening.jpegs == {camera: pictures[:3] for camera, pictures in whole.jpegs.items()}
    np.testing.assert_array_equal(opening.q, whole.q[:3])
    np.testing.assert_array_equal(np.concatenate([opening.leader, opening.ahead]), whole.leader)


@pytest.mark.parametrize("kind", ["disturbed", "chance"])
def test_films_lie_beside_the_demonstrations(tmp_path: Path, kind: str) -> None:
    demos.main(["--task", "pick_apple_messy", "--episodes", "1", "--kind", kind, "--out", str(tmp_path), *SMALL])
    (path,) = tmp_path.rglob("*.hdf5")
    found = hdf5.read(path)
    assert path.name == f"{kind}_000000.hdf5"
    assert (found.kind, list(found.jpegs), found.world) == (kind, ["head"], "")
    assert np.ptp(found.q, axis=0).max() > 0.2
    with pytest.raises(SettingsError, match=f"--kind {kind}: does not go with --after-failure"):
        demos.main(["--kind", kind, "--after-failure"])


@pytest.mark.usefixtures("cluster")
def test_a_cluster_makes_the_same_demonstration(tmp_path: Path, folder: Path) -> None:
    flags = ["--task", "pick_apple_messy", "--episodes", "1", "--seed", "5", "--out", str(tmp_path), *SMALL]
    demos.main([*flags, "--ray", "local"])
    (path,) = tmp_path.rglob("*.hdf5")
    np.testing.assert_array_equal(hdf5.read(path).q, hdf5.read(folder / path.name).q)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--task", "juggle"], "juggle"),
        (["--episodes", "0"], "--episodes"),
        (["--seed", "1000000"], "kept for evaluation"),
        (["--seed", "999950", "--episodes", "100"], "--seed 999950: must be 0 to 999900"),
    ],
)
def test_bad_flags_are_one_line(flags: list[str], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        demos.main(flags)


def test_no_demonstration_is_made_of_a_scene_of_evaluation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scenes that the expert does not do are made up for by the next ones."""
    made: list[int] = []

    def never(job: demos.Job) -> bool:
        made.append(job.seed)
        return False

    monkeypatch.setattr(WorkerPool, "results", lambda _, work, jobs: map(never, jobs))
    with pytest.raises(SettingsError, match="scenes from 1000000 on are kept for evaluation"):
        demos.main(["--task", "pick_apple_messy", "--seed", "999990", "--episodes", "3", "--out", str(tmp_path)])
    assert made[:3] == [999_990, 999_991, 999_992] and max(made) < 1_000_000


def test_an_interrupted_run_leaves_only_whole_files_and_no_process(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "runtime.cli",
        "demos",
        "--task",
        "pick_apple_messy",
        "--out",
        str(tmp_path),
        *SMALL,
    ]
    run = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    folder, deadline = tmp_path / "pick_apple_messy", time.monotonic() + 60
    while not list(folder.glob("*.hdf5")) and time.monotonic() < deadline:
        time.sleep(0.05)
    run.send_signal(signal.SIGINT)
    _, said = run.communicate(timeout=30)
    assert run.returncode == 130
    assert said.splitlines()[-1] == "video2act: stopped"
    assert {path.suffix for path in folder.iterdir()} == {".hdf5"}
    for path in folder.iterdir():
        hdf5.read(path)


def test_a_film_may_be_of_all_cameras(tmp_path: Path) -> None:
    """Beside one of the head camera alone, which does not stand for it."""
    line = ["--task", "pick_apple_messy", "--episodes", "1", "--kind", "chance", "--out", str(tmp_path), *SMALL]
    demos.main(line)
    demos.main([*line, "--all-cameras"])
    head, every = sorted(tmp_path.rglob("*.hdf5"), key=lambda path: len(path.name))
    assert set(hdf5.read(head).jpegs) == {"head"}
    assert set(hdf5.read(every).jpegs) == {"head", "left_wrist", "right_wrist"}
    with pytest.raises(SettingsError, match="--all-cameras: applies to --kind disturbed or chance"):
        demos.main(["--all-cameras", "--out", str(tmp_path)])
