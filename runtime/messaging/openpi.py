"""The wire format of openpi's policy servers: maps with arrays, as msgpack.

Used by the room `serving`, and by a server's policy (runtime/policy/remote_policy.py). An array is a map of the bytes
`__ndarray__`, `data`, `dtype` and `shape`, a single number one of `__npgeneric__`, `data` and `dtype`. Written anew with a
list of the dtypes that may come, so that nothing is opened that a stranger chose: what is not on it, or claims another size
than it has, is refused.
"""

import math
from typing import Any, cast

import msgpack
import numpy as np

from runtime.errors import WireError

_ARRAY, _NUMBER, _DATA, _DTYPE, _SHAPE = b"__ndarray__", b"__npgeneric__", b"data", b"dtype", b"shape"
"""The format's own words."""
_DTYPES = frozenset(["|b1", "|u1", "|i1", "<u2", "<i2", "<u4", "<i4", "<u8", "<i8", "<f2", "<f4", "<f8"])
"""What an array may be of: pictures, joints and flags, in this machine's byte order, which is that of all that run policies."""
ALOHA_CAMERAS = {"head": "cam_high", "left_wrist": "cam_left_wrist", "right_wrist": "cam_right_wrist"}
"""What openpi's ALOHA clients call each camera of this robot."""
LARGEST_BYTES = 64 << 20
"""Of a packet. Chosen: three cameras' pictures of 1920 x 1080 are 18 MB."""
_MOST_AXES, _MOST_ENTRIES, _LONGEST_TEXT = 6, 10_000, 100_000
"""Of an array, of a map or list, and of a text; chosen: far more than any policy says."""


def packed(value: Any) -> bytes:
    """Maps, lists, texts, numbers and arrays as one packet. Raises WireError for anything else."""
    try:
        return cast(bytes, msgpack.packb(value, default=_as_map))
    except (TypeError, ValueError, OverflowError) as error:
        raise WireError(f"cannot be sent: {error}") from None


def unpacked(packet: bytes) -> Any:
    """What a packet holds; its arrays point into it and are read-only.

    Raises:
        WireError: It is not this format, too large, or holds an array of another kind or size than it says.
    """
    if len(packet) > LARGEST_BYTES:
        raise WireError(f"a packet of {len(packet)} bytes: at most {LARGEST_BYTES} are taken; send smaller pictures")
    limits = {
        "max_str_len": _LONGEST_TEXT,
        "max_array_len": _MOST_ENTRIES,
        "max_map_len": _MOST_ENTRIES,
        "max_ext_len": 0,
    }
    try:
        return msgpack.unpackb(packet, object_hook=_as_array, strict_map_key=False, max_bin_len=LARGEST_BYTES, **limits)
    except WireError:
        raise
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException) as error:
        said = " ".join(str(error).split())[:100] or type(error).__name__
        raise WireError(f"not a packet of openpi's format ({said}); send msgpack as openpi-client does") from None


def _as_map(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic) and value.dtype.str not in _DTYPES:
        raise TypeError(f"an array of {value.dtype}")
    if isinstance(value, np.ndarray):
        array: np.ndarray[Any, np.dtype[Any]] = value
        return {_ARRAY: True, _DATA: array.tobytes(), _DTYPE: array.dtype.str, _SHAPE: array.shape}
    if isinstance(value, np.generic):
        return {_NUMBER: True, _DATA: value.item(), _DTYPE: value.dtype.str}
    raise TypeError(f"a {type(value).__name__}")


def _as_array(found: dict[Any, Any]) -> Any:
    """A map as it is, or the array or number that it stands for."""
    if _ARRAY not in found and _NUMBER not in found:
        return found
    dtype, data = found.get(_DTYPE), found.get(_DATA)
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        raise WireError(f"an array of {dtype!r:.40}: must be one of {' '.join(sorted(_DTYPES))}")
    if _NUMBER in found:
        if not isinstance(data, bool | int | float):
            raise WireError(f"a number of {type(data).__name__}: must be true, false, whole or broken")
        return np.dtype(dtype).type(data)
    shape = found.get(_SHAPE)
    if not isinstance(data, bytes) or not _is_shape(shape):
        raise WireError(
            f"an array of shape {shape!r:.60}: must be up to {_MOST_AXES} whole numbers, and its data bytes"
        )
    sides = cast(list[int], shape)
    if math.prod(sides) * np.dtype(dtype).itemsize != len(data):
        raise WireError(f"an array of shape {tuple(sides)} and {dtype} has {len(data)} bytes; send all of them")
    return np.frombuffer(data, dtype).reshape(sides)


def _is_shape(shape: Any) -> bool:
    """Whether it is a list of lengths."""
    if not isinstance(shape, list | tuple):
        return False
    sides = cast(list[Any], shape)
    return len(sides) <= _MOST_AXES and all(type(side) is int and 0 <= side <= LARGEST_BYTES for side in sides)
