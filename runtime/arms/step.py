"""One tick of the arms process: which chunk is executed, what the arms are told, in which mode. Pure; called by arms.

Everything is decided from the memory, the inputs and the time that are given; the replay calls the very same function.
"""

import numpy as np

from drivers.arm import EMERGENCY_STOP, Drive
from runtime.arms import chunk_intake, commands, parking, safety, takeover
from runtime.arms.following import Following, follow
from runtime.arms.motion import move
from runtime.arms.state import NONE, Inputs, Memory, Outputs, Rules, armed
from runtime.messaging import messages, trusted
from runtime.messaging.topics import reference

SAFETY_EVERY_NS = 200_000_000
_VITAL = ("system1",)  # System 2 may fail until its condition is too old
_LOST = ("off", "starting", "exited", "stopped", "hung")
_SENDERS = 16  # of orders whose newest one is remembered


def step(rules: Rules, memory: Memory, inputs: Inputs, epoch: int, now: int) -> Outputs:
    """One tick."""
    settings, machine = rules.settings, memory.machine
    seam = -1.0
    drives: list[Drive] = []
    for message in inputs.messages:
        if isinstance(message, messages.Order):
            drives += _obey(rules, memory, message, inputs.feedback, now)
        else:
            seam = max(seam, _consume(rules, memory, message, inputs.deadline_ns, now))
    if inputs.refused:
        memory.rejected += inputs.refused
        machine.fault = f"{inputs.refused} chunk(s) were not finite or not of the right shape; check the policy"
    fresh = _freshness(memory, inputs)
    if armed(machine):
        _find_faults(rules, memory, inputs.feedback)
    else:
        memory.following = Following()
    powered = all(inputs.feedback.powered)
    outside = () if armed(machine) else safety.outside_ranges(settings.safety, inputs.feedback)
    if machine.wants_power and not outside and not safety.silent_arms(settings.safety, inputs.feedback, now):
        machine.wants_power = False
        if not powered or any(inputs.feedback.fault):
            drives.append("enable")
    reasons = outside + (safety.stale(settings.safety, fresh, now) or _unseen(memory))
    safety.watch_deadman(settings.safety, machine, memory.deadman, now)
    unwell = outside + safety.arm_reasons(settings.safety, fresh, now)
    unled = (*unwell, *_unled(rules, memory, now)) if machine.wants_takeover else ()
    was, why = machine.mode, machine.fault
    changed = safety.settle(machine, reasons, not unwell, powered, settings.arms.resume == "itself", now, unled)
    answers = any(isinstance(message, messages.Order) for message in inputs.messages)
    wanted, limited = move(rules, memory, inputs, was)
    memory.commanded_ns = inputs.deadline_ns
    memory.ticks += 1
    memory.running_ticks += machine.mode == "RUNNING"
    target = trusted.made(
        messages.ArmTarget,
        {
            "seq": memory.ticks - 1,
            "epoch": epoch,
            "stamp_ns": now,
            "episode": max(memory.episode, 0),
            "inputs": tuple(reference(message) for message in (inputs.feedback, *inputs.messages)),
            "deadline_ns": inputs.deadline_ns,
            "mode": machine.mode,
            "blended": wanted,
            "q": memory.commanded.q,
            "sent": armed(machine),
            "limited": limited,
            "seam_jump_rad_s": seam,
            "refused": inputs.refused,
        },
    )
    faults = (("safety", why),) if changed and machine.mode == "FAULT" else ()
    return Outputs(target, _say(memory, fresh, epoch, now, changed or answers), faults, tuple(drives))


def _find_faults(rules: Rules, memory: Memory, feedback: messages.JointState) -> None:
    """Latch what an arm reports, or that one does not follow."""
    machine = memory.machine
    blocked, yields = follow(rules.settings.safety, memory.following, memory.commanded.q, feedback)
    before = machine.fault
    machine.fault = before or safety.arm_fault(feedback) or blocked
    if blocked and yields and not before:
        memory.yields_to = np.where(parking.ARMS, feedback.q, memory.commanded.q)  # the grippers keep what they hold


def _unseen(memory: Memory) -> tuple[str, ...]:
    """Arms that hold run again on a chunk that was made since, never on what was planned before."""
    machine = memory.machine
    unseen = machine.mode == "HOLD" and memory.executing.observation_ns < machine.since_ns
    return ("no chunk since the arms hold",) if unseen else ()


def _obey(
    rules: Rules, memory: Memory, order: messages.Order, feedback: messages.JointState, now: int
) -> tuple[Drive, ...]:
    """Carry out an order, once; it may come again until its sender has heard the answer, others' orders in between."""
    before = next((sent for sent in memory.obeyed if sent[0] == order.epoch), None)
    if before is not None and order.seq <= before[1]:
        memory.answered, memory.answer = before[:2], before[2]
        return ()
    arms = commands.Arms(
        at_rest=parking.near(rules.rest_pose, feedback.q),
        stopped=any(EMERGENCY_STOP in text for text in feedback.trouble),
        silent=safety.silent_arms(rules.settings.safety, feedback, now),
        outside=safety.outside_ranges(rules.settings.safety, feedback),
        waits=rules.settings.arms.resume == "itself",
    )
    drive, memory.answer = commands.obey(memory.machine, order, arms)
    memory.answered = (order.epoch, order.seq)
    others = tuple(sent for sent in memory.obeyed if sent is not before)
    memory.obeyed = ((*memory.answered, memory.answer), *others[: _SENDERS - 1])
    return () if drive is None else (drive,)


def _consume(rules: Rules, memory: Memory, message: messages.Message, deadline_ns: int, now: int) -> float:
    """Take one message into the memory. Returns the seam's velocity jump if it was a chunk that was spliced in."""
    match message:
        case messages.ActionChunk():
            return chunk_intake.consider(rules, memory, message, deadline_ns, now)
        case messages.CameraHealth():
            memory.health = message
        case messages.Deadman():
            memory.deadman = message
        case messages.MasterState():
            memory.master = message
        case messages.Supervision():
            memory.supervised_ns = message.stamp_ns
            memory.lost_processes = tuple(
                f"{row.process} {row.state}"
                for row in message.processes
                if row.process in _VITAL and row.state in _LOST
            )
        case messages.Episode():
            if message.number != memory.episode:
                chunk_intake.forget(memory)
            memory.episode, memory.blend = message.number, message.blend
        case messages.Instruction():
            if message.number != memory.instruction:
                chunk_intake.forget(memory)
            memory.instruction = message.number
        case _:
            raise TypeError(f"arms consumes no {type(message).__name__}")
    return -1.0


def _freshness(memory: Memory, inputs: Inputs) -> safety.Freshness:
    executing = memory.executing
    some = executing.seq != NONE
    return safety.Freshness(
        arms=inputs.feedback,
        health=memory.health,
        observation_ns=executing.observation_ns if some else None,
        conditions_ns=executing.conditions_ns if some else None,
        conditions_limit_ns=executing.conditions_limit_ns,
        runs_out=some and inputs.deadline_ns > memory.trajectory.end_ns,
        refusal=memory.refusal,
        supervised_ns=memory.supervised_ns,
        lost_processes=memory.lost_processes,
    )


def _unled(rules: Rules, memory: Memory, now: int) -> tuple[str, ...]:
    """Why the masters may not lead the arms."""
    commanded = memory.commanded
    stands = memory.machine.mode == "TAKEOVER" or parking.stands(commanded)
    return takeover.unled(rules.settings.safety.jump_rad, memory.master, commanded.q, stands, now)


def _say(memory: Memory, fresh: safety.Freshness, epoch: int, now: int, changed: bool) -> messages.SafetyState | None:
    if not changed and now - memory.said_ns < SAFETY_EVERY_NS:
        return None
    memory.said_ns = now
    memory.safety_seq += 1
    machine = memory.machine
    return messages.SafetyState(
        seq=memory.safety_seq - 1,
        epoch=epoch,
        stamp_ns=now,
        episode=max(memory.episode, 0),
        mode=machine.mode,
        reasons=machine.reasons,
        since_ns=machine.since_ns,
        chunk_age_ns=_age(fresh.observation_ns, now),
        condition_age_ns=_age(fresh.conditions_ns, now),
        feedback_age_ns=now - min(fresh.arms.measured_ns),
        holds=machine.holds,
        faults=machine.faults,
        chunks_dropped=memory.dropped,
        chunks_rejected=memory.rejected,
        ticks=memory.ticks,
        running_ticks=memory.running_ticks,
        answered=memory.answered,
        answer=memory.answer,
    )


def _age(since_ns: int | None, now: int) -> int:
    return NONE if since_ns is None else now - since_ns
