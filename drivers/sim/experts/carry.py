"""What several experts do: take a standing thing from the side with one arm, and set it down elsewhere, still upright.

Called by the experts beside it. Places are (3,) in the world, m.
"""

import numpy as np

from drivers.sim.experts.reach import Array, Hand, over
from drivers.sim.experts.script import Script

BEFORE_M = 0.09  # where a hand stops before a thing; chosen: its fingertips are 4 cm short of the widest one
_LIFT_M = 0.12  # how high a thing is carried; chosen: over whatever stands on the table in these tasks
_SQUEEZE_M = 0.02
"""How much further than a thing is thick the gripper is closed. Chosen: fingers of 800 N/m then press with 8 N, and hold."""


def nearer_side(x_m: float) -> int:
    """The arm (0 left, 1 right) on whose side of the robot's middle a place lies, by its x in the world."""
    return 0 if x_m < 0 else 1


def take(
    script: Script, side: int, place_m: Array, thickness_m: float, pitch_rad: float, heading_rad: float = 0.0
) -> Hand:
    """Script one arm to stop before a thing, go on to it, and close on its thickness. Returns the hand that holds it."""
    hand = over(side, place_m, pitch_rad, heading_rad)
    script.move(1.2, {side: hand.at(r_m=hand.r_m - BEFORE_M, z_m=hand.z_m + 0.03)})
    script.move(0.7, {side: hand})
    script.grip(0.4, {side: thickness_m - _SQUEEZE_M})
    return hand


def set_down(script: Script, side: int, hand: Hand, place_m: Array, open_m: float, rise_m: float = 0.18) -> None:
    """Script one arm to lift what its hand holds, bring its grasp point over a place, lower it, let go, draw back and rise."""
    there = over(side, place_m, hand.pitch_rad)
    high_m = max(hand.z_m, there.z_m) + _LIFT_M
    script.move(0.7, {side: hand.at(z_m=high_m)})
    script.move(1.2, {side: there.at(z_m=high_m)})
    script.move(0.9, {side: there})
    script.wait(0.2)
    script.grip(0.4, {side: open_m})
    script.move(0.6, {side: there.at(r_m=there.r_m - BEFORE_M)})
    script.move(0.8, {side: there.at(r_m=there.r_m - BEFORE_M, z_m=there.z_m + rise_m)})
    script.wait(0.3)


def pitch_for(r_m: float, near_rad: float, far_rad: float) -> float:
    """A hand's pitch at a distance from its arm's base: `near_rad` up to 0.3 m, `far_rad` from 0.6 m on, even between."""
    share = float(np.clip((r_m - 0.30) / 0.30, 0, 1))
    return near_rad + share * (far_rad - near_rad)
