"""Whether a policy fits the robot that the settings describe: asked before anything moves. No torch.
Called by the robot command, and by whoever opens a checkpoint (networks.py).
"""

from collections.abc import Iterator

from models.config.policy import JOINT_LAYOUT
from models.requirements import Requirements
from runtime.config.settings import Settings
from runtime.errors import RuntimeFault

_STRIDE_SHARE = 0.1  # of a window's distances, that they may be off; chosen: motion seems so much quicker or slower
KEPT_FRAMES = 256
"""Newest frames of a camera that both systems can look back at. Chosen: 8.5 s at 30 Hz; a longer window is refused here."""
_ASPECT_SHARE, _RATE_SHARE, _GRIPPER_M = 0.01, 0.99, 1e-3
"""Chosen: by so much a picture's shape may differ (five rows of 480), so much of the rate must be there (a nominal 30 Hz is
29.97 with some cameras), and so far may the grippers' openings be apart."""


def check(needs: Requirements, settings: Settings) -> None:
    """Compare a policy's needs with the settings.

    Args:
        needs: Of the checkpoint.
        settings: Of the robot.

    Raises:
        RuntimeFault: One line for each mismatch, with both values and a remedy.
    """
    if found := mismatches(needs, settings):
        raise RuntimeFault("\n".join(f"policy: {line}" for line in found))


def mismatches(needs: Requirements, settings: Settings) -> list[str]:
    """What the policy needs and this robot does not have.

    Args:
        needs: Of the checkpoint.
        settings: Of the robot.

    Returns:
        A text for each, with both values and a remedy; empty: it fits.
    """
    return [
        *_cameras(needs, settings),
        *_pictures(needs, settings),
        *_rates(needs, settings),
        *_strides(needs, settings),
        *_history(needs, settings),
        *_layout(needs),
        *_duration(needs, settings),
        *_gripper(needs, settings),
        *_blend(needs, settings),
    ]


def _named(needs: Requirements, settings: Settings) -> list[str]:
    """The cameras that the policy looks at and this robot has, each once."""
    wanted = dict.fromkeys((*needs.cameras, *(window.camera for window in needs.windows)))
    return [name for name in wanted if name in settings.cameras.by_name()]


def _cameras(needs: Requirements, settings: Settings) -> Iterator[str]:
    there = settings.cameras.by_name()
    for name in dict.fromkeys((*needs.cameras, *(window.camera for window in needs.windows))):
        if name not in there:
            yield f"needs camera {name}, this robot has {', '.join(there)}; give a policy for these cameras"


def _pictures(needs: Requirements, settings: Settings) -> Iterator[str]:
    wanted = needs.picture
    if wanted is None:
        return
    for name in _named(needs, settings):
        camera = settings.cameras.by_name()[name]
        size = f"{camera.width_px}x{camera.height_px} px"
        remedy = f"set --cameras.{name}.width_px {wanted.width_px} and --cameras.{name}.height_px {wanted.height_px}"
        if wanted.exact and (camera.width_px, camera.height_px) != (wanted.width_px, wanted.height_px):
            yield f"needs frames of {wanted.width_px}x{wanted.height_px} px, camera {name} sends {size}; {remedy}"
        elif abs(camera.width_px * wanted.height_px / (camera.height_px * wanted.width_px) - 1) > _ASPECT_SHARE:
            yield f"needs frames of aspect {wanted.width_px}:{wanted.height_px}, camera {name} sends {size}; {remedy}"


def _rates(needs: Requirements, settings: Settings) -> Iterator[str]:
    for name in _named(needs, settings) if needs.picture_rate_hz is not None else ():
        rate_hz = settings.cameras.by_name()[name].rate_hz
        if rate_hz < (least_hz := needs.picture_rate_hz or 0.0) * _RATE_SHARE:
            yield (
                f"needs {least_hz:g} frames/s, camera {name} sends {rate_hz:g}; "
                f"set --cameras.{name}.rate_hz {least_hz:g}"
            )


def _strides(needs: Requirements, settings: Settings) -> Iterator[str]:
    """Windows whose frames a real camera cannot give at their distance; simulated ones may be slower, to spare the machine."""
    for window in needs.windows if settings.arms.kind == "piper" else ():
        camera = settings.cameras.by_name().get(window.camera)
        if camera is None or window.stride_s is None:
            continue
        apart = max(1, round(window.stride_s * camera.rate_hz))
        if abs(apart / camera.rate_hz / window.stride_s - 1) > _STRIDE_SHARE:
            yield (
                f"needs frames {window.stride_s:g} s apart, camera {window.camera} sends them {1 / camera.rate_hz:.3f} s "
                f"apart; set --cameras.{window.camera}.rate_hz {apart / window.stride_s:g}"
            )


def _history(needs: Requirements, settings: Settings) -> Iterator[str]:
    there = settings.cameras.by_name()
    for name in _named(needs, settings):
        rate_hz = there[name].rate_hz
        spans_s = [needs.history_s[0]] if name in needs.cameras else []
        spans_s += [
            span_s(needs, index, rate_hz) for index, window in enumerate(needs.windows) if window.camera == name
        ]
        kept_s = (KEPT_FRAMES - 1) / rate_hz
        if max(spans_s) > kept_s:
            yield (
                f"needs {max(spans_s):.1f} s of frames, camera {name} keeps {kept_s:.1f} s at {rate_hz:g} frames/s; "
                f"set --cameras.{name}.rate_hz {(KEPT_FRAMES - 1) / max(spans_s):.3g} or less"
            )


def span_s(needs: Requirements, window: int, rate_hz: float) -> float:
    """How far back a window of the slow system looks.

    Args:
        needs: Of the checkpoint.
        window: Index into `needs.windows`.
        rate_hz: Of its camera; frames stand no closer than this camera's, nor than the policy's targets without a grid.

    Returns:
        s.
    """
    chosen = needs.windows[window]
    return chosen.frames * max(needs.dt_s if chosen.stride_s is None else chosen.stride_s, 1 / rate_hz)


def _layout(needs: Requirements) -> Iterator[str]:
    if needs.state_layout != JOINT_LAYOUT:
        yield f"needs joints {needs.state_layout!r}, this robot has {JOINT_LAYOUT!r}; give another policy"


def _duration(needs: Requirements, settings: Settings) -> Iterator[str]:
    period_s = settings.system1.first_period_s
    if needs.duration_s <= period_s:
        yield (
            f"makes chunks of {needs.duration_s:.2f} s, shorter than --system1.period_s {period_s:g}: the arms would stop in "
            f"between; set --system1.period_s below {needs.duration_s:.2f}"
        )


def _gripper(needs: Requirements, settings: Settings) -> Iterator[str]:
    opens_m = settings.safety.high[-1]
    if needs.gripper_open_m is not None and abs(needs.gripper_open_m - opens_m) > _GRIPPER_M:
        yield (
            f"scales grippers by {needs.gripper_open_m:.3f} m, this robot's open {opens_m:.3f} m (--safety.high); "
            "give a policy for this gripper, or its true opening in --safety.high"
        )


def _blend(needs: Requirements, settings: Settings) -> Iterator[str]:
    if settings.trajectory.blend == "prefix" and not needs.prefix:
        yield "continues no committed targets, which --trajectory.blend prefix relies on; give fade, ensemble or none"
