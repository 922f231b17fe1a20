"""Activation functions and their slopes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def logistic(a: Array) -> Array:
    """Compute 1 / (1 + exp(-a)) without overflow, since only exp(-|a|) is used."""
    e = np.exp(-np.abs(a))
    return np.where(a >= 0, 1.0, e) / (1.0 + e)


def softmax(a: Array) -> Array:
    """Compute exp(a_k) / sum_j exp(a_j) along each row, from a - max a, which cannot overflow (PRML eq. 4.104)."""
    e = np.exp(a - a.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


# Elementwise activations, which hidden units may have.
ACTIVATIONS: dict[str, tuple[Callable[[Array], Array], Callable[[Array], Array]]] = {
    # h(a), and the slope h'(a) as a function of z = h(a)
    "logistic": (logistic, lambda z: z * (1.0 - z)),  # d/da 1/(1 + e^-a) = e^-a/(1 + e^-a)^2 = z (1 - z)
    "tanh": (np.tanh, lambda z: 1.0 - z * z),  # PRML eq. 5.60
    "relu": (lambda a: np.maximum(a, 0.0), lambda z: (z > 0).astype(float)),
    "satlin": (lambda a: np.clip(a, 0.0, 1.0), lambda z: ((z > 0) & (z < 1)).astype(float)),  # MATLAB's name
    "identity": (lambda a: a, np.ones_like),
}

CURVATURES: dict[str, Callable[[Array], Array]] = {
    # h''(a) as a function of z = h(a): d/da of the slopes above, by the chain rule d/dz times h'
    "logistic": lambda z: z * (1.0 - z) * (1.0 - 2.0 * z),
    "tanh": lambda z: -2.0 * z * (1.0 - z * z),
    "relu": np.zeros_like,
    "satlin": np.zeros_like,
    "identity": np.zeros_like,
}

OUTPUT_ACTIVATIONS: dict[str, Callable[[Array], Array]] = {name: h for name, (h, _) in ACTIVATIONS.items()} | {
    "softmax": softmax
}
