"""`train.sh` in processes of its own: several that train together, a kill in the middle, workers on a cluster.
Called by pytest. Every test here starts at least one process with torch and the networks in it. Launchers are copies of one
that has loaded these; what they launch loads them by itself, as on a robot, which takes seconds.
"""

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from preloaded import command_done, command_started, started
from training_rig import command, losses, vae_step

from models.checkpoint import Checkpoint
from models.tensors import StoredTensors
from runtime.training import command as train

pytestmark = pytest.mark.usefixtures("fresh_accelerator", "here")


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_training_killed_in_the_middle_has_the_same_curve(
    data: Path, video: Path, action: Path, tmp_path: Path, processes: str
) -> None:
    """Points of the curve are 20 steps apart; the state is kept every 10, and the kill falls between.

    What one process trains without being killed it trains here, as the command does.
    """

    def trained(line: list[str]) -> None:
        if processes == "1":
            assert train.main(line) == 0
        else:
            done = command_done(["train", *line], tmp_path / "said")
            assert done.returncode == 0, done.stderr
            assert (done.stdout + done.stderr).count("action trained on 2 demonstrations") == 1

    video = video.parent  # the very folder that stage 1 was given
    length = ["--video", str(video), "--steps", "21", "--schedule.save_every", "10", "--cache", str(action / "cache")]
    length += ["--processes", processes]
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    trained(command("action", data, whole, *length))
    first = command_started(["train", *command("action", data, broken, *length)], tmp_path / "said of the first")
    deadline = time.monotonic() + 120
    while not (broken / "action" / "state" / "step.json").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert first.pid is not None and first.is_alive()
    os.killpg(first.pid, signal.SIGKILL)
    first.join()
    assert first.exitcode == -signal.SIGKILL
    while subprocess.run(["pgrep", "-f", str(broken)], capture_output=True, check=False).stdout:
        assert time.monotonic() < deadline, "whoever it had started ends too"
        time.sleep(0.05)
    assert json.loads((broken / "action" / "state" / "step.json").read_text())["step"] < 21
    trained(command("action", data, broken, *length))
    assert losses(broken, "action") == losses(whole, "action")
    assert set(losses(whole, "action")) == {0, 20}
    assert np.isfinite(list(losses(whole, "action").values())).all()
    same = [StoredTensors(out / "checkpoint").digest("") for out in (whole, broken)]
    assert same[0] == same[1]
    Checkpoint.load(whole / "checkpoint").fast()


@pytest.mark.usefixtures("cluster", "workers")
def test_a_cluster_prepares_the_same_demonstrations(data: Path, video: Path, action: Path, tmp_path: Path) -> None:
    train.main(command("action", data, tmp_path, "--video", str(video), "--steps", "2", "--ray", "local"))
    assert losses(tmp_path, "action") == losses(action, "action")


def test_two_processes_agree_on_the_vae_that_one_of_them_keeps(data: Path, video: Path, tmp_path: Path) -> None:
    """Only the first holds its average: latents are made of that, and by its measure."""
    cache = tmp_path / "cache"
    for samples in (video.parent / "cache").glob("samples-*"):
        shutil.copytree(samples, cache / samples.name)
    flags = ("--steps", "1", "--autoencoder-steps", "3", "--processes", "2", "--cache", str(cache))
    done = command_done(["train", *command("video", data, tmp_path / "two", *flags)], tmp_path / "said")
    assert done.returncode == 0, done.stderr
    assert len(list(cache.glob("latents-*"))) == 1


def test_a_process_that_fails_ends_all_with_a_line(data: Path, video: Path, action: Path, tmp_path: Path) -> None:
    flags = ["--video", str(video), "--steps", "3000", "--processes", "2", "--schedule.learning_rate", "10"]
    flags += ["--cache", str(action / "cache")]
    done = command_done(["train", *command("action", data, tmp_path / "two", *flags)], tmp_path / "said")
    assert done.returncode == 1
    said = [row for row in done.stderr.splitlines() if row.startswith("video2act: ")]
    assert "lower --schedule.learning_rate" in said[0]
    assert "read its reason above" in said[-1]


def test_the_vae_learns_pictures_of_the_shipped_size() -> None:
    """In bfloat16 the backward pass of its convolutions ends the process on some processors; so it has a process of its own."""
    process = started(vae_step)
    process.join(120)
    assert process.exitcode == 0
