"""Regions that contain the targets of a new row with a given probability."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import chi2

from sparsam._utils.multivariate_normal import independent, squared_distances
from sparsam.estimators._regression.targets import validate_targets

__all__ = ["LEAST_ROWS", "Calibration", "PredictionRegion", "check_calibration"]

Array = NDArray[np.float64]

LEAST_ROWS = 40  # to calibrate with


@dataclass(frozen=True, eq=False)  # == of arrays has no truth value
class PredictionRegion:
    """Joint prediction regions of new targets, an ellipsoid for each sample.

    `MultivariateNormalRegressor.predict_region` makes them. The region of a sample with the mean y and the covariance C
    is ::

        (t - y)' C^-1 (t - y)  <=  radius^2

    For one target it is the interval from ``lower`` to ``upper``.

    Attributes
    ----------
    mean : array of shape (n_samples, n_outputs), or (n_samples,) if y was one-dimensional
    covariance : array of shape (n_outputs, n_outputs) or (n_samples, n_outputs, n_outputs)
        C, for all samples or for each.
    radius : float
        In standard deviations.
    coverage : float
        Probability that a region contains the targets of its sample.
    calibration : {"normal", "held-out", "cross-fitted"}
        Where the radius comes from: the normal distribution; rows that were left out, so that the coverage holds for
        any noise (split conformal); or rows held out in folds, so that it approximately does.
    """

    mean: Array
    covariance: Array
    radius: float
    coverage: float
    calibration: str

    @property
    def lower(self) -> Array:
        """Least value of each target in the region, in the shape of ``mean``."""
        return self.mean - self._half_widths()

    @property
    def upper(self) -> Array:
        """Greatest value of each target in the region, in the shape of ``mean``."""
        return self.mean + self._half_widths()

    def contains(self, y: ArrayLike) -> NDArray[np.bool_]:
        """Return whether the targets are in the regions of their samples, (n_samples,).

        Parameters
        ----------
        y : array-like, in the shape of ``mean``
            If targets of a sample are missing (NaN), the observed ones must be in the region for these targets, whose
            radius has the same probability under the normal distribution. Without any target it is in the region.

        Raises
        ------
        ValueError
            If the shape is another.
        """
        means = self.mean.reshape(len(self.mean), -1)
        Y, _ = validate_targets(y, means)
        if Y.shape != means.shape:
            raise ValueError(f"y must have the shape {self.mean.shape} of the regions' means, got {np.shape(y)}")
        distances, n_observed = squared_distances(Y, means, self.covariance)
        limits = equivalent(np.full(len(Y), self.radius**2), int(independent(self.covariance).sum()), n_observed)
        return np.asarray(distances <= limits)

    def _half_widths(self) -> Array:
        # max (t - y)_k on the ellipsoid is radius sqrt(C_kk), by Cauchy & Schwarz.
        deviations = np.sqrt(np.diagonal(self.covariance, axis1=-2, axis2=-1))
        return np.asarray(self.radius * (deviations if self.mean.ndim > 1 else deviations[..., 0]))


@dataclass(frozen=True)
class Calibration:
    """Squared Mahalanobis distances of calibration rows from their predictions, in order (split conformal prediction).

    If the calibration rows and a new row are exchangeable, the rank of the new row's distance among all n + 1 is
    uniform. So it is at most the ceil((n + 1) coverage)-th of the n distances with at least this probability (Lei et
    al., "Distribution-free predictive inference for regression", JASA 113, 2018, theorem 2.2).

    Attributes
    ----------
    distances : array of shape (n_rows,)
        Ascending; those of rows with missing targets are converted by `equivalent`.
    weights : array of shape (n_rows,)
        A weight of k counts as k rows.
    """

    distances: Array
    weights: Array

    @classmethod
    def of(cls, Y: Array, means: Array, covariance: Array, weights: Array) -> Calibration:
        """Compute the distances of targets from their means; rows without a target do not count."""
        distances, n_observed = squared_distances(Y, means, covariance)
        seen = (n_observed > 0) & (weights > 0)
        distances = equivalent(distances[seen], n_observed[seen], int(independent(covariance).sum()))
        order = np.argsort(distances)
        return cls(distances[order], weights[seen][order])

    @classmethod
    def pooled(cls, parts: list[Calibration]) -> Calibration:
        """Combine the rows of several parts."""
        distances, weights = (
            np.concatenate([getattr(part, name) for part in parts]) for name in ("distances", "weights")
        )
        order = np.argsort(distances, kind="stable")
        return cls(distances[order], weights[order])

    def squared_radius(self, coverage: float) -> float:
        """Return the distance that is exceeded with a probability of at most 1 - coverage.

        Raises
        ------
        ValueError
            If there are too few calibration rows for this coverage.
        """
        n = float(self.weights.sum())
        rank = int(np.searchsorted(np.cumsum(self.weights), (n + 1) * coverage * (1 - 1e-12)))
        if rank >= len(self.distances):
            raise ValueError(
                f"{n:g} calibration rows do not suffice for coverage={coverage:g}, which needs at least "
                f"{int(np.ceil(coverage / (1 - coverage) * (1 - 1e-12)))}: lower coverage, use more rows or, unless "
                "calibration_fraction is 'cross-fitted', increase calibration_fraction"
            )
        return float(self.distances[rank])


def check_calibration(distances: Array | None, weights: Array | None) -> None:
    """Raise ValueError unless the distances and weights of calibration rows fit together."""
    if distances is None and weights is None:
        return
    if distances is None or weights is None or distances.ndim != 1 or distances.shape != weights.shape:
        raise ValueError("its calibration is incomplete")
    if not (np.all(np.diff(distances) >= 0) and np.all(distances >= 0) and np.all(weights > 0)):
        raise ValueError("the distances of its calibration rows are not in order, or weights are not positive")


def equivalent(distances: Array, n_from: NDArray[np.intp] | int, n_to: NDArray[np.intp] | int) -> Array:
    """Convert squared distances in some dimensions to those with the same probability in others, if data are normal."""
    n_from, n_to = np.broadcast_to(n_from, distances.shape), np.broadcast_to(n_to, distances.shape)
    converted = chi2.isf(chi2.sf(distances, np.maximum(n_from, 1)), np.maximum(n_to, 1))
    return np.where(n_from == n_to, distances, np.where(n_to == 0, 0.0, converted))
