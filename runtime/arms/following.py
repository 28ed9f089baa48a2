"""Whether the arms go where they are told, and where blocked ones yield to. Deterministic.
Called by step.py at every tick in which the arms are armed.

One reading decides nothing: an arm counts as blocked after several readings of distinct frames. It yields to where it is, so
that it is not pushed on, only if its readings led there as an arm moves; otherwise it stays, since they may be false.
"""

from dataclasses import dataclass

import numpy as np

from drivers import plausible
from runtime.arms import safety
from runtime.arms.limits import Array
from runtime.config.safety_settings import Safety
from runtime.host.clock import seconds
from runtime.host.compiled import compiled
from runtime.messaging import messages

BLOCKED = 3
"""Distinct readings in a row, so far from the command. Chosen: a single reading can be torn (its joints come in three frames)
and the one after it may still be late; three take 15 ms at 200 Hz, in which the fastest joint moves 0.045 rad."""
_ARM = messages.JOINTS // 2  # joints of an arm with its gripper
_JUMPED = "its reading jumped there; support the arm, power-cycle it and check its motor"


@dataclass
class Following:
    """How both arms followed lately, as far as `follow` needs it; pairs are left, right. Forgotten when the arms are
    disarmed.
    """

    q: Array | None = None  # (14,) the newest readings
    measured_ns: tuple[int, int] = (messages.NEVER, messages.NEVER)
    beyond: tuple[int, int] = (0, 0)  # readings in a row that were too far from the command
    led_there: tuple[bool, bool] = (True, True)  # and each of them was within reach of the one before


def follow(limits: Safety, following: Following, commanded: Array, feedback: messages.JointState) -> tuple[str, bool]:
    """Take one tick's readings and judge both arms by them and those before.

    Args:
        limits: `following_rad` and `max_feedback_age_s` are read.
        following: Changed: remembers these readings.
        commanded: (14,) the newest command, rad, grippers m.
        feedback: Both arms' newest readings.

    Returns:
        Why an arm does not follow, for the operator (empty: both do), and whether the blocked arms may yield to where they are.
    """
    if (
        following.beyond == (0, 0)
        and all(following.led_there)
        and follows(commanded, np.array(feedback.q), limits.following_rad)
    ):  # as nearly always
        following.q, following.measured_ns = feedback.q, feedback.measured_ns
        return "", False
    before = feedback.q if following.q is None else following.q
    judged = [_one(limits, following, side, before, commanded, feedback) for side in range(2)]
    following.q, following.measured_ns = feedback.q, feedback.measured_ns
    following.beyond = judged[0][0], judged[1][0]
    following.led_there = judged[0][1], judged[1][1]
    blocked = [count >= BLOCKED for count, _ in judged]
    if not any(blocked):
        return "", False
    measured = np.where(np.repeat(blocked, _ARM), feedback.q, commanded)
    yields = all(led for side, (_, led) in enumerate(judged) if blocked[side])
    why = "check whether the arm is blocked" if yields else _JUMPED
    return f"{safety.not_following(limits, commanded, measured)}; {why}", yields


@compiled("b1(f8[::1],f8[::1],f8)")
def follows(commanded: Array, q: Array, following_rad: float) -> bool:
    """Whether every joint of both arms is near its command; a gripper that holds something need not be. NaN is not near.

    Args:
        commanded: (14,) rad, grippers m.
        q: (14,) as read.
        following_rad: How far a joint may be away.
    """
    for joint in range(2 * _ARM):
        if joint % _ARM != _ARM - 1 and not abs(commanded[joint] - q[joint]) <= following_rad:
            return False
    return True


def _one(
    limits: Safety, following: Following, side: int, before: Array, commanded: Array, feedback: messages.JointState
) -> tuple[int, bool]:
    """Of one arm: how many distinct readings in a row are too far from the command, and whether the arm moved there."""
    passed_ns = feedback.measured_ns[side] - following.measured_ns[side]
    beyond, led_there = following.beyond[side], following.led_there[side]
    if passed_ns == 0:
        return beyond, led_there
    part = slice(_ARM * side, _ARM * (side + 1))
    joints = slice(part.start, part.stop - 1)  # a gripper that holds something is not where it is told to be
    if np.abs(commanded[joints] - feedback.q[joints]).max() <= limits.following_rad:
        return 0, True
    known = following.q is not None and 0 < passed_ns <= seconds(limits.max_feedback_age_s)
    moved = known and not plausible.jumped(before[part], feedback.q[part], passed_ns / 1e9)
    return beyond + 1, moved and led_there
