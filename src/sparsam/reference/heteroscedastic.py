"""Gaussian noise with a covariance that depends on the input; targets may be missing."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from sparsam.reference.activations import Array
from sparsam.reference.gaussian import patterns_of

__all__ = ["covariances", "heteroscedastic_error"]


def heteroscedastic_error(
    output_activation: str, y: Array, t: Array, s: Array, factor: ArrayLike
) -> tuple[float, Array]:
    """Compute minus the mean log density of the targets, and delta_n = dE_n/da_n at linear outputs y = a.

    The outputs are K means, K log deviations d and K (K - 1)/2 coefficients o of `covariances`. A missing target is
    NaN.
    """
    if output_activation != "identity":
        raise ValueError(f"no derivation for gaussian noise with {output_activation!r} outputs, only identity ones")
    K = t.shape[1]
    L, T_inverse_D = _factors(y, np.asarray(factor, dtype=float))
    L_0_T_inverse = L / np.exp(y[:, None, K : 2 * K])
    S, value, delta = s.sum(), 0.0, np.zeros_like(y)
    rows_below, columns_below = np.tril_indices(K, -1)
    for rows, o in patterns_of(~np.isnan(t)):
        for n in rows:
            # With r = t - y and B = C_oo^-1, minus the log density of the observed targets is
            #   E = 1/2 (r' B r + ln|C_oo| + |o| ln 2 pi).
            C = (L[n] @ L[n].T)[np.ix_(o, o)]
            r, B = t[n, o] - y[n, o], np.linalg.inv(C)
            value += s[n] * 0.5 * (r @ B @ r + np.linalg.slogdet(C)[1] + len(o) * np.log(2 * np.pi)) / S
            delta[n, o] = -B @ r
            # dB = -B dC B and d ln|C| = tr(B dC), so dE = 1/2 tr(H dC) with H = B - B r r' B, 0 for missing targets.
            # C = L L' is symmetric, so dE = tr(H L dL'), and with L = L_0 T^-1 D:
            #   d_k scales column k of L:              dE/dd_k = (L' H L)_kk
            #   d(T^-1) = T^-1 dO T^-1 for T = I - O:  dL = L_0 T^-1 dO T^-1 D,
            #                                          dE/dO = (L_0 T^-1)' H L (T^-1 D)', below the diagonal.
            H = np.zeros((K, K))
            H[np.ix_(o, o)] = B - np.outer(B @ r, B @ r)
            delta[n, K : 2 * K] = np.diag(L[n].T @ H @ L[n])
            by_O = L_0_T_inverse[n].T @ H @ L[n] @ T_inverse_D[n].T
            delta[n, 2 * K :] = by_O[rows_below, columns_below]
    return float(value), delta


def covariances(outputs: ArrayLike, factor: ArrayLike) -> Array:
    """Compute C(x) = L L', L = L_0 T^-1 D, (n_samples, K, K), from a network's outputs.

    T is the identity minus the coefficients o below the diagonal, row by row, and D the diagonal matrix of exp(d).

    Examples
    --------
    >>> covariances([[0.0, 0.0, np.log(2.0), 0.0, 0.5]], np.eye(2)).tolist()  # d = (ln 2, 0), o_21 = 1/2
    [[[4.0, 2.0], [2.0, 2.0]]]
    """
    L, _ = _factors(np.asarray(outputs, dtype=float), np.asarray(factor, dtype=float))
    return L @ np.swapaxes(L, 1, 2)


def _factors(outputs: Array, factor: Array) -> tuple[Array, Array]:
    """Compute L and T^-1 D of each sample."""
    K = len(factor)
    O = np.zeros((len(outputs), K, K))
    O[:, *np.tril_indices(K, -1)] = outputs[:, 2 * K :]
    T_inverse_D = np.linalg.inv(np.eye(K) - O) * np.exp(outputs[:, None, K : 2 * K])
    return np.asarray(factor @ T_inverse_D), np.asarray(T_inverse_D)
