"""The range of a logistic output, which fits require of their data and reports check."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["UNIT_RANGE_SLACK", "outside_unit_range"]

UNIT_RANGE_SLACK = 1e-6  # rounding error of data scaled to [0, 1]


def outside_unit_range(X: NDArray[Any]) -> NDArray[np.bool_]:
    """Mark the values that are outside [0, 1] by more than rounding.

    Examples
    --------
    >>> outside_unit_range(np.array([-1e-9, 0.5, 1 + 2e-16, 1.001])).tolist()
    [False, False, False, True]
    """
    return (X < -UNIT_RANGE_SLACK) | (X > 1 + UNIT_RANGE_SLACK)
