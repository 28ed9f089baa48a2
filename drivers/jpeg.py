"""Pictures as JPEG, as every camera and session of this robot keeps them. Used by camera drivers and the simulated scene."""

import re

import numpy as np
import simplejpeg
from numpy.typing import NDArray

JPEG_QUALITY = 90
"""Measured on a rendered 640x480 picture with a sensor's noise (2.5 grey levels), colour whole: 56 KiB, and 2.2 grey levels off
in the mean, less than the noise; 95 takes 111 KiB for 2.0."""
_COLOUR = "420"
"""Colour at half the resolution, as USB cameras send it: the same picture takes 41 KiB instead of 56, 2.4 grey levels off."""

_END = b"\xff\xd9"  # the marker EOI
_STRAY = re.compile(r"(\d+) extraneous bytes before marker")  # as libjpeg-turbo words it
_MOST_STRAY = 8  # bytes; chosen: where a marker is lost it is a whole interval between two, hundreds


def encode(picture: NDArray[np.uint8]) -> bytes:
    """The JPEG of a picture (H, W, 3) uint8 RGB."""
    return simplejpeg.encode_jpeg(np.ascontiguousarray(picture), JPEG_QUALITY, "RGB", _COLOUR)


def recovered(jpeg: bytes) -> NDArray[np.uint8] | None:
    """The pixels (H, W, 3) uint8 RGB of a JPEG with a flaw that costs no pixel; None where it has another.

    Many cameras send a byte too many before a restart marker (opencv#9477), or leave out the end marker. The decoder names only
    the first flaw that it meets.
    """
    try:
        return simplejpeg.decode_jpeg(jpeg + _END, "RGB")
    except ValueError as error:
        stray = _STRAY.search(str(error))
    if stray is None or int(stray[1]) > _MOST_STRAY:
        return None
    return simplejpeg.decode_jpeg(jpeg, "RGB", strict=False)


def as_seen(picture: NDArray[np.uint8]) -> tuple[bytes, NDArray[np.uint8]]:
    """The JPEG of a picture (H, W, 3) uint8 RGB, and what it decodes to: models see that, and so the same as in a replay."""
    jpeg = encode(picture)
    return jpeg, simplejpeg.decode_jpeg(jpeg, "RGB")
