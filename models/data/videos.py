"""An episode's pictures out of a video that holds many: sought, not decoded from the beginning. Called by lerobot.py."""

from pathlib import Path

import av
import numpy as np
import simplejpeg

from models.data.episode import DATASET_JPEG_QUALITY, LARGEST_PICTURE_PX

_HALVED = ("yuv420p", "yuvj420p")  # FFmpeg's names of formats whose colours have half the rows and columns


def jpegs(path: Path, begin_s: float, count: int, rate_hz: float, swapped: bool) -> list[bytes]:
    """Pictures of a video as JPEG.

    Args:
        path: Of the video.
        begin_s: When the first one is shown, by the video's own clock.
        count: How many.
        rate_hz: Pictures a second; each is the first that begins less than half of one before it is due.
        swapped: Red and blue are swapped.

    Returns:
        They; fewer where the video ends before.

    Raises:
        ValueError: A picture is too large, has no time, or is missing where one is due.
        FFmpegError, OSError: It is damaged, or no video.
    """
    found: list[bytes] = []
    half_s = 0.5 / rate_hz
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        if stream.time_base is not None:  # to the key picture before
            container.seek(max(0, int((begin_s - half_s) / stream.time_base)), stream=stream)
        for frame in container.decode(stream) if count else ():
            if frame.width * frame.height > LARGEST_PICTURE_PX:
                raise ValueError(f"{path.name}: {frame.width}x{frame.height} px")
            if frame.pts is None:
                raise ValueError(f"{path.name}: a picture without a time")
            late_s = frame.time - (begin_s + len(found) / rate_hz)
            if late_s >= half_s:
                raise ValueError(f"{path.name}: no picture within {half_s:.3g} s of {frame.time - late_s:.3f} s")
            if late_s >= -half_s:
                found.append(_encoded(frame, swapped))
            if len(found) == count:
                break
    return found


def _encoded(frame: av.VideoFrame, swapped: bool) -> bytes:
    """One picture as JPEG; its colours are kept as finely as the video has them, which halves the time of encoding."""
    picture = np.ascontiguousarray(frame.to_ndarray(format="rgb24"), np.uint8)
    channels, colours = "BGR" if swapped else "RGB", "420" if frame.format.name in _HALVED else "444"
    return simplejpeg.encode_jpeg(picture, DATASET_JPEG_QUALITY, channels, colours)
