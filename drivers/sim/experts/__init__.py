"""Scripted experts, one a task: they see the scene's true state and write both arms' joint targets.

Called by `demos.sh`, by `evaluate.sh --expert`, and by the emulated leaders. Times, heights and pitches in the experts were
chosen by trial, until they did 99.3 % of 600 scenes (models/shipped/README.md).
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from drivers.sim.experts import (
    block_handover,
    container_place,
    dual_bottles_pick,
    empty_cup_place,
    pick_apple_messy,
)
from drivers.sim.physics import Physics

_PLANS: dict[str, Callable[[Physics], NDArray[np.float64]]] = {
    "block_handover": block_handover.plan,
    "container_place": container_place.plan,
    "dual_bottles_pick_easy": dual_bottles_pick.plan,
    "dual_bottles_pick_hard": dual_bottles_pick.plan,
    "empty_cup_place": empty_cup_place.plan,
    "pick_apple_messy": pick_apple_messy.plan,
}


def plan(physics: Physics) -> NDArray[np.float64]:
    """Joint targets (T, 14), rad and m, 30 a second, that do the task of the scene as it stands. Raises Unreachable."""
    return _PLANS[physics.task.name](physics)
