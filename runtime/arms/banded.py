"""Systems of linear equations whose matrix is a narrow band about its diagonal, solved alike on all processors.
Compiled; used by trajectory.py, once for each length and weight of a chunk.

A linear algebra library sums in an order that it chooses by the processor: targets differed by 4e-16 rad between two of them,
and so did a replay on another machine than the robot's. Legend: N unknowns.
"""

import numpy as np
from numpy.typing import NDArray

from runtime.host.compiled import compiled

Array = NDArray[np.float64]


@compiled("f8[:,::1](f8[:,::1],f8[:,::1],i8)")
def solved(matrix: Array, right: Array, band: int) -> Array:
    """Gaussian elimination without exchange of rows, which a diagonally dominant or positive definite matrix does not need.

    Each product and each difference is rounded by itself (IEEE 754), row after row.

    Args:
        matrix: (N, N), zero more than `band` places off its diagonal.
        right: (N, M).
        band: Places off the diagonal.

    Returns:
        (N, M): what `matrix` takes to `right`.
    """
    rows, solution = matrix.copy(), right.copy()
    count = len(rows)
    for pivot in range(count):
        end = min(pivot + band + 1, count)
        for row in range(pivot + 1, end):
            share = rows[row, pivot] / rows[pivot, pivot]
            rows[row, pivot:end] -= share * rows[pivot, pivot:end]
            solution[row] -= share * solution[pivot]
    for row in range(count - 1, -1, -1):
        for after in range(row + 1, min(row + band + 1, count)):
            solution[row] -= rows[row, after] * solution[after]
        solution[row] /= rows[row, row]
    return solution
