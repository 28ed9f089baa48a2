"""What several files of this room train on, each made once: two demonstrations, and a run of each stage."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from accelerate.state import AcceleratorState
from training_rig import command
from worker_rig import Here

from runtime.host.worker_pool import WorkerPool
from runtime.training import command as train
from runtime.training import demos

MadeOnce = Callable[[str, Callable[[Path], None]], Path]


@pytest.fixture(scope="module")
def fresh_accelerator() -> None:
    """A training has a process of its own; other tests of this one may have trained in another precision."""
    AcceleratorState._reset_state(reset_partial_state=True)  # pyright: ignore[reportPrivateUsage]


@pytest.fixture(scope="module")
def data(made_once: MadeOnce) -> Path:
    """Two demonstrations."""

    def make(out: Path) -> None:
        size = ["--width-px", "64", "--height-px", "48", "--workers", "1"]
        demos.main(["--task", "pick_apple_messy", "--episodes", "2", "--out", str(out), *size])

    return made_once("training-data", make)


@pytest.fixture(scope="module")
def video(data: Path, made_once: MadeOnce) -> Path:
    """Stage 1's checkpoint, whose samples real workers make."""

    def make(out: Path) -> None:
        assert train.main(command("video", data, out, "--steps", "2", "--autoencoder-steps", "2")) == 0

    return made_once("training-video", make) / "checkpoint"


@pytest.fixture(scope="module")
def action(data: Path, video: Path, made_once: MadeOnce) -> Path:
    """Stage 2's run on top of it, with a cache of its own."""

    def make(out: Path) -> None:
        shutil.copytree(video.parent / "cache", out / "cache")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(train, "WorkerPool", Here)
            assert train.main(command("action", data, out, "--video", str(video), "--steps", "2")) == 0

    return made_once("training-action", make)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test trains in this process it also prepares here: a worker would load torch for seconds."""
    monkeypatch.setattr(train, "WorkerPool", Here)


@pytest.fixture
def workers(here: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Real ones again, for what is about them."""
    monkeypatch.setattr(train, "WorkerPool", WorkerPool)
