"""Compiled functions of an autoencoder: code, reconstruction and errors of rows."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from sparsam._utils.jit import quick_jit
from sparsam.engine.network.network import Network, Parameters, affine
from sparsam.engine.objective.error_functions import SquaredError
from sparsam.engine.objective.objective import Objective
from sparsam.engine.training.streaming import summed
from sparsam.estimators._training.reconstruction import n_encoders

__all__ = ["cost", "decode", "encode", "negative_error", "squared_errors", "sums_of"]

# JAX compiles these functions once for each architecture. The user's samples are in rows, the engine's in columns.


@partial(quick_jit, static_argnums=0)
def encode(network: Network, parameters: Parameters, X: jax.Array) -> jax.Array:
    """Compute the code of rows."""
    return network.forward(parameters, X.T).hidden[n_encoders(network) - 1].T


@partial(quick_jit, static_argnums=0)
def decode(network: Network, parameters: Parameters, Z: jax.Array) -> jax.Array:
    """Reconstruct rows from their code."""
    z, decoders = Z.T, slice(n_encoders(network), None)
    for coef, intercept, h in zip(*(part[decoders] for part in (*parameters, network.activations)), strict=True):
        z = h.function(affine(z, coef, intercept))
    return z.T


@partial(quick_jit, static_argnums=0)
def negative_error(network: Network, parameters: Parameters, X: jax.Array) -> jax.Array:
    """Compute -E_n of each row."""
    return -SquaredError().per_sample(network, network.forward(parameters, X.T), X.T)


@partial(quick_jit, static_argnums=0)
def squared_errors(network: Network, parameters: Parameters, X: jax.Array) -> jax.Array:
    """Compute the error of each feature of each row."""
    return jnp.square(network.forward(parameters, X.T).outputs.T - X) / 2


sums_of = summed(Objective.sums)


@quick_jit
def cost(objective: Objective, sums: Any, total_weight: jax.Array, parameters: Parameters) -> jax.Array:
    """Compute J from its sums over the samples."""
    return jnp.sum(objective.values(sums, total_weight, parameters))
