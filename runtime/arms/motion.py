"""Where the arms are told to be next: along the chunk, after the masters, to a pose, or braked. Pure; part of arms_step."""

import numpy as np

from runtime.arms import chunk_intake, limits, parking
from runtime.arms.state import Inputs, Memory, Rules, armed
from runtime.arms.trajectory import Motion, evaluate
from runtime.messaging import messages

_RESOLUTION_RAD = 2e-5  # of the arm's bus (0.001 degrees): a smaller change by the limits is no change
_HELD_NS = 50_000_000  # without a new target an arm stands where the last one was (can_bus.py)


def move(rules: Rules, memory: Memory, inputs: Inputs, was: messages.Mode) -> tuple[limits.Array, bool]:
    """Advance the command by one tick. Returns the wanted pose and whether the safety layer had to change it."""
    mode = memory.machine.mode
    if was == "DISARMED" or not armed(
        memory.machine
    ):  # the first command is where the arms are, by this tick's reading
        still = np.zeros(messages.JOINTS)
        memory.commanded = Motion(np.array(inputs.feedback.q), still, still)
        return memory.commanded.q, False
    memory.commanded = _where_they_are(memory, inputs)
    if mode != "FAULT":
        memory.yields_to = None
    if mode == "RUNNING" and was != "RUNNING":  # the chunk was spliced while the arms held: begin it from here
        memory.trajectory = chunk_intake.restart(rules, memory, was)
    if memory.machine.bound_for and (memory.way is not None or parking.stands(memory.commanded)):
        wanted = memory.way = _toward_pose(rules, memory)
    else:
        memory.way, memory.passed_ready = None, False  # on the way to a pose: first the arms are braked
        wanted = _wanted(memory, inputs.deadline_ns)
    if memory.yields_to is not None:
        wanted = Motion(memory.yields_to, np.zeros(messages.JOINTS), np.zeros(messages.JOINTS))
    if wanted is None:
        memory.commanded = limits.brake(rules.limits, memory.commanded, rules.dt_s)
        return memory.commanded.q, False
    memory.commanded = limits.track(rules.limits, memory.commanded, wanted.q, rules.dt_s, wanted.dq)
    return wanted.q, bool(np.abs(memory.commanded.q - wanted.q).max() > _RESOLUTION_RAD)


def _where_they_are(memory: Memory, inputs: Inputs) -> Motion:
    """The command from which this tick goes on: what was commanded last, but for arms that did not follow it.

    An arm with a fault or without power is told nothing (can_bus.py) and may be led by hand: its command is where it is, so
    that it does not return with a jump afterwards. After a gap without targets the arms stand where they were told to be.
    """
    now = memory.commanded
    still = inputs.deadline_ns - memory.commanded_ns > _HELD_NS
    arms = zip(inputs.feedback.fault, inputs.feedback.powered, strict=True)
    led_arms = [bool(fault) or not powered for fault, powered in arms]
    if not still and not any(led_arms):
        return now
    led = np.repeat(led_arms, messages.JOINTS // 2)
    q, stands = np.where(led, inputs.feedback.q, now.q), led | still
    return Motion(q, np.where(stands, 0.0, now.dq), np.where(stands, 0.0, now.ddq))


def _toward_pose(rules: Rules, memory: Memory) -> Motion:
    """The next wanted motion on the way to the ready pose and, if that is where it leads, on to the rest pose."""
    machine, now = memory.machine, memory.commanded
    if machine.bound_for == "rest":  # from anywhere else the straight way could lead into the table
        memory.passed_ready = memory.passed_ready or _is_near(rules, now)
    goal = rules.rest_pose if memory.passed_ready else rules.ready_pose
    if parking.arrived(goal, now) and (memory.passed_ready or machine.bound_for == "ready"):
        machine.bound_for = ""
    return parking.toward(goal, memory.way, now, rules.dt_s)


def _is_near(rules: Rules, now: Motion) -> bool:
    return parking.near(rules.ready_pose, now.q) or parking.near(rules.rest_pose, now.q)


def _wanted(memory: Memory, deadline_ns: int) -> Motion | None:
    """What the policy or the masters want the arms to do, None: nothing."""
    match memory.machine.mode:
        case "RUNNING":
            return evaluate(memory.trajectory, deadline_ns)
        case "TAKEOVER" if memory.master is not None:
            still = np.zeros(messages.JOINTS)
            return Motion(memory.master.q, still, still)
        case _:
            return None
