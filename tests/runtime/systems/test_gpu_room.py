"""System 2 where its GPU has no memory left, and where it is slow: told once, nothing ends. Called by pytest."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
import torch

from models.requirements import Requirements
from runtime.policy.protocols import EncodedInstruction, Expected, Picture, Understanding
from runtime.process.fault_injection import NAME, FaultFile
from runtime.systems import faulty_system2
from runtime.systems.faulty_system2 import SECTION, FaultySlow, SlowFaults
from runtime.systems.gpu_room import GpuRoom


class Reported:
    """What of a process is asked: its word to the operator, and its pauses."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.paused_s = 0.0

    def fault(self, name: str, text: str) -> None:
        self.faults.append(f"{name}: {text}")

    def pause(self, duration_s: float) -> None:
        self.paused_s += duration_s


def compute(room: GpuRoom, enough: bool) -> None:
    with room:
        if not enough:
            raise torch.OutOfMemoryError("CUDA out of memory.\n Tried to allocate 2.00 GiB.")
        room.enough()


def test_it_is_told_once_until_there_was_enough_again() -> None:
    reported = Reported()
    room = GpuRoom(reported)  # pyright: ignore[reportArgumentType]
    for enough in (True, False, False, False, True, False):
        compute(room, enough)
    assert reported.faults == [
        "memory: no GPU memory for a condition (CUDA out of memory. Tried to allocate 2.00 GiB.); "
        "end other programs on that GPU, or give --system2.storage float8"
    ] * 2  # fmt: skip
    assert reported.paused_s >= 4 * 0.1, "it is not tried all the time"


def test_anything_else_still_ends_the_process() -> None:
    with pytest.raises(RuntimeError, match="shapes"), GpuRoom(Reported()):  # pyright: ignore[reportArgumentType]
        raise RuntimeError("shapes cannot be multiplied")


class Counting:
    """A policy that counts how often it was asked."""

    def __init__(self) -> None:
        self.needs, self.weights, self.asked = Requirements(), 7, 0

    def has_frame(self, window: str, number: int) -> bool:
        return number == 3

    def encode_frame(self, window: str, number: int, picture: Picture) -> None:
        """Nothing is asked of it."""

    def clear(self) -> None:
        """Nothing is kept."""

    def encode_video(self, windows: Mapping[str, Sequence[int]], instruction: EncodedInstruction) -> Understanding:
        self.asked += 1
        return Understanding(arrays={}, maps={})

    def expected(self) -> Callable[[], Expected] | None:
        return None


def ask(slow: FaultySlow) -> bool:
    """Whether it gave a condition."""
    try:
        slow.encode_video({}, None)  # pyright: ignore[reportArgumentType]
    except torch.OutOfMemoryError:
        return False
    return True


@pytest.mark.parametrize(
    ("kind", "gives"), [("once", [True, False, True, True]), ("always", [True, False, False, False])]
)
def test_memory_is_exhausted_as_the_file_says(tmp_path: Path, kind: str, gives: list[bool]) -> None:
    slow = FaultySlow(Counting(), FaultFile(tmp_path, SlowFaults, (SECTION,)))
    found = [ask(slow)]
    (tmp_path / NAME).write_text(f'{{"system2": {{"exhausted": "{kind}"}}, "left": {{"silent": true}}}}')
    found += [ask(slow) for _ in range(3)]
    assert found == gives
    (tmp_path / NAME).unlink()
    (tmp_path / NAME).write_text("{}")
    assert ask(slow)


def test_a_slow_one_sleeps_and_is_the_policy_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(faulty_system2.time, "sleep", slept.append)
    slow = FaultySlow(Counting(), FaultFile(tmp_path, SlowFaults, (SECTION,)))
    (tmp_path / NAME).write_text('{"system2": {"slow_s": 5}}')
    assert ask(slow) and slept == [5.0]
    assert slow.weights == 7 and slow.has_frame("a", 3) and not slow.has_frame("a", 4)
