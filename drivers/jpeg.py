"""Pictures as JPEG, as every camera and session of this robot keeps them. Used by camera drivers and the simulated scene."""

import numpy as np
import simplejpeg
from numpy.typing import NDArray

JPEG_QUALITY = 90
"""Measured on a rendered 640x480 picture with a sensor's noise (2.5 grey levels), colour whole: 56 KiB, and 2.2 grey levels off
in the mean, less than the noise; 95 takes 111 KiB for 2.0."""
_COLOUR = "420"
"""Colour at half the resolution, as USB cameras send it: the same picture takes 41 KiB instead of 56, 2.4 grey levels off."""


def encode(picture: NDArray[np.uint8]) -> bytes:
    """The JPEG of a picture (H, W, 3) uint8 RGB."""
    return simplejpeg.encode_jpeg(np.ascontiguousarray(picture), JPEG_QUALITY, "RGB", _COLOUR)


def as_seen(picture: NDArray[np.uint8]) -> tuple[bytes, NDArray[np.uint8]]:
    """The JPEG of a picture (H, W, 3) uint8 RGB, and what it decodes to: models see that, and so the same as in a replay."""
    jpeg = encode(picture)
    return jpeg, simplejpeg.decode_jpeg(jpeg, "RGB")
