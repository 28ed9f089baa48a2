"""The emulated teacher's process (record.sh on a simulated robot): leads both master arms as the scripted expert would.

A demonstration begins when somebody starts to record it; before and after, the hands hold still.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numpy as np

from drivers.arm_link import Array, TargetSlot, Told
from drivers.cobot_magic import SIDES, rest_pose
from drivers.sim import experts
from drivers.sim.experts.script import Unreachable
from drivers.sim.physics import Physics
from drivers.sim.tasks import make_task
from drivers.sim.tasks.task import RATE_HZ
from runtime import wire
from runtime.clock import NS_PER_S, Rate, now_ns
from runtime.config import Settings
from runtime.process import Process, log
from runtime.takes import scene_seed

_UPDATES_HZ = 200
_AFTER_S = 0.3  # from the start of the recording to the first movement
_ARM = 7


def main(process: Process) -> None:
    """Both hands at 200 Hz until asked to end."""
    slots = [TargetSlot(process.folder, "master", side) for side in SIDES]
    states = process.bus.subscriber("demonstration", newest=True)
    thinking = ThreadPoolExecutor(1)  # a plan takes seconds; meanwhile the hands are held still
    plan = lru_cache(maxsize=2)(lambda number: thinking.submit(_plan, process.settings, number))
    newest = wire.Demonstration(seq=0, epoch=0, stamp_ns=0, number=1, state="ready", began_ns=0, ended_ns=0)
    process.settle()
    rate = Rate(_UPDATES_HZ)
    while process.running:
        for received in states.take():
            if isinstance(received.message, wire.Demonstration):
                newest = received.message
        now = now_ns()
        planned = plan(newest.number)
        q = led(planned.result(), newest, now) if planned.done() else rest_pose()
        for side, slot in enumerate(slots):
            slot.write(Told(q[_ARM * side : _ARM * side + _ARM], now))
        process.stepped()
        rate.wait()
    thinking.shutdown(cancel_futures=True)


def led(targets: Array, demonstration: wire.Demonstration, now: int) -> Array:
    """Where the hands are (14,), on the way through targets (T, 14) at 30 Hz; they stop when the recording is stopped."""
    if not demonstration.began_ns:
        return targets[0]
    until_ns = demonstration.ended_ns or now
    place = ((until_ns - demonstration.began_ns) / NS_PER_S - _AFTER_S) * RATE_HZ
    place = float(np.clip(place, 0, len(targets) - 1))
    before = min(int(place), len(targets) - 2)
    return targets[before] + (targets[before + 1] - targets[before]) * (place - before)


def _plan(settings: Settings, number: int) -> Array:
    """The expert's way (T, 14) through the scene of a demonstration, from rest; only rest where there is none."""
    physics = Physics(make_task(settings.task, settings.shift))
    physics.reset(scene_seed(settings.seed, number))
    still = np.stack([rest_pose()] * 2)
    try:
        return np.concatenate([still[:1], experts.plan(physics)])
    except Unreachable as error:
        log.warning("demonstration %d: %s; the hands stay at rest", number, error)
        return still
