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


def softmax(a: Array) -> Array:
    """exp(a_k) / sum_j exp(a_j) along each row; the same of a - max a, which cannot overflow (PRML eq. 4.104)."""
    e = np.exp(a - a.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


# Elementwise ones, of which hidden units may have any.
ACTIVATIONS: dict[str, tuple[Callable[[Array], Array], Callable[[Array], Array]]] = {
    # h(a), and the slope h'(a) written in terms of z = h(a)
    "logistic": (logistic, lambda z: z * (1.0 - z)),  # d/da 1/(1 + e^-a) = e^-a/(1 + e^-a)^2 = z (1 - z)
    "tanh": (np.tanh, lambda z: 1.0 - z * z),  # PRML eq. 5.60
    "relu": (lambda a: np.maximum(a, 0.0), lambda z: (z > 0).astype(float)),
    "identity": (lambda a: a, np.ones_like),
}

OUTPUT_ACTIVATIONS: dict[str, Callable[[Array], Array]] = {name: h for name, (h, _) in ACTIVATIONS.items()} | {
    "softmax": softmax
}


def network_cost(
    coefs: Sequence[ArrayLike],
    intercepts: Sequence[ArrayLike],
    inputs: ArrayLike,
    targets: ArrayLike | None,
    *,
    hidden_activation: str = "logistic",
    output_activation: str = "logistic",
    error: str = "squared_error",
    alpha: float = 0.0,
    rho: float = 0.5,
    beta: float = 0.0,
    sample_weight: ArrayLike | None = None,
) -> tuple[float, list[Array], list[Array]]:
    """J of a feed-forward network of any depth, and its gradient by back-propagation.

    ::

        J = 1/S sum_n s_n E_n  +  alpha/2 sum_l |W_l|^2  +  beta sum_j KL(rho || rho_hat_j)

    with S = sum_n s_n and rho_hat_j = 1/S sum_n s_n z_nj, for every hidden unit j (of (z + 1)/2 for tanh units), and ::

        squared error                     E_n = 1/2 |y_n - t_n|^2
        cross-entropy, softmax outputs    E_n = -sum_k t_nk ln y_nk
        cross-entropy, logistic outputs   E_n = -sum_k [t_nk ln y_nk + (1 - t_nk) ln(1 - y_nk)]

    Parameters
    ----------
    coefs : list of arrays of shape (n_in, n_out)
        W_l, from the inputs on.
    intercepts : list of arrays of shape (n_out,)
        b_l.
    inputs : array of shape (n_samples, n_features)
    targets : array of shape (n_samples, n_outputs) or None
        None leaves the error out: J is then the penalties alone.
    hidden_activation : {"logistic", "tanh", "relu", "identity"}
    output_activation : {"logistic", "tanh", "relu", "identity", "softmax"}
    error : {"squared_error", "cross_entropy"}
        Cross-entropy takes softmax or logistic outputs, and targets that are probabilities.
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
    h, h_slope = ACTIVATIONS[hidden_activation]
    h_out = OUTPUT_ACTIVATIONS[output_activation]

    # Forward: z_0 = x; a_l = z_(l-1) W_l + b_l; z_l = h(a_l).
    z = [x]
    for layer in range(n_layers):
        a = z[-1] @ W[layer] + b[layer]
        z.append((h if layer < n_layers - 1 else h_out)(a))

    # J, term by term.
    E, delta = np.zeros(len(x)), np.zeros_like(a)
    if targets is not None:
        E, delta = _error(error, output_activation, a, z[-1], np.asarray(targets, dtype=float))
    cost = np.sum(s * E) / S
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
    #   Outputs: what `_error` derives.
    #   Hidden: a_l reaches E_n through a_(l+1) alone, and J through rho_hat besides (PRML eq. 5.56 and the notes'
    #   change to it):                                       delta_l = h'(a_l) (delta_(l+1) W_(l+1)' + slope_l).
    #   Weights: a_l = z_(l-1) W_l + b_l, so                 dJ/dW_l = 1/S sum_n s_n z_(l-1),n delta_l,n' + alpha W_l
    #   (PRML eq. 5.53), and                                 dJ/db_l = 1/S sum_n s_n delta_l,n.
    coef_gradients: list[Array] = []
    intercept_gradients: list[Array] = []
    for layer in reversed(range(n_layers)):
        weighted = s[:, None] * delta / S
        coef_gradients.insert(0, z[layer].T @ weighted + alpha * W[layer])
        intercept_gradients.insert(0, weighted.sum(axis=0))
        if layer > 0:
            delta = h_slope(z[layer]) * (delta @ W[layer].T + sparsity_slopes[layer - 1])
    return float(cost), coef_gradients, intercept_gradients


def _error(error: str, output_activation: str, a: Array, y: Array, t: Array) -> tuple[Array, Array]:
    """E_n and delta_n = dE_n/da_n at the outputs y = h(a): arrays (n_samples,) and (n_samples, n_outputs)."""
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
        # which is y_r - t_r as the targets sum to 1 (PRML eq. 4.109), but for the rounding of the targets themselves.
        return -np.sum(t * ln_y, axis=1), y * np.sum(t, axis=1, keepdims=True) - t

    if error == "cross_entropy" and output_activation == "logistic":
        # E = -sum_k [t_k ln y_k + (1 - t_k) ln(1 - y_k)], with 1 - y = logistic(-a) and
        #   ln y = -ln(1 + exp(-a)) = -ln(exp(0) + exp(-a)),        ln(1 - y) = -ln(exp(0) + exp(a)).
        E = np.sum(t * np.logaddexp(0.0, -a) + (1 - t) * np.logaddexp(0.0, a), axis=1)
        # dE/dy = -t/y + (1 - t)/(1 - y) = (y - t) / (y (1 - y)), and dy/da = y (1 - y): they cancel (PRML eq. 5.18),
        #   delta = y - t.
        return E, y - t

    raise ValueError(
        f"no derivation for the error {error!r} with {output_activation!r} outputs: squared_error takes any outputs, "
        "cross_entropy softmax or logistic ones"
    )


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
