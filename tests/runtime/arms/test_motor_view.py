"""What motors see of targets: by hand-made series whose speeds are known. Called by pytest."""

import numpy as np
import pytest

from runtime.arms.limits import Limits
from runtime.arms.motor_view import shares
from runtime.config.safety_settings import Safety

LIMITS = Limits.of(Safety())  # 3 rad/s, 5 rad/s2, grippers 0.25 m/s, 2 m/s2
TICK_NS = 5_000_000


def moved(speed: np.ndarray, joint: int = 0) -> np.ndarray:
    """(N, 14) where one joint is after each tick at those speeds, rad/s."""
    q = np.zeros((len(speed), 14))
    q[:, joint] = np.cumsum(speed) * TICK_NS / 1e9
    return q


def test_a_steady_speed_uses_its_share_of_the_velocity() -> None:
    at_ns = np.arange(200, dtype=np.int64) * TICK_NS
    ramp = np.minimum(np.arange(200) * 0.02, 1.5)  # 4 rad/s2 up to 1.5 rad/s
    ramp[-80:] = np.maximum(1.5 - np.arange(80) * 0.02, 0)
    for window_s in (0.005, 0.02):
        seen = shares(LIMITS, at_ns, moved(ramp), window_s)
        assert seen["velocity"] == pytest.approx(0.5, abs=0.01)
        assert seen["acceleration"] == pytest.approx(0.8, abs=0.01)


def test_a_target_that_comes_late_is_a_stop() -> None:
    """The same targets 100 ms late after the hundredth: the arm stood at 1 rad/s from one tick to the next."""
    at_ns = np.arange(200, dtype=np.int64) * TICK_NS
    ramp = np.clip(np.minimum(np.arange(200), np.arange(200)[::-1]) * 0.02, 0, 1.0)
    assert shares(LIMITS, at_ns, moved(ramp))["acceleration"] < 1
    at_ns[100:] += 100_000_000
    assert shares(LIMITS, at_ns, moved(ramp), 0.005)["acceleration"] == pytest.approx(1 / 0.005 / 5, rel=0.1)
    assert shares(LIMITS, at_ns, moved(ramp))["acceleration"] == pytest.approx(1 / 0.02 / 5, rel=0.1)


def test_an_arm_of_seven_joints_is_measured_by_its_own_limits() -> None:
    at_ns = np.arange(100, dtype=np.int64) * TICK_NS
    ramp = np.clip(np.minimum(np.arange(100), np.arange(100)[::-1]) * 0.01, 0, 0.125)
    seen = shares(LIMITS, at_ns, moved(ramp, joint=6)[:, :7], 0.005)
    assert seen == {"velocity": pytest.approx(0.5, abs=0.01), "acceleration": pytest.approx(1.0, abs=0.01)}


def test_where_nothing_follows_the_arm_stands() -> None:
    """Only where that is known: a record that was cut says nothing of what came then."""
    at_ns = np.arange(100, dtype=np.int64) * TICK_NS
    ramp = np.minimum(np.arange(100) * 0.02, 1.0)
    assert shares(LIMITS, at_ns, moved(ramp), 0.005)["acceleration"] == pytest.approx(0.8, abs=0.01)
    died = shares(LIMITS, at_ns, moved(ramp), 0.005, until_ns=int(at_ns[-1]) + 100_000_000)
    assert died["acceleration"] == pytest.approx(1 / 0.005 / 5, rel=0.01)


def test_a_single_target_moves_nothing() -> None:
    assert shares(LIMITS, np.array([5], dtype=np.int64), np.ones((1, 7))) == {"velocity": 0.0, "acceleration": 0.0}
