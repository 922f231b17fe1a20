"""J in plain JAX, unchunked, as a user of JAX would write the notes' formula, in either precision."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.problems import Problem


def set_precision(dtype: str) -> None:
    """Set whether JAX computes in float64; a worker process has one precision."""
    jax.config.update("jax_enable_x64", dtype == "float64")


def make_cost(problem: Problem, dtype: str):
    """Return the function (theta, x) -> J."""
    D, M = problem.n_features, problem.n_components
    splits = np.cumsum([D * M, M * D, M]).tolist()
    rho, beta, alpha = problem.rho, problem.beta, problem.alpha

    def cost(theta, x):
        W1, W2, b1, b2 = jnp.split(theta, splits)
        W1, W2 = W1.reshape(D, M), W2.reshape(M, D)
        z = jax.nn.sigmoid(x @ W1 + b1)
        y = jax.nn.sigmoid(z @ W2 + b2)
        rho_hat = z.mean(0)
        divergence = rho * jnp.log(rho / rho_hat) + (1 - rho) * jnp.log((1 - rho) / (1 - rho_hat))
        error = 0.5 * jnp.sum(jnp.square(y - x)) / len(x)
        decay = 0.5 * alpha * (jnp.sum(jnp.square(W1)) + jnp.sum(jnp.square(W2)))
        return error + decay + beta * jnp.sum(divergence)

    return cost
