"""An array as a field of a message: dtype and shape checked, finite, carried without a copy. Used by wire."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import GetCoreSchemaHandler
from pydantic_core import core_schema

_BFLOAT16_INFINITY = 0x7F80


class Tensor:
    """Annotation of an array field: dtype and shape, None for any length. `bfloat16` is carried as uint16."""

    def __init__(self, dtype: str, shape: tuple[int | None, ...]) -> None:
        self.dtype, self.shape = dtype, shape
        self._numpy_dtype = np.dtype("uint16" if dtype == "bfloat16" else dtype)

    def __repr__(self) -> str:
        return f"Tensor({self.dtype!r}, {self.shape})"

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(self.check)

    def check(self, value: Any) -> NDArray[Any]:
        """Accept an array, or the map an array travels as; anything that is not finite is refused."""
        array = value if isinstance(value, np.ndarray) else self._from_map(value)
        if array.dtype != self._numpy_dtype:
            raise ValueError(f"dtype {array.dtype}, expected {self.dtype}")
        if array.shape != self.shape and not self._fits(array.shape):
            raise ValueError(f"shape {array.shape}, expected {self.shape}")
        if not self._finite(array):
            raise ValueError("holds NaN or infinity")
        return array

    def _fits(self, shape: tuple[int, ...]) -> bool:
        return len(shape) == len(self.shape) and all(
            want in (None, got) for want, got in zip(self.shape, shape, strict=True)
        )

    def _from_map(self, value: Any) -> NDArray[Any]:
        if not isinstance(value, dict) or set(value) != {"dtype", "shape", "data"}:
            raise ValueError("not an array")
        if value["dtype"] != self.dtype:
            raise ValueError(f"dtype {value['dtype']!r:.40}, expected {self.dtype}")
        shape = value["shape"]
        if not isinstance(shape, tuple) or not all(type(n) is int and 0 <= n < 1 << 24 for n in shape):
            raise ValueError("malformed shape")
        data = value["data"]
        if not isinstance(data, bytes):
            raise ValueError("no bytes")
        if len(data) != math.prod(shape) * self._numpy_dtype.itemsize:
            raise ValueError(f"{len(data)} bytes do not make shape {shape}")
        return np.frombuffer(data, dtype=self._numpy_dtype).reshape(shape)

    def _finite(self, array: NDArray[Any]) -> bool:
        if self.dtype == "bfloat16":  # NaN and infinity are the largest bit patterns of either sign
            largest = array.size and (int(array.view(np.int16).max()), int(array.max()))
            return not largest or (largest[0] < _BFLOAT16_INFINITY and largest[1] < _BFLOAT16_INFINITY + 0x8000)
        if array.dtype.kind != "f":
            return True
        # The sum of the squares is finite only if all are; where great numbers overflow it, each is looked at.
        return math.isfinite(np.vdot(array, array)) or bool(np.isfinite(array).all())

    def to_map(self, array: NDArray[Any]) -> dict[str, Any]:
        """The map an array travels as; its bytes are not copied here."""
        return {"dtype": self.dtype, "shape": array.shape, "data": np.ascontiguousarray(array).data}
