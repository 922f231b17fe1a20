"""Probabilities of the true classes, from the network's outputs."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from sparsam._utils.jit import quick_jit
from sparsam.engine.network.activations import complementary_logistics
from sparsam.engine.network.network import Network, Parameters
from sparsam.estimators._data.apply_network import apply_in_chunks

__all__ = ["class_probabilities", "probabilities_of"]


@partial(quick_jit, static_argnums=0)
def class_probabilities(network: Network, parameters: Parameters, X: jax.Array) -> jax.Array:
    """Compute the probability of each class, (n_rows, n_classes), for rows of inputs."""
    forward = network.forward(parameters, X.T)
    if network.output_activation == "softmax":
        return forward.outputs.T
    one, zero = complementary_logistics(forward.pre_activations[-1][0])
    return jnp.stack([zero, one], axis=1)


def probabilities_of(
    network: Network, parameters: Parameters, X: NDArray[np.floating], chunk_size: int | None
) -> NDArray[np.float64]:
    """Compute class probabilities in float64, a chunk of rows at a time."""
    found = apply_in_chunks(class_probabilities, network, parameters, X, dtype=np.float64, chunk_size=chunk_size)
    return found.astype(np.float64, copy=False)
