"""Standard errors of a linear regression with a noise covariance."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import qr

from sparsam._utils.multivariate_normal import independent, patterns_of

__all__ = ["check_at_minimum", "check_determined", "count_determined", "linear_standard_errors"]

Array = NDArray[np.float64]


AT_MINIMUM = 1e-5  # largest gradient of J, for scaled targets, at which statistics treat a fit as a minimum


def check_at_minimum(gradient_norm: float, stop_reason: str, which: str = "the fit") -> None:
    """Raise ValueError unless a fit is at the minimum, whatever its tol was."""
    if gradient_norm > AT_MINIMUM:
        raise ValueError(
            f"{which} did not converge to the minimum, which this statistic needs: it stopped for {stop_reason!r} at a "
            f"gradient of {gradient_norm:.2g}, above {AT_MINIMUM:g}. Fit with a larger max_iter, and tol at most "
            f"{AT_MINIMUM:g}, without early stopping"
        )


def linear_standard_errors(
    X: Array, observed: NDArray[np.bool_], sample_weight: Array | None, covariance: Array, free: NDArray[np.bool_]
) -> Array:
    """Compute standard errors of the weights of a linear model, (n_features + 1, n_outputs), with biases last.

    They are 0 for weights that are not free, and NaN for outputs that are linear combinations of others.

    With C known, minus the log-likelihood is quadratic in the weights, and its Hessian ::

        d2/(dw_ik dw_jl) = sum_n s_n x_ni x_nj (B_n)_kl,        B_n = C_oo^-1 for sample n's observed outputs, else 0

    is the information of the generalized least-squares estimate; its inverse is the estimate's covariance.
    """
    own = independent(np.nan_to_num(covariance))
    if not own.all():
        errors = np.full(free.shape, np.nan)
        errors[:, own] = linear_standard_errors(
            X, observed[:, own], sample_weight, covariance[np.ix_(own, own)], free[:, own]
        )
        return errors
    X = np.hstack([X, np.ones((len(X), 1))])
    n_inputs, n_outputs = X.shape[1], observed.shape[1]
    s = np.ones(len(X)) if sample_weight is None else sample_weight
    patterns, pattern_of_row = patterns_of(np.where(observed, 0.0, np.nan))
    information = np.zeros((n_inputs, n_outputs, n_inputs, n_outputs))
    for p, o in enumerate(patterns):
        rows = pattern_of_row == p
        B = np.zeros((n_outputs, n_outputs))
        B[np.ix_(o, o)] = np.linalg.inv(covariance[np.ix_(o, o)])
        information += np.einsum("ij,kl->ikjl", (s[rows, None] * X[rows]).T @ X[rows], B)
    errors = np.zeros((n_inputs, n_outputs))
    matrix = information.reshape(errors.size, -1)[np.ix_(free.ravel(), free.ravel())]
    errors[free] = np.sqrt(np.diag(np.linalg.inv(matrix)))
    return errors


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
