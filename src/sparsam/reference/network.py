"""J of a network, and its gradient by back-propagation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sparsam.reference.activations import ACTIVATIONS, OUTPUT_ACTIVATIONS, Array
from sparsam.reference.errors import error_of_each
from sparsam.reference.gaussian import gaussian_error
from sparsam.reference.heteroscedastic import heteroscedastic_error
from sparsam.reference.tangents import tangent_propagation

__all__ = ["network_cost"]


def network_cost(
    coefs: Sequence[ArrayLike],
    intercepts: Sequence[ArrayLike],
    inputs: ArrayLike,
    targets: ArrayLike | None,
    *,
    hidden_activation: str | Sequence[str] = "logistic",
    output_activation: str = "logistic",
    error: str = "squared_error",
    transition: ArrayLike | None = None,
    covariance: ArrayLike | str = "full",
    covariance_prior: tuple[float, ArrayLike] | None = None,
    covariance_factor: ArrayLike | None = None,
    covariance_alpha: float = 0.0,
    alpha: float | Sequence[float] = 0.0,
    rho: float | Sequence[float] = 0.5,
    beta: float | Sequence[float] = 0.0,
    sparsity: str = "kl",
    sample_weight: ArrayLike | None = None,
    tangents: ArrayLike | None = None,
    tangent_weight: float = 0.0,
    tangents_of: str = "outputs",
) -> tuple[float, list[Array], list[Array]]:
    """Compute J of a feed-forward network of any depth, and its gradient by back-propagation.

    ::

        J = E  +  sum_l alpha_l/2 |W_l|^2  +  sum_l beta_l sum_j KL(rho_l || rho_hat_lj)
              +  tangent_weight 1/S sum_n s_n Omega_n  +  covariance_alpha/2 (|W_C|^2 + |b_C|^2)

    (with sparsity "l1" the penalty is sum_l beta_l sum_j |W_(l+1)j| 1/S sum_n s_n z_nlj, W_(l+1)j row j of W_(l+1))
    with S = sum_n s_n, rho_hat_lj = 1/S sum_n s_n z_nlj for unit j of hidden layer l (for tanh units the mean of
    (z + 1)/2), Omega_n from `sparsam.reference.tangents`, and E = 1/S sum_n s_n E_n one of ::

        squared_error                         E_n = 1/2 |y_n - t_n|^2
        cross_entropy, softmax outputs        E_n = -sum_k t_nk ln y_nk
        cross_entropy, logistic outputs       E_n = -sum_k [t_nk ln y_nk + (1 - t_nk) ln(1 - y_nk)]
        noisy_cross_entropy, softmax          E_n = -sum_j t_nj ln p_nj,    p_nj = sum_i T_ij y_ni
        noisy_cross_entropy, logistic         E_n = -sum_k [t_nk ln p_nk + (1 - t_nk) ln(1 - p_nk)],
                                              p_nk = T_11 y_nk + T_01 (1 - y_nk)
        gaussian_error, C known               E_n = 1/2 (r_n' C^-1 r_n + ln|C| + K ln 2 pi),    r_n = y_n - t_n

    or, for gaussian_error with C unknown, the same at the C that minimizes J (`sparsam.reference.gaussian`). If C
    depends on the input, it is computed from the outputs beyond those for the means
    (`sparsam.reference.heteroscedastic`), whose weights in the last layer are W_C and b_C; alpha does not apply to
    these.

    Parameters
    ----------
    coefs : list of arrays of shape (n_in, n_out)
        W_l, from the first layer on.
    intercepts : list of arrays of shape (n_out,)
        b_l.
    inputs : array of shape (n_samples, n_features)
    targets : array of shape (n_samples, n_outputs) or None
        None omits the error, so that J consists of the penalties.
    hidden_activation : {"logistic", "tanh", "relu", "satlin", "identity"}, or a list of these
        Of all hidden layers, or of each.
    output_activation : {"logistic", "tanh", "relu", "satlin", "identity", "softmax"}
    error : {"squared_error", "cross_entropy", "noisy_cross_entropy", "gaussian_error"}
        Cross-entropy takes softmax or logistic outputs and targets that are probabilities; for noisy labels the targets
        are 0 and 1.
    transition : array of shape (n_classes, n_classes)
        T_ij = P(given label j | true label i) of noisy_cross_entropy; (2, 2) for logistic outputs.
    covariance : array of shape (n_outputs, n_outputs) or {"full", "diag", "spherical", "input"}
        C of gaussian_error, or the structure of an unknown one. A missing target is NaN.
    covariance_prior : (nu, Psi) or None
        Inverse-Wishart prior on an unknown C.
    covariance_factor : array of shape (n_targets, n_targets) or None
        L_0, for a C that depends on the input.
    covariance_alpha : float
        Decay of W_C and b_C.
    alpha, rho, beta : float or list of float
        Weight decay, of all layers or of each; target mean activation and weight of the sparsity penalty (0: no
        penalty), of all hidden layers or of each.
    sparsity : {"kl", "l1"}
        The sparsity penalty. "l1" is for units whose activations are not negative.
    sample_weight : array of shape (n_samples,) or None
        s_n; None for ones.
    tangents : array of shape (n_samples, n_tangents, n_features) or None
        Directions at the inputs along which the outputs should not change.
    tangent_weight : float
        Weight of tangent propagation (0: none).
    tangents_of : {"outputs", "pre_activations"}
        The quantity that should not change along them: the outputs, or the pre-activations of the output layer.

    Returns
    -------
    cost : float
        J.
    coef_gradients, intercept_gradients : lists of arrays
        dJ/dW_l and dJ/db_l, in the shapes of ``coefs`` and ``intercepts``.

    References
    ----------
    C. M. Bishop, *Pattern Recognition and Machine Learning*, sections 4.3.4, 5.2 and 5.3; A. Ng, *CS294A
    Lecture notes: Sparse autoencoder*, sections 2 and 3.

    Examples
    --------
    >>> cost, coef_gradients, intercept_gradients = network_cost([[[1.0]]], [[0.0]], [[2.0]], [[1.0]],
    ...                                                          output_activation="identity")
    >>> cost, coef_gradients[0].item(), intercept_gradients[0].item()  # y = 2: E = 1/2, dE/dW = (y - t) x
    (0.5, 2.0, 1.0)
    >>> cost, _, (gradient,) = network_cost([[[0.0, 0.0]]], [[0.0, 0.0]], [[2.0]], [[1.0, 0.0]],
    ...                                     output_activation="softmax", error="cross_entropy")
    >>> round(cost, 4), gradient.tolist()  # y = (1/2, 1/2): E = ln 2, dE/db = y - t
    (0.6931, [-0.5, 0.5])
    """
    W = [np.asarray(coef, dtype=float) for coef in coefs]
    b = [np.asarray(intercept, dtype=float) for intercept in intercepts]
    x = np.asarray(inputs, dtype=float)
    s = np.ones(len(x)) if sample_weight is None else np.asarray(sample_weight, dtype=float)
    S = s.sum()
    n_layers = len(W)
    hidden = of_each_layer(hidden_activation, n_layers - 1)
    alphas = of_each_layer(alpha, n_layers)

    a, z = forward_pass(W, b, x, hidden, output_activation)
    cost, delta = 0.0, np.zeros_like(a)
    if targets is not None:
        t = np.asarray(targets, dtype=float)
        if covariance_factor is not None:
            cost, delta = heteroscedastic_error(output_activation, z[-1], t, s, covariance_factor)
        elif error == "gaussian_error":
            cost, delta = gaussian_error(output_activation, z[-1], t, s, covariance, covariance_prior)
        else:
            E, delta = error_of_each(error, output_activation, a, z[-1], t, transition)
            cost = np.sum(s * E) / S
    # The last layer's outputs beyond the means of n targets have a decay of their own.
    n = W[-1].shape[1] if covariance_factor is None else len(np.asarray(covariance_factor))
    W_C, b_C = W[-1][:, n:], b[-1][n:]
    cost += weight_decay([*W[:-1], W[-1][:, :n]], alphas)
    cost += 0.5 * covariance_alpha * (float(np.sum(W_C**2)) + float(np.sum(b_C**2)))
    decoder_gradients = [np.zeros_like(W_l) for W_l in W]
    if sparsity == "l1":
        penalty, sparsity_slopes, decoder_gradients[1:] = l1_sparsity(z[1:-1], s, W[1:], beta)
    else:
        penalty, sparsity_slopes = kl_sparsity(z[1:-1], s, hidden, rho, beta)
    cost += penalty

    # Backward. delta_l = dE_n/da_l, row n without its factor s_n/S, which is multiplied in when samples are summed.
    #   Outputs: as derived in `error_of_each` and `gaussian_error`.
    #   Hidden: a_l influences E_n only through a_(l+1), and J also through rho_hat (PRML eq. 5.56 and the notes'
    #   change to it):                                       delta_l = h'(a_l) (delta_(l+1) W_(l+1)' + slope_l).
    #   Weights: a_l = z_(l-1) W_l + b_l, so                 dJ/dW_l = 1/S sum_n s_n z_(l-1),n delta_l,n' + alpha_l W_l
    #   (PRML eq. 5.53), and                                 dJ/db_l = 1/S sum_n s_n delta_l,n.
    #   L1 sparsity also depends on W_l directly, which adds the gradient in `l1_sparsity`.
    coef_gradients: list[Array] = []
    intercept_gradients: list[Array] = []
    for layer in reversed(range(n_layers)):
        weighted = s[:, None] * delta / S
        coef_gradients.insert(0, z[layer].T @ weighted + alphas[layer] * W[layer] + decoder_gradients[layer])
        intercept_gradients.insert(0, weighted.sum(axis=0))
        if layer > 0:
            h_slope = ACTIVATIONS[hidden[layer - 1]][1]
            delta = h_slope(z[layer]) * (delta @ W[layer].T + sparsity_slopes[layer - 1])
    coef_gradients[-1][:, n:] += (covariance_alpha - alphas[-1]) * W_C
    intercept_gradients[-1][n:] += covariance_alpha * b_C

    if tangents is not None and tangent_weight != 0:
        tau = np.asarray(tangents, dtype=float)
        # For pre-activations, Omega is that of a network with identity outputs, y = a.
        h_omega = output_activation if tangents_of == "outputs" else "identity"
        omega, by_coefs, by_intercepts = tangent_propagation(W, z, tau, s, hidden, h_omega)
        cost += tangent_weight * omega
        for gradients, more in ((coef_gradients, by_coefs), (intercept_gradients, by_intercepts)):
            for gradient, by_weights in zip(gradients, more, strict=True):
                gradient += tangent_weight * by_weights
    return float(cost), coef_gradients, intercept_gradients


def of_each_layer(given: Any, n_layers: int) -> list[Any]:
    """Return what is given for each layer, or the same for all layers."""
    return list(given) if isinstance(given, list | tuple) else [given] * n_layers


def forward_pass(
    W: Sequence[Array], b: Sequence[Array], x: Array, hidden_activation: str | Sequence[str], output_activation: str
) -> tuple[Array, list[Array]]:
    """Return the pre-activations of the outputs, and z of every layer, the inputs first.

    ::

        z_0 = x,    a_l = z_(l-1) W_l + b_l,    z_l = h(a_l)
    """
    functions = [ACTIVATIONS[name][0] for name in of_each_layer(hidden_activation, len(W) - 1)]
    z = [x]
    for W_l, b_l, h in zip(W, b, [*functions, OUTPUT_ACTIVATIONS[output_activation]], strict=True):
        a = z[-1] @ W_l + b_l
        z.append(h(a))
    return a, z


def weight_decay(W: Sequence[Array], alpha: float | Sequence[float]) -> float:
    """Return sum_l alpha_l/2 |W_l|^2."""
    alphas = of_each_layer(alpha, len(W))
    return 0.5 * sum(alpha_l * float(np.sum(W_l**2)) for alpha_l, W_l in zip(alphas, W, strict=True))


def kl_sparsity(
    hidden: Sequence[Array],
    s: Array,
    hidden_activation: str | Sequence[str],
    rho: float | Sequence[float],
    beta: float | Sequence[float],
) -> tuple[float, list[Array]]:
    """Return sum_l beta_l sum_j KL(rho_l || rho_hat_lj), and its slope by the units' activations, without s_n/S.

    ::

        d/drho_hat KL = d/drho_hat [rho ln(rho/rho_hat) + (1-rho) ln((1-rho)/(1-rho_hat))]
                      = -rho/rho_hat + (1-rho)/(1-rho_hat),

    and rho_hat_j = 1/S sum_n s_n z_nj, so dJ/dz_nj = s_n/S beta (-rho/rho_hat_j + (1-rho)/(1-rho_hat_j)). For tanh
    units rho_hat is of (z+1)/2: a factor 1/2 more.
    """
    value, slopes = 0.0, []
    each = [of_each_layer(given, len(hidden)) for given in (hidden_activation, rho, beta)]
    for z, h, rho_l, beta_l in zip(hidden, *each, strict=True):
        if beta_l == 0:
            slopes.append(np.zeros(z.shape[1]))
            continue
        probability = 0.5 * (z + 1.0) if h == "tanh" else z
        rho_hat = s @ probability / s.sum()
        value += beta_l * np.sum(rho_l * np.log(rho_l / rho_hat) + (1 - rho_l) * np.log((1 - rho_l) / (1 - rho_hat)))
        slope = beta_l * (-rho_l / rho_hat + (1 - rho_l) / (1 - rho_hat))
        slopes.append(0.5 * slope if h == "tanh" else slope)
    return float(value), slopes


def l1_sparsity(
    hidden: Sequence[Array], s: Array, W_next: Sequence[Array], beta: float | Sequence[float]
) -> tuple[float, list[Array], list[Array]]:
    """Return sum_l beta_l sum_j |w_lj| m_lj, its slopes by the units' activations, and its gradients by W_(l+1).

    ::

        w_lj row j of W_(l+1),    m_lj = 1/S sum_n s_n z_nlj

    The slope by z_nlj is s_n/S beta_l |w_lj| (returned without s_n/S). Since d|w|/dw = w/|w|, the gradient by w_lj is
    beta_l m_lj w_lj / |w_lj|; at w_lj = 0, where there is none, 0 is returned, one of its subgradients.
    """
    value, slopes, gradients = 0.0, [], []
    for z, W, beta_l in zip(hidden, W_next, of_each_layer(beta, len(hidden)), strict=True):
        m, length = s @ z / s.sum(), np.sqrt(np.sum(W**2, axis=1))
        value += beta_l * np.sum(m * length)
        slopes.append(beta_l * length)
        gradients.append(beta_l * m[:, None] * W / np.where(length > 0, length, 1.0)[:, None])
    return float(value), slopes, gradients
