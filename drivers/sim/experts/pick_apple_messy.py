"""Come down on the apple obliquely, so that nothing beside it is touched, close and lift.

Called by drivers/sim/experts.
"""

import numpy as np
from numpy.typing import NDArray

from drivers.sim.experts import carry
from drivers.sim.experts.reach import over
from drivers.sim.experts.script import Script
from drivers.sim.physics import Physics
from drivers.sim.tasks.pick_apple_messy import PickAppleMessy

_STEEP_RAD, _FLAT_RAD = 1.05, 0.5  # pitches near and far (carry.pitch_for); found by trial
_ABOVE_M = 0.12  # how high over the apple the hand stops; chosen: over what stands about it
_LIFT_M = 0.13  # chosen: the rule asks for 4 cm


def plan(physics: Physics) -> NDArray[np.float64]:
    """Joint targets (T, 14), rad and m, 30 a second, for the scene as it stands. Raises Unreachable."""
    task = physics.task
    assert isinstance(task, PickAppleMessy)
    place = physics.data.body("apple").xpos.copy()
    script, side = Script.begin(physics), carry.nearer_side(place[0])
    r_m = over(side, place, 0.0).r_m
    hand = over(side, place, carry.pitch_for(r_m, _STEEP_RAD, _FLAT_RAD))
    back_m = _ABOVE_M / np.tan(hand.pitch_rad)  # straight along the fingers
    script.move(1.3, {side: hand.at(r_m=hand.r_m - min(back_m, 0.12), z_m=hand.z_m + _ABOVE_M)})
    script.move(0.9, {side: hand})
    script.grip(0.4, {side: 2 * task.apple.radius_m - 0.02})
    script.move(0.8, {side: hand.at(z_m=hand.z_m + _LIFT_M)})
    script.wait(0.4)
    return script.targets()
