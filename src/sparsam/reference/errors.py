"""Error functions that are a mean of E_n, and their delta at the outputs."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from sparsam.reference.activations import ACTIVATIONS, Array

__all__ = ["error_of_each"]


def error_of_each(
    error: str, output_activation: str, a: Array, y: Array, t: Array, transition: ArrayLike | None = None
) -> tuple[Array, Array]:
    """Compute E_n and delta_n = dE_n/da_n at the outputs y = h(a): (n_samples,) and (n_samples, n_outputs)."""
    if error == "squared_error":
        # E = 1/2 sum_k e_k^2 with e = y - t, so dE/dy_k = e_k.
        e = y - t
        E = 0.5 * np.sum(e**2, axis=1)
        if output_activation == "softmax":
            # Every output depends on every a: dy_k/da_r = y_k (I_kr - y_r) (PRML eq. 4.106), and by the chain rule
            #   delta_r = sum_k e_k y_k (I_kr - y_r) = y_r e_r - y_r sum_k y_k e_k.
            return E, y * (e - np.sum(y * e, axis=1, keepdims=True))
        # Elementwise outputs: delta = (y - t) h'(a).
        return E, e * ACTIVATIONS[output_activation][1](y)

    if error == "cross_entropy" and output_activation == "softmax":
        # E = -sum_k t_k ln y_k. With c = max a: y_k = exp(a_k - c) / sum_j exp(a_j - c), so
        #   ln y_k = a_k - c - ln sum_j exp(a_j - c),
        # where no exponential overflows and the sum is at least 1.
        shifted = a - a.max(axis=1, keepdims=True)
        ln_y = shifted - np.log(np.sum(np.exp(shifted), axis=1, keepdims=True))
        # dE/dy_k = -t_k/y_k, and again dy_k/da_r = y_k (I_kr - y_r):
        #   delta_r = -sum_k t_k (I_kr - y_r) = y_r sum_k t_k - t_r,
        # which is y_r - t_r, since the targets sum to 1 (PRML eq. 4.109) up to their own rounding.
        return -np.sum(t * ln_y, axis=1), y * np.sum(t, axis=1, keepdims=True) - t

    if error == "cross_entropy" and output_activation == "logistic":
        # E = -sum_k [t_k ln y_k + (1 - t_k) ln(1 - y_k)], with 1 - y = logistic(-a) and
        #   ln y = -ln(1 + exp(-a)) = -ln(exp(0) + exp(-a)),        ln(1 - y) = -ln(exp(0) + exp(a)).
        E = np.sum(t * np.logaddexp(0.0, -a) + (1 - t) * np.logaddexp(0.0, a), axis=1)
        # dE/dy = -t/y + (1 - t)/(1 - y) = (y - t) / (y (1 - y)), and dy/da = y (1 - y): they cancel (PRML eq. 5.18),
        #   delta = y - t.
        return E, y - t

    if error == "noisy_cross_entropy" and output_activation == "softmax":
        # The label j is given if the truth is some i and the noise changes i to j: p_j = sum_i y_i T_ij, and
        #   E = -sum_j t_j ln p_j.
        T = np.asarray(transition, dtype=float)
        p = y @ T
        # dE/dy_i = -sum_j t_j T_ij / p_j =: -q_i, and with dy_i/da_r = y_i (I_ir - y_r)
        #   delta_r = -sum_i q_i y_i (I_ir - y_r) = y_r (sum_i q_i y_i - q_r),
        # where sum_i q_i y_i = sum_j t_j p_j / p_j = sum_j t_j.
        q = (t / p) @ T.T
        return -np.sum(t * np.log(p), axis=1), y * (np.sum(t, axis=1, keepdims=True) - q)

    if error == "noisy_cross_entropy" and output_activation == "logistic":
        # The label 1 is given if the truth is 1 and kept, or 0 and flipped (PRML exercise 5.4 has T_01 = T_10):
        #   p = (1 - T_10) y + T_01 (1 - y),        E = -sum_k [t_k ln p_k + (1 - t_k) ln(1 - p_k)].
        T = np.asarray(transition, dtype=float)
        p = (1 - T[1, 0]) * y + T[0, 1] * (1 - y)
        E = -np.sum(t * np.log(p) + (1 - t) * np.log(1 - p), axis=1)
        # dE/dp = (p - t) / (p (1 - p)), and dp/da = (1 - T_10 - T_01) y (1 - y).
        return E, (p - t) / (p * (1 - p)) * (1 - T[1, 0] - T[0, 1]) * y * (1 - y)

    raise ValueError(
        f"no derivation for the error {error!r} with {output_activation!r} outputs: squared_error takes any outputs, "
        "cross_entropy and noisy_cross_entropy take softmax or logistic ones, gaussian_error takes identity ones"
    )
