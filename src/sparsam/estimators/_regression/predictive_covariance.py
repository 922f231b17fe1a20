"""The covariance of new targets about their predictions, which is larger than that of the residuals of the fit.

A fit takes the residuals of its own targets down; those of new targets hold the error of the predictions besides. For
networks they are estimated in folds (`out_of_fold`). A linear model has a closed correction: least squares with p
weights on n samples of normal inputs leaves residuals of mean square (1 - p/n) sigma^2, and predicts new targets with
an error of sigma^2 (1 + 1/n) (n - 2)/(n - p - 1), so that their ratio is, but for terms of 1/n^2, ::

    1/(1 - p/n)^2

which is generalized cross-validation's (Craven & Wahba, "Smoothing noisy data with spline functions", Numerische
Mathematik 31, 1979). With weight decay p becomes the trace of the hat matrix: of an output k with the free inputs' mean
products G, less those of the means, ::

    p_k = 1 + tr (G + alpha C_kk I)^-1 G

(exact where C is diagonal).
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
    """Covariance of new targets about their predictions, in the units of y."""

    def of(self, covariance: Array) -> Array:
        """Make it of the covariance of a fit."""


@dataclass(frozen=True)
class Unchanged:
    """That of the fit itself."""

    def of(self, covariance: Array) -> Array:
        """Return it."""
        return covariance


@dataclass(frozen=True)
class OutOfFoldCovariance:
    """That of residuals held out, whatever the fit's is."""

    estimate: Array

    def of(self, covariance: Array) -> Array:
        """Return the estimate."""
        return self.estimate


@dataclass(frozen=True)
class LinearInflation:
    """That of a linear model, by degrees of freedom.

    Attributes
    ----------
    spherical : bool
        Whether all outputs have one variance, and so one factor.
    n_samples : array of shape (n_outputs,)
        Samples that have each output.
    products : list of arrays
        G of each output, of its free inputs.
    alpha : float
        Weight decay.
    scale : array of shape (n_outputs,)
        Of the targets.
    """

    spherical: bool
    n_samples: Array
    products: list[Array]
    alpha: float
    scale: Array

    def of(self, covariance: Array) -> Array:
        """Multiply by 1/((1 - p_k/n_k)(1 - p_l/n_l))."""
        shares = np.diag(covariance) / self.scale**2
        degrees = np.array([_degrees(G, self.alpha * share) for G, share in zip(self.products, shares, strict=True)])
        n, p = self.n_samples, degrees
        if self.spherical:
            n, p = np.full_like(n, n.sum()), np.full_like(p, p.sum())
        factors = n / np.maximum(n - p, 1.0)
        return np.asarray(covariance * np.outer(factors, factors))


def _degrees(G: Array, decay: float) -> float:
    """1 + tr (G + decay I)^-1 G, with columns that others determine left out, whatever units they are in."""
    curvature = G + decay * np.eye(len(G))
    deviations = np.sqrt(np.diag(curvature))
    unit = np.outer(*2 * [np.where(deviations > 0, deviations, 1.0)])
    return 1 + float(np.sum(np.linalg.pinv(curvature / unit, rcond=1e-12, hermitian=True) * (G / unit)))


def out_of_fold_covariance(
    error: ProfileGaussianError, folds: OutOfFold, observed: NDArray[np.bool_], scale: Array
) -> OutOfFoldCovariance:
    """Make it of held-out residuals, with the structure and the prior of the fit; by EM where targets are missing."""
    return OutOfFoldCovariance(most_likely(error, folds.counts, folds.products, observed) * np.outer(scale, scale))


def linear_inflation(
    structure: str, dataset: Dataset, mask: Array | None, alpha: float, scale: Array
) -> LinearInflation:
    """Count the samples of each output, and find the products of its inputs: two passes over the data."""
    n_outputs = len(scale)
    free = np.ones((dataset.n_features, n_outputs)) if mask is None else mask
    mean = dataset.mean(lambda batch: batch.inputs).astype(np.float64)
    weights, sums, products = dataset.sum(partial(_input_moments, mean))
    n_samples = dataset.n_samples * weights / dataset.total_weight
    free_products = []
    for k in range(n_outputs):
        used = np.flatnonzero(free[:, k])
        own_mean = sums[k, used] / weights[k]  # of the rows that have the output, about that of all
        G = products[k][np.ix_(used, used)] / weights[k] - np.outer(own_mean, own_mean)
        free_products.append(G)
    return LinearInflation(structure == "spherical", n_samples, free_products, alpha, scale)


def _input_moments(mean: Array, batch: Batch) -> tuple[Array, Array, Array]:
    seen = batch.weights[:, None] * ~np.isnan(batch.targets)
    X = np.asarray(batch.inputs, np.float64) - mean
    same = np.all(seen == seen[:, :1])  # nothing missing: one product serves all outputs
    products = [(s[:, None] * X).T @ X for s in (seen.T[:1] if same else seen.T)]
    return seen.sum(axis=0), seen.T @ X, np.stack(products * (seen.shape[1] if same else 1))
