"""Motions that do no task, for films that a video model learns from: experts pushed hard, and hands that go where chance says.

Called by `demos.sh --kind`. All are written as scripts are, within the joints' ranges and limits; pushes come on top.
"""

import numpy as np
from numpy.typing import NDArray

from drivers.cobot_magic import BASE_X_M, BASE_Y_M, HIGH, LOW, OPEN_GRIP_M, TABLE_TOP_M
from drivers.sim import experts
from drivers.sim.disturbance import disturbance
from drivers.sim.experts.reach import over
from drivers.sim.experts.script import Script, Unreachable
from drivers.sim.physics import Physics

Array = NDArray[np.float64]
_PUSHED = 2.0  # times as hard as in demonstrations; chosen: about half of the experts then miss
_MOVES = (5, 8)  # fewest and most; chosen: 13 s in the mean
_REACH_M = (0.30, 0.58)  # of a hand from its arm's base; chosen inside of what all pitches reach
_TURN_RAD = 0.6  # of it, to either side of straight ahead
_HEIGHT_M = (0.04, 0.22)  # over the table
_PITCH_RAD = (0.3, 1.1)  # chosen: the experts' own range
_AT_OBJECTS = 0.6  # of the moves go to an object, so that some are moved
_MOVE_S, _GRIP_S = (0.8, 1.6), 0.4  # as the experts take
_TRIES = 20  # at places that a hand may not reach


def disturbed(physics: Physics, random: np.random.Generator) -> Array:
    """An expert's targets (T, 14), rad and m, off by pushes twice as hard as a demonstration's. Raises Unreachable."""
    targets = experts.plan(physics)
    pushed = targets + _PUSHED * disturbance(random, len(targets))
    return np.clip(pushed, np.tile(LOW, 2), np.tile(HIGH, 2))


def by_chance(physics: Physics, random: np.random.Generator) -> Array:
    """Targets (T, 14), rad and m, of both hands going to places by chance, and closing or opening there."""
    script = Script.begin(physics)
    for _ in range(int(random.integers(_MOVES[0], _MOVES[1] + 1))):
        side = int(random.integers(2))
        if _moved(script, side, physics, random) and random.random() < 0.5:
            script.grip(_GRIP_S, {side: float(random.uniform(0.0, OPEN_GRIP_M))})
    return script.targets()


def _moved(script: Script, side: int, physics: Physics, random: np.random.Generator) -> bool:
    """Script one arm to a place by chance; False where all that were tried are out of reach."""
    for _ in range(_TRIES):
        try:
            hand = over(side, _place(side, physics, random), random.uniform(*_PITCH_RAD))
            script.move(random.uniform(*_MOVE_S), {side: hand})
            return True
        except Unreachable:
            continue
    return False


def _place(side: int, physics: Physics, random: np.random.Generator) -> Array:
    """A place (3,) in the world before an arm: at one of the scene's free objects on its side, or anywhere."""
    sign = -1 if side == 0 else 1
    places = [physics.data.joint(name).qpos[:3].copy() for name in physics.free_objects]
    own = [place for place in places if sign * place[0] > 0]
    if own and random.random() < _AT_OBJECTS:
        return own[int(random.integers(len(own)))]
    reach_m, turn_rad = random.uniform(*_REACH_M), random.uniform(-_TURN_RAD, _TURN_RAD)
    x_m = sign * abs(BASE_X_M["left"]) + reach_m * np.sin(turn_rad)
    return np.array([x_m, BASE_Y_M + reach_m * np.cos(turn_rad), TABLE_TOP_M + random.uniform(*_HEIGHT_M)])
