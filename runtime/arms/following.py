"""Whether the arms go where they are told, and where blocked ones yield to. Deterministic; part of step.py.

One reading decides nothing: an arm counts as blocked by several readings of distinct frames. It yields to where it is, so that
it is not pushed on, only if its readings led there as an arm moves; otherwise it stays, since they may be false.
"""

from dataclasses import dataclass

import numpy as np

from drivers import plausible
from runtime.arms import safety
from runtime.arms.limits import Array
from runtime.config.settings import Safety
from runtime.host.clock import seconds
from runtime.messaging import messages

BLOCKED = 3  # readings in a row, so far from the command
_ARM = messages.JOINTS // 2
_JUMPED = "its reading jumped there; support the arm, power-cycle it and check its motor"


@dataclass
class Following:
    """How both arms followed lately; left, right."""

    q: Array | None = None  # (14,) the newest readings
    measured_ns: tuple[int, int] = (messages.NEVER, messages.NEVER)
    beyond: tuple[int, int] = (0, 0)  # readings in a row that were too far from the command
    led_there: tuple[bool, bool] = (True, True)  # and each of them was within reach of the one before


def follow(limits: Safety, following: Following, commanded: Array, feedback: messages.JointState) -> tuple[str, bool]:
    """Take one tick's readings. Returns why an arm does not follow (empty: both do), and whether it may yield.

    `commanded` (14,) rad, m.
    """
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


def _one(
    limits: Safety, following: Following, side: int, before: Array, commanded: Array, feedback: messages.JointState
) -> tuple[int, bool]:
    """Of one arm: how many readings in a row are too far from the command, and whether the arm moved there."""
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
