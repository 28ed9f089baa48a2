"""What several experts do: take a standing thing from the side with one arm, and set it down elsewhere, still upright."""

import numpy as np

from drivers.sim.experts.reach import Array, Hand, over
from drivers.sim.experts.script import Script

BEFORE_M = 0.09  # where a hand stops before it goes on to a thing
_LIFT_M = 0.12
_SQUEEZE_M = 0.02  # closed further than the thing is thick: what presses


def nearer_side(x_m: float) -> int:
    """The arm (0 left, 1 right) on whose side a place is."""
    return 0 if x_m < 0 else 1


def take(
    script: Script, side: int, place_m: Array, thickness_m: float, pitch_rad: float, heading_rad: float = 0.0
) -> Hand:
    """Go before the thing, on to it, and close. Returns the hand that holds it."""
    hand = over(side, place_m, pitch_rad, heading_rad)
    script.move(1.2, {side: hand.at(r_m=hand.r_m - BEFORE_M, z_m=hand.z_m + 0.03)})
    script.move(0.7, {side: hand})
    script.grip(0.4, {side: thickness_m - _SQUEEZE_M})
    return hand


def set_down(script: Script, side: int, hand: Hand, place_m: Array, open_m: float, rise_m: float = 0.18) -> None:
    """Lift what the hand holds, bring its grasp point over the place, lower it, let go, draw back and rise."""
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
    """Steeply where the arm is folded, flatly where it is stretched."""
    share = float(np.clip((r_m - 0.30) / 0.30, 0, 1))
    return near_rad + share * (far_rad - near_rad)
