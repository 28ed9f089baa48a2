"""Where the arms are told to be next: along the chunk, after the leaders, to a pose, or braked. Deterministic.
Called by step.py once a tick, after the mode has followed.
"""

import numpy as np

from runtime.arms import chunk_intake, limits, parking
from runtime.arms.state import ArmsConfig, ArmsState, armed
from runtime.arms.trajectory import Motion, evaluate
from runtime.messaging import messages

_LONGEST_STOP_S = 2.0
"""Chosen: three times what `limits.brake` needs from 3 rad/s with the default limits; no gap is counted for longer."""
_RESOLUTION_RAD = 2e-5
"""Derived: frames 0x155 to 0x157 count 0.001 degrees, 1.7e-5 rad; a smaller change by the limits is none."""


def move(
    config: ArmsConfig, state: ArmsState, feedback: messages.JointState, was: messages.Mode, due_ns: int
) -> tuple[limits.Array, bool]:
    """Advance `state.commanded` by one tick.

    Args:
        config: Limits, poses and the tick's length.
        state: Its command, way to a pose, and trajectory change.
        feedback: Of this tick.
        was: The mode before this tick.
        due_ns: When this tick's target is due; at the last one's nothing changes.

    Returns:
        (14,) the wanted pose before the safety layer, rad, grippers m, and whether the safety layer had to change it.
    """
    mode = state.machine.mode
    if was == "DISARMED" or not armed(state.machine):  # the first command is where the arms are, by this tick's reading
        still = np.zeros(messages.JOINTS)
        state.commanded = Motion(np.array(feedback.q), still, still)
        return state.commanded.q, False
    ticks = round((due_ns - state.commanded_ns) / config.tick_ns)
    if ticks == 0:  # a clock that stood: the motors were sent this target already
        return state.commanded.q, False
    state.commanded = _where_they_are(config, state.commanded, feedback, ticks)
    if mode != "FAULT":
        state.yields_to = None
    if mode == "RUNNING" and was != "RUNNING":  # the chunk was spliced while the arms held: begin it from here
        state.trajectory = chunk_intake.restart(config, state, was)
    if state.machine.wanted.pose and (state.way is not None or parking.stands(state.commanded)):
        wanted = state.way = _toward_pose(config, state)
    else:
        state.way, state.passed_ready = None, False  # on the way to a pose: first the arms are braked
        wanted = _wanted(state, due_ns)
    if state.yields_to is not None:
        wanted = Motion(state.yields_to, np.zeros(messages.JOINTS), np.zeros(messages.JOINTS))
    if wanted is None:
        state.commanded = limits.brake(config.limits, state.commanded, config.dt_s)
        return state.commanded.q, False
    state.commanded = limits.track(config.limits, state.commanded, wanted.q, config.dt_s, wanted.dq)
    return wanted.q, bool(np.abs(state.commanded.q - wanted.q).max() > _RESOLUTION_RAD)


def _where_they_are(config: ArmsConfig, commanded: Motion, feedback: messages.JointState, ticks: int) -> Motion:
    """The command from which this tick goes on: what was commanded last, except for arms that did not follow it.

    An arm with a fault or without power is sent nothing (can_bus.py) and may be led by hand: its command is where it is, so
    that it does not return with a jump afterwards. Where ticks were missed, the arms were braked (target_stream.py).

    Args:
        config: Limits and the tick's length.
        commanded: The last command.
        feedback: Of this tick.
        ticks: Since the last command. A clock that went back counts as one.
    """
    now = commanded
    for _ in range(min(ticks - 1, round(_LONGEST_STOP_S / config.dt_s))):
        now = limits.brake(config.limits, now, config.dt_s)
    arms = zip(feedback.fault, feedback.powered, strict=True)
    led_arms = [bool(fault) or not powered for fault, powered in arms]
    if not any(led_arms):
        return now
    led = np.repeat(led_arms, messages.JOINTS // 2)
    return Motion(np.where(led, feedback.q, now.q), np.where(led, 0.0, now.dq), np.where(led, 0.0, now.ddq))


def _toward_pose(config: ArmsConfig, state: ArmsState) -> Motion:
    """The next wanted motion on the way to the ready pose and, if that is where it leads, on to the rest pose."""
    machine, now = state.machine, state.commanded
    if machine.wanted.pose == "rest":  # from anywhere else the straight way could lead into the table
        state.passed_ready = state.passed_ready or _is_near(config, now)
    goal = config.rest_pose if state.passed_ready else config.ready_pose
    if parking.arrived(goal, now) and (state.passed_ready or machine.wanted.pose == "ready"):
        state.machine = machine.want(pose="")
    return parking.toward(goal, state.way, now, config.dt_s)


def _is_near(config: ArmsConfig, now: Motion) -> bool:
    return parking.near(config.ready_pose, now.q) or parking.near(config.rest_pose, now.q)


def _wanted(state: ArmsState, due_ns: int) -> Motion | None:
    """What the policy or the leaders want the arms to do; None: nothing, they brake."""
    match state.machine.mode:
        case "RUNNING":
            return evaluate(state.trajectory, due_ns)
        case "TAKEOVER" if state.leader is not None:
            still = np.zeros(messages.JOINTS)
            return Motion(state.leader.q, still, still)
        case _:
            return None
