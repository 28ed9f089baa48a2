"""What is measured of a policy while it is trained: which demonstrations are kept apart, their loss, success in simulation.
Called by pytest; the trainings are tiny, the scenes are played by the real command.
"""

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from training_rig import command

from models.data.demonstrations import Demonstration
from runtime.errors import SettingsError
from runtime.training import command as train
from runtime.training.checks import held_out

usual = pytest.mark.usefixtures("fresh_accelerator", "here")


def demonstrations(task: str, count: int) -> list[Demonstration]:
    """So many of a task; they are not read."""
    return [Demonstration(Path(f"{task}/episode_{number}.hdf5"), None, task, ("do it",), 30) for number in range(count)]


def curves(out: Path) -> dict[str, dict[int, float]]:
    """All curves of stage 2 that TensorBoard would draw, by name."""
    read = EventAccumulator(str(out / "curves" / "action")).Reload()
    names = cast(list[str], read.Tags()["scalars"])
    return {name: {event.step: event.value for event in read.Scalars(name)} for name in names}


@pytest.fixture
def prepared(video: Path, action: Path, tmp_path: Path) -> list[str]:
    """Flags of a training whose demonstrations are prepared already."""
    cache = shutil.copytree(action / "cache", tmp_path / "cache")
    return ["--video", str(video), "--cache", str(cache)]


@pytest.mark.parametrize(
    ("counts", "share", "apart"),
    [((10, 30), 0.1, (1, 3)), ((10, 3), 0.05, (1, 1)), ((1, 2), 0.5, (0, 1)), ((4, 2), 0.9, (3, 1)), ((5, 5), 0.0, (0, 0))],
)  # fmt: skip
def test_a_share_of_each_task_is_kept_apart(counts: tuple[int, int], share: float, apart: tuple[int, int]) -> None:
    """At least one where there are two, and never all."""
    all_of_them = demonstrations("cup", counts[0]) + demonstrations("apple", counts[1])
    found = held_out(all_of_them, share, seed=3)
    assert (sum(place < counts[0] for place in found), sum(place >= counts[0] for place in found)) == apart
    assert held_out(all_of_them, share, seed=3) == found


def test_more_demonstrations_change_little() -> None:
    """Of 40 kept apart most still are when there are a tenth more; another seed keeps others apart."""

    def names(some: Sequence[Demonstration], seed: int = 0) -> set[str]:
        return {some[place].path.name for place in held_out(some, 0.2, seed)}

    before, after = demonstrations("cup", 200), demonstrations("cup", 220)
    assert len(names(before) & names(after)) >= 35
    assert len(names(before) & names(before, seed=1)) < 20


@usual
def test_the_loss_on_what_is_kept_apart_is_among_the_curves(
    data: Path, prepared: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A rate of nothing leaves the policy as it is, and the loss; and of two demonstrations one is learnt from."""
    line = [*prepared, "--steps", "4", "--cloning.held_out_share", "0.5"]
    line += ["--schedule.save_every", "2", "--schedule.learning_rate", "1e-12", "--schedule.weight_decay", "0"]
    assert train.main(command("action", data, tmp_path / "out", *line)) == 0
    found = curves(tmp_path / "out")
    assert set(found) == {"loss", "learning rate", "gradient", "validation loss"}
    at_2, at_4 = found["validation loss"][1], found["validation loss"][3]
    assert at_2 == pytest.approx(at_4, rel=1e-4) and at_2 > 0
    assert f"step 2: validation loss {at_2:.3g}" in capsys.readouterr().out


@usual
def test_scenes_are_played_while_it_is_trained(
    data: Path, prepared: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = [*prepared, "--steps", "2", "--schedule.save_every", "1"]
    line += ["--success-every", "2", "--success-scenes", "1"]
    assert train.main(command("action", data, tmp_path / "out", *line)) == 0
    assert curves(tmp_path / "out")["success pick_apple_messy"] == {1: 0.0}
    assert "step 2: success pick_apple_messy 0" in capsys.readouterr().out


@usual
def test_scenes_that_cannot_be_played_end_no_training(
    data: Path, prepared: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho 'no simulator here' >&2\nexit 3\n")
    broken.chmod(0o755)
    line = [*prepared, "--steps", "1", "--schedule.save_every", "1"]
    monkeypatch.setattr(sys, "executable", str(broken))
    assert train.main(command("action", data, tmp_path / "out", *line, "--success-every", "1")) == 0
    assert "the scenes were not played (no simulator here); the training goes on" in capsys.readouterr().out
    assert (tmp_path / "out" / "checkpoint" / "config.json").is_file()


def test_scenes_are_not_played_by_one_of_several_processes(data: Path, video: Path, tmp_path: Path) -> None:
    line = ["--video", str(video), "--success-every", "2000", "--processes", "2"]
    with pytest.raises(SettingsError, match="--success-every 2000: needs one process; give --processes 1"):
        train.main(command("action", data, tmp_path / "out", *line))


@pytest.mark.parametrize(
    ("stage", "flags", "said"),
    [
        ("action", ["--success-every", "30"], r"--success-every 30: must be a multiple of --schedule.save_every \(2000\)"),
        ("video", ["--success-every", "2000"], r"--success-every 2000: applies to train.sh action; leave it out"),
        ("action", ["--tracker", "trackio"], r"--tracker trackio: is not installed; pip install trackio, or leave it out"),
    ],
)  # fmt: skip
def test_what_cannot_be_measured_is_refused_at_once(
    stage: str, flags: list[str], said: str, data: Path, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match=said):
        train.main(command(stage, data, tmp_path / "out", *flags))
