"""The arms process: chunks and orders in, 200 targets a second out, through the safety layer. Never waits for a model.

`step` is pure: everything it decides follows from its memory, its inputs and the time that it is given.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from drivers.arm import Arm, ArmState
from runtime import limits, safety, snapshot, wire
from runtime.bus import Received, Subscriber
from runtime.clock import Rate, now_ns
from runtime.config import Settings
from runtime.limits import Limits
from runtime.process import Process, log
from runtime.safety import Machine
from runtime.trajectory import Motion, Style, Trajectory, evaluate, splice

SAFETY_EVERY_NS = 200_000_000
SNAPSHOT_EVERY_NS = 10_000_000_000
_ENABLE_TIMEOUT_S = 60.0
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
    machine = Machine(since_ns=now)
    machine.wants_arm = rules.settings.arms.start != "disarmed" and not restarted
    machine.wants_run = rules.settings.arms.start == "run" and not restarted
    return Memory(Motion(np.array(feedback.q), still, still), now, machine)


def step(rules: Rules, memory: Memory, inputs: Inputs, epoch: int, now: int) -> Outputs:
    """One tick."""
    settings, machine = rules.settings, memory.machine
    seam = -1.0
    for message in inputs.messages:
        seam = max(seam, _consume(rules, memory, message, inputs.deadline_ns, now))
    if inputs.refused:
        memory.rejected += inputs.refused
        machine.fault = f"{inputs.refused} chunk(s) were not finite or not of the right shape; check the policy"
    fresh = _freshness(memory, inputs, now)
    if _armed(machine):
        machine.fault = machine.fault or safety.not_following(settings.safety, memory.commanded.q, inputs.feedback.q)
    reasons = safety.stale(settings.safety, fresh, now)
    armable = not safety.arm_reasons(settings.safety, fresh, now)
    was, why = machine.mode, machine.fault
    changed = safety.settle(machine, reasons, armable, settings.arms.resume == "itself", now)
    wanted, limited = _move(rules, memory, inputs, was)
    memory.commanded_ns = inputs.deadline_ns
    memory.ticks += 1
    memory.running_ticks += machine.mode == "RUNNING"
    target = wire.ArmTarget(
        seq=memory.ticks - 1,
        epoch=epoch,
        stamp_ns=now,
        episode=max(memory.episode, 0),
        inputs=(_ref("joint_state", inputs.feedback), *(_ref(topic_of(m), m) for m in inputs.messages)),
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
    return Outputs(target, _say(memory, fresh, epoch, now, changed), faults)


def _consume(rules: Rules, memory: Memory, message: wire.Message, deadline_ns: int, now: int) -> float:
    """Take one message into the memory. Returns the seam's velocity jump if it was a chunk that was spliced in."""
    match message:
        case wire.ActionChunk():
            return _consider(rules, memory, message, deadline_ns, now)
        case wire.Order():
            safety.obey(memory.machine, message)
        case wire.CameraHealth():
            memory.health = message
        case wire.Supervision():
            memory.lost_processes = tuple(
                f"{row.process} {row.state}"
                for row in message.processes
                if row.process in _VITAL and row.state in _LOST
            )
        case wire.Episode():
            memory.episode = message.number
        case wire.Instruction():
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
    q = chunk.q.astype(np.float64)
    unblended = replace(rules.style, blend="none")
    plain = splice(Trajectory(), q, chunk.t0_ns, chunk.dt_ns, deadline_ns, memory.commanded, unblended)
    begins = evaluate(plain, deadline_ns)
    memory.refusal = safety.jump(settings.safety, begins.q, memory.commanded.q) if begins else ""
    if memory.refusal:
        memory.rejected += 1
        return -1.0
    before = evaluate(memory.trajectory, deadline_ns) if memory.machine.mode == "RUNNING" else None
    seam_ns = memory.commanded_ns
    memory.trajectory = splice(memory.trajectory, q, chunk.t0_ns, chunk.dt_ns, seam_ns, memory.commanded, rules.style)
    memory.executing = Executing(
        chunk.epoch, chunk.seq, chunk.observation_ns, chunk.conditions_capture_ns, chunk.conditions_limit_ns
    )
    after = evaluate(memory.trajectory, deadline_ns)
    if before is None or after is None:
        return -1.0
    return float(np.abs(after.dq - before.dq)[safety.ARM_JOINTS].max())


def _freshness(memory: Memory, inputs: Inputs, now: int) -> safety.Freshness:
    executing = memory.executing
    some = executing.seq != _NONE
    return safety.Freshness(
        feedback_ns=inputs.feedback.measured_ns,
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
        memory.trajectory = _rebase(rules, memory)
    wanted = evaluate(memory.trajectory, inputs.deadline_ns) if mode == "RUNNING" else None
    if wanted is None:
        memory.commanded = limits.brake(rules.limits, memory.commanded, rules.dt_s)
        return memory.commanded.q, False
    memory.commanded = limits.track(rules.limits, memory.commanded, wanted.q, rules.dt_s, wanted.dq)
    return wanted.q, bool(np.abs(memory.commanded.q - wanted.q).max() > _RESOLUTION_RAD)


def _rebase(rules: Rules, memory: Memory) -> Trajectory:
    newest = memory.trajectory.pieces[-1]
    style = replace(rules.style, blend="none" if rules.style.blend == "none" else "fade", smoothing=0.0)
    return splice(Trajectory(), newest.points, newest.t0_ns, newest.dt_ns, memory.commanded_ns, memory.commanded, style)


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
        feedback_age_ns=now - min(fresh.feedback_ns),
        holds=machine.holds,
        faults=machine.faults,
        chunks_dropped=memory.dropped,
        chunks_rejected=memory.rejected,
        ticks=memory.ticks,
        running_ticks=memory.running_ticks,
    )


def _armed(machine: Machine) -> bool:
    """Whether the arms are ours to command."""
    return machine.mode != "DISARMED" and not machine.never_armed


def _age(since_ns: int | None, now: int) -> int:
    return _NONE if since_ns is None else now - since_ns


def topic_of(message: wire.Message) -> str:
    """The topic of a message that `arms` consumes."""
    return {
        "ActionChunk": "chunk",
        "Order": "order",
        "CameraHealth": "camera_health",
        "Supervision": "supervision",
        "Episode": "episode",
        "Instruction": "instruction",
    }[type(message).__name__]


def _ref(topic: str, message: wire.Message) -> wire.InputRef:
    return (topic, message.epoch, message.seq)


def joint_state(states: Sequence[ArmState], memory: Memory | None, seq: int, epoch: int, now: int) -> wire.JointState:
    """Both arms' newest readings as one message, with how far the current chunk has been executed."""
    executing = memory.executing if memory else Executing()
    pieces = memory.trajectory.pieces if memory else ()
    return wire.JointState(
        seq=seq,
        epoch=epoch,
        stamp_ns=now,
        episode=max(memory.episode, 0) if memory else 0,
        q=np.concatenate([state.q for state in states]),
        dq=np.concatenate([state.dq for state in states]),
        effort=np.concatenate([state.effort for state in states]),
        number=(states[0].number, states[1].number),
        measured_ns=(states[0].stamp_ns, states[1].stamp_ns),
        chunk_epoch=executing.epoch,
        chunk_seq=executing.seq,
        consumed=pieces[-1].consumed(now) if pieces else 0,
        running=memory is not None and memory.machine.mode == "RUNNING",
    )


def make_arms(process: Process) -> list[Arm]:
    """The drivers that the settings ask for, left then right."""
    from drivers.sim.arm import SimulatedArm

    return [SimulatedArm(side, process.folder) for side in ("left", "right")]


def main(process: Process) -> None:
    """Take the arms where they are, then tick until asked to end; the arms keep their last target."""
    rules = Rules.of(process.settings)
    bus, epoch = process.bus, process.epoch
    feedbacks, targets, states = (process.publisher(name) for name in ("joint_state", "arm_target", "safety"))
    snapshots = process.publisher("snapshot")
    chunks = bus.subscriber("chunk", depth=16)
    others = [bus.subscriber("order", depth=32)]
    others += [bus.subscriber(name, newest=True) for name in ("camera_health", "supervision", "episode", "instruction")]
    arms = make_arms(process)
    for arm in arms:
        arm.connect()
        arm.enable(_ENABLE_TIMEOUT_S)
    memory: Memory | None = None
    process.settle()
    if process.settings.arms.realtime:
        log.info("SCHED_FIFO: %s", process.be_realtime())
    rate = Rate(rules.settings.arms.rate_hz)
    refused_before, ticks, snapshot_ns = 0, 0, now_ns()
    while process.running:
        deadline_ns = rate.wait(lambda until_ns: bus.drain_until((chunks, *others), until_ns))
        now = now_ns()
        feedback = joint_state(_read(arms), memory, ticks, epoch, now)
        memory = memory or start(rules, feedback, now, restarted=epoch > 1)
        received = _take(others, chunks)
        refused = chunks.counters.rejected - refused_before
        refused_before += refused
        inputs = Inputs(feedback, tuple(item.message for item in received), refused, deadline_ns)
        outputs = step(rules, memory, inputs, epoch, now)
        if outputs.target.sent:
            for side, arm in enumerate(arms):
                arm.command(outputs.target.q[7 * side : 7 * side + 7], now)
        feedbacks.send(feedback)
        targets.send(_with_arrivals(outputs.target, received))
        if outputs.state is not None:
            states.send(outputs.state)
        for name, text in outputs.faults:
            process.fault(name, text)
        if now - snapshot_ns > SNAPSHOT_EVERY_NS:
            snapshot_ns = now
            snapshots.send(snapshot.take("arms", ticks, memory, epoch, now))
        ticks += 1
        process.stepped()
    for arm in arms:
        arm.hold(now_ns())
        arm.close()


def _read(arms: Sequence[Arm]) -> list[ArmState]:
    states = [arm.read() for arm in arms]
    return [state for state in states if state is not None]


def _take(others: Sequence[Subscriber], chunks: Subscriber) -> list[Received]:
    """Orders and states first, chunks last: a chunk is judged by the newest of everything else."""
    return [item for subscriber in (*others, chunks) for item in subscriber.take()]


def _with_arrivals(target: wire.ArmTarget, received: list[Received]) -> wire.ArmTarget:
    arrivals = tuple((r.message.seq, r.arrival_ns) for r in received if isinstance(r.message, wire.ActionChunk))
    return target.model_copy(update={"arrivals": arrivals}) if arrivals else target
