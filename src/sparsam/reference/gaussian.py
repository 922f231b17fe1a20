"""Gaussian noise with a known or unknown covariance of the outputs (PRML exercise 5.3); targets may be missing."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sparsam.reference.activations import Array

__all__ = ["gaussian_error", "most_likely_covariance"]


def gaussian_error(
    output_activation: str,
    y: Array,
    t: Array,
    s: Array,
    covariance: ArrayLike | str,
    covariance_prior: tuple[float, ArrayLike] | None = None,
) -> tuple[float, Array]:
    """Compute minus the mean log density of the targets, and delta_n = dE_n/da_n at linear outputs y = a.

    If the covariance is unknown, E_n is taken at its most likely value. A missing target is NaN; for the parameters see
    `sparsam.reference.network_cost`.
    """
    if output_activation != "identity":
        raise ValueError(f"no derivation for gaussian noise with {output_activation!r} outputs, only identity ones")
    # ln N(t | y, C) = -1/2 [r' C^-1 r + ln|C| + K ln 2 pi] with r = y - t (PRML eq. 2.43). If some targets of a sample
    # are missing, the observed ones are Gaussian too, with the block C_oo of the covariance (PRML eq. 2.98), since the
    # density of the missing ones integrates to 1.
    S, K = s.sum(), t.shape[1]
    observed = ~np.isnan(t)
    r = np.where(observed, y - np.where(observed, t, 0.0), 0.0)
    if isinstance(covariance, str):
        C = most_likely_covariance(covariance, r, observed, s, covariance_prior)
    else:
        C = np.asarray(covariance, dtype=float)
    value, delta = 0.0, np.zeros_like(r)
    for rows, o in patterns_of(observed):
        block = C[np.ix_(o, o)]
        r_o = r[np.ix_(rows, o)]
        # r' C^-1 r has the slope 2 C^-1 r with respect to r = a - t, halved by the factor 1/2.
        delta_o = np.linalg.solve(block, r_o.T).T
        E = 0.5 * (np.sum(r_o * delta_o, axis=1) + np.linalg.slogdet(block)[1] + len(o) * np.log(2 * np.pi))
        value += s[rows] @ E / S
        delta[np.ix_(rows, o)] = delta_o
    # An unknown C depends on the weights too. But C minimizes J, so dJ/dC = 0 and the chain rule's second part
    # vanishes: dJ/dw = (dJ/dw at fixed C) + (dJ/dC = 0) dC/dw, and delta is the same.
    if isinstance(covariance, str) and covariance_prior is not None:
        # Minus the log density of the inverse-Wishart prior, (nu + K + 1)/2 ln|C| + 1/2 tr(Psi C^-1), up to terms
        # that do not depend on C.
        nu, psi = covariance_prior
        value += 0.5 * ((nu + K + 1) * np.linalg.slogdet(C)[1] + np.trace(np.linalg.solve(C, np.asarray(psi)))) / S
    return float(value), delta


def patterns_of(observed: NDArray[np.bool_]) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Yield, for each pattern of observed outputs, its rows and the observed outputs."""
    for pattern in np.unique(observed, axis=0):
        yield np.flatnonzero(np.all(observed == pattern, axis=1)), np.flatnonzero(pattern)


def most_likely_covariance(
    structure: str,
    r: Array,
    observed: NDArray[np.bool_],
    s: Array,
    covariance_prior: tuple[float, ArrayLike] | None = None,
) -> Array:
    """Find the C that maximizes the likelihood of the residuals r (times the prior).

    Without missing targets, with R = sum_n s_n r_n r_n' (+ Psi) and m = S (+ nu + K + 1), it minimizes ::

        F = m/2 ln|C| + 1/2 tr(C^-1 R),        dF = m/2 tr(C^-1 dC) - 1/2 tr(C^-1 dC C^-1 R) = 0 for every dC

    so m C^-1 = C^-1 R C^-1 and C = R/m. For a diagonal C, C_kk = R_kk/m; a common variance is tr R/(m K).
    """
    K = r.shape[1]
    prior_count, psi = 0.0, np.zeros((K, K))
    if covariance_prior is not None:
        nu, psi = covariance_prior[0], np.asarray(covariance_prior[1], dtype=float)
        prior_count = nu + K + 1
    counts = s @ observed + prior_count  # with missing targets each variance has its own m
    diagonal = s @ r**2 + np.diag(psi)
    if structure == "spherical":
        return np.eye(K) * diagonal.sum() / counts.sum()
    C = np.diag(diagonal / counts)
    if structure == "diag":
        return C
    # Expectation maximization, starting there; without missing targets the first step is exact. Given the observed
    # residuals and the last C, the expected missing residuals are C_mo C_oo^-1 r_o (PRML eq. 2.96), and the
    # expectations of their products have the additional term C_mm - C_mo C_oo^-1 C_om (2.82). Together, with
    # A = C_.o C_oo^-1, in which the rows of observed outputs are the identity:
    #   E[r r'] = A r_o r_o' A' + C - A C_o.
    patterns = [
        (o, np.ix_(o, o), (s[rows] * r[np.ix_(rows, o)].T) @ r[np.ix_(rows, o)], s[rows].sum())
        for rows, o in patterns_of(observed)
    ]
    for _ in range(10_000):
        R = psi.copy()
        for o, block, products, count in patterns:
            A = C[:, o] @ np.linalg.inv(C[block])
            R += A @ products @ A.T + count * (C - A @ C[o])
        last, C = C, R / (s.sum() + prior_count)
        if np.max(np.abs(C - last)) <= 1e-15 * np.max(np.abs(C)):
            break
    return C
