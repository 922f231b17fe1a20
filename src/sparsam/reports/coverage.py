"""Coverage of the prediction regions of a regression, and a test of it.

If the model is correct, the squared Mahalanobis distance r' C^-1 r of a row follows a chi-squared distribution with as
many degrees of freedom as there are observed targets. Its probability integral transform u is then uniform on [0, 1],
and rows are independent. The region that should contain a share p of the rows is u <= p; the number of rows in it is
binomial, B(n, p), exactly, for any n. A two-sided binomial test is therefore exact at each share. (This holds for
held-out rows, given the model. The covariance was computed from the training residuals, so these vary less than
chance.)

The tests of the five shares are not independent, because the regions are nested. By Bonferroni's inequality, the
probability that any of them rejects a correct model is at most the sum of their levels: each is tested at a fifth of
1 %, so all together at 1 %.
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
FALSE_ALARMS = 0.01  # probability of rejecting a correct model, over all shares
CURVE = np.linspace(0.0, 1.0, 101)


@dataclass(frozen=True)
class Coverage:
    """Observed shares of rows inside the regions that should contain given shares.

    Attributes
    ----------
    transformed : array of shape (n,)
        u of each row with at least one target, in ascending order.
    """

    transformed: Array

    @classmethod
    def of(cls, Y: Array, means: Array, C: Array) -> Self:
        """Compute the coverage from targets (NaN where missing), their predicted means and the covariance."""
        distances, n_observed = squared_distances(Y, means, C)
        has_target = n_observed > 0
        return cls(np.sort(chi2.cdf(distances[has_target], n_observed[has_target])))

    @property
    def n(self) -> int:
        """Number of rows with a target."""
        return len(self.transformed)

    def n_inside(self, share: float) -> int:
        """Count the rows inside the region that should contain a share of them."""
        return int(np.searchsorted(self.transformed, share, side="right"))

    def p_value(self, share: float) -> float:
        """Compute the p-value of the exact two-sided binomial test at a share."""
        return float(binomtest(self.n_inside(share), self.n, share).pvalue)

    def table(self) -> list[tuple[float, float, float]]:
        """List each tested share, the share observed inside, and the p-value."""
        return [(share, self.n_inside(share) / self.n, self.p_value(share)) for share in SHARES_TESTED]

    def rejected(self) -> list[tuple[float, float, float]]:
        """List the rows of the table that reject the model."""
        return [row for row in self.table() if row[2] < FALSE_ALARMS / len(SHARES_TESTED)]

    def curve(self) -> tuple[Array, Array, Array]:
        """Return shares, those observed inside, and 1.96 standard deviations of each under a correct model."""
        observed = np.searchsorted(self.transformed, CURVE, side="right") / self.n
        return CURVE, observed, 1.96 * np.sqrt(CURVE * (1 - CURVE) / self.n)


def diagnose_coverage(coverage: Coverage, part: str, *, depends_on_input: bool = False) -> Finding:
    """Report whether the covariance fits the residuals, and if not, the direction of the error.

    ``depends_on_input`` is whether rows have covariances of their own.
    """
    rejected = coverage.rejected()
    shares = ", ".join(f"{100 * share:.0f}" for share in SHARES_TESTED)
    if not rejected:
        return Finding(
            "good",
            f"The regions that should contain {shares} % of the rows agree with the {coverage.n:,} {part} rows: no "
            f"exact binomial test rejects them at {100 * FALSE_ALARMS:.0f} %, corrected for {len(SHARES_TESTED)} "
            "tests.",
        )
    share, found, p = min(rejected, key=lambda row: row[2])
    mismatch = (
        f"The region that should contain {100 * share:.0f} % of the rows contains {100 * found:.1f} % of the {part} "
        f"rows (p = {p:.1g}, one of {len(SHARES_TESTED)} tests)"
    )
    too_few, too_many = (any(sign * (found - share) > 0 for share, found, _ in rejected) for sign in (-1, 1))
    if too_few and too_many:
        return Finding("warning", f"{mismatch}: {_describe_tails(rejected, depends_on_input)}")
    if too_few:
        return Finding(
            "warning",
            f"{mismatch}: the covariance is too small. Residuals have heavier tails than a normal distribution, or the "
            "network overfits its training rows: try more weight decay or fewer units.",
        )
    return Finding(
        "warning",
        f"{mismatch}: the covariance is too large, or residuals have lighter tails than a normal distribution. "
        "Intervals are wider than necessary.",
    )


def _describe_tails(rejected: list[tuple[float, float, float]], depends_on_input: bool) -> str:
    """Describe the tails of residuals with too few rows inside at some shares and too many at others."""
    share, found, _ = max(rejected)
    if found > share:
        return (
            "residuals have lighter tails than a normal distribution: few are near 0 and hardly any are far from it, "
            "as with bounded noise."
        )
    calibrate = "With calibration_fraction, regions hold for any noise."
    if depends_on_input:
        return f"residuals have heavier tails than a normal distribution. {calibrate}"
    return (
        "one covariance does not fit all rows. Residuals have heavier tails than a normal distribution, or the noise "
        "is stronger for some rows than for others, which covariance='input' can fit. " + calibrate
    )
