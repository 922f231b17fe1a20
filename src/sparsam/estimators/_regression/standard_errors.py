"""Standard errors of a linear regression with a noise covariance."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sparsam._utils.multivariate_normal import patterns_of

__all__ = ["linear_standard_errors"]

Array = NDArray[np.float64]


def linear_standard_errors(
    X: Array, observed: NDArray[np.bool_], sample_weight: Array | None, covariance: Array, free: NDArray[np.bool_]
) -> Array:
    """Standard errors of the free weights of a linear model, (n_features + 1, n_outputs), biases last; 0 of the others.

    With C known, minus the log-likelihood is quadratic in the weights, and its Hessian ::

        d2/(dw_ik dw_jl) = sum_n s_n x_ni x_nj (B_n)_kl,        B_n = C_oo^-1 of sample n's observed outputs, else 0

    is the information of the generalized least-squares estimate; its inverse is the estimate's covariance.
    """
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
