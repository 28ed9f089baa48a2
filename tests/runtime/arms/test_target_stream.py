"""What one arm is sent, and what its motors see of it, while `arms`, the bus's process or the clock stand, jump and go back.
Called by pytest; the arms' step and the stream on one fake clock, by which a look at the slot comes every half millisecond.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from arms_rig import TICK_NS, Rig

from drivers.arm_link import ArmCommand
from runtime.arms.limits import Limits
from runtime.arms.motor_view import shares
from runtime.arms.target_stream import TargetStream
from runtime.config.safety_settings import Safety

Build = Callable[..., Any]
POLL_NS = 500_000
LATE_NS = 600_000  # that a target is written after it is due, on a machine with time
LIMITS = Limits.of(Safety())
TABLE = LIMITS.table[:, :7]
TICK_S = TICK_NS / 1e9
EXACT = 1 + 1e-6


class Wire:
    """Both processes on one clock: ticks of a rig that runs, and the left arm's stream. What was sent, and when."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.stream = TargetStream(TABLE, TICK_S)
        self.stream.begin(rig.state.commanded.q[:7], rig.now_ns)  # before anything moves
        self.command = ArmCommand(np.zeros(7), 0)
        self.now_ns = rig.now_ns
        self.next_ns = rig.now_ns
        self.late_ns, self.until_ns, self.poll_ns = LATE_NS, 0, POLL_NS
        self.at_ns: list[int] = []
        self.q: list[np.ndarray] = []

    def tick(self) -> None:
        """One of `arms`, which takes a while."""
        began_ns = self.rig.now_ns + self.rig.late_ns
        every = (self.rig.chunk(),) if self.rig.ticks % 20 == 0 else ()
        made = self.rig.tick(*every)
        self.serve_until(began_ns + self.late_ns)
        if made.target.sent:
            own = made.motion
            self.command = ArmCommand(own.q[:7], made.due_ns, 0, (), own.dq[:7], own.ddq[:7])

    def serve_until(self, until_ns: int) -> None:
        """Of the bus's process."""
        while self.next_ns <= until_ns:
            self.now_ns = self.next_ns
            if self.stream.step(self.command, self.now_ns):
                self.at_ns.append(self.now_ns)
                self.q.append(self.stream.q.copy())
            self.next_ns += self.poll_ns

    def run(self, duration_s: float) -> None:
        for _ in range(round(duration_s / TICK_S)):
            self.tick()

    def stall_arms(self, gap_ns: int) -> None:
        """The next tick begins so late."""
        self.rig.late_ns = gap_ns

    def stall_bus(self, gap_ns: int) -> None:
        """No look for so long, while `arms` ticks on."""
        self.next_ns += gap_ns // POLL_NS * POLL_NS

    @property
    def apart(self) -> float:
        """How far what was sent last is from the newest target that was due, rad or m."""
        due = [made for made in self.rig.outputs[-60:] if made.due_ns <= self.at_ns[-1] - TICK_NS // 2]
        return float(np.abs(self.q[-1] - due[-1].target.q[:7]).max())

    def until_fast(self, least_rad_s: float = 0.15) -> None:
        """Tick until a joint of the left arm moves so fast."""
        for _ in range(400):
            self.tick()
            if np.abs(self.rig.state.commanded.dq[:7]).max() > least_rad_s:
                return
        raise AssertionError("it never moved so fast")

    def follow(self, ticks: int = 300) -> float:
        """Tick on while it moves; the farthest that what was sent is from the target that was due, rad or m."""
        apart = list[float]()
        for _ in range(ticks):
            self.tick()
            apart.append(self.apart)
        assert np.abs(self.rig.state.commanded.dq[:7]).max() > 0.01
        return max(apart)

    @property
    def seen(self) -> dict[str, float]:
        """Of the limits, by the exact times."""
        return shares(LIMITS, np.array(self.at_ns, dtype=np.int64), np.array(self.q), TICK_S, self.until_ns)


@pytest.fixture
def wire(build: Build) -> Iterator[Wire]:
    made = Wire(Rig(build))
    made.run(0.7)
    assert made.rig.mode == "RUNNING"
    yield made
    assert made.seen["velocity"] <= EXACT, made.seen


def test_without_trouble_every_target_goes_out_as_it_is_in_an_even_rhythm(wire: Wire) -> None:
    wire.run(2.0)
    assert set(np.diff(wire.at_ns)) == {TICK_NS}
    targets = {made.due_ns: made.target.q[:7].tobytes() for made in wire.rig.outputs}
    assert [q.tobytes() for q in wire.q] == [targets[at_ns - TICK_NS // 2] for at_ns in wire.at_ns]
    assert wire.seen["acceleration"] <= EXACT


@pytest.mark.parametrize("late_ns", [0, 1_000_000, 2_000_000, 2_400_000])
def test_ticks_that_take_uneven_times_are_not_felt(wire: Wire, late_ns: int) -> None:
    dice = random.Random(late_ns)
    for _ in range(400):
        wire.late_ns = dice.randint(0, late_ns)
        wire.tick()
    assert wire.seen["acceleration"] <= EXACT


@pytest.mark.parametrize("gap_ms", [3, 5, 8, 12, 20, 35, 49, 51, 60, 100, 200, 300, 700, 2000])
def test_a_stall_of_the_arms_process_stays_within_the_limits(wire: Wire, gap_ms: int) -> None:
    """Their speed never drops at once: the stream brakes, and `arms` goes on from where that led."""
    for _ in range(2):
        wire.until_fast()
        wire.stall_arms(gap_ms * 1_000_000)
        wire.run(0.3)
    assert wire.seen["acceleration"] <= EXACT, wire.seen
    assert wire.rig.mode == "RUNNING"


def test_the_death_of_the_arms_process_is_a_stop_within_the_limits(wire: Wire) -> None:
    wire.until_fast()
    died_ns = wire.now_ns
    wire.until_ns = died_ns + 5_000_000_000
    wire.serve_until(wire.until_ns)
    assert wire.seen["acceleration"] <= EXACT
    assert not wire.stream.moves and wire.at_ns[-1] - died_ns < 700_000_000, "bounded, then rest"
    assert wire.at_ns[-1] - wire.at_ns[-2] == TICK_NS, "step by step until then"


def test_one_target_that_continues_nothing_costs_the_next_ones_nothing(wire: Wire) -> None:
    wire.until_fast()
    wire.command = replace(wire.command, dq=np.full(7, -1.0))
    assert wire.follow(60) < 1e-3 and wire.seen["acceleration"] <= EXACT


@pytest.mark.parametrize("phase_ms", [0.0, 0.5, 1.0, 1.5, 2.0, 2.4, 2.5, 2.6, 3.0, 4.0, 4.9])
@pytest.mark.parametrize("stands", [True, False])
def test_who_polls_once_a_tick_follows_whatever_its_phase(build: Build, phase_ms: float, stands: bool) -> None:
    """As the simulator does: a newer target is there before the last one's time has come."""
    wire = Wire(Rig(build))
    wire.stream._stands_ns = wire.stream._stands_ns if stands else None  # pyright: ignore[reportPrivateUsage]
    wire.poll_ns = TICK_NS
    wire.next_ns = wire.rig.now_ns + round(phase_ms * 1e6)
    wire.run(0.3)
    assert wire.follow() < 2e-3
    assert wire.seen["acceleration"] <= EXACT
    assert set(np.diff(wire.at_ns)) == {TICK_NS}


@pytest.mark.parametrize("late_ms", [2.6, 3.0, 4.4, 6.0, 9.0])
def test_targets_that_are_always_late_are_followed_all_the_same(wire: Wire, late_ms: float) -> None:
    """A tick that takes longer than half a tick, each time: what is sent is a step of a stop, but of the newest target's."""
    wire.late_ns = round(late_ms * 1e6)
    assert wire.follow() < 1e-3
    assert wire.seen["acceleration"] <= EXACT


def test_a_stall_changes_nothing_of_where_the_arms_go(wire: Wire) -> None:
    """A short one: the next targets are met again, to the resolution of a frame."""
    wire.until_fast()
    wire.stall_arms(20_000_000)
    wire.run(0.4)
    assert wire.apart < 1e-5


def test_a_bus_process_that_is_late_by_a_tick_or_two_passes_them_over(wire: Wire) -> None:
    """At the speed of before: a straight line over three ticks."""
    for gap_ms in (5, 10):
        wire.until_fast()
        wire.stall_bus(gap_ms * 1_000_000)
        wire.run(0.3)
        assert wire.apart < 1e-9, "what comes next is sent as it is"
    seen = shares(LIMITS, np.array(wire.at_ns, dtype=np.int64), np.array(wire.q))
    assert seen["acceleration"] <= EXACT


@pytest.mark.parametrize(("stands", "most_ticks"), [(True, 3), (False, 3), (False, 12)])
def test_a_process_that_is_always_late_does_not_fall_behind(wire: Wire, stands: bool, most_ticks: int) -> None:
    """It passes ticks over again and again, and makes all of the way that the targets make meanwhile."""
    wire.stream._stands_ns = wire.stream._stands_ns if stands else None  # pyright: ignore[reportPrivateUsage]
    dice, apart = random.Random(1), list[float]()
    for _ in range(120):
        missed = dice.randrange(most_ticks)
        wire.stall_bus(missed * TICK_NS)
        wire.run((missed + 2) * TICK_S)
        apart.append(wire.apart)
    assert np.mean(apart) < 2e-3 and max(apart) < 0.02, "rad; at up to 0.3 rad/s a tick is 1.5 mrad"


@pytest.mark.parametrize("gap_ms", [20, 50, 100, 149])
def test_after_a_stall_of_the_buss_process_the_arm_starts_at_rest_from_where_it_was_sent(
    wire: Wire, gap_ms: int
) -> None:
    """It stood there meanwhile: what comes then speeds up from there."""
    wire.until_fast()
    stood = wire.q[-1].copy()
    wire.stall_bus(gap_ms * 1_000_000)
    wire.at_ns.clear()
    wire.q.clear()
    wire.run(1.0)
    begins = np.stack((stood, *wire.q))
    at_ns = np.array([wire.at_ns[0] - TICK_NS, *wire.at_ns], dtype=np.int64)
    seen = shares(LIMITS, at_ns, begins, TICK_S)
    assert np.abs(wire.q[0] - stood).max() <= 5.0 * TICK_S**2 * EXACT
    assert seen["acceleration"] <= EXACT and seen["velocity"] <= EXACT
    assert wire.apart < 3e-4, "and it is met again"


@pytest.mark.parametrize("back_ms", [1, 20, 400, 60_000])
def test_a_clock_that_goes_back_costs_one_tick(wire: Wire, back_ms: int) -> None:
    wire.until_fast()
    before, count = wire.q[-1].copy(), len(wire.q)
    wire.rig.now_ns -= back_ms * 1_000_000
    wire.next_ns -= back_ms * 1_000_000
    wire.run(0.1)
    made = np.stack((before, *wire.q[count:]))
    assert len(made) > 15, "it goes on at once"
    assert np.abs(np.diff(made, axis=0)).max() <= 3.0 * 2 * TICK_S


def test_a_tick_that_comes_twice_is_sent_once(wire: Wire) -> None:
    wire.until_fast()
    for _ in range(50):
        wire.tick()
        wire.rig.now_ns -= TICK_NS
        before = wire.rig.state.commanded
        wire.tick()
        assert wire.rig.state.commanded is before
    assert wire.seen["acceleration"] <= EXACT


def test_a_target_of_the_future_keeps_no_arm_from_braking(wire: Wire) -> None:
    """It is of another clock, or nonsense."""
    wire.until_fast()
    wire.command = ArmCommand(wire.q[-1], wire.now_ns + 10**12)
    wire.until_ns = wire.now_ns + 2_000_000_000
    wire.serve_until(wire.until_ns)
    assert not wire.stream.moves and wire.seen["acceleration"] <= EXACT


def test_a_target_that_no_limit_allows_is_approached_within_them() -> None:
    """Whoever sends it: this is the last place before the motors."""
    stream = TargetStream(TABLE, TICK_S)
    stream.begin(np.zeros(7), 0)
    sent: list[np.ndarray] = []
    for tick in range(1, 600):
        now_ns = tick * TICK_NS
        assert stream.step(ArmCommand(np.array([1.0, 1.0, -1.0, 1.0, 1.0, 1.0, 0.05]), now_ns), now_ns + TICK_NS // 2)
        sent.append(stream.q.copy())
    at_ns = np.arange(len(sent), dtype=np.int64) * TICK_NS
    assert all(share <= EXACT for share in shares(LIMITS, at_ns, np.array(sent), TICK_S).values())
    assert np.abs(sent[-1] - [1.0, 1.0, -1.0, 1.0, 1.0, 1.0, 0.05]).max() < 1e-3


@pytest.mark.parametrize("field", ["dq", "ddq"])
def test_a_target_that_claims_another_speed_than_it_has_is_not_believed(field: str) -> None:
    stream = TargetStream(TABLE, TICK_S)
    stream.begin(np.zeros(7), 0)
    claimed: dict[str, Any] = {"dq": np.zeros(7), "ddq": np.zeros(7)}
    claimed[field] = np.full(7, 2.0)
    assert stream.step(ArmCommand(np.zeros(7), TICK_NS, **claimed), TICK_NS + TICK_NS // 2)
    for tick in range(2, 300):
        stream.step(ArmCommand(np.zeros(7), 0), tick * TICK_NS + TICK_NS // 2)
        assert np.abs(stream.q).max() < 0.01


def test_motors_that_stand_still_with_their_process_are_passed_on_what_is_due() -> None:
    """A simulator that was held up catches up: its arms had no time to come to rest."""
    wanted = np.zeros(7)
    speed = np.full(7, 0.2)
    for stands in (True, False):
        stream = TargetStream(TABLE, TICK_S, stands)
        stream.begin(wanted, 0)
        stream._sent = np.stack((wanted, speed, np.zeros(7)))  # pyright: ignore[reportPrivateUsage]
        due_ns = 20 * TICK_NS
        assert stream.step(ArmCommand(speed * due_ns / 1e9, due_ns, 0, (), speed, np.zeros(7)), due_ns + TICK_NS // 2)
        assert (np.abs(stream.q - speed * due_ns / 1e9).max() < 1e-9) is not stands


def test_it_says_when_to_look_again() -> None:
    command = ArmCommand(np.zeros(7), 2 * TICK_NS)
    stream = TargetStream(TABLE, TICK_S)
    due_ns = [now_ns for now_ns in range(0, 20 * TICK_NS, TICK_NS // 2) if stream.due(command, now_ns) is command]
    assert due_ns == list(range(5 * TICK_NS // 2, 12 * TICK_NS + 1, TICK_NS // 2)), "half a tick later, for 50 ms"
    stream = TargetStream(TABLE, TICK_S)
    assert not stream.begun and not stream.moves
    stream.begin(np.zeros(7), TICK_NS)
    stream.step(ArmCommand(np.zeros(7), 2 * TICK_NS), 2 * TICK_NS + TICK_NS // 2)
    assert stream.due(command, 3 * TICK_NS) is None, "it was taken"
    assert stream.next_ns(2 * TICK_NS + TICK_NS // 2) == 3 * TICK_NS + TICK_NS // 2
    assert stream.next_ns(9 * TICK_NS) == 9 * TICK_NS, "nothing is expected"
    waits = ArmCommand(np.full(7, 0.1), 9 * TICK_NS)
    stream.step(waits, 9 * TICK_NS)
    stream.end()
    assert not stream.begun
    stream.begin(np.zeros(7), 9 * TICK_NS)
    assert not stream.step(waits, 11 * TICK_NS), "what waited when its arm lost power is forgotten"


def test_a_target_that_is_passed_over_is_not_given_again() -> None:
    """And one that was seen before it is forgotten with it: the next new one is awaited."""
    stream = TargetStream(TABLE, TICK_S)
    first, second = (ArmCommand(np.zeros(7), tick * TICK_NS) for tick in (1, 2))
    assert stream.due(first, 2 * TICK_NS) is first
    stream.pass_over()
    assert stream.due(first, 2 * TICK_NS) is None
    assert stream.due(second, 3 * TICK_NS) is second
