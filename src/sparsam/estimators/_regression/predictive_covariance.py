"""Covariance of new targets about their predictions, which is larger than that of the training residuals.

A fit minimizes the residuals of its own targets; those of new targets also contain the error of the predictions. For
networks their covariance is estimated in folds (`out_of_fold`). For a linear model it has a closed form: least squares
with p weights on n samples of normal inputs has residuals with mean square (1 - p/n) sigma^2, and predicts new targets
with a mean squared error of sigma^2 (1 + 1/n) (n - 2)/(n - p - 1). Up to terms of 1/n^2 their ratio is ::

    1/(1 - p/n)^2

the factor of generalized cross-validation (Craven & Wahba, "Smoothing noisy data with spline functions", Numerische
Mathematik 31, 1979). With weight decay p becomes the trace of the hat matrix: for output k, with the covariance G of
its free inputs, ::

    p_k = 1 + tr (G + alpha C_kk I)^-1 G

(exact if C is diagonal).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sparsam.engine.data.batch import Batch
from sparsam.engine.objective.error_functions import ProfileGaussianError
from sparsam.estimators._data.dataset import Dataset
from sparsam.estimators._regression.noise_covariance import most_likely
from sparsam.estimators._regression.out_of_fold import OutOfFold

__all__ = ["PredictiveCovariance", "Unchanged", "linear_inflation", "out_of_fold_covariance"]

Array = NDArray[np.float64]


class PredictiveCovariance(Protocol):
    """Estimator of the covariance of new targets about their predictions, in the units of y."""

    def of(self, covariance: Array) -> Array:
        """Compute the estimate from the covariance of the training residuals."""


@dataclass(frozen=True)
class Unchanged:
    """Use the covariance of the training residuals."""

    def of(self, covariance: Array) -> Array:
        """Return the argument."""
        return covariance


@dataclass(frozen=True)
class OutOfFoldCovariance:
    """Use the covariance of held-out residuals, which does not depend on that of the training residuals."""

    estimate: Array

    def of(self, covariance: Array) -> Array:
        """Return the estimate."""
        return self.estimate


@dataclass(frozen=True)
class LinearInflation:
    """Correct the covariance of a linear model's training residuals for its degrees of freedom.

    Attributes
    ----------
    spherical : bool
        Whether all outputs have the same variance, and so the same factor.
    n_samples : array of shape (n_outputs,)
        Number of samples with each output.
    products : list of arrays
        G for each output.
    alpha : float
        Weight decay.
    scale : array of shape (n_outputs,)
        Scale of the targets.
    """

    spherical: bool
    n_samples: Array
    products: list[Array]
    alpha: float
    scale: Array

    def of(self, covariance: Array) -> Array:
        """Multiply the covariance by 1/((1 - p_k/n_k)(1 - p_l/n_l))."""
        shares = np.diag(covariance) / self.scale**2
        degrees = np.array([_degrees(G, self.alpha * share) for G, share in zip(self.products, shares, strict=True)])
        n, p = self.n_samples, degrees
        if self.spherical:
            n, p = np.full_like(n, n.sum()), np.full_like(p, p.sum())
        factors = n / np.maximum(n - p, 1.0)
        return np.asarray(covariance * np.outer(factors, factors))


def _degrees(G: Array, decay: float) -> float:
    """Compute 1 + tr (G + decay I)^-1 G in any units; redundant columns do not count, thanks to a pseudo-inverse."""
    curvature = G + decay * np.eye(len(G))
    deviations = np.sqrt(np.diag(curvature))
    unit = np.outer(*2 * [np.where(deviations > 0, deviations, 1.0)])
    return 1 + float(np.sum(np.linalg.pinv(curvature / unit, rcond=1e-12, hermitian=True) * (G / unit)))


def out_of_fold_covariance(
    error: ProfileGaussianError, folds: OutOfFold, observed: NDArray[np.bool_], scale: Array
) -> OutOfFoldCovariance:
    """Estimate the covariance of held-out residuals by the fit's structure and prior; by EM if targets are missing."""
    return OutOfFoldCovariance(most_likely(error, folds.counts, folds.products, observed) * np.outer(scale, scale))


def linear_inflation(
    structure: str, dataset: Dataset, mask: Array | None, alpha: float, scale: Array
) -> LinearInflation:
    """Count the samples of each output, and compute G of its free inputs, in two passes over the data."""
    n_outputs = len(scale)
    free = np.ones((dataset.n_features, n_outputs)) if mask is None else mask
    mean = dataset.mean(lambda batch: batch.inputs).astype(np.float64)
    weights, sums, products = dataset.sum(partial(_input_moments, mean))
    n_samples = dataset.n_samples * weights / dataset.total_weight
    free_products = []
    for k in range(n_outputs):
        used = np.flatnonzero(free[:, k])
        own_mean = sums[k, used] / weights[k]  # over the rows with output k, relative to the mean of all rows
        G = products[k][np.ix_(used, used)] / weights[k] - np.outer(own_mean, own_mean)
        free_products.append(G)
    return LinearInflation(structure == "spherical", n_samples, free_products, alpha, scale)


def _input_moments(mean: Array, batch: Batch) -> tuple[Array, Array, Array]:
    seen = batch.weights[:, None] * ~np.isnan(batch.targets)
    X = np.asarray(batch.inputs, np.float64) - mean
    same = np.all(seen == seen[:, :1])  # no targets are missing, so that all outputs have the same product
    products = [(s[:, None] * X).T @ X for s in (seen.T[:1] if same else seen.T)]
    return seen.sum(axis=0), seen.T @ X, np.stack(products * (seen.shape[1] if same else 1))
