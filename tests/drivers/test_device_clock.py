"""A device's stamps on CLOCK_MONOTONIC: steady, never in the future, and unharmed by jumps. Called by pytest."""

import random

from drivers.device_clock import DeviceClock

PERIOD_NS = 33_333_333
OFFSET_NS = 77_000_000_000_000


def stamps(
    clock: DeviceClock, count: int, dice: random.Random, first: int = 0, device_zero_s: float = 5.0
) -> list[tuple[int, int, int]]:
    """(true time, found time, arrival) of frames that take 4 to 30 ms to come."""
    rows = []
    for number in range(first, first + count):
        taken_ns = OFFSET_NS + number * PERIOD_NS
        arrival_ns = taken_ns + 4_000_000 + dice.randrange(26_000_000)
        device_s = device_zero_s + (number - first) * PERIOD_NS / 1e9
        rows.append((taken_ns, clock.monotonic_ns(device_s, arrival_ns), arrival_ns))
    return rows


def test_jitter_of_the_delivery_does_not_reach_the_stamps() -> None:
    rows = stamps(DeviceClock(), 200, random.Random(1))
    late = [found - taken for taken, found, _ in rows[50:]]
    assert max(late) - min(late) < 1_000_000
    assert all(found - taken >= 0 and found <= arrival for taken, found, arrival in rows)


def test_the_least_delivery_is_taken_off() -> None:
    rows = stamps(DeviceClock(delivery_s=0.004), 200, random.Random(2))
    assert all(abs(found - taken) < 1_500_000 for taken, found, _ in rows[100:])


def test_times_rise_while_a_faster_delivery_is_learnt() -> None:
    rows = stamps(DeviceClock(), 300, random.Random(3))
    found = [row[1] for row in rows]
    assert found == sorted(set(found))


def test_a_device_that_begins_anew_is_followed() -> None:
    clock, dice = DeviceClock(), random.Random(4)
    stamps(clock, 100, dice)
    rows = stamps(clock, 100, dice, first=130, device_zero_s=0.0)
    assert all(0 <= found - taken < 30_000_000 and found <= arrival for taken, found, arrival in rows)


def test_the_same_stamp_again_is_the_same_time() -> None:
    """By which a frozen camera is known."""
    clock = DeviceClock()
    first = clock.monotonic_ns(3.0, OFFSET_NS)
    assert clock.monotonic_ns(3.0, OFFSET_NS + PERIOD_NS) == first
