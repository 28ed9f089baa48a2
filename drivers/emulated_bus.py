"""An emulated Piper on a bus of its own, or with its leader, in step with the clock: the loop of the emulator's process, and of
tests' threads."""

import time
from collections.abc import Callable
from pathlib import Path

from drivers.can_hub import Hub
from drivers.piper_emulator import FEEDBACK_HZ, PiperEmulator
from drivers.piper_leader_emulator import PiperLeaderEmulator

_PERIOD_NS = round(1e9 / FEEDBACK_HZ)


def socket_of(folder: Path, side: str) -> Path:
    """Where an arm's bus is to be found in a run's folder."""
    return folder / f"can_{side}"


def leader_socket_of(folder: Path, side: str) -> Path:
    """The same for a leader's own bus."""
    return folder / f"can_{side}_master"


class LeaderBus:
    """A bus with a leader alone on it; whoever opens `path` hears it."""

    def __init__(self, path: Path, leader: PiperLeaderEmulator) -> None:
        self.hub, self.leader = Hub(path), leader

    def step(self) -> None:
        """Let it speak, without waiting."""
        self.hub.poll(0.0)
        self.hub.send(self.leader.tick())

    def close(self) -> None:
        """End the bus."""
        self.hub.close()


class EmulatedBus:
    """Hub and arm; whoever opens `path` with python-can's interface `hub` meets the arm."""

    def __init__(self, path: Path, arm: PiperEmulator, leader: PiperLeaderEmulator | None = None) -> None:
        """`leader`: on the same bus, as with the stock wiring."""
        self.hub, self.arm, self.leader = Hub(path), arm, leader
        self._next_ns = time.monotonic_ns()

    def run(self, going: Callable[[], bool]) -> None:
        """Tick after tick while `going`."""
        while going():
            self.step()

    def step(self) -> None:
        """Listen until the next tick, then let the arm speak."""
        while (left_ns := self._next_ns - time.monotonic_ns()) > 0:
            self._listen(left_ns / 1e9)
        now_ns = time.monotonic_ns()
        self._next_ns = max(self._next_ns + _PERIOD_NS, now_ns)  # a late tick does not make the next ones hurry
        self._listen(0.0)
        faults = self.arm.faults
        self.hub.silent = faults.silent
        if faults.cut:
            self.hub.cut()
        said = [] if self.leader is None else self.leader.tick()
        for frame in said:
            self.arm.hear(frame, now_ns)
        self.hub.send([*said, *self.arm.tick(_PERIOD_NS / 1e9, now_ns)])

    def close(self) -> None:
        """End the bus."""
        self.hub.close()

    def _listen(self, timeout_s: float) -> None:
        for frame in self.hub.poll(timeout_s):
            self.arm.hear(frame, time.monotonic_ns())
