"""The simulator process: physics in step with the clock. Targets and state pass through drivers/sim's own slots.
Started by the supervisor (runtime/process/base.py); the world of evaluation takes its cycle from here.
"""

from dataclasses import dataclass, field

import numpy as np

from drivers.arm_link import ArmCommand, TargetSlot
from drivers.cobot_magic import SIDES
from drivers.sim.link import SimulatorState, StateSlot
from drivers.sim.physics import Physics
from drivers.sim.rates import SIMULATOR_HZ
from drivers.sim.scene import TIMESTEP_S
from drivers.sim.tasks import shifted_task
from runtime.arms.limits import Limits
from runtime.arms.target_stream import TargetStream
from runtime.config.settings import Settings
from runtime.host import realtime
from runtime.host.clock import Rate, robot_time_ns, seconds
from runtime.messaging import messages
from runtime.process.base import Process

STEPS_PER_CYCLE = round(1 / SIMULATOR_HZ / TIMESTEP_S)
_CYCLE_NS = seconds(1 / SIMULATOR_HZ)
_MOST_CYCLES = 20  # caught up at once, 0.1 s; chosen: beyond it simulated time falls behind for good, and is reported
_SCENE_EVERY = 7  # cycles between two scene messages: 29 Hz


@dataclass
class Simulation:
    """The physics and how far it has come on the clock."""

    physics: Physics
    simulated_ns: int  # the monotonic time that the physics stands at
    number: int = 0
    episode: int = 0
    done: bool = False  # the task, at some moment of this episode: touched afterwards it stays done
    streams: dict[int, TargetStream] = field(default_factory=dict)  # by side; none for arms behind a bus of their own
    obeyed: dict[int, int] = field(default_factory=dict)  # by side: the number of the newest command to its motors


def step(simulation: Simulation, targets: dict[int, TargetSlot], now_ns: int) -> int:
    """Advance the physics to the clock.

    Args:
        simulation: Changed in place.
        targets: Slots by side, 0 left, 1 right.
        now_ns: CLOCK_MONOTONIC.

    Returns:
        How far it was behind, ns.
    """
    lag_ns = now_ns - simulation.simulated_ns
    cycles = min(lag_ns // _CYCLE_NS, _MOST_CYCLES)
    if cycles:
        for side, slot in targets.items():
            command = slot.read()
            for motor_command in command.since(simulation.obeyed.get(side, 0)):
                simulation.physics.switch_motors(side, motor_command)
            simulation.obeyed[side] = command.number
            _send(simulation, side, command, now_ns)
        simulation.physics.advance(int(cycles) * STEPS_PER_CYCLE)
        simulation.number += int(cycles)
    gone_ns = max(0, lag_ns - _MOST_CYCLES * _CYCLE_NS)
    simulation.simulated_ns += int(cycles) * _CYCLE_NS + gone_ns
    return lag_ns


def _send(simulation: Simulation, side: int, command: ArmCommand, now_ns: int) -> None:
    """Give one arm what the process of its bus would send it now; behind a bus it was sent already."""
    physics, stream = simulation.physics, simulation.streams.get(side)
    if stream is None:
        if command.stamp_ns:
            physics.command(side, command.q)
    elif not physics.powered[side]:
        stream.end()
    else:
        if not stream.begun and (first := stream.due(command, now_ns)):
            stream.begin(physics.arms()[side][0], first.stamp_ns)
        if stream.begun and stream.step(command, now_ns):
            physics.command(side, stream.q)


def streams_of(settings: Settings) -> dict[int, TargetStream]:
    """A stream for each side, by the limits and the rate of the settings. The arms' motors stand still with this process."""
    if settings.can:
        return {}
    table = np.split(Limits.of(settings.safety).table, len(SIDES), axis=1)
    return {side: TargetStream(table[side], 1 / settings.arms.rate_hz, stands=False) for side in range(len(SIDES))}


def main(process: Process) -> None:
    """Physics at 200 Hz until asked to end; the scene is told 29 times a second."""
    settings = process.settings
    physics = Physics(shifted_task(settings.task, settings.shift, settings.seed))
    simulation = Simulation(physics, robot_time_ns(), streams=streams_of(settings))
    simulation.physics.reset(settings.seed)
    states = StateSlot(process.folder)
    targets = {side: TargetSlot(process.folder, "simulator", name) for side, name in enumerate(SIDES)}
    scenes = process.publisher("scene")
    episodes = process.bus.subscriber("episode", newest=True)
    process.settle()
    if settings.arms.realtime:  # an arm's own controller does not wait for a busy PC either
        realtime.run_at_once(realtime.SIMULATOR_PRIORITY)
    rate = Rate(SIMULATOR_HZ)
    worst_lag_ns = cycle = 0
    while process.running:
        for received in episodes.take():
            start_episode(simulation, received.message, process.role.recording)
        worst_lag_ns = max(worst_lag_ns, step(simulation, targets, robot_time_ns()) - _CYCLE_NS)
        stamp_ns = simulation.simulated_ns
        left, right = physics.powered
        states.write(
            SimulatorState(
                simulation.number, stamp_ns, simulation.episode, physics.arms(), physics.qpos(), (left, right)
            )
        )
        if cycle % _SCENE_EVERY == 0:
            scenes.send(scene(simulation, cycle // _SCENE_EVERY, worst_lag_ns, process.epoch))
            worst_lag_ns = 0
        cycle += 1
        process.stepped()
        rate.wait()


def scene(simulation: Simulation, number: int, worst_lag_ns: int, epoch: int) -> messages.Scene:
    """The scene as a message.

    Args:
        simulation: Whose task is judged here.
        number: Of the message.
        worst_lag_ns: How far the physics was behind the clock at worst since the last one; below 0: never.
        epoch: Of this process.
    """
    return messages.Scene(
        seq=number,
        epoch=epoch,
        stamp_ns=simulation.simulated_ns,
        qpos=simulation.physics.qpos(),
        episode=simulation.episode,
        simulated_ns=simulation.number * _CYCLE_NS,
        lag_ns=max(0, worst_lag_ns),
        success=judge(simulation),
    )


def judge(simulation: Simulation) -> bool:
    """Whether the task is done now, or was at an earlier call in this episode."""
    simulation.done = simulation.done or simulation.physics.success()
    return simulation.done


def start_episode(simulation: Simulation, message: messages.Message, from_rest: bool) -> None:
    """Make a new scene where the episode is another. The arms stay where they are; with `from_rest` they start at rest."""
    assert isinstance(message, messages.Episode)
    if message.number != simulation.episode:
        first = simulation.episode == 0
        simulation.episode, simulation.done = message.number, False
        if not first:
            physics = simulation.physics
            (physics.reset if from_rest else physics.rearrange)(message.seed)
