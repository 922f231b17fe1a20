"""Tangent propagation by hand (PRML exercise 5.26), for any depth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sparsam.reference.activations import ACTIVATIONS, CURVATURES, Array

__all__ = ["tangent_propagation"]


def tangent_propagation(
    coefs: list[Array],
    z: list[Array],
    tangents: Array,
    sample_weight: Array,
    hidden_activations: Sequence[str],
    output_activation: str,
) -> tuple[float, list[Array], list[Array]]:
    """Compute Omega = 1/S sum_n s_n 1/2 sum_tau |Jac_n tau|^2, and its gradients by the weights and the biases.

    Parameters
    ----------
    coefs : list of arrays of shape (n_in, n_out)
        W_l.
    z : list of arrays of shape (n_samples, n_units)
        Activations of the layers 0 (the inputs) ... L (the outputs y).
    tangents : array of shape (n_samples, n_tangents, n_features)
    sample_weight : array of shape (n_samples,)
    hidden_activations : list of str
        One for each hidden layer.
    output_activation : str

    Returns
    -------
    omega : float
    coef_gradients, intercept_gradients : lists of arrays

    Notes
    -----
    With D = sum_i tau_i d/dx_i, the derivative along a tangent, Omega_n = 1/2 sum_k (D y_k)^2 (PRML eq. 5.201; the
    exercise writes alpha = D z and beta = D a, here z_dot and a_dot). D of the forward pass a_r = sum_s w_sr z_s + b_r,
    z_r = h(a_r) is, with z_dot = tau at the inputs (eq. 5.202 to 5.204)::

        a_dot_r = sum_s w_sr z_dot_s,        z_dot_r = h'(a_r) a_dot_r

    Since D and d/dw commute and only a_r depends on w_sr (eq. 5.205 and 5.206), the slope by a weight of any layer is::

        dOmega_n/dw_sr = sum_k (D y_k) D(dy_k/dw_sr) = sum_k z_dot_k D(delta_kr z_s)
                       = sum_k z_dot_k (phi_kr z_s + delta_kr z_dot_s),    delta_kr = dy_k/da_r,  phi_kr = D delta_kr

    and for a bias, whose z is the constant 1, sum_k z_dot_k phi_kr. delta is back-propagated as usual, and phi is D of
    delta by the product rule, with sums over the units l of the next layer::

        delta_kr = h'(a_r) sum_l w_rl delta_kl
        phi_kr   = h''(a_r) a_dot_r sum_l w_rl delta_kl  +  h'(a_r) sum_l w_rl phi_kl

    At outputs with elementwise h: delta_kr = I_kr h'(a_r), phi_kr = I_kr h''(a_r) a_dot_r. At softmax outputs, from
    dy_k/da_r = y_k (I_kr - y_r) (PRML eq. 4.106): z_dot_k = sum_r delta_kr a_dot_r = y_k (a_dot_k - sum_l y_l a_dot_l),
    and D of delta is phi_kr = z_dot_k (I_kr - y_r) - y_k z_dot_r.
    """
    W, s, S = coefs, sample_weight, sample_weight.sum()
    n_layers = len(W)
    slopes = [ACTIVATIONS[name][1] for name in hidden_activations]
    curvatures = [CURVATURES[name] for name in hidden_activations]
    omega = 0.0
    coef_gradients = [np.zeros_like(w) for w in W]
    intercept_gradients = [np.zeros(w.shape[1]) for w in W]
    for tau in np.moveaxis(tangents, 1, 0):  # (n_samples, n_features)
        # Forward.
        a_dot, z_dot = [], [tau]
        for layer in range(n_layers):
            a_dot.append(z_dot[-1] @ W[layer])
            if layer < n_layers - 1:
                z_dot.append(slopes[layer](z[layer + 1]) * a_dot[-1])
        delta, phi = _at_outputs(output_activation, z[-1], a_dot[-1])  # (n_samples, k, r)
        y_dot = np.einsum("nkr,nr->nk", delta, a_dot[-1])
        omega += 0.5 * np.sum(s[:, None] * y_dot**2) / S

        # Backward.
        for layer in reversed(range(n_layers)):
            weighted = s[:, None] * y_dot / S
            by_phi = np.einsum("nk,nkr->nr", weighted, phi)
            by_delta = np.einsum("nk,nkr->nr", weighted, delta)
            coef_gradients[layer] += z[layer].T @ by_phi + z_dot[layer].T @ by_delta
            intercept_gradients[layer] += by_phi.sum(axis=0)
            if layer > 0:
                h1, h2 = slopes[layer - 1](z[layer])[:, None], curvatures[layer - 1](z[layer])[:, None]
                down = delta @ W[layer].T
                delta, phi = h1 * down, h2 * a_dot[layer - 1][:, None] * down + h1 * (phi @ W[layer].T)
    return float(omega), coef_gradients, intercept_gradients


def _at_outputs(output_activation: str, y: Array, a_dot: Array) -> tuple[Array, Array]:
    """Compute delta and phi at the outputs, (n_samples, n_outputs, n_outputs)."""
    unit = np.eye(y.shape[1])
    if output_activation == "softmax":
        delta = y[:, :, None] * (unit - y[:, None, :])
        y_dot = np.einsum("nkr,nr->nk", delta, a_dot)[:, :, None]
        return delta, y_dot * (unit - y[:, None, :]) - y[:, :, None] * y_dot.transpose(0, 2, 1)
    slope, curvature = ACTIVATIONS[output_activation][1], CURVATURES[output_activation]
    return unit * slope(y)[:, None], unit * (curvature(y) * a_dot)[:, None]
