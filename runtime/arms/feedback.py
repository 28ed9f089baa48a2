"""Which readings of an arm are believed: a false one moves nothing. Deterministic.
Called by process.py for each arm before its step.

What is believed becomes the JointState, so System 1, the recorder and a replay see just what the arms' step saw. An arm is
heard once several readings agree. From there on a reading that is farther off than the arm can move is used for nothing; after
a few in a row the arm counts as lost, until its readings come back or agree at a new place for a while.
"""

from dataclasses import dataclass, replace

import numpy as np

from drivers import plausible
from drivers.arm import ArmState
from runtime.host.clock import seconds
from runtime.messaging import messages

_AGREE = 3  # readings, each within reach of the one before; chosen: one or two in a row may be torn or misplaced (piper_sdk#79)
_LOST = 3
"""Readings in a row that jumped; chosen as _AGREE: 15 ms at 200 Hz, well below the 50 ms at which the arms hold."""
_SETTLED_NS = seconds(0.5)
"""At a new place before that is where an armed arm is. Chosen: a hundred readings in agreement; until then the arms hold, and
an arm that really moved there was pushed, which a person has to see anyway."""
_REPORT_NS = seconds(1.0)  # between two reports, however often it jumps; chosen: a line a second can still be read


@dataclass
class Belief:
    """What is believed of one arm, and what its newest readings said against it."""

    remedy: str = "check the CAN cable and motor"
    believed: ArmState | None = None  # the newest reading that could be true
    doubted: ArmState | None = None  # the newest that could not
    doubted_since_ns: int = 0  # the first of those that agree with it
    agreeing: int = 0
    in_a_row: int = 0
    jumped: int = 0  # in all
    why: str = ""  # of the newest that jumped
    reported_ns: int = -_REPORT_NS

    def report(self, now_ns: int) -> str:
        """A line for the operator about readings that jumped, at most once a second; empty: nothing new."""
        if not self.in_a_row or now_ns - self.reported_ns < _REPORT_NS:
            return ""
        self.reported_ns = now_ns
        return f"reading jumped: {self.why}; ignored ({self.jumped} so far); {self.remedy}"


def believe(belief: Belief, state: ArmState, armed: bool) -> ArmState:
    """The reading to use in place of the driver's newest one: that one, or the last one that was believed.

    Arms that are not `armed` are sent nothing: their new place is believed as soon as a few readings agree on it.

    Args:
        belief: Of this arm; changed by a reading that it has not seen yet.
        state: The driver's newest reading, q (7,) rad, gripper m.
        armed: Whether the arms are commanded.

    Returns:
        Position and stamp as believed; power, warning, fault and leader always as in the newest reading. Before anything is
        believed the stamp is NEVER and q is 0.
    """
    if state.stamp_ns == messages.NEVER:
        return state
    newest = belief.believed if belief.doubted is None else belief.doubted
    if newest is None or state.stamp_ns != newest.stamp_ns:
        _judge(belief, state, armed)
    return _used(belief, state)


def _judge(belief: Belief, state: ArmState, armed: bool) -> None:
    believed = belief.believed
    why = _jump(believed, state)
    if believed is not None and not why:
        belief.believed, belief.doubted = state, None
        belief.agreeing = belief.in_a_row = 0
        return
    agrees = belief.doubted is not None and not _jump(belief.doubted, state)
    belief.agreeing = belief.agreeing + 1 if agrees else 1
    belief.doubted_since_ns = belief.doubted_since_ns if agrees else state.stamp_ns
    belief.doubted = state
    if believed is not None:
        belief.jumped, belief.in_a_row, belief.why = belief.jumped + 1, belief.in_a_row + 1, why
    settled = believed is None or not armed or state.stamp_ns - belief.doubted_since_ns >= _SETTLED_NS
    if belief.agreeing >= _AGREE and settled and np.isfinite(state.q).all():
        belief.believed, belief.doubted = state, None
        belief.agreeing = belief.in_a_row = 0


def _jump(before: ArmState | None, state: ArmState) -> str:
    if before is None:
        return "no reading accepted yet"
    passed_s = (state.stamp_ns - before.stamp_ns) / 1e9
    return plausible.jumped(before.q, state.q, passed_s)


def _used(belief: Belief, state: ArmState) -> ArmState:
    """The believed reading, with what the newest one says besides positions."""
    believed = belief.believed
    if believed is state:
        return state
    if believed is None:
        return replace(state, number=-1, stamp_ns=messages.NEVER, q=np.zeros_like(state.q), powered=False)
    warning = state.warning
    if belief.in_a_row >= _LOST:
        warning = warning or f"{belief.in_a_row} readings in a row jumped: {belief.why}; {belief.remedy}"
    reported = {"powered": state.powered, "warning": warning, "fault": state.fault}
    return replace(believed, **reported, leader=state.leader, leader_ns=state.leader_ns)
