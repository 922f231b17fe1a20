"""Coverage of the regions in which a regression expects its targets, and a test of it.

If the model is right, the squared Mahalanobis distance r' C^-1 r of a row follows chi-squared with as many degrees of
freedom as targets are observed, so its distribution function u there (the probability integral transform) is uniform
on [0, 1], and rows are independent. The region that should hold a share p of the rows is u <= p. The number of rows in
it is binomial, B(n, p), exactly, for any n. So its two-sided binomial test is exact at each share. (That is of rows
held out, given the model. Residuals of the training made the covariance, and vary less than chance has it.)

Five shares are tested, not independently: the regions lie within each other. The chance that any of five tests
rejects a right model is at most the sum of their levels (Bonferroni), whatever depends on what: each is tested at a
fifth of 1 %, all together at 1 %.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, chi2

from sparsam._utils.multivariate_normal import squared_distances
from sparsam.reports.diagnostics import Finding

__all__ = ["SHARES_TESTED", "Coverage", "diagnose_coverage"]

Array = NDArray[np.float64]

SHARES_TESTED = (0.5, 0.8, 0.9, 0.95, 0.99)
FALSE_ALARMS = 0.01  # chance that a right model is found wrong, over all shares
CURVE = np.linspace(0.0, 1.0, 101)


@dataclass(frozen=True)
class Coverage:
    """How many rows lie inside the regions that should hold a share of them.

    Attributes
    ----------
    transformed : array of shape (n,)
        u of each row with any target, in ascending order.
    """

    transformed: Array

    @classmethod
    def of(cls, Y: Array, means: Array, C: Array) -> Self:
        """Judge targets, NaN where missing, by their means and a covariance."""
        distances, n_observed = squared_distances(Y, means, C)
        judged = n_observed > 0
        return cls(np.sort(chi2.cdf(distances[judged], n_observed[judged])))

    @property
    def n(self) -> int:
        """Number of rows that are judged."""
        return len(self.transformed)

    def n_inside(self, share: float) -> int:
        """Return how many rows are inside the region that should hold a share of them."""
        return int(np.searchsorted(self.transformed, share, side="right"))

    def p_value(self, share: float) -> float:
        """Return the chance of a number inside that is as improbable, of a right model: two-sided, exact."""
        return float(binomtest(self.n_inside(share), self.n, share).pvalue)

    def table(self) -> list[tuple[float, float, float]]:
        """Return of each share that is tested: the share, that found inside, the p-value."""
        return [(share, self.n_inside(share) / self.n, self.p_value(share)) for share in SHARES_TESTED]

    def rejected(self) -> list[tuple[float, float, float]]:
        """Return the rows of the table at which the model is rejected."""
        return [row for row in self.table() if row[2] < FALSE_ALARMS / len(SHARES_TESTED)]

    def curve(self) -> tuple[Array, Array, Array]:
        """Return shares, those found inside, and 1.96 standard deviations of a single one if the model is right."""
        observed = np.searchsorted(self.transformed, CURVE, side="right") / self.n
        return CURVE, observed, 1.96 * np.sqrt(CURVE * (1 - CURVE) / self.n)


def diagnose_coverage(coverage: Coverage, part: str) -> Finding:
    """Say whether the covariance is to be believed, and if not, in which direction it errs."""
    rejected = coverage.rejected()
    shares = ", ".join(f"{100 * share:.0f}" for share in SHARES_TESTED)
    if not rejected:
        return Finding(
            "good",
            f"The regions that should hold {shares} % of the rows {part} do so, as far as {coverage.n:,} rows tell: no "
            f"exact binomial test rejects it at {100 * FALSE_ALARMS:.0f} %, corrected for {len(SHARES_TESTED)} tests.",
        )
    share, found, p = min(rejected, key=lambda row: row[2])
    said = (
        f"The region that should hold {100 * share:.0f} % of the rows holds {100 * found:.1f} % of those {part} "
        f"(p = {p:.1g}, of {len(SHARES_TESTED)} shares)"
    )
    too_few, too_many = (any(sign * (found - share) > 0 for share, found, _ in rejected) for sign in (-1, 1))
    if too_few and too_many:
        return Finding(
            "warning",
            f"{said}: {_shape_of_tails(rejected)}",
        )
    if too_few:
        return Finding(
            "warning",
            f"{said}: the covariance promises more than it keeps. Residuals have heavier tails than a normal "
            "distribution, or the network has learned its training rows by heart: more weight decay, fewer units.",
        )
    return Finding(
        "warning",
        f"{said}: the covariance is larger than the residuals, or these have lighter tails than a normal distribution. "
        "Intervals are wider than they need be.",
    )


def _shape_of_tails(rejected: list[tuple[float, float, float]]) -> str:
    """Say how residuals differ from normal ones, of which too few are inside at some shares, and too many at others."""
    share, found, _ = max(rejected)
    if found > share:
        return (
            "residuals have lighter tails than a normal distribution: few are near 0, and hardly any far off, as where "
            "noise is bounded."
        )
    return (
        "one covariance does not suit all rows. Residuals have heavier tails than a normal distribution, or the noise "
        "is stronger for some rows than for others."
    )
