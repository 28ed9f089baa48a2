"""One tick of the arms process: which chunk is executed, what the arms are told, in which mode. Pure; called by arms.

Everything is decided from the memory, the inputs and the time that are given; the replay calls the very same function.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from drivers.arm import EMERGENCY_STOP, Drive
from runtime import limits, orders, rest, safety, takeover, wire
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
_SENDERS = 16  # of orders whose newest one is remembered
_HELD_NS = 50_000_000  # without a new target an arm stands where the last one was (can_bus.py)


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
    master: wire.MasterState | None = None  # where hands lead the masters
    lost_processes: tuple[str, ...] = ()
    episode: int = _NONE
    instruction: int = _NONE
    blend: wire.Blend | None = None  # told with the episode; None: that of the settings
    deadman: wire.Deadman | None = None
    refusal: str = ""
    last_chunk: tuple[int, int] = (_NONE, _NONE)  # epoch, seq
    dropped: int = 0
    rejected: int = 0
    ticks: int = 0
    running_ticks: int = 0
    safety_seq: int = 0
    said_ns: int = 0
    way: Motion | None = None  # what was wanted last on the way to a pose
    passed_ready: bool = False  # on the way to rest, which leads over the ready pose
    yields_to: limits.Array | None = None  # where blocked arms were when that latched a fault: they are not pushed on
    obeyed: tuple[
        tuple[int, int, str], ...
    ] = ()  # of each sender of orders: epoch, seq of the newest one, and the answer
    answered: tuple[int, int] = (_NONE, _NONE)  # epoch, seq of the order that was heard last
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
    ready_pose: rest.Pose  # (14,) where work begins
    rest_pose: rest.Pose  # (14,) where the arms' power can be taken

    @classmethod
    def of(cls, settings: Settings) -> "Rules":
        """From the settings tree."""
        trajectory = settings.trajectory
        style = Style(trajectory.blend, trajectory.fade_s, trajectory.smoothing)
        arms, grips_m = settings.arms, (settings.safety.high[-1],)
        poses = (np.array([*pose.left, *grips_m, *pose.right, *grips_m]) for pose in (arms.ready, arms.rest))
        return cls(settings, Limits.of(settings.safety), style, 1 / arms.rate_hz, *poses)


def start(rules: Rules, feedback: wire.JointState, now: int, restarted: bool = False) -> Memory:
    """The memory before the first tick: the arms are taken where they are. After a crash only an operator arms them."""
    still = np.zeros(wire.JOINTS)
    arms = rules.settings.arms
    machine = Machine(since_ns=now, unfit=arms.unfit, masters_own=arms.masters == "own")
    by_itself = not restarted and not machine.unfit
    machine.wants_arm = machine.wants_power = arms.start != "disarmed" and by_itself
    machine.wants_run = machine.first_run = arms.start == "run" and by_itself
    return Memory(Motion(np.array(feedback.q), still, still), now, machine)


def step(rules: Rules, memory: Memory, inputs: Inputs, epoch: int, now: int) -> Outputs:
    """One tick."""
    settings, machine = rules.settings, memory.machine
    seam = -1.0
    drives: list[Drive] = []
    for message in inputs.messages:
        if isinstance(message, wire.Order):
            drives += _obey(rules, memory, message, inputs.feedback, now)
        else:
            seam = max(seam, _consume(rules, memory, message, inputs.deadline_ns, now))
    if inputs.refused:
        memory.rejected += inputs.refused
        machine.fault = f"{inputs.refused} chunk(s) were not finite or not of the right shape; check the policy"
    fresh = _freshness(memory, inputs)
    if _armed(machine):
        _find_faults(rules, memory, inputs.feedback)
    powered = all(inputs.feedback.powered)
    if machine.wants_power and not safety.silent_arms(settings.safety, inputs.feedback, now):
        machine.wants_power = False
        if not powered or any(inputs.feedback.fault):
            drives.append("enable")
    reasons = safety.stale(settings.safety, fresh, now) or _unseen(memory)
    safety.watch_deadman(settings.safety, machine, memory.deadman, now)
    unwell = safety.arm_reasons(settings.safety, fresh, now)
    unled = (*unwell, *_unled(rules, memory, now)) if machine.wants_takeover else ()
    was, why = machine.mode, machine.fault
    changed = safety.settle(machine, reasons, not unwell, powered, settings.arms.resume == "itself", now, unled)
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


def _find_faults(rules: Rules, memory: Memory, feedback: wire.JointState) -> None:
    """Latch what an arm reports, or that one does not follow."""
    machine = memory.machine
    machine.fault = machine.fault or safety.arm_fault(feedback)
    if machine.fault:
        return
    machine.fault = safety.not_following(rules.settings.safety, memory.commanded.q, feedback.q)
    if machine.fault:
        memory.yields_to = np.where(rest.ARMS, feedback.q, memory.commanded.q)  # the grippers keep what they hold


def _unseen(memory: Memory) -> tuple[str, ...]:
    """Arms that hold run again on a chunk that was made since, never on what was planned before."""
    machine = memory.machine
    unseen = machine.mode == "HOLD" and memory.executing.observation_ns < machine.since_ns
    return ("no chunk since the arms hold",) if unseen else ()


def _obey(rules: Rules, memory: Memory, order: wire.Order, feedback: wire.JointState, now: int) -> tuple[Drive, ...]:
    """Carry out an order, once; it may come again until its sender has heard the answer, others' orders in between."""
    before = next((sent for sent in memory.obeyed if sent[0] == order.epoch), None)
    if before is not None and order.seq <= before[1]:
        memory.answered, memory.answer = before[:2], before[2]
        return ()
    arms = orders.Arms(
        at_rest=rest.near(rules.rest_pose, feedback.q),
        stopped=any(EMERGENCY_STOP in text for text in feedback.trouble),
        silent=safety.silent_arms(rules.settings.safety, feedback, now),
        waits=rules.settings.arms.resume == "itself",
    )
    drive, memory.answer = orders.obey(memory.machine, order, arms)
    memory.answered = (order.epoch, order.seq)
    others = tuple(sent for sent in memory.obeyed if sent is not before)
    memory.obeyed = ((*memory.answered, memory.answer), *others[: _SENDERS - 1])
    return () if drive is None else (drive,)


def _consume(rules: Rules, memory: Memory, message: wire.Message, deadline_ns: int, now: int) -> float:
    """Take one message into the memory. Returns the seam's velocity jump if it was a chunk that was spliced in."""
    match message:
        case wire.ActionChunk():
            return _consider(rules, memory, message, deadline_ns, now)
        case wire.CameraHealth():
            memory.health = message
        case wire.Deadman():
            memory.deadman = message
        case wire.MasterState():
            memory.master = message
        case wire.Supervision():
            memory.lost_processes = tuple(
                f"{row.process} {row.state}"
                for row in message.processes
                if row.process in _VITAL and row.state in _LOST
            )
        case wire.Episode():
            if message.number != memory.episode:
                _forget_chunk(memory)
            memory.episode, memory.blend = message.number, message.blend
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
    begins_ns = _begins_ns(rules, memory, memory.machine.mode, chunk.t0_ns, deadline_ns)
    piece = lay(chunk.q.astype(np.float64), begins_ns, chunk.dt_ns, _style(rules, memory))
    memory.refusal = safety.jump(settings.safety, piece.at(deadline_ns).q, memory.commanded.q)
    if memory.refusal:
        memory.rejected += 1
        return -1.0
    return _splice(rules, memory, chunk, piece, deadline_ns)


def _begins_ns(rules: Rules, memory: Memory, mode: wire.Mode, t0_ns: int, deadline_ns: int) -> int:
    """When a chunk's first target is due. Arms that stand begin it at its beginning, since what it saw of them is still so: on
    a slow machine its targets of by now could be too far away for ever. A `prefix` is continued at the times it was made for.
    """
    stands = mode == "HOLD" and rest.stands(memory.commanded)
    return max(t0_ns, deadline_ns) if stands and _style(rules, memory).blend != "prefix" else t0_ns


def _splice(rules: Rules, memory: Memory, chunk: wire.ActionChunk, piece: Piece, deadline_ns: int) -> float:
    """Execute a chunk from now on. Returns the largest velocity step of the arms' joints that it makes, -1: none was run."""
    before = evaluate(memory.trajectory, deadline_ns) if memory.machine.mode == "RUNNING" else None
    memory.trajectory = join(memory.trajectory, piece, memory.commanded_ns, memory.commanded, _style(rules, memory))
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


def _freshness(memory: Memory, inputs: Inputs) -> safety.Freshness:
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


def _unled(rules: Rules, memory: Memory, now: int) -> tuple[str, ...]:
    """Why the masters may not lead the arms."""
    commanded = memory.commanded
    stands = memory.machine.mode == "TAKEOVER" or rest.stands(commanded)
    return takeover.unled(rules.settings.safety.jump_rad, memory.master, commanded.q, stands, now)


def _move(rules: Rules, memory: Memory, inputs: Inputs, was: wire.Mode) -> tuple[limits.Array, bool]:
    """Advance the command by one tick. Returns the wanted pose and whether the safety layer had to change it."""
    mode = memory.machine.mode
    if not _armed(memory.machine):
        still = np.zeros(wire.JOINTS)
        memory.commanded = Motion(np.array(inputs.feedback.q), still, still)
        return memory.commanded.q, False
    memory.commanded = _where_they_are(memory, inputs)
    if mode != "FAULT":
        memory.yields_to = None
    if mode == "RUNNING" and was != "RUNNING":  # the chunk was spliced while the arms held: begin it from here
        memory.trajectory = _restart(rules, memory, was)
    if memory.machine.bound_for and (memory.way is not None or rest.stands(memory.commanded)):
        wanted = memory.way = _toward_pose(rules, memory)
    else:
        memory.way, memory.passed_ready = None, False  # on the way to a pose: first the arms are braked
        wanted = _wanted(memory, inputs.deadline_ns)
    if memory.yields_to is not None:
        wanted = Motion(memory.yields_to, np.zeros(wire.JOINTS), np.zeros(wire.JOINTS))
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
    led = np.repeat([bool(fault) or not powered for fault, powered in arms], wire.JOINTS // 2)
    if not still and not led.any():
        return now
    q, stands = np.where(led, inputs.feedback.q, now.q), led | still
    return Motion(q, np.where(stands, 0.0, now.dq), np.where(stands, 0.0, now.ddq))


def _toward_pose(rules: Rules, memory: Memory) -> Motion:
    """The next wanted motion on the way to the ready pose and, if that is where it leads, on to the rest pose."""
    machine, now = memory.machine, memory.commanded
    if machine.bound_for == "rest":  # from anywhere else the straight way could lead into the table
        memory.passed_ready = memory.passed_ready or _is_near(rules, now)
    goal = rules.rest_pose if memory.passed_ready else rules.ready_pose
    if rest.arrived(goal, now) and (memory.passed_ready or machine.bound_for == "ready"):
        machine.bound_for = ""
    return rest.toward(goal, memory.way, now, rules.dt_s)


def _is_near(rules: Rules, now: Motion) -> bool:
    return rest.near(rules.ready_pose, now.q) or rest.near(rules.rest_pose, now.q)


def _style(rules: Rules, memory: Memory) -> Style:
    return rules.style if memory.blend is None else replace(rules.style, blend=memory.blend)


def _wanted(memory: Memory, deadline_ns: int) -> Motion | None:
    """What the policy or the masters want the arms to do, None: nothing."""
    match memory.machine.mode:
        case "RUNNING":
            return evaluate(memory.trajectory, deadline_ns)
        case "TAKEOVER" if memory.master is not None:
            still = np.zeros(wire.JOINTS)
            return Motion(memory.master.q, still, still)
        case _:
            return None


def _restart(rules: Rules, memory: Memory, was: wire.Mode) -> Trajectory:
    """The newest chunk alone, begun anew from the commanded pose; unless nothing is blended at all, the offset fades."""
    style, newest = _style(rules, memory), memory.trajectory.pieces[-1]
    newest = replace(newest, t0_ns=_begins_ns(rules, memory, was, newest.t0_ns, memory.commanded_ns))
    style = style if style.blend == "none" else replace(style, blend="fade")
    return join(Trajectory(), newest, memory.commanded_ns, memory.commanded, style)


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
