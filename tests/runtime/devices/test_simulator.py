"""What the simulator process says of its task, and how it takes the targets of its arms. Called by pytest."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drivers.arm_link import ArmCommand, TargetSlot
from drivers.cobot_magic import SIDES
from drivers.sim.engine import mujoco
from drivers.sim.physics import Physics
from drivers.sim.tasks import make_task
from drivers.sim.tasks.objects import put
from runtime.config.settings import Settings
from runtime.devices.simulator import Simulation, judge, start_episode, step, streams_of
from runtime.host.clock import seconds
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


@pytest.mark.parametrize("late_ms", [0.0, 0.5, 1.0, 2.0, 2.4, 2.6, 4.0, 4.9])
def test_an_arm_moves_however_its_targets_meet_the_physics_steps(
    tmp_path: Path, settings: Settings, late_ms: float
) -> None:
    """Both tick at 200 Hz by one clock: a target that is early at one step is replaced by one as early at the next."""
    tick_ns = seconds(1 / settings.arms.rate_hz)
    simulation = Simulation(Physics(make_task("pick_apple_messy")), 0, streams=streams_of(settings))
    simulation.physics.reset(0)
    arms = [TargetSlot(tmp_path, "simulator", name) for name in SIDES]
    targets = dict(enumerate(arms))
    rest = simulation.physics.arms()[:, 0].copy()
    goal = rest + 0.05
    for side, arm in enumerate(arms):
        arm.write(ArmCommand(rest[side], 0, 1, ("enable",)))
    for tick in range(1, 200):
        for side, arm in enumerate(arms):
            arm.write(ArmCommand(goal[side], tick * tick_ns, 1, ("enable",)))
        step(simulation, targets, tick * tick_ns + seconds(late_ms / 1e3))
    for side in targets:
        assert np.abs(simulation.streams[side].q - goal[side])[:6].max() < 1e-3
