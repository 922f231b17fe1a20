"""Covariance of the coefficients of a linear regression, and whether the data determine them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import qr

from sparsam._utils.multivariate_normal import independent
from sparsam.estimators._regression.coefficient_scale import CoefficientScale
from sparsam.estimators._regression.generalized_least_squares import coefficient_covariance
from sparsam.estimators._regression.stacked_equations import Precision, StackedEquations

__all__ = ["check_at_minimum", "check_determined", "count_determined", "linear_covariance"]

Array = NDArray[np.float64]


AT_MINIMUM = 1e-5  # largest gradient of J, for scaled targets, at which statistics treat a fit as a minimum


def check_at_minimum(gradient_norm: float, stop_reason: str, which: str = "the fit") -> None:
    """Raise ValueError unless a fit is at the minimum, whatever its tol was."""
    if gradient_norm > AT_MINIMUM:
        raise ValueError(
            f"{which} did not converge to the minimum, which this statistic needs: it stopped with stop_reason_ "
            f"{stop_reason!r} at a gradient norm of {gradient_norm:.2g}, above {AT_MINIMUM:g}. Fit with a larger "
            f"max_iter, and tol at most {AT_MINIMUM:g}, without early stopping"
        )


def linear_covariance(
    X: Array,
    residuals: Array,
    sample_weight: Array | None,
    covariance: Array,
    free: NDArray[np.bool_],
    kind: str = "unadjusted",
) -> Array:
    """Compute the covariance matrix of the coefficients of a linear model, with C taken as known.

    Parameters
    ----------
    X : array of shape (n_samples, n_features)
    residuals : array of shape (n_samples, n_outputs)
        NaN where a target is missing.
    sample_weight : array of shape (n_samples,) or None
    covariance : array of shape (n_outputs, n_outputs)
        C.
    free : array of shape (n_outputs, n_features + 1)
        True where there is a coefficient; intercepts are last.
    kind : {"unadjusted", "robust"}, default "unadjusted"
        See `coefficient_covariance`.

    Returns
    -------
    array of shape (n_coefficients, n_coefficients)
        In C order of the free coefficients; NaN for outputs that are linear combinations of others.
    """
    own = independent(np.nan_to_num(covariance))
    s = np.ones(len(X)) if sample_weight is None else sample_weight
    scale = CoefficientScale.of_inputs(X, int(own.sum()), s)
    equations = StackedEquations(scale.scaled_inputs(X), s, free[own])
    residuals = residuals[:, own]
    precision = Precision.of(covariance[np.ix_(own, own)], ~np.isnan(residuals))
    T, _ = scale.to_units(free[own])
    known = own[np.nonzero(free)[0]]
    V = np.full((len(known), len(known)), np.nan)
    V[np.ix_(known, known)] = coefficient_covariance(equations, precision, residuals, kind, T=T)
    return V


def check_determined(
    X: Array, observed: NDArray[np.bool_], sample_weight: Array | None, free: NDArray[np.bool_]
) -> None:
    """Raise ValueError if inputs are constant or linearly dependent, so that their weights are not determined."""
    for output, (constant, dependent) in enumerate(_undetermined(X, observed, sample_weight, free)):
        kind = "constant" if len(constant) else "linear combinations of the others"
        columns = constant if len(constant) else dependent
        if len(columns):
            raise ValueError(
                f"the columns {', '.join(map(str, columns))} of X are {kind} for output {output}: their weights are "
                "not determined and have no standard errors. Remove these columns"
            )


def count_determined(
    X: Array, observed: NDArray[np.bool_], sample_weight: Array | None, free: NDArray[np.bool_]
) -> int:
    """Count the free weights that the data determine."""
    return int(free.sum()) - sum(map(len, itertools.chain(*_undetermined(X, observed, sample_weight, free))))


def _undetermined(
    X: Array, observed: NDArray[np.bool_], sample_weight: Array | None, free: NDArray[np.bool_]
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Yield, for each output, the constant columns of X, and the columns that depend linearly on the others."""
    X = np.hstack([X, np.ones((len(X), 1))])
    counts = np.ones(len(X), bool) if sample_weight is None else sample_weight > 0
    for output, seen in enumerate(observed.T):
        yield _dependent_columns(X[seen & counts], np.flatnonzero(free[:, output]))


def _dependent_columns(X: Array, columns: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return which of the given columns are constant, and which are beyond the rank; the last column is the bias."""
    chosen = X[:, columns]
    varying = chosen - np.where(columns == X.shape[1] - 1, 0.0, chosen.mean(axis=0))
    norms = np.linalg.norm(varying, axis=0)
    # Smaller norms are rounding of a constant.
    varies = norms > 1e-12 * np.linalg.norm(chosen, axis=0)
    _, R, order = qr(varying[:, varies] / norms[varies], mode="economic", pivoting=True)
    rank = int((np.abs(np.diag(R)) > 1e-10).sum())
    return columns[~varies], np.sort(columns[varies][order[rank:]])
