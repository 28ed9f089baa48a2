"""Decimation by the time of capture: at most the rate that was asked for, evenly; nothing of a camera that keeps it."""

import numpy as np
import pytest

from drivers.frame_rate import Decimator


def taken_ms(rate_hz: float, jitter_ms: float = 0.0, asked_hz: float = 30.0, seconds: float = 20.0) -> list[float]:
    """When the pictures were taken that a camera of a rate gives, ms."""
    random, decimator = np.random.default_rng(1), Decimator(asked_hz)
    times_ms = np.arange(0, seconds * 1e3, 1e3 / rate_hz)
    times_ms = times_ms + random.uniform(-jitter_ms, jitter_ms, len(times_ms))
    return [time_ms for time_ms in times_ms if decimator.takes(round((1e6 + time_ms) * 1e6))]


@pytest.mark.parametrize("rate_hz", [5.0, 15.0, 25.0, 29.97, 30.0, 30.02, 30.3])
@pytest.mark.parametrize("jitter_ms", [0.0, 3.0])
def test_a_camera_that_keeps_its_rate_loses_nothing(rate_hz: float, jitter_ms: float) -> None:
    assert len(taken_ms(rate_hz, jitter_ms)) == len(np.arange(0, 20e3, 1e3 / rate_hz))


@pytest.mark.parametrize("rate_hz", [45.0, 50.0, 60.0, 90.0, 120.0, 200.0])
@pytest.mark.parametrize("jitter_ms", [0.0, 1.0])
def test_a_quicker_camera_gives_the_rate_that_was_asked_for(rate_hz: float, jitter_ms: float) -> None:
    times_ms = taken_ms(rate_hz, jitter_ms)
    assert len(times_ms) == pytest.approx(600, rel=0.03)
    assert np.diff(times_ms).max() < 33.4 + 1e3 / rate_hz + 2 * jitter_ms
    if rate_hz % 30 == 0:
        assert np.percentile(np.diff(times_ms), [2, 98]) == pytest.approx(33.3, abs=0.2 + 2 * jitter_ms), "evenly"


def test_after_a_gap_the_next_picture_is_taken() -> None:
    decimator = Decimator(30.0)
    assert decimator.takes(1_000_000_000) and decimator.takes(1_033_000_000)
    assert decimator.takes(5_000_000_000), "it stood for four seconds"
    later_ms = [ms for ms in range(5_011, 6_000, 11) if decimator.takes(ms * 1_000_000)]
    assert len(later_ms) == pytest.approx(30, abs=2)


@pytest.mark.parametrize("late_ms", [10, 20, 32, 45])
def test_a_picture_that_is_late_costs_no_other(late_ms: int) -> None:
    """As where the time of arrival is all that is known, and the machine is busy."""
    decimator = Decimator(30.0)
    times_ms = [1000 + 100 * n / 3 for n in range(60)]
    times_ms[30] += late_ms
    if late_ms > 33:
        del times_ms[31]
    assert [time_ms for time_ms in times_ms if decimator.takes(round(time_ms * 1e6))] == times_ms


def test_a_clock_that_goes_back_stops_nothing() -> None:
    decimator = Decimator(30.0)
    assert decimator.takes(9_000_000_000)
    assert decimator.takes(2_000_000_000) and not decimator.takes(2_016_000_000) and decimator.takes(2_033_000_000)
