"""Fixed-rate waiting on a clock that the test moves: deadlines stay on their grid and missed ones are counted.

A clock that ticks at every look lets the waiting loop end without real time.
"""

import itertools
from collections.abc import Callable

import pytest

from runtime.host.clock import NS_PER_S, Rate, robot_time_ns, seconds, wall_clock_label

PERIOD_NS = 5_000_000


class FakeClock:
    """A clock that a test moves by hand."""

    def __init__(self, start_ns: int = 0) -> None:
        self.time_ns = start_ns

    def __call__(self) -> int:
        return self.time_ns

    def advance(self, duration_ns: int) -> int:
        """Move on and return the new time."""
        self.time_ns += duration_ns
        return self.time_ns


class TickingClock(FakeClock):
    """Moves on by ten microseconds at each look."""

    def __call__(self) -> int:
        return self.advance(10_000)


def to(clock: FakeClock) -> Callable[[int], None]:
    """What a loop does with its spare time: it lets the clock come to the given time."""

    def idle(until_ns: int) -> None:
        clock.time_ns = max(clock.time_ns, until_ns)

    return idle


def test_deadlines_are_one_period_apart() -> None:
    clock = TickingClock()
    rate = Rate(200, clock)
    deadlines = [rate.wait(to(clock)) for _ in range(50)]
    assert {b - a for a, b in itertools.pairwise(deadlines)} == {PERIOD_NS}
    assert rate.missed == 0


def test_waiting_ends_at_its_deadline_not_before() -> None:
    clock = TickingClock()
    rate = Rate(200, clock)
    for _ in range(20):
        deadline_ns = rate.wait(to(clock))
        assert deadline_ns <= clock.time_ns < deadline_ns + 100_000


def test_lateness_within_a_period_does_not_accumulate() -> None:
    clock = TickingClock()
    rate = Rate(200, clock)
    first_ns = rate.wait(to(clock))
    for count in range(1, 101):
        clock.advance(PERIOD_NS * 7 // 10)  # the work of the tick
        assert rate.wait(to(clock)) == first_ns + count * PERIOD_NS
    assert rate.missed == 0


@pytest.mark.parametrize(("late", "missed"), [(0.5, 0), (1.5, 0), (2.5, 1), (3.5, 2), (10.5, 9)])
def test_missed_deadlines_are_skipped_and_counted(late: float, missed: int) -> None:
    clock = TickingClock()
    rate = Rate(200, clock)
    first_ns = rate.wait(to(clock))
    clock.time_ns = first_ns + int(late * PERIOD_NS)
    assert rate.wait(to(clock)) == first_ns + PERIOD_NS
    assert rate.missed == missed
    assert rate.wait(to(clock)) == first_ns + (missed + 2) * PERIOD_NS


def test_idle_time_ends_before_the_deadline() -> None:
    clock = TickingClock()
    rate = Rate(100, clock, exact=True)
    given: list[int] = []

    def idle(until_ns: int) -> None:
        given.append(until_ns)
        clock.time_ns = until_ns

    deadline_ns = rate.wait(idle)
    assert len(given) == 1 and 0 < deadline_ns - given[0] < seconds(0.001)


def test_without_spinning_idle_time_lasts_until_the_deadline() -> None:
    clock = TickingClock()
    given: list[int] = []
    assert Rate(100, clock).wait(given.append) == given[0]


def test_the_last_stretch_is_as_long_as_sleeps_end_late() -> None:
    """A sleep that ends up to 40 us late is begun so much earlier, and no more; one of twenty may still end late."""
    clock, late_ns = FakeClock(), itertools.cycle((20_000, 30_000, 40_000))
    given: list[int] = []
    rate = Rate(200, lambda: clock.advance(100), exact=True)

    def idle(until_ns: int) -> None:
        given.append(rate.deadline_ns - until_ns)
        clock.time_ns = max(clock.time_ns, until_ns) + next(late_ns)

    for _ in range(400):
        rate.wait(idle)
    assert given[0] == 150_000 and 35_000 < min(given[200:]) < max(given[200:]) < 65_000


def test_the_last_stretch_is_never_longer_than_at_the_beginning() -> None:
    clock = FakeClock()
    given: list[int] = []
    rate = Rate(200, lambda: clock.advance(100), exact=True)

    def hang(until_ns: int) -> None:
        given.append(rate.deadline_ns - until_ns)
        clock.time_ns = until_ns + 1_000_000

    for _ in range(20):
        rate.wait(hang)
    assert set(given) == {150_000}


def test_idle_work_that_takes_too_long_is_only_late_once() -> None:
    clock = TickingClock()
    rate = Rate(200, clock, exact=True)

    def slow(until_ns: int) -> None:
        clock.time_ns = until_ns + 3 * PERIOD_NS

    rate.wait(slow)
    assert rate.missed == 2
    ahead_ns = rate.deadline_ns - clock.time_ns
    assert 0 < ahead_ns <= PERIOD_NS


def test_the_real_clock_keeps_the_rate() -> None:
    started_ns = robot_time_ns()
    rate = Rate(200)
    for _ in range(20):
        rate.wait()
    assert robot_time_ns() - started_ns >= 20 * PERIOD_NS - 1
    assert (rate.deadline_ns - started_ns) // PERIOD_NS == 21 + rate.missed


def test_a_fake_clock_moves_only_by_hand() -> None:
    clock = FakeClock(5)
    assert (clock(), clock(), clock.advance(7), clock()) == (5, 5, 12, 12)


def test_seconds_are_whole_nanoseconds() -> None:
    assert seconds(0.1) == 100_000_000
    assert seconds(1 / 3) == 333_333_333
    assert seconds(2) == 2 * NS_PER_S


def test_the_wall_clock_label_can_name_a_folder() -> None:
    label = wall_clock_label()
    assert len(label) == 19 and not set(label) & set("/: ")
