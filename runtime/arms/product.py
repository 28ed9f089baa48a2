"""A matrix product that rounds alike on all processors. Compiled; used by trajectory.py.

A linear algebra library sums otherwise where a processor has no fused multiply-add, and a vector's product otherwise from one
processor to the next. Legend: N rows, M terms, K columns.
"""

import numpy as np
from numpy.typing import NDArray

from runtime.host.compiled import compiled, fused

Array = NDArray[np.float64]


@compiled("f8[:,::1](f8[:,::1],f8[:,::1])")
def product(left: Array, right: Array) -> Array:
    """left @ right: fused multiply-adds from the first term on.

    Args:
        left: (N, M).
        right: (M, K).

    Returns:
        (N, K).
    """
    made = np.zeros((left.shape[0], right.shape[1]))
    for row in range(left.shape[0]):
        for term in range(left.shape[1]):
            for column in range(right.shape[1]):
                made[row, column] = fused(left[row, term], right[term, column], made[row, column])
    return made
