"""The emulated teacher's process: a person at both leader arms of a simulated robot.
Started by the supervisor (runtime/process/base.py) where leaders are emulated.

record.sh: leads them as the scripted expert would, once somebody starts to record; before and after, the hands hold still.
Leaders of their own: keeps them where the arms are, ready to take over, and then leads the arms to their ready pose.
"""

from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from drivers.arm_link import ArmCommand, Array, TargetSlot
from drivers.cobot_magic import SIDES, ready_pose
from drivers.sim import experts
from drivers.sim.experts.script import Unreachable
from drivers.sim.physics import Physics
from drivers.sim.rates import DEMONSTRATION_HZ
from drivers.sim.tasks import shifted_task
from runtime.arms import parking
from runtime.arms.trajectory import Motion
from runtime.config.settings import Settings
from runtime.host.clock import NS_PER_S, Rate, robot_time_ns
from runtime.messaging import messages
from runtime.process.base import Process, log

_UPDATES_HZ = 200  # as often as the arms tick
_AFTER_S = 0.3  # from the start of the recording to the first movement; chosen: a person needs about that after the key
_ARM = 7  # joints of an arm with its gripper


def main(process: Process) -> None:
    """Lead both leader arms at 200 Hz until asked to end."""
    slots = [TargetSlot(process.folder, "leader", side) for side in SIDES]
    teacher = _Demonstrator(process) if process.role.recording else _Substitute(process)
    process.settle()
    rate = Rate(_UPDATES_HZ)
    while process.running:
        now_ns, q = robot_time_ns(), teacher.hands()
        if q is not None:
            for side, slot in enumerate(slots):
                slot.write(ArmCommand(q[_ARM * side : _ARM * side + _ARM], now_ns))
        process.stepped()
        rate.wait()
    teacher.close()


class _Demonstrator:
    """Leads through each demonstration as the scripted expert would; holds the ready pose in between and while it plans."""

    def __init__(self, process: Process) -> None:
        self._settings = process.settings
        self._states = process.bus.subscriber("demonstration", newest=True)
        self._episodes = process.bus.subscriber("episode", newest=True)
        self._thinking = ThreadPoolExecutor(1)  # a plan takes seconds; meanwhile the hands are held still
        self._demonstration: messages.Demonstration | None = None
        self._planned: tuple[int, Future[Array]] | None = None  # of an episode

    def hands(self) -> Array | None:
        """Where they are now (14,), rad, grippers m."""
        for received in (*self._episodes.take(), *self._states.take()):
            match received.message:
                case messages.Episode() as episode if self._planned is None or self._planned[0] != episode.number:
                    self._planned = episode.number, self._thinking.submit(_plan, self._settings, episode.seed)
                case messages.Demonstration() as reported:
                    self._demonstration = reported
                case _:
                    pass
        planned, demonstration = self._planned, self._demonstration
        if demonstration is None or planned is None or planned[0] != demonstration.number or not planned[1].done():
            return ready_pose()
        return led(planned[1].result(), demonstration, robot_time_ns())

    def close(self) -> None:
        """End the planning thread, and what it has not begun."""
        self._thinking.shutdown(cancel_futures=True)


class _Substitute:
    """Follows the arms with the leaders, and brings them home when it takes over."""

    def __init__(self, process: Process) -> None:
        self._states = process.bus.subscriber("joint_state", newest=True)
        self._modes = process.bus.subscriber("safety", newest=True)
        self._leads = False
        self._wanted: Motion | None = None  # while it leads

    def hands(self) -> Array | None:
        """Where they are now (14,), rad, grippers m; None before the arms said where they are."""
        for received in self._modes.take():
            assert isinstance(received.message, messages.SafetyState)
            self._leads = received.message.mode == "TAKEOVER"
        arms = [received.message for received in self._states.take()]
        if not self._leads:
            self._wanted = None
            return arms[-1].q if arms and isinstance(arms[-1], messages.JointState) and arms[-1].heard else None
        if self._wanted is None:
            if not arms or not isinstance(arms[-1], messages.JointState) or not arms[-1].heard:
                return None
            still = np.zeros(messages.JOINTS)
            self._wanted = Motion(arms[-1].q, still, still)
        self._wanted = parking.toward(ready_pose(), self._wanted, self._wanted, 1 / _UPDATES_HZ)
        return self._wanted.q

    def close(self) -> None:
        """Nothing runs beside this class."""


def led(targets: Array, demonstration: messages.Demonstration, now_ns: int) -> Array:
    """Where the hands are at a time of a demonstration; they stop when its recording is stopped.

    Args:
        targets: (T, 14) at 30 Hz, rad, grippers m.
        demonstration: When it began and ended.
        now_ns: CLOCK_MONOTONIC.

    Returns:
        (14,) between two targets.
    """
    if not demonstration.began_ns:
        return targets[0]
    until_ns = demonstration.ended_ns or now_ns
    place = ((until_ns - demonstration.began_ns) / NS_PER_S - _AFTER_S) * DEMONSTRATION_HZ
    place = float(np.clip(place, 0, len(targets) - 1))
    before = min(int(place), len(targets) - 2)
    return targets[before] + (targets[before + 1] - targets[before]) * (place - before)


def _plan(settings: Settings, seed: int) -> Array:
    """The expert's way (T, 14) through the scene of an episode, from the ready pose; only that pose where the expert finds
    none.
    """
    physics = Physics(shifted_task(settings.task, settings.shift, settings.seed))
    physics.reset(seed)
    still = np.stack([ready_pose()] * 2)
    try:
        return np.concatenate([still[:1], experts.plan(physics)])
    except Unreachable as error:
        log.warning("scene %d: %s; the emulated leaders stay in the ready pose", seed, error)
        return still
