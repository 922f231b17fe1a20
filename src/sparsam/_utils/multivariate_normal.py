"""The multivariate normal distribution with missing variables (NaN): densities and conditional distributions.

The observed variables are normal with their block of the covariance (PRML eq. 2.98). The missing ones given the
observed ones are normal too (eq. 2.96 and 2.97).

If the covariance is singular, some variables are linear combinations of those before them. They carry no information
beyond the others, so densities and conditional distributions use the others only. A NaN in the covariance marks an
unknown entry; a computation that needs it raises ValueError.

A covariance is the same for all rows, (n_variables, n_variables), or one for each row, (n_samples, n_variables,
n_variables); then the same variables are linear combinations in all rows.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, solve_triangular

__all__ = [
    "condition",
    "factor",
    "in_mean_deviations",
    "independent",
    "log_density",
    "patterns_of",
    "squared_distances",
]

Array = NDArray[np.float64]


def patterns_of(Y: NDArray[np.floating]) -> tuple[NDArray[np.bool_], NDArray[np.intp]]:
    """Return the patterns of observed outputs, (n_patterns, n_outputs), and the pattern of each row, (n_samples,)."""
    patterns, pattern_of_row = np.unique(~np.isnan(Y), axis=0, return_inverse=True)
    return patterns, pattern_of_row.ravel()


def independent(C: Array) -> NDArray[np.bool_]:
    """Mark variables that are neither constant nor linear combinations of those before them, (n_variables,).

    Of the covariances of several rows the first one is examined, since all mark the same.

    Examples
    --------
    >>> independent(np.array([[1.0, 2.0, 0.0], [2.0, 4.0, 0.0], [0.0, 0.0, 1.0]])).tolist()
    [True, False, True]
    """
    C = C if C.ndim == 2 else C[0]
    kept: list[int] = []
    L = np.zeros_like(C, dtype=np.float64)
    tolerance = 16 * len(C) * np.finfo(np.float64).eps
    for k in range(len(C)):
        row = solve_triangular(L[np.ix_(kept, kept)], C[kept, k], lower=True) if kept else np.zeros(0)
        conditional_variance = C[k, k] - row @ row  # given the variables kept so far
        if conditional_variance > tolerance * C[k, k]:
            L[k, kept], L[k, k] = row, np.sqrt(conditional_variance)
            kept.append(k)
    return np.isin(np.arange(len(C)), kept)


def factor(C: Array) -> Array:
    """Compute L with C = L L', (n_variables, rank): a Cholesky factor with a column for each independent variable."""
    check_known(C)
    kept = independent(C)
    root: Array = np.linalg.cholesky(C[np.ix_(kept, kept)]).astype(np.float64, copy=False)
    if kept.all():
        return root
    L = np.zeros((len(C), int(kept.sum())))
    L[kept] = root
    L[~kept] = solve_triangular(root, C[np.ix_(kept, ~kept)], lower=True).T
    return L


def check_known(C: Array) -> None:
    """Raise ValueError, naming a pair of outputs, if the covariance contains NaN."""
    unknown = np.argwhere(np.isnan(C))
    if len(unknown):
        i, j = sorted(unknown[0])
        raise ValueError(
            f"this needs the covariance of the outputs {i} and {j}, which were never observed together: it is "
            "unknown. Fit with covariance='diag', or with a covariance_prior"
        )


def log_density(Y: Array, means: Array, covariance: Array) -> Array:
    """Compute ln N(y_n | mean_n, C) of the observed outputs of each row of Y, (n_samples,).

    Examples
    --------
    >>> density = log_density(np.array([[1.0, np.nan]]), np.zeros((1, 2)), np.eye(2))
    >>> density.round(4).tolist()  # -1/2 - ln(2 pi)/2
    [-1.4189]
    """
    densities = np.zeros(len(Y))
    for rows, diagonal, squares in _whitened(Y, means, covariance):
        # -1/2 [u'u + 2 sum_k ln L_kk + K ln 2 pi]
        constant = 2 * np.sum(np.log(diagonal), axis=-1) + diagonal.shape[-1] * np.log(2 * np.pi)
        densities[rows] = -0.5 * (squares + constant)
    return densities


def squared_distances(Y: Array, means: Array, covariance: Array) -> tuple[Array, NDArray[np.intp]]:
    """Compute squared Mahalanobis distances r' C^-1 r of each row's observed outputs, and count these outputs.

    For normal residuals with this covariance, a distance follows the chi-squared distribution whose degrees of freedom
    are that count.

    Returns
    -------
    distances : array of shape (n_samples,)
        0 where no output is observed.
    n_observed : array of int, (n_samples,)
        If C is singular, only independent outputs count.

    Examples
    --------
    >>> distances, n_observed = squared_distances(np.array([[2.0, np.nan]]), np.zeros((1, 2)), 4 * np.eye(2))
    >>> distances.tolist(), n_observed.tolist()
    ([1.0], [1])
    """
    distances, n_observed = np.zeros(len(Y)), np.zeros(len(Y), np.intp)
    for rows, diagonal, squares in _whitened(Y, means, covariance):
        distances[rows], n_observed[rows] = squares, diagonal.shape[-1]
    return distances, n_observed


def in_mean_deviations(residuals: Array, covariances: Array, mean: Array) -> Array:
    """Scale the residuals of samples with different covariances to the deviations of the mean covariance.

    Pictures of them can then have one scale.

    Examples
    --------
    >>> in_mean_deviations(np.ones((2, 1)), np.array([[[1.0]], [[16.0]]]), np.array([[4.0]])).ravel().tolist()
    [2.0, 0.5]
    """
    variances = np.diagonal(covariances, axis1=-2, axis2=-1)
    ratios = np.divide(np.diag(mean), variances, out=np.ones(variances.shape), where=variances > 0)
    return np.asarray(residuals * np.sqrt(ratios))


def condition(Y: Array, means: Array, covariance: Array) -> tuple[Array, Array]:
    """Compute means and standard deviations of the missing entries of Y given the observed ones of their rows.

    Returns
    -------
    filled : array of shape (n_samples, n_outputs)
        Y with its missing entries filled: mean_m + C_mo C_oo^-1 (y_o - mean_o) (PRML eq. 2.96).
    deviations : array of shape (n_samples, n_outputs)
        Square roots of the diagonal of C_mm - C_mo C_oo^-1 C_om (eq. 2.82), 0 where Y is observed.

    Examples
    --------
    >>> filled, deviations = condition(np.array([[1.0, np.nan]]), np.zeros((1, 2)), np.array([[1.0, 0.6], [0.6, 1.0]]))
    >>> filled.tolist(), deviations.round(4).tolist()
    ([[1.0, 0.6]], [[0.0, 0.8]])
    """
    filled, deviations = Y.copy(), np.zeros(Y.shape)
    for rows, o in _rows_by_pattern(Y):
        m = ~o
        if not m.any():
            continue
        C = _of_rows(covariance, rows)
        o = _independent_of(C, o)
        _check_block(C, m, o)
        C_om = _block(C, o, m)
        slope = np.swapaxes(_solve(_block(C, o, o), C_om), -1, -2)  # C_mo C_oo^-1
        r = Y[np.ix_(rows, o)] - means[np.ix_(rows, o)]
        explained = r @ slope.T if C.ndim == 2 else np.einsum("nij,nj->ni", slope, r)
        filled[np.ix_(rows, m)] = means[np.ix_(rows, m)] + explained
        variances = np.diagonal(_block(C, m, m) - slope @ C_om, axis1=-2, axis2=-1)
        deviations[np.ix_(rows, m)] = np.sqrt(np.maximum(variances, 0))
    return filled, deviations


def _solve(C: Array, columns: Array) -> Array:
    """Compute C^-1 times columns for a positive definite C, or for one of each row."""
    if C.ndim > 2 or not len(C):
        return np.asarray(np.linalg.solve(C, columns))
    return np.asarray(cho_solve(cho_factor(C), columns))


def _whitened(Y: Array, means: Array, covariance: Array) -> Iterator[tuple[NDArray[np.intp], Array, Array]]:
    """Yield each pattern's rows, the diagonal of L with C = L L' for the observed outputs, and u'u, u = L^-1 r."""
    for rows, o in _rows_by_pattern(Y):
        C = _of_rows(covariance, rows)
        o = _independent_of(C, o)
        if o.any():
            # scipy.stats.multivariate_normal refuses a nearly singular C, which may well occur here.
            L = np.linalg.cholesky(_block(C, o, o)).astype(np.float64, copy=False)
            r = Y[np.ix_(rows, o)] - means[np.ix_(rows, o)]
            u = np.linalg.solve(L, r[:, :, None])[:, :, 0] if L.ndim > 2 else solve_triangular(L, r.T, lower=True).T
            yield rows, np.diagonal(L, axis1=-2, axis2=-1), np.sum(u**2, axis=1)


def _of_rows(covariance: Array, rows: NDArray[np.intp]) -> Array:
    """Select the covariances of some rows."""
    return covariance[rows] if covariance.ndim > 2 else covariance


def _block(C: Array, rows: NDArray[np.bool_], columns: NDArray[np.bool_]) -> Array:
    return C[..., rows, :][..., columns]


def _independent_of(C: Array, o: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Mark the observed variables that are independent of those before them."""
    _check_block(C, o, o)
    kept = o.copy()
    kept[o] = independent(_block(C, o, o))
    return kept


def _check_block(C: Array, rows: NDArray[np.bool_], columns: NDArray[np.bool_]) -> None:
    if C.ndim > 2:
        return  # no entry of a covariance that depends on the row is unknown
    block = np.zeros_like(C)
    block[np.ix_(rows, columns)] = C[np.ix_(rows, columns)]
    check_known(block)


def _rows_by_pattern(Y: Array) -> Iterator[tuple[NDArray[np.intp], NDArray[np.bool_]]]:
    patterns, pattern_of_row = patterns_of(Y)
    for p, observed in enumerate(patterns):
        yield np.flatnonzero(pattern_of_row == p), observed
