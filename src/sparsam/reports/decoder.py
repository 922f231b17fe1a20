"""Decode from some of the units: the outputs of an autoencoder as units are added to a code one by one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsam.reference.activations import OUTPUT_ACTIVATIONS
from sparsam.reports.code import Code

__all__ = ["Decoder"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Decoder:
    """The decoder of an autoencoder or a stack, in float64.

    With a single layer, y = h_out(b + sum_j z_j w_j), so that adding a unit adds a multiple of its weights; of a stack
    each code is decoded by itself.

    Attributes
    ----------
    network : SparseAutoencoder or StackedAutoencoder
    weights : array of shape (n_units, n_features), or None for a stack
    intercept : array of shape (n_features,); empty for a stack
    output_activation : str
    """

    network: Any
    weights: Array | None
    intercept: Array
    output_activation: str

    @classmethod
    def of(cls, code: Code) -> Decoder:
        """Take the decoder of a fitted network."""
        network = code.network
        if code.is_stack:
            return cls(network, None, np.empty(0), code.output_activation)
        weights, intercept = (np.asarray(both[1], np.float64) for both in (network.coefs_, network.intercepts_))
        return cls(network, weights, intercept, code.output_activation)

    @property
    def is_linear(self) -> bool:
        """Whether the outputs are linear in the code."""
        return self.weights is not None and self.output_activation == "identity"

    def outputs(self, Z: Array) -> Array:
        """Decode codes of shape (n_rows, n_units)."""
        if self.weights is None:
            return np.asarray(self.network.inverse_transform(Z), np.float64)
        return self._activated(Z @ self.weights + self.intercept)

    def stepwise_outputs(self, start: Array, Z: Array, units: NDArray[np.intp]) -> Array:
        """Decode each row from its first unit, its first two units, and so on; other units stay at a common start.

        Parameters
        ----------
        start : array of shape (n_units,)
            Activations of the units that are not added.
        Z : array of shape (n_rows, n_units)
        units : int array of shape (n_rows, n_steps)
            The units of each row, in the order in which they are added.

        Returns
        -------
        array of shape (n_rows, n_steps, n_features)
        """
        (n_rows, n_steps), rows = units.shape, np.arange(len(units))
        if self.weights is None:
            codes = np.repeat(start[np.newaxis, np.newaxis], n_rows, axis=0).repeat(n_steps, axis=1)
            for k in range(n_steps):
                codes[rows, k:, units[:, k]] = Z[rows, units[:, k]][:, np.newaxis]
            return self.outputs(codes.reshape(n_rows * n_steps, -1)).reshape(n_rows, n_steps, -1)
        added = np.take_along_axis(Z, units, axis=1) - start[units]
        a = np.cumsum(added[..., np.newaxis] * self.weights[units], axis=1)
        return self._activated(a + (start @ self.weights + self.intercept))

    def increases_without(self, X: Array, Z: Array, at: Array) -> Array:
        """Compute the increase of the mean of 1/2 |y_n - x_n|^2 if a unit always has the activation ``at``.

        Parameters
        ----------
        X : array of shape (n_rows, n_features)
        Z : array of shape (n_rows, n_units)
        at : array of shape (n_units,)

        Returns
        -------
        array of shape (n_units,)
        """
        if self.weights is None:
            return self._increases(X, Z, at)
        a = Z @ self.weights + self.intercept
        residuals = self._activated(a) - X
        if self.is_linear:  # y changes by -d_j w_j, d = z - at: E changes by -d_j w_j r + d_j^2 |w_j|^2 / 2
            d = Z - at
            slopes = np.einsum("jk,jk->j", d.T @ residuals, self.weights)
            squares = np.einsum("nj,nj->j", d, d) * np.einsum("jk,jk->j", self.weights, self.weights)
            return (squares / 2 - slopes) / len(X)
        complete = 0.5 * np.sum(residuals**2)
        changed = (self._activated(a - np.outer(Z[:, j] - at[j], self.weights[j])) - X for j in range(Z.shape[1]))
        return np.array([0.5 * np.sum(r**2) - complete for r in changed]) / len(X)

    def _increases(self, X: Array, Z: Array, at: Array) -> Array:
        complete = 0.5 * np.sum((self.outputs(Z) - X) ** 2)
        increases = np.empty(Z.shape[1])
        for j in range(Z.shape[1]):
            without = Z.copy()
            without[:, j] = at[j]
            increases[j] = 0.5 * np.sum((self.outputs(without) - X) ** 2) - complete
        return increases / len(X)

    def _activated(self, a: Array) -> Array:
        return OUTPUT_ACTIVATIONS[self.output_activation](a)
