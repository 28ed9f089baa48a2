"""Demonstrations as the public layouts have them are trained on: as they come, or with the one flag that the refusal names.

Called by pytest. tests/models/test_hdf5_layouts.py says that what is learnt from is the same motion in each.
"""

import json
import re
from pathlib import Path

import h5py
import numpy as np
import pytest
from public_layouts import LAYOUTS, TARGETS, Q, aloha, arrays, cobot_magic, degrees, words
from training_rig import command

from models.checkpoint import Checkpoint
from runtime.errors import RuntimeFault
from runtime.training import command as train

pytestmark = pytest.mark.usefixtures("fresh_accelerator", "here")
_WITHOUT_VIDEO = ("--policy.inputs", "no_video", "--steps", "2")


def trained(data: Path, out: Path, *flags: str) -> Path:
    """Stage 2 without a video model: it reads every camera, joint and word, and takes two seconds."""
    assert train.main(command("action", data, out, *_WITHOUT_VIDEO, *flags)) == 0
    return out / "checkpoint"


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_trains_with_one_command(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layout, data = LAYOUTS[name], tmp_path / "data"
    layout.make(data)
    flags: list[str] = []
    if layout.flag is not None:
        with pytest.raises(RuntimeFault) as refused:
            trained(data, tmp_path / "first")
        named = re.search(r"give (--data\.\w+) (\w+|\"TEXT\")", str(refused.value))
        assert named is not None
        flags = [named[1], "do it" if named[2] == '"TEXT"' else named[2]]
    capsys.readouterr()
    checkpoint = trained(data, tmp_path / "run", *flags)
    kept = json.loads((checkpoint / "data.json").read_text())
    assert kept["demonstrations"] == 1 and len(kept["flags"]) == len(flags) // 2
    taken = {row["what"]: (row["value"], row["by"]) for row in kept["taken_to_be"]}
    assert float(taken["rate_hz"][0]) == layout.rate_hz
    said = capsys.readouterr().out
    for what, (value, by) in taken.items():
        assert (f"{what} {value}" in said) == (by == "assumed"), "what is assumed is printed, and nothing else"
    assert Checkpoint.load(checkpoint).fast()


def test_the_video_model_learns_from_them_too(tmp_path: Path) -> None:
    degrees(tmp_path / "data")
    line = command("video", tmp_path / "data", tmp_path / "out", "--steps", "1", "--autoencoder-steps", "1")
    assert train.main([*line, "--data.unit", "deg"]) == 0
    kept = json.loads((tmp_path / "out" / "checkpoint" / "data.json").read_text())
    assert kept["flags"] == {"unit": "deg"}


def test_a_training_resumes_only_as_its_data_was_read(tmp_path: Path) -> None:
    cobot_magic(tmp_path / "data")
    flags = ["--data.instruction", "do it"]
    trained(tmp_path / "data", tmp_path / "run", *flags)
    with pytest.raises(RuntimeFault, match=r"begun with reading\.colours None, now bgr"):
        trained(tmp_path / "data", tmp_path / "run", *flags, "--data.colours", "bgr")
    path = tmp_path / "run" / "run.json"
    older = json.loads(path.read_text())
    del older["settings"]["reading"]
    path.write_text(json.dumps(older))
    with pytest.raises(RuntimeFault, match=r"begun with reading\.instruction None, now do it"):
        trained(tmp_path / "data", tmp_path / "run", *flags)


def outside(data: Path) -> Path:
    """Joint 3 of the left arm is where no Piper's can be."""
    words(data / "bad", "instructions.json", ["do it"])
    q, targets = Q.copy(), TARGETS.copy()
    q[:, 2], targets[:, 2] = q[:, 2] + 2, targets[:, 2] + 2
    return aloha(data / "bad" / "episode_0.hdf5", q, targets, arrays)


def test_what_no_arm_can_do_is_refused(tmp_path: Path) -> None:
    path = outside(tmp_path / "data")
    with pytest.raises(RuntimeFault) as refused:
        trained(tmp_path / "data", tmp_path / "run")
    said = str(refused.value)
    assert said.startswith(f"{path}: it is outside the arm's range: left j3 is at 1.") and "(limit 0.5 rad)" in said
    assert "give --data.unit or --data.sides" in said


def test_bad_ones_are_named_and_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "data"
    bad = outside(data)
    cobot_magic(data)
    (data / "damaged.hdf5").write_bytes(b"nothing")
    with h5py.File(data / "odd.h5", "w") as file:
        file["poses"] = np.zeros(3)
    flags = ["--data.instruction", "do it"]
    with pytest.raises(RuntimeFault, match=r"damaged\.hdf5: cannot be read"):
        trained(data, tmp_path / "run", *flags)
    trained(data, tmp_path / "run", *flags, "--skip-bad")
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("video2act: skipped: ")]
    assert [line.split(": ")[2] for line in said] == [str(data / "damaged.hdf5"), str(data / "odd.h5"), str(bad)]
    kept = json.loads((tmp_path / "run" / "checkpoint" / "data.json").read_text())
    assert kept["demonstrations"] == 1
    for path in data.rglob("episode_0.hdf5"):
        path.write_bytes(b"nothing")
    with pytest.raises(RuntimeFault, match=r"none of its 4 demonstrations can be learnt from; check them with"):
        trained(data, tmp_path / "other", *flags, "--skip-bad")
