"""Centered and scaled inputs for the minimizer.

A network depends on x only through W_1' x + b_1. With the inputs centered and scaled, u = (x - m) / c column by column,
the weights of the same network are ::

    V = c W_1 (row by row),     d = b_1 + W_1' m,         since  V' u + d = W_1' x + b_1                            (1)

and those of the other layers do not change. J is the same in both coordinates. But if the units of the inputs differ
widely, or their means are large, J is too badly conditioned in W_1 and b_1 to be minimized in the available precision;
in the coordinates (1) it is well conditioned. Penalties apply to W_1 and b_1, which `Objective` computes from V and d.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from sparsam.engine.data.batch import Batch
from sparsam.engine.network.network import Parameters

__all__ = ["TYPICAL_CURVATURE", "InputScale"]

TYPICAL_CURVATURE = 0.01
"""g, a typical curvature of J with respect to the pre-activation of a hidden unit.

The curvature with respect to the weights of a column of x is then g var(x), to which weight decay adds alpha. With c^2
= var(x) + alpha/g, the curvature along the rows of V is g, whatever the column's unit.

Breast cancer in its original units (deviations 0.003 to 570, alpha 1e-4, 50 tanh units) takes 211 to 630 evaluations
with 0.01; with c the deviation alone, and the curvature's model in the basis of A's eigenvectors, more than 1,000.
Iris, wine and diabetes take as many as standardized, with any g from 0.001 to 1.
"""

ROWS_AT_ONCE = 4096  # rows converted in float64 at a time, to save memory


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class InputScale:
    """Mean and scale of each input: the minimizer sees u = (x - mean) / scale.

    Parameters
    ----------
    mean, scale : arrays of shape (n_features,)
        float64, on the host. scale is positive.

    Examples
    --------
    >>> in_meters = InputScale(np.array([2.0]), np.array([1000.0]))
    >>> in_meters.scaled(Batch(np.array([[3.0]])), "float64").inputs.tolist()
    [[0.001]]
    """

    mean: Any
    scale: Any

    def scaled(self, batch: Batch, dtype: DTypeLike) -> Batch:
        """Center and scale the inputs of a batch on the host, and scale its tangents; round to ``dtype`` at the end."""
        inputs = np.empty(batch.inputs.shape, dtype)
        tangents = None if batch.tangents is None else np.empty(batch.tangents.shape, dtype)
        for start in range(0, batch.n_rows, ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            inputs[rows] = (batch.inputs[rows] - self.mean) / self.scale
            if tangents is not None:
                tangents[rows] = batch.tangents[rows] / self.scale
        return batch._replace(inputs=inputs, tangents=tangents)

    def unscaled_weights(self, parameters: Parameters) -> Parameters:
        """Compute W_1 and b_1, for inputs x, from V and d, for inputs u: the inverse of (1)."""
        first, *others = parameters.coefs
        bias, *biases = parameters.intercepts
        first = first / self.scale[:, None]
        return Parameters((first, *others), (bias - self.mean @ first, *biases))

    def scaled_weights(self, parameters: Parameters) -> Parameters:
        """Compute V and d, for inputs u, from W_1 and b_1, for inputs x: (1)."""
        first, *others = parameters.coefs
        bias, *biases = parameters.intercepts
        return Parameters((first * self.scale[:, None], *others), (bias + self.mean @ first, *biases))

    def decay(self, curvature: jax.Array) -> jax.Array:
        """Compute the curvature along V's rows, and along d, of a penalty with this curvature along all of W_1.

        The penalty's curvature is a number, or an array (n_units,); the result is (n_features + 1, 1 or n_units).
        Biases are treated as if they decayed, as in the model of the other layers.
        """
        return jnp.square(jnp.sqrt(curvature.reshape(1, -1)) / jnp.append(self.scale, 1)[:, None])
