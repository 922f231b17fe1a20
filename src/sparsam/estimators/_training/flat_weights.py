"""Flat weights of a network on the host, and the arrays of its layers."""

from __future__ import annotations

from typing import cast

import jax
import numpy as np
from numpy.typing import NDArray

from sparsam.engine.network.network import Network, Parameters

__all__ = ["ravel", "unravel"]


def ravel(network: Network, parameters: Parameters) -> NDArray[np.floating]:
    """Concatenate the arrays of the layers into flat weights on the host."""
    free = parameters.coefs[: network.n_free]  # without those that are tied to them
    return np.concatenate([np.ravel(array) for array in (*free, *parameters.intercepts)])


def unravel(network: Network, theta: NDArray[np.floating]) -> Parameters:
    """Split flat weights on the host into the arrays of the layers."""
    return network.unravel(cast(jax.Array, theta))  # slices and reshapes NumPy arrays
