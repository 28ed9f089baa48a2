"""The safety layer's states and verdicts: which chunks are refused, what is stale, what mode follows. Deterministic, no I/O.

DISARMED (nothing is sent) -> HOLD -> RUNNING or TAKEOVER -> HOLD; FAULT from any, latched until cleared. What operators command
is obeyed in commands.py; the limits on motion are in limits.py, what leaders may lead in takeover.py.
Every verdict is a short text that names the value and the limit: the operator reads it as it is.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from drivers import plausible
from drivers.cobot_magic import SIDES, WITHOUT_GRIPPERS
from runtime.arms.limits import Array, Limits
from runtime.config.settings import Safety
from runtime.host.clock import seconds
from runtime.messaging import messages
from runtime.messaging.messages import Mode

_FUTURE_NS = 1_000_000_000  # a chunk that begins later than this does not come from this machine's clock
HELD = "held by the operator: waits to be armed anew, then for the command to run"
WAITS = "waits for the command to run"
NOT_ON = "the motors are not on yet"


@dataclass
class Machine:
    """The state machine. `wants_run`: an operator (or the profile) asked for RUNNING and did not take it back.

    Only where a HOLD ends by itself (simulation), and at the start of the program, does that wish wait for anything.
    """

    mode: Mode = "DISARMED"
    wants_run: bool = False
    wants_arm: bool = False
    bound_for: Literal["", "ready", "rest"] = ""  # the pose that it is on the way to, in HOLD
    wants_takeover: bool = False  # the leaders are to lead the arms
    wants_power: bool = False  # the motors are to be switched on
    first_run: bool = False  # the run that the program begins by itself is still to come
    held: bool = False  # by order, or since a page was lost: they are armed anew before they run
    since_ns: int = 0
    holds: int = 0
    faults: int = 0
    fault: str = ""
    never_armed: bool = False  # a fault came before anybody armed: nothing is sent, and clearing it does not arm
    unfit: str = ""  # why the checks before the start forbid to arm
    own_leaders: bool = False  # there are leaders on buses of their own: they can take over
    stopped: bool = False  # by an operator: the arms sink, nothing is sent, and clearing it does not arm
    lost: tuple[str, ...] = ()  # what ended a TAKEOVER or the way to rest, until something else is ordered
    forbidden: tuple[str, ...] = ()  # what forbids RUNNING at this moment
    reasons: tuple[str, ...] = ()


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


def stale(safety: Safety, fresh: Freshness, now_ns: int) -> tuple[str, ...]:
    """Everything that forbids RUNNING at this moment; empty when all is fresh."""
    return (
        *arm_reasons(safety, fresh, now_ns),
        *_camera_reasons(safety, fresh, now_ns),
        *unsupervised(safety, fresh.supervised_ns, now_ns),
        *(f"process {name}" for name in fresh.lost_processes),
        *_chunk_reasons(safety, fresh, now_ns),
    )


def arm_reasons(safety: Safety, fresh: Freshness, now_ns: int) -> tuple[str, ...]:
    """Arms without fresh feedback, or that report trouble; one lost arm means that both hold."""
    silent = silent_arms(safety, fresh.arms, now_ns)
    reported = (warning or fault for warning, fault in zip(fresh.arms.trouble, fresh.arms.fault, strict=True))
    return silent + tuple(f"{side} arm: {text}" for side, text in zip(SIDES, reported, strict=True) if text)


def silent_arms(safety: Safety, arms: messages.JointState, now_ns: int) -> tuple[str, ...]:
    """Arms whose feedback is too old, or that were not heard yet."""
    limit_ms = safety.max_feedback_age_s * 1e3
    return tuple(
        f"{side} arm: nothing was heard yet; check its power and CAN cable"
        if stamp_ns == messages.NEVER
        else f"{side} arm: feedback is {_ms(now_ns - stamp_ns)} old (limit {limit_ms:.0f} ms); check its power and CAN cable"
        for side, stamp_ns in zip(SIDES, arms.measured_ns, strict=True)
        if now_ns - stamp_ns > seconds(safety.max_feedback_age_s)
    )


def outside_ranges(safety: Safety, arms: messages.JointState) -> tuple[str, ...]:
    """Arms that are read outside their ranges: their zero is wrong, or somebody led them there; they are not armed."""
    half = messages.JOINTS // 2
    readings = (arms.q[:half], arms.q[half:])
    found = (plausible.outside(q, safety.low, safety.high) for q in readings)
    return tuple(
        f"{side} arm: {text}; lead it back by hand, or set the joint's zero"
        for side, text, stamp_ns in zip(SIDES, found, arms.measured_ns, strict=True)
        if text and stamp_ns != messages.NEVER
    )


def unsupervised(safety: Safety, supervised_ns: int | None, now_ns: int) -> tuple[str, ...]:
    """A supervisor that hangs hears no key, watches nobody, and would not notice when System 1 is gone."""
    limit_ns = seconds(safety.max_supervision_age_s)
    if supervised_ns is None or now_ns - supervised_ns <= limit_ns:
        return ()
    age, limit = _ms(now_ns - supervised_ns), _ms(limit_ns)
    return (f"supervisor: last word is {age} old (limit {limit}); it hangs, is the machine overloaded or stopped?",)


def arm_fault(arms: messages.JointState) -> str:
    """What an arm reports that a person must look at; empty: nothing."""
    return next((f"{side} arm: {text}" for side, text in zip(SIDES, arms.fault, strict=True) if text), "")


def _camera_reasons(safety: Safety, fresh: Freshness, now_ns: int) -> tuple[str, ...]:
    if fresh.health is None:
        return ("cameras: no report yet",)
    age_ns = now_ns - fresh.health.stamp_ns
    if age_ns > seconds(safety.max_health_age_s):
        return (f"cameras: last report is {_ms(age_ns)} old; the cameras process is gone or hangs",)
    return tuple(f"camera {state.camera}: {state.verdict}" for state in fresh.health.cameras if state.verdict)


def _chunk_reasons(safety: Safety, fresh: Freshness, now_ns: int) -> tuple[str, ...]:
    if fresh.refusal:
        return (fresh.refusal,)
    if fresh.observation_ns is None or fresh.conditions_ns is None:
        return ("no chunk yet",)
    reasons: list[str] = []
    limit_ns = min(fresh.conditions_limit_ns, seconds(safety.max_condition_age_s))
    if now_ns - fresh.conditions_ns > limit_ns:
        age, limit = _ms(now_ns - fresh.conditions_ns), _ms(limit_ns)
        reasons.append(f"condition: {age} old (limit {limit}); System 2 is late or gone")
    if fresh.runs_out or now_ns - fresh.observation_ns > seconds(safety.max_chunk_age_s):
        age, limit = _ms(now_ns - fresh.observation_ns), _ms(seconds(safety.max_chunk_age_s))
        reasons.append(f"chunk: seen {age} ago (limit {limit}); System 1 is late or gone")
    return tuple(reasons)


def refuse(safety: Safety, limits: Limits, chunk: messages.ActionChunk) -> str:
    """Why a chunk must be refused as a whole and latched as a fault; empty: it may be used."""
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
    """Whether a chunk comes too late (or from a wrong clock) to be used at all; it is dropped and counted."""
    ends_ns = chunk.t0_ns + (len(chunk.q) - 1) * chunk.dt_ns
    too_old = now_ns - chunk.observation_ns > seconds(safety.max_chunk_age_s) or now_ns >= ends_ns
    newest_ns = max(chunk.t0_ns, chunk.observation_ns, chunk.conditions_capture_ns)
    return too_old or newest_ns > now_ns + _FUTURE_NS


def jump(safety: Safety, wanted: Array, commanded: Array) -> str:
    """Why a chunk's start is too far from what was commanded; empty: the blend can absorb it."""
    distance = np.abs(wanted - commanded)[WITHOUT_GRIPPERS]
    worst = int(distance.argmax())
    if distance[worst] <= safety.jump_rad:
        return ""
    return (
        f"chunk: {joint_name(WITHOUT_GRIPPERS[worst])} jumps by {distance[worst]:.2f} rad (limit {safety.jump_rad} rad)"
    )


def not_following(safety: Safety, commanded: Array, measured: Array) -> str:
    """Why an arm does not do what it was told; empty: it does."""
    distance = np.abs(commanded - measured)[WITHOUT_GRIPPERS]
    worst = int(distance.argmax())
    if distance[worst] <= safety.following_rad:
        return ""
    name = joint_name(WITHOUT_GRIPPERS[worst])
    return f"{name} is {distance[worst]:.2f} rad from its command (limit {safety.following_rad} rad)"


def joint_name(index: int) -> str:
    """`left j3` for an index of the joint vector."""
    side, joint = SIDES[index // 7], index % 7
    return f"{side} gripper" if joint == 6 else f"{side} j{joint + 1}"


def check_deadman(safety: Safety, machine: Machine, deadman: messages.Deadman | None, now_ns: int) -> None:
    """Whoever drives from a page that is no longer heard does not drive: as if hold were ordered, and why is said."""
    if deadman is None or not deadman.wanted or not (machine.wants_run or machine.bound_for):
        return
    age_ns = now_ns - deadman.beat_ns
    if age_ns > seconds(safety.max_deadman_age_s):
        machine.wants_run, machine.bound_for = False, ""
        machine.held = True
        limit = f"limit {safety.max_deadman_age_s * 1e3:.0f} ms"
        machine.lost = (f"the page of {deadman.holder} was not heard for {_ms(age_ns)} ({limit}); arm and run again",)


def settle(
    machine: Machine,
    reasons: tuple[str, ...],
    armable: bool,
    powered: bool,
    resumes: bool,
    now_ns: int,
    unled: tuple[str, ...] = (),
) -> bool:
    """Let the mode follow from orders, faults and staleness. Returns whether it changed.

    `reasons` forbid RUNNING, `unled` forbids TAKEOVER. `armable`: both arms give fresh feedback and are well. `powered`: both
    arms' motors are on. `resumes`: a HOLD for staleness ends by itself.
    """
    before = machine.mode
    if machine.fault:
        machine.never_armed = machine.never_armed or before == "DISARMED"
        machine.mode = "FAULT"
        machine.wants_run = False
    elif before == "FAULT":
        machine.mode = "HOLD" if powered and not machine.never_armed and not machine.stopped else "DISARMED"
        machine.wants_arm = machine.mode == "HOLD"
        machine.never_armed = machine.stopped = False
    elif before != "DISARMED" and not (powered and machine.wants_arm):
        machine.mode = "DISARMED"  # and stays so: arms that are switched on again would move to the old target
        machine.wants_arm = machine.wants_run = False
    elif before == "DISARMED" and machine.wants_arm and armable and powered:
        machine.mode = "HOLD"
    elif before == "RUNNING" and (reasons or not machine.wants_run):
        machine.mode = "HOLD"
        machine.holds += bool(reasons)
        machine.wants_run = machine.wants_run and resumes
    elif before == "TAKEOVER" and machine.wants_run and not reasons:  # the policy has seen where they were led
        machine.mode = "RUNNING"
    elif before == "TAKEOVER" and (unled or not machine.wants_takeover):
        machine.mode = "HOLD"
        machine.holds += bool(unled)
        machine.wants_takeover, machine.lost = False, unled
    elif before == "HOLD" and machine.wants_run and not reasons:
        machine.mode = "RUNNING"
        machine.first_run = False
    elif before == "HOLD" and machine.wants_run and not (resumes or machine.first_run):
        machine.wants_run = False  # nobody waits near arms that may begin to move at any time
    elif before == "HOLD" and machine.wants_takeover and not unled:
        machine.mode = "TAKEOVER"
    machine.faults += machine.mode == "FAULT" and before != "FAULT"
    if machine.bound_for and machine.mode == "HOLD" and not armable:
        machine.lost = tuple(f"on the way to {machine.bound_for}: {reason}" for reason in reasons[:1])
    if machine.mode != "HOLD" or not armable:
        machine.bound_for = ""
    machine.wants_takeover = machine.wants_takeover and machine.mode in ("HOLD", "TAKEOVER")
    machine.lost = machine.lost if machine.mode == "HOLD" else ()
    machine.forbidden = reasons
    machine.reasons = _why_not(machine, reasons, unled, powered)
    if machine.mode == before:
        return False
    machine.since_ns = now_ns
    return True


def _why_not(machine: Machine, reasons: tuple[str, ...], unled: tuple[str, ...], powered: bool) -> tuple[str, ...]:
    if machine.mode == "RUNNING":
        return ()
    if machine.mode == "TAKEOVER":
        return ("the leaders lead the arms",)
    if machine.mode == "FAULT":
        return (machine.fault,)
    if machine.mode == "DISARMED":
        first = NOT_ON if machine.wants_arm and not powered else "not armed"
        return (f"not fit to be armed: {machine.unfit}" if machine.unfit else first, *reasons)
    if machine.bound_for:
        return (f"moves to the {machine.bound_for} pose",)
    if machine.wants_takeover:
        return unled
    return reasons if machine.wants_run else (*machine.lost, *reasons, HELD if machine.held else WAITS)


def _ms(duration_ns: int) -> str:
    return f"{duration_ns / 1e6:.0f} ms"
