"""Pictures as others store them, as JPEG: arrays of any usual shape and type, and files of other kinds. Called by the readers.

Legend: H rows, W columns of a picture; c = 1, 3 or 4 channels (grey, colours, colours and opacity).
"""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from models.data.episode import DATASET_JPEG_QUALITY, LARGEST_PICTURE_PX

_JPEG = b"\xff\xd8"
_CHANNELS = (1, 3, 4)  # grey; red, green, blue; the same with opacity


def of_bytes(stored: bytes, swapped: bool) -> bytes:
    """A stored picture file as JPEG.

    Args:
        stored: A JPEG, with zeros behind it or not, or a PNG or another kind that Pillow knows.
        swapped: Red and blue are swapped in it.

    Returns:
        The very JPEG where nothing has to change; empty where it is no picture, which the check of its episode names.

    Raises:
        ValueError: It has too many pixels.
    """
    if stored.startswith(_JPEG):
        stored = stored.rstrip(b"\0")
        return _swapped(stored) if swapped else stored
    picture = _decoded(stored)
    return b"" if picture is None else _encoded(picture, 1, swapped)


def of_arrays(stored: Sequence[NDArray[Any]], swapped: bool) -> list[bytes]:
    """A camera's stored arrays as JPEGs.

    Args:
        stored: Each (H, W), (H, W, c) or (c, H, W); whole numbers 0 to 255, or floats, of all of them 0 to 1 or 0 to 255.
        swapped: Channels are blue, green, red.

    Raises:
        ValueError: One is of no such shape, or its values lie elsewhere.
    """
    floats = len(stored) > 0 and stored[0].dtype.kind == "f"
    factor = 255 if floats and max(float(picture.max(initial=0)) for picture in stored) <= 1 else 1
    return [_encoded(picture, factor, swapped) for picture in stored]


def _encoded(stored: NDArray[Any], factor: int, swapped: bool) -> bytes:
    picture = _whole(_channels_last(stored), factor)
    if picture.shape[2] != 3:
        picture = np.repeat(picture, 3, axis=2) if picture.shape[2] == 1 else picture[:, :, :3]
    return simplejpeg.encode_jpeg(np.ascontiguousarray(picture), DATASET_JPEG_QUALITY, "BGR" if swapped else "RGB")


def _channels_last(stored: NDArray[Any]) -> NDArray[Any]:
    if stored.ndim == 2:
        return stored[:, :, None]
    if stored.ndim == 3 and stored.shape[2] in _CHANNELS:
        return stored
    if stored.ndim == 3 and stored.shape[0] in _CHANNELS:
        return np.moveaxis(stored, 0, 2)
    raise ValueError(f"a picture of shape {stored.shape}")


def _whole(stored: NDArray[Any], factor: int) -> NDArray[np.uint8]:
    """Values as uint8. Raises ValueError where they do not lie in 0..255."""
    if stored.dtype == np.uint8:
        return stored
    if stored.size and not (np.isfinite(stored).all() and 0 <= stored.min() <= stored.max() <= 255):
        raise ValueError(f"values of a picture from {stored.min()} to {stored.max()}")
    return np.rint(stored * factor).astype(np.uint8)


def _swapped(jpeg: bytes) -> bytes:
    try:
        return simplejpeg.encode_jpeg(simplejpeg.decode_jpeg(jpeg, "BGR"), DATASET_JPEG_QUALITY)
    except ValueError:
        return b""  # the check of the episode names it


def _decoded(stored: bytes) -> NDArray[np.uint8] | None:
    """A picture that is no JPEG, as RGB or RGBA; None where it is none."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(stored)) as picture:
            if picture.width * picture.height > LARGEST_PICTURE_PX:
                raise ValueError(f"a picture of {picture.width}x{picture.height} px")
            return np.asarray(picture.convert("RGB"))
    except UnidentifiedImageError:
        return None
