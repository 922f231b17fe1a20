"""The code of an autoencoder, or the innermost code of a stack, as a page describes it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["Code"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Code:
    """Units of the code, and the layers around them.

    Attributes
    ----------
    network : SparseAutoencoder or StackedAutoencoder
    layers : list of SparseAutoencoder
        The autoencoders whose hyperparameters the layers have; the network itself if it is no stack.
    filters : array of shape (n_components, n_features)
        Weights from the inputs to each unit; of a stack, the product of the weights of all encoders, as if the units
        between were linear.
    decoders : array of shape (n_components, n_features)
        Weights from each unit to the outputs, likewise.
    """

    network: Any
    layers: list[Any]
    filters: Array
    decoders: Array

    @classmethod
    def of(cls, network: Any) -> Self:
        """Describe the code of a fitted autoencoder or stack."""
        layers = getattr(network, "autoencoders_", [network])
        n = len(layers)
        encoders, decoders = (
            reduce(np.matmul, [np.asarray(coef, np.float64) for coef in half])
            for half in (network.coefs_[:n], network.coefs_[n:])
        )
        return cls(network, layers, encoders.T, decoders)

    @property
    def lengths(self) -> Array:
        """Lengths of the weights from each unit to the outputs."""
        return np.linalg.norm(self.decoders, axis=1)

    @property
    def is_stack(self) -> bool:
        """Whether the network is a stack."""
        return self.layers[0] is not self.network

    @property
    def hidden_activation(self) -> str:
        """Activation of the units."""
        return str(self.layers[-1].hidden_activation)

    @property
    def output_activation(self) -> str:
        """Activation of the outputs."""
        return str(self.layers[0].output_activation)

    @property
    def sparsity(self) -> str | None:
        """Sparsity penalty of the units: "kl" or "l1"; None without one."""
        last = self.layers[-1]
        return str(last.sparsity) if last.beta_ > 0 else None

    @property
    def rho(self) -> float | None:
        """Target mean activation; None without the penalty that has one."""
        return float(self.layers[-1].rho) if self.sparsity == "kl" else None
