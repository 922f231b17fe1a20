"""The objective and its gradient by hand, in plain float64 NumPy: executable documentation, and the tests' oracle.

Nothing of the engine imports this module and it imports nothing of the engine: where both agree, two derivations agree.
Every step of the derivation stands beside the line that computes it. Samples are in rows; symbols are PRML's: a for a
pre-activation, z = h(a) for an activation, delta = dE/da.

A reader of the CS294A notes can hand `sparse_autoencoder_cost` to `scipy.optimize.fmin_l_bfgs_b` as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["network_cost", "quadratic", "sparse_autoencoder_cost"]

Array = NDArray[np.float64]


def logistic(a: Array) -> Array:
    """1 / (1 + exp(-a)), without overflow: exp is taken of -|a| only."""
    e = np.exp(-np.abs(a))
    return np.where(a >= 0, 1.0, e) / (1.0 + e)


ACTIVATIONS: dict[str, tuple[Callable[[Array], Array], Callable[[Array], Array]]] = {
    # h(a), and the slope h'(a) written in terms of z = h(a)
    "logistic": (logistic, lambda z: z * (1.0 - z)),  # d/da 1/(1 + e^-a) = e^-a/(1 + e^-a)^2 = z (1 - z)
    "tanh": (np.tanh, lambda z: 1.0 - z * z),  # PRML eq. 5.60
    "relu": (lambda a: np.maximum(a, 0.0), lambda z: (z > 0).astype(float)),
    "identity": (lambda a: a, np.ones_like),
}


def network_cost(
    coefs: Sequence[ArrayLike],
    intercepts: Sequence[ArrayLike],
    inputs: ArrayLike,
    targets: ArrayLike | None,
    *,
    hidden_activation: str = "logistic",
    output_activation: str = "logistic",
    alpha: float = 0.0,
    rho: float = 0.5,
    beta: float = 0.0,
    sample_weight: ArrayLike | None = None,
) -> tuple[float, list[Array], list[Array]]:
    """J of a feed-forward network of any depth, and its gradient by back-propagation.

    ::

        J = 1/S sum_n s_n 1/2 |y_n - t_n|^2  +  alpha/2 sum_l |W_l|^2  +  beta sum_j KL(rho || rho_hat_j)

    with S = sum_n s_n and rho_hat_j = 1/S sum_n s_n z_nj, for every hidden unit j (of (z + 1)/2 for tanh units).

    Parameters
    ----------
    coefs : list of arrays of shape (n_in, n_out)
        W_l, from the inputs on.
    intercepts : list of arrays of shape (n_out,)
        b_l.
    inputs : array of shape (n_samples, n_features)
    targets : array of shape (n_samples, n_outputs) or None
        None leaves the error out: J is then the penalties alone.
    hidden_activation, output_activation : {"logistic", "tanh", "relu", "identity"}
    alpha, rho, beta : float
        Weight decay; target mean activation; weight of the sparsity penalty (0: no penalty).
    sample_weight : array of shape (n_samples,) or None
        s_n; None for ones.

    Returns
    -------
    cost : float
        J.
    coef_gradients, intercept_gradients : lists of arrays
        dJ/dW_l and dJ/db_l, in the shapes of ``coefs`` and ``intercepts``.

    References
    ----------
    C. M. Bishop, *Pattern Recognition and Machine Learning*, section 5.3; A. Ng, *CS294A Lecture notes: Sparse
    autoencoder*, sections 2 and 3.

    Examples
    --------
    >>> cost, coef_gradients, intercept_gradients = network_cost([[[1.0]]], [[0.0]], [[2.0]], [[1.0]],
    ...                                                          output_activation="identity")
    >>> cost, coef_gradients[0].item(), intercept_gradients[0].item()  # y = 2: E = 1/2, dE/dW = (y - t) x
    (0.5, 2.0, 1.0)
    """
    W = [np.asarray(coef, dtype=float) for coef in coefs]
    b = [np.asarray(intercept, dtype=float) for intercept in intercepts]
    x = np.asarray(inputs, dtype=float)
    s = np.ones(len(x)) if sample_weight is None else np.asarray(sample_weight, dtype=float)
    S = s.sum()
    n_layers = len(W)
    h, h_slope = ACTIVATIONS[hidden_activation]
    h_out, h_out_slope = ACTIVATIONS[output_activation]

    # Forward: z_0 = x; a_l = z_(l-1) W_l + b_l; z_l = h(a_l).
    z = [x]
    for layer in range(n_layers):
        a = z[-1] @ W[layer] + b[layer]
        z.append((h if layer < n_layers - 1 else h_out)(a))
    y = z[-1]

    # J, term by term.
    r = np.zeros_like(y) if targets is None else y - np.asarray(targets, dtype=float)
    cost = 0.5 * np.sum(s[:, None] * r**2) / S
    cost += 0.5 * alpha * sum(np.sum(w**2) for w in W)

    # The sparsity term's slope by an activation:
    #   d/drho_hat KL = d/drho_hat [rho ln(rho/rho_hat) + (1-rho) ln((1-rho)/(1-rho_hat))]
    #                 = -rho/rho_hat + (1-rho)/(1-rho_hat),
    #   and rho_hat_j = 1/S sum_n s_n z_nj, so dJ/dz_nj = s_n/S beta (-rho/rho_hat_j + (1-rho)/(1-rho_hat_j)).
    # For tanh units rho_hat is of (z+1)/2: a factor 1/2 more.
    sparsity_slopes = [np.zeros(w.shape[1]) for w in W]
    if beta != 0:
        for layer in range(n_layers - 1):
            probability = 0.5 * (z[layer + 1] + 1.0) if hidden_activation == "tanh" else z[layer + 1]
            rho_hat = s @ probability / S
            cost += beta * np.sum(rho * np.log(rho / rho_hat) + (1 - rho) * np.log((1 - rho) / (1 - rho_hat)))
            slope = beta * (-rho / rho_hat + (1 - rho) / (1 - rho_hat))
            sparsity_slopes[layer] = 0.5 * slope if hidden_activation == "tanh" else slope

    # Backward. delta_l = dE_n/da_l, row n without its factor s_n/S, which joins where samples are summed.
    #   Outputs: E_n = 1/2 |y - t|^2, y = h(a):             delta = (y - t) h'(a).
    #   Hidden: a_l reaches E_n through a_(l+1) alone, and J through rho_hat besides (PRML eq. 5.56 and the notes'
    #   change to it):                                       delta_l = h'(a_l) (delta_(l+1) W_(l+1)' + slope_l).
    #   Weights: a_l = z_(l-1) W_l + b_l, so                 dJ/dW_l = 1/S sum_n s_n z_(l-1),n delta_l,n' + alpha W_l
    #   (PRML eq. 5.53), and                                 dJ/db_l = 1/S sum_n s_n delta_l,n.
    coef_gradients: list[Array] = []
    intercept_gradients: list[Array] = []
    delta = r * h_out_slope(y)
    for layer in reversed(range(n_layers)):
        weighted = s[:, None] * delta / S
        coef_gradients.insert(0, z[layer].T @ weighted + alpha * W[layer])
        intercept_gradients.insert(0, weighted.sum(axis=0))
        if layer > 0:
            delta = h_slope(z[layer]) * (delta @ W[layer].T + sparsity_slopes[layer - 1])
    return float(cost), coef_gradients, intercept_gradients


def sparse_autoencoder_cost(
    theta: ArrayLike,
    visible_size: int,
    hidden_size: int,
    decay_weight: float,
    sparsity_param: float,
    beta: float,
    data: ArrayLike,
) -> tuple[float, Array]:
    """Cost and gradient of the notes' sparse autoencoder, in the form that SciPy's minimizers take.

    Parameters
    ----------
    theta : array of shape (2 * visible_size * hidden_size + hidden_size + visible_size,)
        W1 (visible, hidden), W2 (hidden, visible), b1, b2, raveled in C order, one behind the other.
    visible_size, hidden_size : int
    decay_weight, sparsity_param, beta : float
        lambda, rho and beta of the notes; ``alpha``, ``rho`` and ``beta`` of this library.
    data : array of shape (n_samples, visible_size)
        In rows (the notes have them in columns).

    Returns
    -------
    cost : float
    grad : array of the shape of theta

    References
    ----------
    A. Ng, *CS294A Lecture notes: Sparse autoencoder*, section 3.

    Examples
    --------
    >>> data = np.full((4, 2), 0.5)
    >>> cost, grad = sparse_autoencoder_cost(np.zeros(7), 2, 1, 1e-4, 0.1, 3.0, data)
    >>> round(cost, 4), grad.shape  # y = 1/2 = data: only 3 KL(0.1 || 0.5) is left
    (1.1042, (7,))
    """
    theta = np.asarray(theta, dtype=float)
    W1, W2, b1, b2 = np.split(
        theta,
        np.cumsum([visible_size * hidden_size, hidden_size * visible_size, hidden_size]),
    )
    cost, coef_gradients, intercept_gradients = network_cost(
        [W1.reshape(visible_size, hidden_size), W2.reshape(hidden_size, visible_size)],
        [b1, b2],
        data,
        data,
        alpha=decay_weight,
        rho=sparsity_param,
        beta=beta,
    )
    return cost, np.concatenate([g.ravel() for g in (*coef_gradients, *intercept_gradients)])


def quadratic(x: ArrayLike) -> tuple[float, Array]:
    """The notes' example for a gradient check: x1^2 + 3 x1 x2, whose gradient is (2 x1 + 3 x2, 3 x1).

    Examples
    --------
    >>> value, gradient = quadratic([4.0, 10.0])
    >>> value, gradient.tolist()
    (136.0, [38.0, 12.0])
    """
    x1, x2 = np.asarray(x, dtype=float)
    return float(x1**2 + 3 * x1 * x2), np.array([2 * x1 + 3 * x2, 3 * x1])
