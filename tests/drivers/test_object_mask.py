"""Which pixels of a simulated picture show what the hands are to take. Called by pytest."""

import numpy as np
import pytest

from drivers.sim.camera_renderer import Eye
from drivers.sim.physics import Physics
from drivers.sim.tasks import TASKS, shifted_task

AWAY_M = 5.0


@pytest.mark.parametrize("name", TASKS)
def test_a_mask_is_what_changes_when_the_objects_are_taken_away(name: str) -> None:
    task = shifted_task(name, "all", 3)
    physics = Physics(task)
    physics.reset(3)
    eye = Eye("head", task, 160, 120, 0)
    try:
        there = physics.qpos()
        gone = there.copy()
        for body in task.manipulated:
            gone[physics.model.joint(body).qposadr[0] + 2] -= AWAY_M  # below the floor
        mask, with_them = eye.mask(there, task.manipulated), eye.render(there)
        changed = (with_them != eye.render(gone)).any(-1)
        assert 20 < mask.sum() < 0.1 * mask.size
        assert (mask ^ changed).mean() < 0.001, "a pixel of the same colour as what lies behind may stay"
        assert not eye.mask(gone, task.manipulated).any()
        assert np.array_equal(eye.render(there), with_them), "pictures are as before"
    finally:
        eye.close()
