"""Everything the page shows of one moment, as plain numbers and words; the same for a live run and a session. Deterministic.
Called by live.py and recorded.py.
"""

import base64
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from drivers.arm import EMERGENCY_STOP, NOT_CARRIED_OUT
from drivers.cobot_magic import CAMERAS
from runtime.arms.collision import bases_of, link_points
from runtime.arms.reasons import BLOCKED, HELD, MOVING, WAITS
from runtime.config import live_tuning
from runtime.config.settings import Settings
from runtime.console.events import Event
from runtime.host.clock import NS_PER_S
from runtime.messaging import messages
from runtime.messaging.topics import TOPICS
from runtime.systems import expectation

STATES = (
    "safety", "joint_state", "arm_target", "chunk", "conditions", "imagined", "camera_health", "supervision", "recording",
    "scene", "episode", "instruction", "outcome", "leader_state", "skip", *(f"frame.{camera}" for camera in CAMERAS),
)  # fmt: skip
"""Topics of which the newest message is shown."""
_MS = 1e6  # ns
_TIPS = (7, 9)  # of the link points: both fingertips
_MOVING_RAD_S = 0.02  # chosen: above the noise of a standing arm's speed, below anything that a person sees move
_SILENT_S = 0.7  # states come five times a second at least; chosen: three are missing
SILENT = "SILENT"
_DIGITS = 4  # behind the point; chosen: a tenth of a milliradian or of a millimetre
ARRIVAL = "arrival"  # beside the topics: the last target at whose tick a chunk came in
Held = Mapping[str, messages.Message]
WHOLE: messages.Rectangle = (0.0, 0.0, 1.0, 1.0)  # all of a picture
Kind = TypeVar("Kind", bound=messages.Message)


def view(
    settings: Settings, held: Held, events: Sequence[Event], rates_hz: Mapping[str, float], now_ns: int
) -> dict[str, Any]:
    """One moment for the page, as JSON takes it.

    Args:
        settings: Of the run.
        held: The newest message of each topic at this moment.
        events: The last ones, oldest first.
        rates_hz: By topic.
        now_ns: CLOCK_MONOTONIC of the run.
    """
    joints, target = _of(held, "joint_state", messages.JointState), _of(held, "arm_target", messages.ArmTarget)
    chunk = _of(held, "chunk", messages.ActionChunk)
    measured = None if joints is None or not joints.heard else joints.q
    commanded = None if measured is None or target is None else target.q  # before it no arm is commanded
    return {
        "now_ns": now_ns,
        "safety": _safety(settings, _of(held, "safety", messages.SafetyState), joints, now_ns),
        "instruction": _instruction(_of(held, "instruction", messages.Instruction)),
        "episode": _episode(settings, held),
        "server": settings.policy.server,
        "ratio": _ratio(settings, held, rates_hz, now_ns),
        "maps": _maps(_of(held, "conditions", messages.Conditions)),
        "conditions": _conditions(_of(held, "conditions", messages.Conditions), now_ns),
        "imagined": _imagined(_of(held, "imagined", messages.Imagined), now_ns),
        "cameras": [_camera(held, camera, now_ns) for camera in CAMERAS],
        "joints": {
            "measured": None if measured is None else rounded(measured),
            "commanded": None if commanded is None else rounded(commanded),
            "wanted": None if target is None else rounded(target.blended),
            "sent": target is not None and target.sent,
            "limited": target is not None and target.limited,
        },
        "arms": {
            "measured": None if measured is None else rounded(link_points(measured, bases_of(settings.safety.mount))),
            "commanded": None
            if commanded is None
            else rounded(link_points(commanded, bases_of(settings.safety.mount))),
        },
        "chunk": _chunk(settings, chunk),
        "consumed": _consumed(chunk, joints),
        "seam_ns": _seam_ns(_of(held, ARRIVAL, messages.ArmTarget)),
        "latency": _latency(chunk, _of(held, ARRIVAL, messages.ArmTarget)),
        "processes": _processes(_of(held, "supervision", messages.Supervision)),
        "rates": {name: round(rate, 2) for name, rate in rates_hz.items()},
        "stale": _stale(held, now_ns),
        "recording": _recording(_of(held, "recording", messages.Recording)),
        "scene": _scene(_of(held, "scene", messages.Scene)),
        "events": [event.plain() for event in events],
    }


def _of(held: Held, topic: str, kind: type[Kind]) -> Kind | None:
    message = held.get(topic)
    return message if isinstance(message, kind) else None


def _safety(
    settings: Settings, state: messages.SafetyState | None, joints: messages.JointState | None, now_ns: int
) -> dict[str, Any] | None:
    """How the arms are. What is old is not told as if it were so now; `moves` is None where nobody knows."""
    if state is None:
        return None
    silent_s = (now_ns - state.stamp_ns) / NS_PER_S
    silent = silent_s > _SILENT_S
    known = joints is not None and now_ns - joints.stamp_ns < _SILENT_S * NS_PER_S and not silent
    gone = (f"arms process silent for {silent_s:.1f} s (limit {_SILENT_S} s); the arms stay at their last target",)
    return {
        "mode": SILENT if silent else state.mode,
        "reasons": list(gone if silent else state.reasons),
        "todo": "wait until it is restarted, then send `arm`" if silent else _todo(settings, state),
        "since_s": round((now_ns - state.since_ns) / NS_PER_S, 1),
        "moves": bool(np.abs(joints.dq).max() > _MOVING_RAD_S) if known and joints is not None else None,
        "chunk_age_ms": _age(state.chunk_age_ns),
        "condition_age_ms": _age(state.condition_age_ns),
        "feedback_age_ms": _age(state.feedback_age_ns),
        "holds": state.holds,
        "faults": state.faults,
        "dropped": state.chunks_dropped,
        "rejected": state.chunks_rejected,
        "answer": state.answer,
    }


def _todo(settings: Settings, state: messages.SafetyState) -> str:
    """What an operator does next, in the words of the commands."""
    why = "; ".join(state.reasons)
    if NOT_CARRIED_OUT in why:
        return "support the arms, then use the power switch"
    match state.mode:
        case "RUNNING":
            return ""
        case "TAKEOVER":
            return "send `run` to return the arms to the policy"
        case "FAULT":
            stopped = "stopped by an operator" in why or EMERGENCY_STOP in why
            return (
                "support the arms, then press `clear a stop`, `arm`, `run`"
                if stopped
                else "check the robot, then send `clear` and `run`"
            )
        case "DISARMED":
            return "fix what blocks arming, then restart" if BLOCKED in why else "send `arm`, then `run`"
        case "HOLD":  # pragma: no branch - there is no other mode
            return _todo_held(settings, why)


def _todo_held(settings: Settings, why: str) -> str:
    if HELD in why or why == WAITS:
        return ""  # the reason says it
    if MOVING in why:
        return "wait, or send `hold`"
    if WAITS not in why and settings.arms.auto_resume:
        return "resumes by itself when this ends"
    return "fix this, then send `run`"


def _instruction(message: messages.Instruction | None) -> dict[str, Any] | None:
    return None if message is None else {"number": message.number, "text": message.text}


def _episode(settings: Settings, held: Held) -> dict[str, Any] | None:
    episode, outcome = _of(held, "episode", messages.Episode), _of(held, "outcome", messages.Outcome)
    if episode is None:
        return None
    judged = outcome is not None and outcome.number == episode.number
    return {
        "number": episode.number,
        "task": episode.task,
        "started_ns": episode.started_ns,
        "blend": live_tuning.blend(settings, episode),
        "result": outcome.result if judged and outcome is not None else None,
    }


def _ratio(settings: Settings, held: Held, rates_hz: Mapping[str, float], now_ns: int) -> dict[str, Any]:
    """The three readings of 1:n (runs, actions, milliseconds), wanted and measured."""
    episode, conditions = _of(held, "episode", messages.Episode), _of(held, "conditions", messages.Conditions)
    chunk = _of(held, "chunk", messages.ActionChunk)
    wanted = settings.ratio if episode is None else live_tuning.ratio(settings, episode)
    slow, fast = rates_hz.get("conditions", 0.0), rates_hz.get("chunk", 0.0)
    runs = fast / slow if slow else None
    actions = None if runs is None or not fast or chunk is None else NS_PER_S / chunk.dt_ns / slow
    return {
        "wanted": wanted,
        "runs": None if runs is None else round(runs, 1),
        "actions": None if actions is None else round(actions),
        "age_ms": None if conditions is None else round((now_ns - conditions.capture_ns) / _MS),
        "saturated": chunk is not None and chunk.saturated,
    }


def _conditions(message: messages.Conditions | None, now_ns: int) -> dict[str, Any] | None:
    if message is None:
        return None
    return {
        "seq": message.seq,
        "trigger": message.trigger,
        "age_ms": round((now_ns - message.capture_ns) / _MS),
        "windows": [window.model_dump() for window in message.windows],
        "widest_gap_ms": round(message.widest_gap_ns / _MS),
        "forward_ms": round(message.timing.forward_ns / _MS),
    }


def _imagined(message: messages.Imagined | None, now_ns: int) -> dict[str, Any] | None:
    """The imagined picture that shows this moment, or else the last one; and how far the one before was from what was seen."""
    if message is None:
        return None
    place = expectation.due(message, now_ns)
    shown = len(message.pictures) - 1 if place is None else place
    return {
        "camera": message.camera,
        "jpeg": base64.b64encode(message.pictures[shown]).decode(),
        "ahead_ms": round((shown + 1) * message.apart_ns / _MS),
        "beyond": place is None,
        "error": _share(message.error),
        "still_error": _share(message.still_error),
    }


def _share(error: float) -> float | None:
    return None if error == messages.NEVER_COMPARED else round(error, _DIGITS)


def _maps(message: messages.Conditions | None) -> dict[str, Any]:
    if message is None:
        return {}
    return {name: _map(strength.values, message.covers.get(name, WHOLE)) for name, strength in message.maps.items()}


def _map(strength: NDArray[np.uint8], covers: messages.Rectangle) -> dict[str, Any]:
    height, width = strength.shape
    data = base64.b64encode(strength.tobytes()).decode()
    return {"width": width, "height": height, "data": data, "covers": covers}


def _camera(held: Held, camera: str, now_ns: int) -> dict[str, Any]:
    health, frame = _of(held, "camera_health", messages.CameraHealth), _of(held, f"frame.{camera}", messages.Frame)
    state = None if health is None else next((row for row in health.cameras if row.camera == camera), None)
    silent_s = 0.0 if health is None else (now_ns - health.stamp_ns) / NS_PER_S
    gone = f"no report for {silent_s:.1f} s (limit {_SILENT_S} s)" if silent_s > _SILENT_S else ""
    return {
        "camera": camera,
        "number": None if frame is None else frame.seq,
        "age_ms": None if frame is None else round((now_ns - frame.capture_ns) / _MS),
        "rate_hz": None if state is None else state.rate_hz,
        "verdict": gone or ("no report" if state is None else state.verdict),
    }


def _chunk(settings: Settings, chunk: messages.ActionChunk | None) -> dict[str, Any] | None:
    """The newest chunk: its targets, and the fingertips' way through them, (2, H, 3) m."""
    if chunk is None:
        return None
    tips = link_points(chunk.q.astype(np.float64), bases_of(settings.safety.mount))[:, :, _TIPS, :].mean(axis=2)
    return {
        "seq": chunk.seq,
        "t0_ns": chunk.t0_ns,
        "dt_ns": chunk.dt_ns,
        "q": rounded(chunk.q),
        "path": rounded(tips.transpose(1, 0, 2)),
        "committed": chunk.committed,
    }


def _consumed(chunk: messages.ActionChunk | None, joints: messages.JointState | None) -> int:
    """How many targets of the newest chunk were executed."""
    if chunk is None or joints is None or (joints.chunk_epoch, joints.chunk_seq) != (chunk.epoch, chunk.seq):
        return 0
    return joints.consumed


def _seam_ns(target: messages.ArmTarget | None) -> int:
    """When a chunk was spliced in last; 0: the newest that came was not."""
    return target.stamp_ns if target is not None and target.seam_jump_rad_s >= 0 else 0


def _latency(chunk: messages.ActionChunk | None, target: messages.ArmTarget | None) -> list[dict[str, Any]]:
    """From exposure to command, a bar each, ms."""
    if chunk is None:
        return []
    done_ns = chunk.timing.finished_ns
    bars = [
        ("camera", chunk.frame_returned_ns - chunk.observation_ns),
        ("wait", chunk.stamp_ns - chunk.frame_returned_ns),
        ("prepare", chunk.timing.prepare_ns),
        ("forward", chunk.timing.forward_ns),
    ]
    arrived_ns = next((at for seq, at in target.arrivals if seq == chunk.seq), 0) if target is not None else 0
    if target is not None and arrived_ns > done_ns:
        bars += [("bus", arrived_ns - done_ns), ("command", max(0, target.stamp_ns - arrived_ns))]
    return [{"name": name, "ms": round(duration_ns / _MS, 1)} for name, duration_ns in bars]


def _processes(supervision: messages.Supervision | None) -> list[dict[str, Any]]:
    return [] if supervision is None else [row.model_dump() for row in supervision.processes]


def _stale(held: Held, now_ns: int) -> list[str]:
    """Topics whose newest message is older than their table allows."""
    found: list[str] = []
    for name, message in held.items():
        limit_s = TOPICS[name].max_age_s if name in TOPICS else None
        if limit_s is not None and now_ns - message.stamp_ns > limit_s * NS_PER_S:
            found.append(name)
    return found


def _recording(message: messages.Recording | None) -> dict[str, Any] | None:
    if message is None:
        return None
    return {"megabytes": round(message.size_bytes / 1e6, 1), "lost": message.lost, "fault": message.fault}


def _scene(message: messages.Scene | None) -> dict[str, Any] | None:
    return None if message is None else {"success": message.success, "lag_ms": round(message.lag_ns / _MS, 1)}


def _age(age_ns: int) -> int | None:
    return None if age_ns < 0 else round(age_ns / _MS)


def rounded(array: NDArray[Any]) -> list[Any]:
    """An array of any shape as lists of numbers that are short to send."""
    return np.round(array.astype(np.float64), _DIGITS).tolist()
