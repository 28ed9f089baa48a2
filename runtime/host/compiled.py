"""Arithmetic that is compiled to machine code when its module is imported, and kept on disk for the next time.
Used by runtime/arms: joint_limits.py, clearance.py, spline.py and following.py.

For what runs 200 times a second on a handful of numbers: there Python takes longer between the operations than for them.
"""

import hashlib
import math
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numba.core import types
from numba.extending import intrinsic, overload, register_jitable

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(signature: str) -> Callable[[Function], Function]:
    """Compile a function for just this signature, so that no argument of another type compiles it again in mid-run.

    Rounding is as written: nothing is fused or reordered, and a replay on other processors differs no more than before.

    Args:
        signature: Of numba, as `f8[:](f8[::1],f8)`.
    """
    return lambda function: cast(Function, _make(signature)(function))


def part(function: Function) -> Function:
    """A function that compiled ones call: compiled into each of them, and as it is written for everybody else."""
    return register_jitable(function)


def fused(a: float, b: float, c: float) -> float:
    """a * b + c, rounded once (IEEE 754 fusedMultiplyAdd); one instruction in compiled code."""
    exact = Fraction(a) * Fraction(b) + Fraction(c)
    return float(exact) if exact else a * b + c  # a zero has a sign


@intrinsic
def _fused(context: Any, a: Any, b: Any, c: Any) -> Any:
    def make(context: Any, builder: Any, signature: Any, numbers: Any) -> Any:
        return builder.fma(*numbers)

    return types.float64(types.float64, types.float64, types.float64), make


@overload(fused, inline="always")
def _of_fused(a, b, c):  # pyright: ignore  # numba compares the names of both, annotations included
    return lambda a, b, c: _fused(a, b, c)  # pyright: ignore


def cube_root(value: float) -> float:
    """The C library's in both forms; numpy's own has other last bits on processors with AVX-512."""
    return math.cbrt(value)


@overload(cube_root, inline="always")
def _of_cube_root(value):  # pyright: ignore  # as above
    return lambda value: np.cbrt(value)  # pyright: ignore


def _make(signature: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def make(function: Callable[..., Any]) -> Callable[..., Any]:
        _forget_other_sources(Path(function.__code__.co_filename).parent)
        try:
            return numba.njit(signature, cache=True)(function)
        except RuntimeError:  # neither the folder of the source nor the user's cache can be written
            return numba.njit(signature)(function)

    return make


@cache
def _forget_other_sources(folder: Path) -> None:
    """Delete what was compiled in a folder when one of its sources, or of the drivers', was another.

    numba sees a change of the file that it compiles, not of those from which that has its numbers. Where this folder cannot be
    written, nothing is kept in it.
    """
    drivers = Path(__file__).parents[2] / "drivers"
    sources = sorted((*folder.glob("*.py"), *drivers.glob("*.py")))
    digest = hashlib.sha256(b"".join(hashlib.sha256(source.read_bytes()).digest() for source in sources)).hexdigest()
    kept = folder / "__pycache__" / "compiled.sources"
    with suppress(OSError):
        if kept.is_file() and kept.read_text() == digest:
            return
        kept.parent.mkdir(exist_ok=True)
        for made in kept.parent.glob("*.nbi"):
            made.unlink(missing_ok=True)
        kept.write_text(digest)
