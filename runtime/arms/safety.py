"""The safety layer's verdicts: which chunks are refused, what is stale, who is no longer heard. Deterministic, no I/O.
Called by step.py and chunk_intake.py.

Which mode follows is in transitions.py, what operators command in commands.py; the limits on motion are in limits.py, what
leaders may lead in takeover.py. Every verdict is a short text that names the value and the limit: the operator reads it so.
"""

from dataclasses import dataclass

import numpy as np

from drivers import plausible
from drivers.cobot_magic import SIDES, WITHOUT_GRIPPERS, joint_name
from runtime.arms.limits import Array, Limits
from runtime.arms.modes import StateMachine
from runtime.config import what_to_check
from runtime.config.safety_settings import Safety
from runtime.config.settings import Settings
from runtime.host.clock import seconds
from runtime.messaging import messages

_FUTURE_NS = 1_000_000_000
"""A chunk that begins later than this does not come from this machine's clock. Derived: its first target is one dt after an
observation that has been made, and no dt is longer (messages.LONGEST_DT_NS)."""


LONGEST_GAP_NS = 50_000_000
"""Between two ticks. The age up to which a target is sent on (target_stream.py): chosen as ten ticks at 200 Hz."""


@dataclass(frozen=True)
class Freshness:
    """What `stale` judges; times are CLOCK_MONOTONIC ns, None: there is none yet."""

    arms: messages.JointState
    health: messages.CameraHealth | None
    observation_ns: int | None  # of the chunk being executed
    conditions_ns: int | None  # newest frame that its conditions saw
    conditions_limit_ns: int
    runs_out: bool  # the chunk has no target left
    refusal: str = ""  # why the newest chunk was not taken
    supervised_ns: int | None = None  # when the supervisor spoke last; None where there is none
    lost_processes: tuple[str, ...] = ()  # of those that make chunks, as the supervisor sees them
    guided: bool = True  # the chunk was made with System 2's conditions


def stale(safety: Safety, fresh: Freshness, now_ns: int) -> tuple[str, ...]:
    """What forbids RUNNING at this moment besides the arms themselves (`arm_reasons`).

    Args:
        safety: The limits on ages.
        fresh: Newest feedback, and the times of all that the arms depend on.
        now_ns: CLOCK_MONOTONIC.

    Returns:
        A text for each: cameras, supervisor, processes, chunk; empty when all is fresh.
    """
    return (
        *_camera_reasons(safety, fresh, now_ns),
        *unsupervised(safety, fresh.supervised_ns, now_ns),
        *(f"process {name}" for name in fresh.lost_processes),
        *_chunk_reasons(safety, fresh, now_ns),
    )


def stalled(dt_s: float, ticked_ns: int, now_ns: int) -> tuple[str, ...]:
    """That the arms were told nothing for so long that they brake by themselves, or stand (target_stream.py).

    Args:
        dt_s: One tick: of slow ones two may pass, and half a tick of lateness.
        ticked_ns: When the last tick began; negative: there was none.
        now_ns: When this one did. A clock that went back counts like one that went on.
    """
    gap_ns, limit_ns = abs(now_ns - ticked_ns), max(LONGEST_GAP_NS, seconds(2.5 * dt_s))
    if ticked_ns < 0 or gap_ns <= limit_ns:
        return ()
    gap, limit = _ms(gap_ns), _ms(limit_ns)
    why = "the arms process hung, or the machine is overloaded"
    return (f"no targets sent for {gap} (limit {limit}): {why}; end other programs",)


def arm_reasons(settings: Settings, fresh: Freshness, now_ns: int) -> tuple[str, ...]:
    """Arms without fresh feedback, or that report a warning or a fault; one such arm makes both hold."""
    silent = silent_arms(settings, fresh.arms, now_ns)
    if not any(fresh.arms.warning) and not any(fresh.arms.fault):  # as nearly always
        return silent
    reported = (warning or fault for warning, fault in zip(fresh.arms.warning, fresh.arms.fault, strict=True))
    return silent + tuple(f"{side} arm: {text}" for side, text in zip(SIDES, reported, strict=True) if text)


def silent_arms(settings: Settings, arms: messages.JointState, now_ns: int) -> tuple[str, ...]:
    """Arms whose feedback is older than `safety.max_feedback_age_s`, or that were not heard yet."""
    limit_ns = seconds(settings.safety.max_feedback_age_s)
    if now_ns - min(arms.measured_ns) <= limit_ns:
        return ()
    return tuple(
        f"{side} arm: no feedback yet; {what_to_check.of_arm(settings)}"
        if stamp_ns == messages.NEVER
        else f"{side} arm: feedback is {_ms(now_ns - stamp_ns)} old (limit {_ms(limit_ns)}); {what_to_check.of_arm(settings)}"
        for side, stamp_ns in zip(SIDES, arms.measured_ns, strict=True)
        if now_ns - stamp_ns > limit_ns
    )


def outside_ranges(safety: Safety, arms: messages.JointState) -> tuple[str, ...]:
    """Arms that are read outside their ranges: their zero is wrong, or somebody led them there. They are not armed."""
    half = messages.JOINTS // 2
    readings = (arms.q[:half], arms.q[half:])
    found = (plausible.outside(q, safety.low, safety.high) for q in readings)
    return tuple(
        f"{side} arm: {text}; move the arm back by hand, or set the joint's zero with the vendor's tool"
        for side, text, stamp_ns in zip(SIDES, found, arms.measured_ns, strict=True)
        if text and stamp_ns != messages.NEVER
    )


def unsupervised(safety: Safety, supervised_ns: int | None, now_ns: int) -> tuple[str, ...]:
    """That the supervisor is silent for longer than `max_supervision_age_s`; empty also where there is none.

    A supervisor that hangs hears no key, starts nobody again, and would not notice when System 1 is gone.
    """
    limit_ns = seconds(safety.max_supervision_age_s)
    if supervised_ns is None or now_ns - supervised_ns <= limit_ns:
        return ()
    age, limit = _ms(now_ns - supervised_ns), _ms(limit_ns)
    return (f"supervisor silent for {age} (limit {limit}): hung, or the machine is overloaded",)


def arm_fault(arms: messages.JointState) -> str:
    """What an arm reports that a person must look at, left before right; empty: nothing."""
    return next((f"{side} arm: {text}" for side, text in zip(SIDES, arms.fault, strict=True) if text), "")


def _camera_reasons(safety: Safety, fresh: Freshness, now_ns: int) -> tuple[str, ...]:
    if fresh.health is None:
        return ("no camera report yet; wait for the cameras process",)
    age_ns = now_ns - fresh.health.stamp_ns
    limit_ns = seconds(safety.max_health_age_s)
    if age_ns > limit_ns:
        why = "hung, ended, or the machine is overloaded"
        return (f"cameras process silent for {_ms(age_ns)} (limit {_ms(limit_ns)}): {why}; wait for its restart",)
    return tuple(f"camera {state.camera}: {state.verdict}" for state in fresh.health.cameras if state.verdict)


def _chunk_reasons(safety: Safety, fresh: Freshness, now_ns: int) -> tuple[str, ...]:
    if fresh.refusal:
        return (fresh.refusal,)
    if fresh.observation_ns is None or fresh.conditions_ns is None:
        return ("no chunk yet",)
    reasons: list[str] = []
    chunk_limit_ns = seconds(safety.max_chunk_age_s)
    conditions_limit_ns = min(fresh.conditions_limit_ns, seconds(safety.max_condition_age_s))
    if not fresh.guided:  # a chunk without System 2 stands for its conditions
        chunk_limit_ns = min(chunk_limit_ns, conditions_limit_ns)
    elif now_ns - fresh.conditions_ns > conditions_limit_ns:
        age, limit = _ms(now_ns - fresh.conditions_ns), _ms(conditions_limit_ns)
        reasons.append(f"conditions are {age} old (limit {limit}): System 2 is late or has ended")
    if fresh.runs_out or now_ns - fresh.observation_ns > chunk_limit_ns:
        age, limit = _ms(now_ns - fresh.observation_ns), _ms(chunk_limit_ns)
        found = (
            f"chunk has run out ({age} old, limit {limit})" if fresh.runs_out else f"chunk is {age} old (limit {limit})"
        )
        reasons.append(f"{found}: System 1 is late or has ended")
    return tuple(reasons)


def refuse(safety: Safety, limits: Limits, chunk: messages.ActionChunk) -> str:
    """Why a chunk must be refused as a whole and latched as a fault.

    Args:
        safety: `outside_rad` is read.
        limits: Their ranges; grippers are not compared.
        chunk: q (H, 14) float32, rad.

    Returns:
        The joint that is farthest outside, with value and limit; empty: it may be used.
    """
    low, high = limits.low[WITHOUT_GRIPPERS], limits.high[WITHOUT_GRIPPERS]
    arms = chunk.q[:, WITHOUT_GRIPPERS]
    outside = np.maximum(low - arms.min(0), arms.max(0) - high)
    worst = int(outside.argmax())
    if outside[worst] > safety.outside_rad:
        return (
            f"chunk {chunk.seq}: {joint_name(WITHOUT_GRIPPERS[worst])} is {outside[worst]:.2f} rad outside its range "
            f"(limit {safety.outside_rad} rad); check the policy's normalisation"
        )
    return ""


def expired(safety: Safety, chunk: messages.ActionChunk, now_ns: int) -> bool:
    """Whether a chunk comes too late (or from a wrong clock) to be used at all; the caller drops and counts it.

    It does when its observation is older than `max_chunk_age_s`, when its last target is due, or when a stamp is more
    than 1 s ahead.
    """
    ends_ns = chunk.t0_ns + (len(chunk.q) - 1) * chunk.dt_ns
    too_old = now_ns - chunk.observation_ns > seconds(safety.max_chunk_age_s) or now_ns >= ends_ns
    newest_ns = max(chunk.t0_ns, chunk.observation_ns, chunk.conditions_capture_ns)
    return too_old or newest_ns > now_ns + _FUTURE_NS


def jump(safety: Safety, wanted: Array, commanded: Array) -> str:
    """Why a chunk's start is too far from what was commanded; empty: the blend can absorb it.

    Args:
        safety: `jump_rad` is read.
        wanted: (14,) where the chunk would be at the next deadline, rad; grippers are not compared.
        commanded: (14,) the newest command.
    """
    distance = np.abs(wanted - commanded)[WITHOUT_GRIPPERS]
    worst = int(distance.argmax())
    if distance[worst] <= safety.jump_rad:
        return ""
    found = f"{joint_name(WITHOUT_GRIPPERS[worst])} starts {distance[worst]:.2f} rad from its command"
    return f"chunk refused: {found} (limit {safety.jump_rad} rad); send `ready`, or check the policy"


def not_following(safety: Safety, commanded: Array, measured: Array) -> str:
    """Which joint is farther than `following_rad` from its command; empty: none. Both (14,), rad; grippers are not compared."""
    distance = np.abs(commanded - measured)[WITHOUT_GRIPPERS]
    worst = int(distance.argmax())
    if distance[worst] <= safety.following_rad:
        return ""
    name = joint_name(WITHOUT_GRIPPERS[worst])
    return f"{name} is {distance[worst]:.2f} rad from its command (limit {safety.following_rad} rad)"


def check_deadman(safety: Safety, machine: StateMachine, deadman: messages.Deadman | None, now_ns: int) -> StateMachine:
    """Hold, and say why, where an operator drives from a page that has not been heard for `max_deadman_age_s`.

    Returns:
        The machine as it was, or as after a hold command: nothing wanted, and armed again before it runs.
    """
    if deadman is None or not deadman.wanted or not (machine.wanted.run or machine.wanted.pose):
        return machine
    age_ns = now_ns - deadman.beat_ns
    if age_ns <= seconds(safety.max_deadman_age_s):
        return machine
    limit = f"limit {safety.max_deadman_age_s * 1e3:.0f} ms"
    why = f"console page of {deadman.holder} silent for {_ms(age_ns)} ({limit}); send `arm`, then `run`"
    return machine.want(run=False, pose="").latch(held=True, lost=(why,))


def _ms(duration_ns: int) -> str:
    return f"{duration_ns / 1e6:.0f} ms"
