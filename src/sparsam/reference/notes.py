"""The CS294A notes' cost function and example function, in the form of the notes."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from sparsam.reference.activations import Array
from sparsam.reference.network import network_cost

__all__ = ["quadratic", "sparse_autoencoder_cost"]


def sparse_autoencoder_cost(
    theta: ArrayLike,
    visible_size: int,
    hidden_size: int,
    decay_weight: float,
    sparsity_param: float,
    beta: float,
    data: ArrayLike,
) -> tuple[float, Array]:
    """Compute cost and gradient of the notes' sparse autoencoder, in the form that SciPy's minimizers take.

    Parameters
    ----------
    theta : array of shape (2 * visible_size * hidden_size + hidden_size + visible_size,)
        W1 (visible, hidden), W2 (hidden, visible), b1, b2, raveled in C order and concatenated.
    visible_size, hidden_size : int
    decay_weight, sparsity_param, beta : float
        lambda, rho and beta of the notes; ``alpha``, ``rho`` and ``beta`` of this library.
    data : array of shape (n_samples, visible_size)
        Samples in rows (in the notes they are in columns).

    Returns
    -------
    cost : float
    grad : array of the shape of theta

    Raises
    ------
    ValueError
        If `theta` or `data` has another shape. If samples are in columns, the message says to transpose them.

    References
    ----------
    A. Ng, *CS294A Lecture notes: Sparse autoencoder*, section 3.

    Examples
    --------
    >>> data = np.full((4, 2), 0.5)
    >>> cost, grad = sparse_autoencoder_cost(np.zeros(7), 2, 1, 1e-4, 0.1, 3.0, data)
    >>> round(cost, 4), grad.shape  # y = 1/2 = data: only 3 KL(0.1 || 0.5) remains
    (1.1042, (7,))
    """
    theta, data = np.asarray(theta, dtype=float), np.asarray(data, dtype=float)
    n_parameters = 2 * visible_size * hidden_size + hidden_size + visible_size
    if theta.shape != (n_parameters,):
        raise ValueError(f"theta must have the shape ({n_parameters},), got {theta.shape}")
    if data.ndim != 2 or data.shape[1] != visible_size:
        in_columns = data.ndim == 2 and data.shape[0] == visible_size
        cure = "; it has samples in columns, as in the notes: pass data.T" if in_columns else ""
        raise ValueError(f"data must have the shape (n_samples, {visible_size}), got {data.shape}{cure}")
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
    """Compute the notes' example for a gradient check, x1^2 + 3 x1 x2, and its gradient (2 x1 + 3 x2, 3 x1).

    Examples
    --------
    >>> value, gradient = quadratic([4.0, 10.0])
    >>> value, gradient.tolist()
    (136.0, [38.0, 12.0])
    """
    x1, x2 = np.asarray(x, dtype=float)
    return float(x1**2 + 3 * x1 * x2), np.array([2 * x1 + 3 * x2, 3 * x1])
