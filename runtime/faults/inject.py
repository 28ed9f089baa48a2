"""Carries out one row in a running robot: from RUNNING, through the fault, back to RUNNING; notes when what was told.
Called by matrix.py. What the arms heard meanwhile is known once the run has ended (motor.py).
"""

import random
import time

from runtime.errors import RuntimeFault
from runtime.faults.live_robot import LiveRobot
from runtime.faults.row import Row, Sample
from runtime.host.clock import robot_time_ns
from runtime.messaging import messages

_BETWEEN_S = (0.5, 1.0)
"""Of quiet running before a fault, by chance, so that no period of the robot's hides something. Chosen."""
_MOVES_RAD_S, _MOVES_S = 0.1, 6.0
"""Arms that stand brake easily: it is waited so long until they are so fast. Chosen."""
_AFTER_S = 1.0  # of running that is watched after it; chosen: the first chunk is taken within it
_PATIENCE_S = 3.0  # beyond a figure it is waited for what it is of, so that a miss has a figure too; chosen
_MOST_OTHERS = 3  # holds for another reason until the machine counts as too busy to measure on; chosen
_TOGETHER_MS = 100.0  # of a hold and its reason: both arms' or all cameras' reasons come one after the other; chosen
_GONE_S = 10.0  # longest wait for the end of a run; chosen


def inject(robot: LiveRobot, row: Row, dice: random.Random) -> Sample:
    """Put the fault in, look, and take it back; again where the arms held for another reason meanwhile."""
    others = 0
    while True:
        sample = _once(robot, row, dice)
        sample.others = others
        if row.once or not _other_reason(row, sample) or others == _MOST_OTHERS:
            return sample
        others += 1


def _once(robot: LiveRobot, row: Row, dice: random.Random) -> Sample:
    if not robot.run_again(2 * row.back_s):
        return _wrong(f"the robot was not RUNNING before this fault: {_reasons(robot)}")
    try:
        row.fault.prepare(robot)
    except RuntimeFault as error:
        return _wrong(str(error))
    robot.pause(dice.uniform(*_BETWEEN_S))
    if row.running and not _moves(robot, 2 * row.back_s):
        return _wrong(f"the robot was not RUNNING before this fault: {_reasons(robot)}")
    lost, restarts, mode = robot.lost, robot.restarts, robot.mode
    robot.events.clear()
    sample = Sample(robot_time_ns(), moving_rad_s=robot.speed_rad_s())
    sample.said = row.fault.begin(robot)
    if sample.said and row.says in sample.said:
        sample.seen_ms = (robot_time_ns() - sample.began_ns) / 1e6
    for message in list(robot.events):
        note(row, sample, message, mode)
    _observe(robot, row, sample, mode)
    sample.measured["late ms"] = max(
        ((tick.stamp_ns - tick.deadline_ns) / 1e6 for tick in robot.ticks if tick.stamp_ns > sample.began_ns),
        default=0.0,
    )
    if row.reaction == "end":
        sample.measured["gone ms"] = _gone_ms(robot, sample.began_ns)
        sample.ended_ns = robot_time_ns()
        return sample
    lifted_ns = robot_time_ns()
    sample.measured |= row.fault.end(robot)
    if robot.run_again(2 * row.back_s) and robot.state is not None:
        sample.back_ms = max(0.0, (robot.state.since_ns - lifted_ns) / 1e6)
    robot.pause(_AFTER_S)
    sample.lost = robot.lost - lost
    sample.restarted = tuple(name for name, count in robot.restarts.items() if count > restarts.get(name, 0))
    sample.ended_ns = robot_time_ns()
    return sample


def _moves(robot: LiveRobot, timeout_s: float) -> bool:
    """Wait until it runs, and if it can be had until it moves. Returns whether it runs within `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline and robot.run_again(timeout_s):
        robot.wait(lambda: robot.mode != "RUNNING" or robot.speed_rad_s() > _MOVES_RAD_S, _MOVES_S)
        if robot.mode == "RUNNING":
            return True
    return False


def _wrong(why: str) -> Sample:
    return Sample(robot_time_ns(), robot_time_ns(), wrong=why)


def _observe(robot: LiveRobot, row: Row, sample: Sample, mode: str) -> None:
    """Look until the fault has been told and the arms have reacted, and then for as long as it lasts."""
    figures_ms = (row.seen_ms, row.held_ms if row.reaction == "hold" else 0.0)
    until = time.monotonic() + max(figures_ms) / 1e3 + _PATIENCE_S
    # Of a run that ends the processes still talk when its supervisor is gone.
    while time.monotonic() < until and (robot.alive or row.reaction == "end") and not _complete(row, sample):
        for message in robot.listen():
            note(row, sample, message, mode)
    until = time.monotonic() + row.lasts_s
    while time.monotonic() < until and robot.alive:
        for message in robot.listen():
            note(row, sample, message, mode)


def note(row: Row, sample: Sample, message: messages.Message, mode: str) -> None:
    """What one message says of the fault: told for the first time, or the first other mode than `mode`."""
    after_ms = (message.stamp_ns - sample.began_ns) / 1e6
    if after_ms < 0:
        return
    texts = message.reasons if isinstance(message, messages.SafetyState) else ()
    texts = (message.text,) if isinstance(message, messages.Fault) else texts
    found = next((text for text in texts if row.says and row.says in text), "")
    if found and sample.seen_ms is None:
        sample.seen_ms, sample.said = after_ms, found
    left = isinstance(message, messages.SafetyState) and message.mode != mode and row.reaction != "bus"
    if left and sample.held_ms is None:
        sample.held_ms, sample.held_said = after_ms, "; ".join(texts)
    if sample.held_ms is not None and sample.because_ms is None:
        because = row.because or row.says
        if any(because in text for text in texts):
            sample.because_ms = after_ms


def _complete(row: Row, sample: Sample) -> bool:
    reported = sample.seen_ms is not None or not row.says
    if row.reaction in ("none", "bus"):
        return reported
    return reported and sample.held_ms is not None and sample.because_ms is not None


def _other_reason(row: Row, sample: Sample) -> bool:
    """Whether the arms held, but not for this fault."""
    if row.reaction not in ("hold", "none") or sample.held_ms is None:
        return False
    return row.reaction == "none" or sample.because_ms is None or sample.because_ms - sample.held_ms > _TOGETHER_MS


def _gone_ms(robot: LiveRobot, began_ns: int) -> float:
    """Until the run has ended and left no process."""
    until = time.monotonic() + _GONE_S
    while time.monotonic() < until and (robot.alive or robot.left()):
        time.sleep(0.02)
    return (robot_time_ns() - began_ns) / 1e6


def _reasons(robot: LiveRobot) -> str:
    return "; ".join(robot.reasons) or "arms silent"
