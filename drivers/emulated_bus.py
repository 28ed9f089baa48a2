"""An emulated Piper on a bus of its own, or with its leader, in step with the clock.

The loop of the emulator's process (runtime/devices/can_emulator.py), and of threads in tests.
"""

import time
from collections.abc import Callable
from pathlib import Path

from drivers.can_hub import Hub
from drivers.piper_emulator import FEEDBACK_HZ, PiperEmulator
from drivers.piper_leader_emulator import PiperLeaderEmulator

_PERIOD_NS = round(1e9 / FEEDBACK_HZ)  # 5 ms, as the real arm


def socket_of(folder: Path, side: str) -> Path:
    """The socket of an arm's bus in a run's folder; python-can's channel for it."""
    return folder / f"can_{side}"


def leader_socket_of(folder: Path, side: str) -> Path:
    """The socket of the bus that a leader has for itself, where it does not share its follower's."""
    return folder / f"can_{side}_master"


class LeaderBus:
    """A bus with a leader alone on it; whoever opens `path` with python-can's interface `hub` hears it."""

    def __init__(self, path: Path, leader: PiperLeaderEmulator) -> None:
        self.hub, self.leader = Hub(path), leader

    def step(self) -> None:
        """One tick: drop what was sent to the leader, which hears nothing, and send its frames; never waits."""
        self.hub.poll(0.0)
        self.hub.send(self.leader.tick())

    def close(self) -> None:
        """Throw everybody out and remove the socket's file."""
        self.hub.close()


class EmulatedBus:
    """A bus with an arm on it; whoever opens `path` with python-can's interface `hub` can command the arm."""

    def __init__(self, path: Path, arm: PiperEmulator, leader: PiperLeaderEmulator | None = None) -> None:
        """`leader` is one on the same bus, as with the stock wiring."""
        self.hub, self.arm, self.leader = Hub(path), arm, leader
        self._next_ns = time.monotonic_ns()

    def run(self, going: Callable[[], bool]) -> None:
        """Tick 200 times a second, until `going` says False; asked before every tick."""
        while going():
            self.step()

    def step(self) -> None:
        """Wait until the arm's next tick is due, pass it what was sent, then send what it says; applies the faults of the bus.

        It looks once a tick, as an arm's controller does: waking up for each of the five frames of a target costs 2000 wake-ups
        a second. What it hears bears the time at which it was sent.
        """
        if (left_ns := self._next_ns - time.monotonic_ns()) > 0:
            time.sleep(left_ns / 1e9)
        now_ns = time.monotonic_ns()
        self._next_ns = max(self._next_ns + _PERIOD_NS, now_ns)  # a late tick does not make the next ones hurry
        faults = self.arm.faults
        for frame, sent_ns in zip(self.hub.poll(0.0), self.hub.sent_ns, strict=True):
            if not faults.deaf:
                self.arm.hear(frame, min(sent_ns, now_ns))
        self.hub.silent, self.hub.clock_s = faults.silent, faults.clock_s
        if faults.send_fails != self.hub.full:
            self.hub.full = faults.send_fails
        if faults.cut:
            self.hub.cut()
        said = [] if self.leader is None else self.leader.tick()
        for frame in said:
            self.arm.hear(frame, now_ns)
        self.hub.send([*said, *self.arm.tick(_PERIOD_NS / 1e9, now_ns)])

    def close(self) -> None:
        """Throw everybody out and remove the socket's file."""
        self.hub.close()
