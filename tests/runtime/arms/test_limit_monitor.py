"""What the safety layer sees where it only watches: ranges and speeds of a leader, from its targets. Called by pytest."""

import numpy as np
import pytest

from drivers.cobot_magic import ready_pose
from runtime.arms.limit_monitor import LimitMonitor, exceeded
from runtime.arms.limits import Limits
from runtime.arms.process import leader_state
from runtime.config.loading import load_settings
from runtime.messaging import messages

TICK_NS = 5_000_000
LIMITS = Limits.of(load_settings([]).safety)


def led(speed: float, joint: int, ticks: int = 40, jitter: float = 0.0) -> list[tuple[str, ...]]:
    """What is said tick by tick while one joint moves at a speed."""
    monitor, dice = LimitMonitor(), np.random.default_rng(0)
    said: list[tuple[str, ...]] = []
    for tick in range(ticks):
        q = ready_pose() - np.isin(np.arange(14), (6, 13)) * 0.04
        q[joint] += speed * tick * TICK_NS / 1e9 + dice.normal(0, jitter)
        said.append(exceeded(monitor, LIMITS, q, 1_000_000_000 + tick * TICK_NS))
    return said


def test_a_calm_teacher_is_not_mentioned() -> None:
    assert not any(led(2.5, 0))
    assert not any(led(2.0, 8, jitter=0.005)), "single targets jitter"


@pytest.mark.parametrize(("joint", "name"), [(0, "left j1"), (9, "right j3")])
def test_a_speed_beyond_the_limit_is_named(joint: int, name: str) -> None:
    assert led(4.0 if joint == 0 else -4.0, joint)[-1] == (f"{name} moves at 4.00 rad/s (limit 3.00 rad/s)",)


def test_a_place_beyond_the_range_is_named() -> None:
    monitor, q = LimitMonitor(), ready_pose()
    q[[6, 13]] = 0.02
    q[2] = 0.4
    assert exceeded(monitor, LIMITS, q, 1) == ("left j3 is at 0.40 rad (range -2.96 to -0.01 rad)",)


def test_masters_that_fall_silent_are_not_led() -> None:
    now_ns, still = 10_000_000_000, ready_pose()[:7]

    def led_by(*stamps_ns: int) -> messages.LeaderState | None:
        return leader_state([(still, stamp_ns) for stamp_ns in stamps_ns], LimitMonitor(), LIMITS, 0, 1, now_ns)

    heard = led_by(now_ns, now_ns - 50_000_000)
    assert heard is not None and heard.measured_ns == (now_ns, now_ns - 50_000_000)
    assert led_by(now_ns, now_ns - 150_000_000) is None
    assert led_by(now_ns) is None
    assert led_by() is None


def test_a_pause_is_not_a_speed() -> None:
    monitor, q = LimitMonitor(), ready_pose() - np.isin(np.arange(14), (6, 13)) * 0.04
    assert exceeded(monitor, LIMITS, q, 1) == ()
    assert exceeded(monitor, LIMITS, q + 0.01, 2_000_000_000) == ()
