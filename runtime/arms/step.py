"""One tick of the arms process: which chunk is executed, what the arms are told, in which mode. Deterministic.
Called by process.py 200 times a second; replay, what-if, evaluation and the benchmark of hostile chunks call it too.

Everything is decided from the state, the inputs and the time that are given.
"""

import numpy as np

from drivers.arm import EMERGENCY_STOP, NOT_CARRIED_OUT, MotorCommand
from runtime.arms import chunk_intake, commands, limits, parking, safety, takeover, transitions
from runtime.arms.following import Following, follow
from runtime.arms.modes import Findings
from runtime.arms.motion import move
from runtime.arms.state import NONE, ArmsConfig, ArmsInputs, ArmsOutputs, ArmsState, armed
from runtime.messaging import messages, unchecked
from runtime.messaging.topics import reference

SAFETY_EVERY_NS = 200_000_000  # 5 Hz, as runtime/messaging/topics.py says of the topic
_VITAL = ("system1",)  # System 2 may fail until its condition is too old
_LOST = ("off", "starting", "exited", "stopped", "hung")
_SENDERS = 16
"""Senders of commands whose newest one is remembered. Chosen: supervisor, console and arms are three, a terminal is one for
each call of `operator`; a sender repeats its command for 3 s, in which no sixteen others speak."""


def step(config: ArmsConfig, state: ArmsState, inputs: ArmsInputs, epoch: int, now_ns: int) -> ArmsOutputs:
    """One tick: take the messages, find what forbids to run, let the mode follow, advance the command.

    Args:
        config: Made once.
        state: Changed in place; nothing else is.
        inputs: Feedback of this tick, and what arrived since the last one, in order.
        epoch: Of this process, for its messages.
        now_ns: CLOCK_MONOTONIC when the tick began; `inputs.deadline_ns` is when it was due.

    Returns:
        The target to publish and send, the safety state where it is due or has changed, faults, and commands to the motors.

    Raises:
        TypeError: An input is of a message type that the arms do not read.
    """
    due_ns = _due_ns(config, inputs.deadline_ns, now_ns)
    motor_commands, seam = _take(config, state, inputs, due_ns, now_ns)
    fresh = _freshness(state, inputs.feedback, due_ns)
    if armed(state.machine):
        _find_faults(config, state, inputs.feedback)
    else:
        state.following = Following()
    outside = () if armed(state.machine) else safety.outside_ranges(config.settings.safety, inputs.feedback)
    motor_commands += _switch_on(config, state, inputs.feedback, outside, now_ns)
    state.machine = safety.check_deadman(config.settings.safety, state.machine, state.deadman, now_ns)
    was = state.machine.mode
    gap = safety.stalled(config.dt_s, state.ticked_ns, now_ns) if armed(state.machine) else ()
    machine = transitions.settle(state.machine, _find(config, state, fresh, outside + gap, now_ns), now_ns)
    state.machine, changed = machine, machine.mode != was
    answers = any(isinstance(message, messages.OperatorCommand) for message in inputs.messages)
    wanted, limited = move(config, state, inputs.feedback, was, due_ns)
    state.commanded_ns, state.ticked_ns = due_ns, now_ns
    state.ticks += 1
    state.running_ticks += machine.mode == "RUNNING"
    target = _target(state, inputs, (wanted, limited, seam), epoch, now_ns)
    faults = (("safety", machine.latched.fault),) if changed and machine.mode == "FAULT" else ()
    said = _say(state, fresh, epoch, now_ns, changed or answers)
    return ArmsOutputs(target, said, faults, tuple(motor_commands), state.commanded, due_ns)


def _take(
    config: ArmsConfig, state: ArmsState, inputs: ArmsInputs, due_ns: int, now_ns: int
) -> tuple[list[MotorCommand], float]:
    """Take in what arrived. Returns commands to the motors, and the jump of speed at the newest seam, -1 without one."""
    seam = -1.0
    motor_commands: list[MotorCommand] = []
    for message in inputs.messages:
        if isinstance(message, messages.OperatorCommand):
            motor_commands += _obey(config, state, message, inputs.feedback, now_ns)
        else:
            seam = max(seam, _consume(config, state, message, due_ns, now_ns))
    if inputs.refused:
        state.rejected += inputs.refused
        text = f"{inputs.refused} chunk(s) refused: values not finite, or wrong shape; check the policy"
        state.machine = state.machine.latch(fault=text)
    return motor_commands, seam


def _target(
    state: ArmsState, inputs: ArmsInputs, moved: tuple[limits.Array, bool, float], epoch: int, now_ns: int
) -> messages.ArmTarget:
    """What this tick sends. `moved`: what was wanted (14,), whether limits changed it, and the jump of speed at a seam."""
    wanted, limited, seam = moved
    return unchecked.made(
        messages.ArmTarget,
        {
            "seq": state.ticks - 1,
            "epoch": epoch,
            "stamp_ns": now_ns,
            "episode": max(state.episode, 0),
            "inputs": tuple(reference(message) for message in (inputs.feedback, *inputs.messages)),
            "deadline_ns": inputs.deadline_ns,
            "mode": state.machine.mode,
            "blended": wanted,
            "q": state.commanded.q,
            "sent": armed(state.machine),
            "limited": limited,
            "seam_jump_rad_s": seam,
            "refused": inputs.refused,
        },
    )


def _due_ns(config: ArmsConfig, deadline_ns: int, now_ns: int) -> int:
    """The newest deadline that has come: a late tick makes the target of by now, those that were missed are not made up for."""
    return deadline_ns + max(0, (now_ns - deadline_ns) // config.tick_ns) * config.tick_ns


def _switch_on(
    config: ArmsConfig, state: ArmsState, feedback: messages.JointState, outside: tuple[str, ...], now_ns: int
) -> tuple[MotorCommand, ...]:
    """Ask the motors to come on, once, when that is wanted and both arms are heard and inside their ranges."""
    if not state.machine.wanted.power or outside or safety.silent_arms(config.settings, feedback, now_ns):
        return ()
    state.machine = state.machine.want(power=False)
    return () if all(feedback.powered) and not any(feedback.fault) else ("enable",)


def _find(
    config: ArmsConfig, state: ArmsState, fresh: safety.Freshness, unready: tuple[str, ...], now_ns: int
) -> Findings:
    """What the mode follows from besides what is wanted and latched (transitions.py). `unready`: what else forbids to move."""
    settings = config.settings
    of_arms = safety.arm_reasons(settings, fresh, now_ns)
    unwell = unready + of_arms
    return Findings(
        forbids_run=unready + (of_arms + safety.stale(settings.safety, fresh, now_ns) or _unseen(state)),
        forbids_takeover=(*unwell, *_unled(config, state, now_ns)) if state.machine.wanted.takeover else (),
        armable=not unwell,
        motors_on=all(fresh.arms.powered),
        resumes=settings.arms.auto_resume,
        unfit=config.unfit,
        undone=tuple(text for text in of_arms if NOT_CARRIED_OUT in text),
    )


def _find_faults(config: ArmsConfig, state: ArmsState, feedback: messages.JointState) -> None:
    """Latch what an arm reports, or that one does not follow; the first fault stays."""
    machine = state.machine
    blocked, yields = follow(config.settings.safety, state.following, state.commanded.q, feedback)
    before = machine.latched.fault
    fault = before or safety.arm_fault(feedback) or blocked
    if fault != before:
        state.machine = machine.latch(fault=fault)
    if blocked and yields and not before:
        state.yields_to = np.where(parking.ARMS, feedback.q, state.commanded.q)  # the grippers keep what they hold


def _unseen(state: ArmsState) -> tuple[str, ...]:
    """That the arms hold since their newest chunk was made: they run again on a newer one, never on what was planned before."""
    machine = state.machine
    unseen = machine.mode == "HOLD" and state.executing.observation_ns < machine.status.since_ns
    return ("no new chunk since HOLD began",) if unseen else ()


def _obey(
    config: ArmsConfig, state: ArmsState, command: messages.OperatorCommand, feedback: messages.JointState, now_ns: int
) -> tuple[MotorCommand, ...]:
    """Carry out a command, once; it may come again until its sender has heard the answer, others' commands in between.

    Returns:
        What the motors are told at once.
    """
    before = next((sent for sent in state.obeyed if sent[0] == command.epoch), None)
    if before is not None and command.seq <= before[1]:
        state.answered, state.answer = before[:2], before[2]
        return ()
    arms = commands.Arms(
        at_rest=parking.near(config.rest_pose, feedback.q),
        stopped=any(EMERGENCY_STOP in text for text in feedback.warning),
        silent=safety.silent_arms(config.settings, feedback, now_ns),
        outside=safety.outside_ranges(config.settings.safety, feedback),
        waits=config.settings.arms.auto_resume,
        unfit=config.unfit,
        own_leaders=config.settings.arms.leaders == "own",
    )
    state.machine, motor_command, state.answer = commands.obey(state.machine, command, arms)
    state.answered = (command.epoch, command.seq)
    others = tuple(sent for sent in state.obeyed if sent is not before)
    state.obeyed = ((*state.answered, state.answer), *others[: _SENDERS - 1])
    return () if motor_command is None else (motor_command,)


def _consume(config: ArmsConfig, state: ArmsState, message: messages.Message, due_ns: int, now_ns: int) -> float:
    """Take one message into the state. Returns the seam's velocity jump, rad/s, if it was a chunk that was spliced in; else
    -1.
    """
    match message:
        case messages.ActionChunk():
            return chunk_intake.consider(config, state, message, due_ns, now_ns)
        case messages.CameraHealth():
            state.health = message
        case messages.Deadman():
            state.deadman = message
        case messages.LeaderState():
            state.leader = message
        case messages.Supervision():
            state.supervised_ns = message.stamp_ns
            state.lost_processes = tuple(
                f"{row.process} {row.state}"
                for row in message.processes
                if row.process in _VITAL and row.state in _LOST
            )
        case messages.Episode():
            if message.number != state.episode:
                chunk_intake.forget(state)
            state.episode, state.blend = message.number, message.blend
        case messages.Instruction():
            if message.number != state.instruction:
                chunk_intake.forget(state)
            state.instruction = message.number
        case _:
            raise TypeError(f"arms consumes no {type(message).__name__}")
    return -1.0


def _freshness(state: ArmsState, feedback: messages.JointState, due_ns: int) -> safety.Freshness:
    executing = state.executing
    some = executing.seq != NONE
    return safety.Freshness(
        arms=feedback,
        health=state.health,
        observation_ns=executing.observation_ns if some else None,
        conditions_ns=executing.conditions_ns if some else None,
        conditions_limit_ns=executing.conditions_limit_ns,
        guided=executing.guided,
        runs_out=some and due_ns > state.trajectory.end_ns,
        refusal=state.refusal,
        supervised_ns=state.supervised_ns,
        lost_processes=state.lost_processes,
    )


def _unled(config: ArmsConfig, state: ArmsState, now_ns: int) -> tuple[str, ...]:
    """What forbids the leaders to lead the arms on, empty: they may."""
    commanded = state.commanded
    stands = state.machine.mode == "TAKEOVER" or parking.stands(commanded)
    return takeover.unled(config.settings.safety.jump_rad, state.leader, commanded.q, stands, now_ns)


def _say(
    state: ArmsState, fresh: safety.Freshness, epoch: int, now_ns: int, changed: bool
) -> messages.SafetyState | None:
    if not changed and now_ns - state.said_ns < SAFETY_EVERY_NS:
        return None
    state.said_ns = now_ns
    state.safety_seq += 1
    status = state.machine.status
    return messages.SafetyState(
        seq=state.safety_seq - 1,
        epoch=epoch,
        stamp_ns=now_ns,
        episode=max(state.episode, 0),
        mode=status.mode,
        reasons=status.reasons,
        since_ns=status.since_ns,
        chunk_age_ns=_age(fresh.observation_ns, now_ns),
        condition_age_ns=_age(fresh.conditions_ns, now_ns),
        feedback_age_ns=now_ns - min(fresh.arms.measured_ns),
        holds=status.holds,
        faults=status.faults,
        chunks_dropped=state.dropped,
        chunks_rejected=state.rejected,
        ticks=state.ticks,
        running_ticks=state.running_ticks,
        answered=state.answered,
        answer=state.answer,
    )


def _age(since_ns: int | None, now_ns: int) -> int:
    return NONE if since_ns is None else now_ns - since_ns
