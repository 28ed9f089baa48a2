"""One tick of the arms process: which chunk is executed, what the arms are told, in which mode. Pure; called by arms.

Everything is decided from the memory, the inputs and the time that are given; the replay calls the very same function.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from drivers.arm import Drive
from runtime import limits, orders, rest, safety, wire
from runtime.config import Settings
from runtime.limits import Limits
from runtime.safety import Machine
from runtime.topics import reference
from runtime.trajectory import Motion, Piece, Style, Trajectory, evaluate, join, lay

SAFETY_EVERY_NS = 200_000_000
_NONE = -1
_VITAL = ("system1",)  # System 2 may fail until its condition is too old
_LOST = ("off", "starting", "exited", "stopped", "hung")
_RESOLUTION_RAD = 2e-5  # of the arm's bus (0.001 degrees): a smaller change by the limits is no change


@dataclass
class Executing:
    """The chunk that is being executed."""

    epoch: int = _NONE
    seq: int = _NONE
    observation_ns: int = _NONE
    conditions_ns: int = _NONE
    conditions_limit_ns: int = _NONE


@dataclass
class Memory:
    """Everything that `step` remembers; saved in snapshots."""

    commanded: Motion
    commanded_ns: int
    machine: Machine = field(default_factory=Machine)
    trajectory: Trajectory = field(default_factory=Trajectory)
    executing: Executing = field(default_factory=Executing)
    health: wire.CameraHealth | None = None
    lost_processes: tuple[str, ...] = ()
    episode: int = _NONE
    instruction: int = _NONE
    refusal: str = ""
    last_chunk: tuple[int, int] = (_NONE, _NONE)  # epoch, seq
    dropped: int = 0
    rejected: int = 0
    ticks: int = 0
    running_ticks: int = 0
    safety_seq: int = 0
    said_ns: int = 0
    to_rest: Motion | None = None  # what was wanted last on the way to the rest pose
    answered: tuple[int, int] = (_NONE, _NONE)  # epoch, seq of the newest order
    answer: str = ""


@dataclass(frozen=True)
class Inputs:
    """What one tick consumes: the feedback and, in order of arrival, everything else."""

    feedback: wire.JointState
    messages: tuple[wire.Message, ...]
    refused: int  # chunks that could not even be decoded
    deadline_ns: int


@dataclass(frozen=True)
class Outputs:
    """What one tick gives."""

    target: wire.ArmTarget
    state: wire.SafetyState | None
    faults: tuple[tuple[str, str], ...]
    drives: tuple[Drive, ...]  # what both arms' motors are told, in order


@dataclass(frozen=True)
class Rules:
    """The settings that `step` needs, made once."""

    settings: Settings
    limits: Limits
    style: Style
    dt_s: float

    @classmethod
    def of(cls, settings: Settings) -> "Rules":
        """From the settings tree."""
        trajectory = settings.trajectory
        style = Style(trajectory.blend, trajectory.fade_s, trajectory.smoothing)
        return cls(settings, Limits.of(settings.safety), style, 1 / settings.arms.rate_hz)


def start(rules: Rules, feedback: wire.JointState, now: int, restarted: bool = False) -> Memory:
    """The memory before the first tick: the arms are taken where they are. After a crash only an operator arms them."""
    still = np.zeros(wire.JOINTS)
    machine = Machine(since_ns=now, unfit=rules.settings.arms.unfit)
    by_itself = not restarted and not machine.unfit
    machine.wants_arm = machine.wants_power = rules.settings.arms.start != "disarmed" and by_itself
    machine.wants_run = rules.settings.arms.start == "run" and by_itself
    return Memory(Motion(np.array(feedback.q), still, still), now, machine)


def step(rules: Rules, memory: Memory, inputs: Inputs, epoch: int, now: int) -> Outputs:
    """One tick."""
    settings, machine = rules.settings, memory.machine
    seam = -1.0
    drives: list[Drive] = []
    for message in inputs.messages:
        if isinstance(message, wire.Order):
            drives += _obey(memory, message, inputs.feedback)
        else:
            seam = max(seam, _consume(rules, memory, message, inputs.deadline_ns, now))
    if inputs.refused:
        memory.rejected += inputs.refused
        machine.fault = f"{inputs.refused} chunk(s) were not finite or not of the right shape; check the policy"
    fresh = _freshness(memory, inputs, now)
    if _armed(machine):
        machine.fault = machine.fault or safety.arm_fault(inputs.feedback)
        machine.fault = machine.fault or safety.not_following(settings.safety, memory.commanded.q, inputs.feedback.q)
    powered = all(inputs.feedback.powered)
    if machine.wants_power and not safety.silent_arms(settings.safety, inputs.feedback, now):
        machine.wants_power = False
        if not powered or any(inputs.feedback.fault):
            drives.append("enable")
    reasons = safety.stale(settings.safety, fresh, now)
    armable = not safety.arm_reasons(settings.safety, fresh, now)
    was, why = machine.mode, machine.fault
    changed = safety.settle(machine, reasons, armable, powered, settings.arms.resume == "itself", now)
    answers = any(isinstance(message, wire.Order) for message in inputs.messages)
    wanted, limited = _move(rules, memory, inputs, was)
    memory.commanded_ns = inputs.deadline_ns
    memory.ticks += 1
    memory.running_ticks += machine.mode == "RUNNING"
    target = wire.ArmTarget(
        seq=memory.ticks - 1,
        epoch=epoch,
        stamp_ns=now,
        episode=max(memory.episode, 0),
        inputs=tuple(reference(message) for message in (inputs.feedback, *inputs.messages)),
        deadline_ns=inputs.deadline_ns,
        mode=machine.mode,
        blended=wanted,
        q=memory.commanded.q,
        sent=_armed(machine),
        limited=limited,
        seam_jump_rad_s=seam,
        refused=inputs.refused,
    )
    faults = (("safety", why),) if changed and machine.mode == "FAULT" else ()
    return Outputs(target, _say(memory, fresh, epoch, now, changed or answers), faults, tuple(drives))


def _obey(memory: Memory, order: wire.Order, feedback: wire.JointState) -> tuple[Drive, ...]:
    """Carry out an order, once; it may come again until its sender has heard the answer."""
    if (order.epoch, order.seq) == memory.answered:
        return ()
    drive, memory.answer = orders.obey(memory.machine, order, rest.at_rest(feedback.q))
    memory.answered = (order.epoch, order.seq)
    return () if drive is None else (drive,)


def _consume(rules: Rules, memory: Memory, message: wire.Message, deadline_ns: int, now: int) -> float:
    """Take one message into the memory. Returns the seam's velocity jump if it was a chunk that was spliced in."""
    match message:
        case wire.ActionChunk():
            return _consider(rules, memory, message, deadline_ns, now)
        case wire.CameraHealth():
            memory.health = message
        case wire.Supervision():
            memory.lost_processes = tuple(
                f"{row.process} {row.state}"
                for row in message.processes
                if row.process in _VITAL and row.state in _LOST
            )
        case wire.Episode():
            if message.number != memory.episode:
                _forget_chunk(memory)
            memory.episode = message.number
        case wire.Instruction():
            if message.number != memory.instruction:
                _forget_chunk(memory)
            memory.instruction = message.number
        case _:
            raise TypeError(f"arms consumes no {type(message).__name__}")
    return -1.0


def _consider(rules: Rules, memory: Memory, chunk: wire.ActionChunk, deadline_ns: int, now: int) -> float:
    """Drop, refuse or splice a chunk."""
    settings = rules.settings
    in_order = (chunk.epoch, chunk.seq) > memory.last_chunk
    current = (chunk.episode, chunk.instruction) == (memory.episode, memory.instruction)
    if not in_order or not current or safety.expired(settings.safety, chunk, now):
        memory.dropped += 1
        return -1.0
    memory.last_chunk = (chunk.epoch, chunk.seq)
    if fault := safety.refuse(settings.safety, rules.limits, chunk):
        memory.rejected += 1
        memory.machine.fault = fault
        return -1.0
    piece = lay(chunk.q.astype(np.float64), chunk.t0_ns, chunk.dt_ns, rules.style)
    memory.refusal = safety.jump(settings.safety, piece.at(deadline_ns).q, memory.commanded.q)
    if memory.refusal:
        memory.rejected += 1
        return -1.0
    return _splice(rules, memory, chunk, piece, deadline_ns)


def _splice(rules: Rules, memory: Memory, chunk: wire.ActionChunk, piece: Piece, deadline_ns: int) -> float:
    """Execute a chunk from now on. Returns the largest velocity step of the arms' joints that it makes, -1: none was run."""
    before = evaluate(memory.trajectory, deadline_ns) if memory.machine.mode == "RUNNING" else None
    memory.trajectory = join(memory.trajectory, piece, memory.commanded_ns, memory.commanded, rules.style)
    memory.executing = Executing(
        chunk.epoch, chunk.seq, chunk.observation_ns, chunk.conditions_capture_ns, chunk.conditions_limit_ns
    )
    after = evaluate(memory.trajectory, deadline_ns)
    if before is None or after is None:
        return -1.0
    return float(np.abs(after.dq - before.dq)[safety.ARM_JOINTS].max())


def _forget_chunk(memory: Memory) -> None:
    """What was planned for another episode or instruction is not carried out any further."""
    memory.trajectory, memory.executing, memory.refusal = Trajectory(), Executing(), ""


def _freshness(memory: Memory, inputs: Inputs, now: int) -> safety.Freshness:
    executing = memory.executing
    some = executing.seq != _NONE
    return safety.Freshness(
        arms=inputs.feedback,
        health=memory.health,
        observation_ns=executing.observation_ns if some else None,
        conditions_ns=executing.conditions_ns if some else None,
        conditions_limit_ns=executing.conditions_limit_ns,
        runs_out=some and inputs.deadline_ns > memory.trajectory.end_ns,
        refusal=memory.refusal,
        lost_processes=memory.lost_processes,
    )


def _move(rules: Rules, memory: Memory, inputs: Inputs, was: wire.Mode) -> tuple[limits.Array, bool]:
    """Advance the command by one tick. Returns the wanted pose and whether the safety layer had to change it."""
    mode = memory.machine.mode
    if not _armed(memory.machine):
        still = np.zeros(wire.JOINTS)
        memory.commanded = Motion(np.array(inputs.feedback.q), still, still)
        return memory.commanded.q, False
    if mode == "RUNNING" and was != "RUNNING":  # the chunk was spliced before the arms held: begin it from here
        memory.trajectory = _restart(rules, memory)
    if memory.machine.wants_rest and (memory.to_rest is not None or rest.stands(memory.commanded)):
        wanted = memory.to_rest = rest.toward_rest(memory.to_rest, memory.commanded, rules.dt_s)
        memory.machine.wants_rest = not rest.arrived(memory.commanded)
    else:
        memory.to_rest = None  # on the way to rest: first the arms are braked
        wanted = evaluate(memory.trajectory, inputs.deadline_ns) if mode == "RUNNING" else None
    if wanted is None:
        memory.commanded = limits.brake(rules.limits, memory.commanded, rules.dt_s)
        return memory.commanded.q, False
    memory.commanded = limits.track(rules.limits, memory.commanded, wanted.q, rules.dt_s, wanted.dq)
    return wanted.q, bool(np.abs(memory.commanded.q - wanted.q).max() > _RESOLUTION_RAD)


def _restart(rules: Rules, memory: Memory) -> Trajectory:
    """The newest chunk alone, begun anew from the commanded pose; unless nothing is blended at all, the offset fades."""
    style = rules.style if rules.style.blend == "none" else replace(rules.style, blend="fade")
    return join(Trajectory(), memory.trajectory.pieces[-1], memory.commanded_ns, memory.commanded, style)


def _say(memory: Memory, fresh: safety.Freshness, epoch: int, now: int, changed: bool) -> wire.SafetyState | None:
    if not changed and now - memory.said_ns < SAFETY_EVERY_NS:
        return None
    memory.said_ns = now
    memory.safety_seq += 1
    machine = memory.machine
    return wire.SafetyState(
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


def _armed(machine: Machine) -> bool:
    """Whether the arms are ours to command."""
    return machine.mode != "DISARMED" and not machine.never_armed and not machine.stopped


def _age(since_ns: int | None, now: int) -> int:
    return _NONE if since_ns is None else now - since_ns
