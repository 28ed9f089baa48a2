"""What the simulator process says of its task: done once is done, until the next episode. Called by pytest; no arm moves."""

from collections.abc import Callable
from typing import Any

import numpy as np

from drivers.sim.engine import mujoco
from drivers.sim.physics import Physics
from drivers.sim.tasks import make_task
from drivers.sim.tasks.objects import put
from runtime.devices.simulator import Simulation, judge, start_episode
from runtime.messaging import messages

Build = Callable[..., Any]


def lift_apple(simulation: Simulation, z_m: float) -> None:
    """To that height, where it lies."""
    physics = simulation.physics
    place = physics.data.joint("apple").qpos[:3].copy()
    place[2] = z_m
    put(physics.data, "apple", np.asarray(place))
    mujoco.mj_forward(physics.model, physics.data)


def test_a_task_that_was_done_stays_done_until_the_next_episode(build: Build) -> None:
    simulation = Simulation(Physics(make_task("pick_apple_messy")), 0)
    simulation.physics.reset(0)
    start_episode(simulation, build(messages.Episode, number=1), from_rest=False)
    assert not judge(simulation)
    lift_apple(simulation, 1.2)
    assert judge(simulation)
    lift_apple(simulation, 0.8)
    assert not simulation.physics.success()
    assert judge(simulation)
    start_episode(simulation, build(messages.Episode, number=1), from_rest=False)
    assert judge(simulation), "the same episode, told again"
    start_episode(simulation, build(messages.Episode, number=2), from_rest=False)
    assert not judge(simulation)
