"""Confidence limits of a mean over draws, and whether they contradict a claim."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import binomtest, sem, t

__all__ = ["FAMILY", "contradicts", "level_of_each", "mean_limits"]

FAMILY = 0.99  # probability that the limits of all claims in a family hold together


def level_of_each(n_claims: int) -> float:
    """Compute the level of each limit, so that `n_claims` hold together with probability `FAMILY` (Bonferroni)."""
    return 1 - (1 - FAMILY) / max(n_claims, 1)


def mean_limits(values: Sequence[float], level: float) -> tuple[float, float]:
    """Compute confidence limits of the mean of the values' distribution.

    For events, 1 or 0, these are the exact limits of Clopper and Pearson (Biometrika 26, 1934), for other numbers those
    of Student's t.
    """
    if set(values) <= {0.0, 1.0}:
        limits = binomtest(int(sum(values)), len(values)).proportion_ci(level, method="exact")
        return float(limits.low), float(limits.high)
    if len(values) < 2:
        return -np.inf, np.inf
    mean, width = np.mean(values), t.ppf((1 + level) / 2, len(values) - 1) * sem(values)
    return float(mean - width), float(mean + width)


def contradicts(values: Sequence[float], claimed: tuple[float, float], level: float = FAMILY) -> bool:
    """Return whether no mean in the claimed range is within the limits."""
    low, high = mean_limits(values, level)
    return high < claimed[0] or low > claimed[1]
