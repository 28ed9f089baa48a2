"""What the motors saw, of targets that are made here: limits around a fault, and the beginning of braking. Called by pytest."""

import numpy as np
import pytest

from runtime.arms.limits import Limits
from runtime.config.settings import Settings
from runtime.faults.live_robot import Tick
from runtime.faults.motor import MotorView, braked_ms, shares, simulated

DT_NS = 5_000_000
BEGAN_NS = 200 * DT_NS


def view(settings: Settings, speeds: list[float]) -> MotorView:
    """Six joints of which the first moves at these speeds, rad/s, a tick each."""
    q = np.zeros((len(speeds), 6))
    q[:, 0] = np.cumsum(speeds) * DT_NS / 1e9
    return MotorView(Limits.of(settings.safety), np.arange(len(speeds), dtype=np.int64) * DT_NS, q)


def braking(at_rad_s: float, ticks: int, late: int = 0) -> list[float]:
    """Steady for 200 ticks and `late` more, then slower to a stand, which lasts."""
    return [at_rad_s] * (200 + late) + list(np.linspace(at_rad_s, 0, ticks)) + [0.0] * 100


def test_a_stop_within_the_limits_is_told_from_one_at_once(settings: Settings) -> None:
    gentle, harsh = view(settings, braking(1.0, 60)), view(settings, braking(1.0, 1))
    assert shares([gentle], BEGAN_NS, 2 * BEGAN_NS)["acceleration"] < 0.8
    assert shares([gentle, harsh], BEGAN_NS, 2 * BEGAN_NS)["acceleration"] > 5
    assert shares([harsh], 0, BEGAN_NS // 2)["velocity"] == pytest.approx(1 / 3, rel=0.01), "before it nothing is wrong"
    assert shares([harsh], 5 * BEGAN_NS, 6 * BEGAN_NS) == {}


def test_a_stretch_that_begins_in_motion_is_no_jump(settings: Settings) -> None:
    moving = view(settings, [1.0] * 400)
    assert shares([moving], 100 * DT_NS, 300 * DT_NS)["acceleration"] < 0.01


@pytest.mark.parametrize("late", [0, 8, 40])
def test_braking_begins_where_speed_falls(settings: Settings, late: int) -> None:
    found = braked_ms(view(settings, braking(1.0, 60, late)), BEGAN_NS, 3 * BEGAN_NS)
    assert found == pytest.approx(5 * late, abs=25)


def test_arms_that_stand_or_never_stand_have_no_braking(settings: Settings) -> None:
    assert braked_ms(view(settings, [0.0] * 400), BEGAN_NS, 2 * BEGAN_NS) is None
    assert braked_ms(view(settings, [1.0] * 400), BEGAN_NS, 2 * BEGAN_NS) is None
    assert braked_ms(view(settings, [1.0] * 202), BEGAN_NS, 2 * BEGAN_NS) is None, "three targets say nothing"


def test_simulated_arms_see_what_was_sent(settings: Settings) -> None:
    limits = Limits.of(settings.safety)
    assert simulated([], limits) == ()
    ticks = [Tick(n * DT_NS, n * DT_NS, "RUNNING", np.full(14, 0.001 * n)) for n in range(50)]
    (seen,) = simulated(ticks, limits)
    assert shares([seen], 10 * DT_NS, 40 * DT_NS)["velocity"] == pytest.approx(0.2 / 0.25), "the grippers' limit, m/s"
