"""Arrays as fields of a message: dtype and shape checked, finite, bounded, carried without a copy.
Used by messages.py as annotations; policies and their benchmarks use `Array`.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import GetCoreSchemaHandler
from pydantic_core import core_schema

_BFLOAT16_INFINITY = 0x7F80  # its bits: all eight of the exponent, as in float32's upper half; NaN is above it
_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
_KEYS = {"dtype", "shape", "data"}
Length = int | None | tuple[int, int]


class Tensor:
    """Annotation of an array field: dtype and shape. `bfloat16` is carried as uint16.

    A length is a number, None for any, or the least and the greatest.
    """

    def __init__(self, dtype: str, shape: tuple[Length, ...]) -> None:
        self.dtype, self.shape = dtype, shape
        self._numpy_dtype = np.dtype("uint16" if dtype == "bfloat16" else dtype)

    def __repr__(self) -> str:
        return f"Tensor({self.dtype!r}, {self.shape})"

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(self.check)

    def check(self, value: Any) -> NDArray[Any]:
        """Accept an array, or the map an array travels as.

        Args:
            value: numpy array, or {"dtype", "shape", "data"}.

        Returns:
            The array; from a map it points into the map's bytes and is read-only.

        Raises:
            ValueError: Another dtype or shape, too few or too many bytes, NaN or infinity. pydantic makes its own error of it.
        """
        array = value if isinstance(value, np.ndarray) else self._from_map(value)
        if array.dtype != self._numpy_dtype:
            raise ValueError(f"expected dtype {self.dtype}, got {array.dtype}")
        if array.shape != self.shape and not self._fits(array.shape):
            raise ValueError(f"expected shape {self.shape}, got {array.shape}")
        if not self._finite(array):
            raise ValueError("holds NaN or infinity")
        return array

    def _fits(self, shape: tuple[int, ...]) -> bool:
        return len(shape) == len(self.shape) and all(
            want[0] <= got <= want[1] if isinstance(want, tuple) else want in (None, got)
            for want, got in zip(self.shape, shape, strict=True)
        )

    def _from_map(self, value: Any) -> NDArray[Any]:
        if not isinstance(value, dict) or value.keys() != _KEYS:
            raise ValueError("not an array")
        if value["dtype"] != self.dtype:
            raise ValueError(f"expected dtype {self.dtype}, got {value['dtype']!r:.40}")
        shape = value["shape"]
        if not isinstance(shape, tuple) or ({*map(type, shape)} - {int}):
            raise ValueError("malformed shape")
        if shape != self.shape and not all(0 <= n < 1 << 24 for n in shape):
            raise ValueError("malformed shape")
        data = value["data"]
        if not isinstance(data, bytes):
            raise ValueError("no bytes")
        if len(data) != math.prod(shape) * self._numpy_dtype.itemsize:
            raise ValueError(f"{len(data)} bytes do not fit shape {shape}")
        return np.frombuffer(data, dtype=self._numpy_dtype).reshape(shape)

    def _finite(self, array: NDArray[Any]) -> bool:
        if self.dtype == "bfloat16":  # NaN and infinity are the largest bit patterns of either sign
            largest = array.size and (int(array.view(np.int16).max()), int(array.max()))
            return not largest or (largest[0] < _BFLOAT16_INFINITY and largest[1] < _BFLOAT16_INFINITY + 0x8000)
        if array.dtype.kind != "f":
            return True
        # The sum of the squares is finite only if all are; where great numbers overflow it, each is checked.
        return math.isfinite(np.vdot(array, array)) or bool(np.isfinite(array).all())

    def to_map(self, array: NDArray[Any]) -> dict[str, Any]:
        """The map an array travels as; its bytes are not copied here, and not checked."""
        return {"dtype": self.dtype, "shape": array.shape, "data": np.ascontiguousarray(array).data}


@dataclass(frozen=True, eq=False)
class Array:
    """A member of an `ArraySet`. `values` holds bfloat16 as uint16, every other dtype as itself."""

    dtype: str
    values: NDArray[Any]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Array) and self.dtype == other.dtype and np.array_equal(self.values, other.values)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of `values`; a bfloat16 counts as one number."""
        return self.values.shape


@dataclass(frozen=True)
class ArraySet:
    """Annotation of a field of named arrays, whose names and shapes are their sender's choice within these bounds."""

    dtypes: tuple[str, ...]
    dimensions: tuple[int, int]  # least and greatest
    most: int  # arrays
    most_bytes: int  # of all together

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(self.check)

    def check(self, value: Any) -> dict[str, Array]:
        """Accept arrays by name, or the map of maps they travel as.

        Args:
            value: Name to `Array`, or name to {"dtype", "shape", "data"}.

        Raises:
            ValueError: Too many arrays or bytes in all, a name, dtype or number of dimensions that is not allowed, or NaN.
        """
        if not isinstance(value, Mapping):
            raise ValueError("not a map of arrays")
        if len(value) > self.most:
            raise ValueError(f"must hold at most {self.most} arrays, got {len(value)}")
        arrays = {self._name(name): self._one(name, part) for name, part in value.items()}
        size_bytes = sum(array.values.nbytes for array in arrays.values())
        if size_bytes > self.most_bytes:
            raise ValueError(f"must hold at most {self.most_bytes} bytes, got {size_bytes}")
        return arrays

    def to_map(self, arrays: Mapping[str, Array]) -> dict[str, Any]:
        """The map of maps that they travel as; their bytes are not copied here."""
        return {name: self._field(array.dtype, array.shape).to_map(array.values) for name, array in arrays.items()}

    @staticmethod
    def _name(name: Any) -> str:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ValueError(f"array name must be at most 32 of a to z, 0 to 9 and _, got {name!r:.40}")
        return name

    def _one(self, name: str, part: Any) -> Array:
        dtype, shape = (part.dtype, part.shape) if isinstance(part, Array) else _described(part)
        if dtype not in self.dtypes:
            raise ValueError(f"{name}: expected dtype {' or '.join(self.dtypes)}, got {dtype!r:.40}")
        least, greatest = self.dimensions
        if not isinstance(shape, tuple) or not least <= len(shape) <= greatest:
            raise ValueError(f"{name}: expected {least} to {greatest} dimensions, got shape {shape!r:.40}")
        try:
            return Array(dtype, self._field(dtype, shape).check(part.values if isinstance(part, Array) else part))
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None

    @staticmethod
    def _field(dtype: str, shape: tuple[int, ...]) -> Tensor:
        return Tensor(dtype, (None,) * len(shape))


def _described(part: Any) -> tuple[Any, Any]:
    """Dtype and shape that an array's map claims; what it holds is checked later."""
    return (part.get("dtype"), part.get("shape")) if isinstance(part, dict) else (None, None)
