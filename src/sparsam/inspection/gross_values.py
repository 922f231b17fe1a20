"""Find values so far from all others that a training would only memorize them: slipped decimal points."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["has_gross_value"]

FAR = 10.0  # robust deviations from the median
MOST = 0.05  # of a column's values; with more, the column has a heavy tail
NORMAL_RANGE = 1.349  # interquartile range of a normal distribution, in deviations


def has_gross_value(rows: NDArray[np.floating], far_from: float = FAR, most: float = MOST) -> NDArray[np.bool_]:
    """Return for each row whether one of its values is more than 10 robust deviations from the column's median.

    The robust deviation is the interquartile range over 1.349. Columns where that is 0, or where more than a twentieth
    of the values are so far away, are passed over; so are missing values. ``far_from`` and ``most`` are other limits.

    Examples
    --------
    >>> has_gross_value(np.array([[70.0], [66.0], [71.0], [700.0], [69.0]] * 5)[:21]).sum()
    np.int64(0)
    >>> has_gross_value(np.append(np.linspace(60, 80, 30), 700.0)[:, None])[-1]
    np.True_
    """
    with np.errstate(invalid="ignore"):
        lower, middle, upper = np.nanpercentile(rows, [25, 50, 75], axis=0)
        deviation = (upper - lower) / NORMAL_RANGE
        far = np.abs(rows - middle) > far_from * deviation
    rare = far.sum(axis=0) <= most * len(rows)
    return np.asarray((far & (rare & (deviation > 0))).any(axis=1))
