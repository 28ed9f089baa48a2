"""Which frames the windows of a condition hold. Deterministic. Called by system2_step.py.

A window is counted in time. As long as the camera keeps the rate of the settings that is the same as to count frames, on a grid
of frame numbers that windows share, so that every frame is encoded once. Where it does not, or frames are lost, the frames
nearest in time are taken. What was consumed gives the same windows again, whatever other frames are known.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from models.requirements import VideoWindow
from models.window import grid_frames
from runtime.host.clock import seconds
from runtime.messaging import messages
from runtime.systems.system2_state import System2Config, System2Inputs

Frames = tuple[messages.Frame, ...]  # notices of one camera, oldest first


@dataclass(frozen=True)
class Windows:
    """The frames of a condition by window, oldest first."""

    frames: Mapping[str, Frames]
    before: Frames = ()
    """Frames besides, without which others would be chosen: the one before the episode or before a window, the newest."""


def windows(config: System2Config, inputs: System2Inputs) -> Windows | None:
    """Notices of every window.

    Before its first frame the episode looked like that one, as in training (models/train/prepared.py).

    Args:
        config: Settings and policy.
        inputs: Frames by camera.

    Returns:
        None while frames of the episode are missing.
    """
    found: dict[str, Frames] = {}
    before: dict[tuple[str, int], messages.Frame] = {}
    for window in config.windows:
        known = _known(config, window.camera, inputs)
        chosen = None if known is None else _chosen(config, window, known)
        if chosen is None:
            return None
        found[window.name], besides = chosen
        before |= {(frame.camera, frame.seq): frame for frame in besides}
    return Windows(found, tuple(before.values()))


@dataclass(frozen=True)
class _Known:
    """A camera's frames of this episode, at least one, and the last one before it, where that is known."""

    frames: Frames
    before: Frames
    period_ns: int  # by the settings

    @property
    def begins(self) -> bool:
        """Whether the first frame is known to be the episode's; else those before it may only have been forgotten."""
        return self.frames[0].seq == 0 or bool(self.before)


def _known(config: System2Config, camera: str, inputs: System2Inputs) -> _Known | None:
    notices = inputs.frames.get(camera, ())
    frames = tuple(frame for frame in notices if frame.capture_ns >= inputs.episode.started_ns)
    if not frames:
        return None
    before = tuple(frame for frame in notices if frame.seq == frames[0].seq - 1)
    return _Known(frames, before, seconds(1 / config.settings.cameras.by_name()[camera].rate_hz))


def _chosen(config: System2Config, window: VideoWindow, known: _Known) -> tuple[Frames, Frames] | None:
    """The frames of a window, and what is needed besides."""
    numbered = _by_number(config, window, known)
    if config.settings.system2.windows == "frames":
        return numbered
    if numbered is not None and _in_time(config, window, known, numbered[0]):
        return numbered
    return _by_time(config, window, known)


def _by_number(config: System2Config, window: VideoWindow, known: _Known) -> tuple[Frames, Frames] | None:
    """A window by frame numbers, and what is needed besides; None where one is missing."""
    first, newest = known.frames[0].seq, known.frames[-1].seq
    numbers = _numbers(config, window, newest)
    by_number = {frame.seq: frame for frame in known.frames}
    frames = [by_number.get(max(number, first) if known.begins else number) for number in numbers]
    there = tuple(frame for frame in frames if frame is not None)
    if len(there) < len(numbers):
        return None
    return there, known.before if numbers[0] < first else ()


def _in_time(config: System2Config, window: VideoWindow, known: _Known, found: Frames) -> bool:
    """Whether the frames of a window are no farther than half a period from their times, but for those before the first."""
    times_ns = _times_ns(config, window, known, found[-1].capture_ns)
    first = known.frames[0]
    return all(
        abs(frame.capture_ns - time_ns) <= known.period_ns // 2 or (frame is first and time_ns < first.capture_ns)
        for frame, time_ns in zip(found, times_ns, strict=True)
    )


def _by_time(config: System2Config, window: VideoWindow, known: _Known) -> tuple[Frames, Frames] | None:
    """A window by the times of capture, and what is needed besides; None while the frames before it may have been forgotten."""
    newest, stride = known.frames[-1], config.stride(window) or 1
    beyond = newest.seq % stride
    last = next((frame for frame in known.frames if frame.seq == newest.seq - beyond), None)
    last_ns = newest.capture_ns - beyond * known.period_ns if last is None else last.capture_ns
    times_ns = _times_ns(config, window, known, last_ns)
    older = tuple(frame for frame in known.frames if frame.capture_ns <= times_ns[0])
    if not older and not known.begins:
        return None
    if window.stride_s is None:
        found = _one_after_another(known.frames, times_ns)
    else:
        found = tuple(_nearest(known.frames, time_ns) for time_ns in times_ns)
    earlier = () if found[0] in older else older[-1:] or known.before
    return found, earlier if last is not None else (*earlier, newest)


def _numbers(config: System2Config, window: VideoWindow, newest: int) -> list[int]:
    """The frame numbers that a window holds when `newest` is the newest frame, oldest first."""
    apart = config.frames_apart(window)
    if window.stride_s is None:
        return [newest - back * apart for back in range(window.frames - 1, -1, -1)]
    return grid_frames(newest, apart, window.frames)


def _times_ns(config: System2Config, window: VideoWindow, known: _Known, last_ns: int) -> list[int]:
    """When a window's frames were taken, the oldest first, if its last one was at `last_ns`."""
    step_ns = config.frames_apart(window) * known.period_ns
    return [last_ns - back * step_ns for back in range(window.frames - 1, -1, -1)]


def _one_after_another(frames: Frames, times_ns: Sequence[int]) -> Frames:
    """The frames nearest to moments, each older than the one after it as long as there are older ones."""
    found = [frames[-1]]
    for time_ns in reversed(times_ns[:-1]):
        older = [frame for frame in frames if frame.seq < found[-1].seq]
        found.append(_nearest(older or frames[:1], time_ns))
    return tuple(reversed(found))


def _nearest(frames: Sequence[messages.Frame], time_ns: int) -> messages.Frame:
    """The frame taken nearest to a moment, of two the newer: the same one however many of the others are left out."""
    return min(frames, key=lambda frame: (abs(frame.capture_ns - time_ns), -frame.seq))
