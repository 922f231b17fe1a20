"""Statistics of a fitted autoencoder on its training data, by which a fit is judged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sparsam.inspection.units import UnitStatistics

__all__ = ["FitStatistics", "explained_variance", "total_variance"]

Array = NDArray[np.floating]

FINISHED = ("converged", "precision", "held_out")
"""Stop reasons after which more iterations would not help."""


@dataclass(frozen=True)
class FitStatistics:
    """Statistics of a fitted autoencoder on its training data.

    Attributes
    ----------
    stop_reason : str
        Why its training stopped.
    explained : float
        See `explained_variance`; NaN is ignored.
    variance : float
        Variance of the inputs, summed over the features.
    n_features : int
    units : UnitStatistics
        Of the units of the code.
    decoder : array of shape (n_units, n_outputs)
        Weights of the outputs of these units.
    of_code : bool
        Whether the inputs are the code of another autoencoder, in a stack.
    """

    stop_reason: str
    explained: float
    variance: float
    n_features: int
    units: UnitStatistics
    decoder: Array
    of_code: bool = False

    @property
    def at_minimum(self) -> bool:
        """Whether more iterations would not help."""
        return self.stop_reason in FINISHED

    @property
    def deviation(self) -> float:
        """Root-mean-square deviation of the inputs from their means."""
        return float(np.sqrt(self.variance / self.n_features))

    @property
    def share_of_uninformative(self) -> float:
        """Share of the uninformative units in the variance that units add to the (pre-activations of the) outputs."""
        added = np.square(self.units.deviation) * np.sum(np.square(self.decoder, dtype=np.float64), axis=1)
        return float(added[self.units.uninformative].sum() / added.sum()) if added.any() else 0.0


def explained_variance(squared_error: float, variance: float) -> float:
    """Compute the share of the inputs' variance that their reconstructions explain, R^2; NaN for constant inputs.

    1 - sum_n s_n |y_n - x_n|^2 / sum_n s_n |x_n - mean x|^2: 0 for the best constant, 1 for a perfect reconstruction.

    Parameters
    ----------
    squared_error : float
        1/S sum_n s_n 1/2 |y_n - x_n|^2, the term of J.
    variance : float
        1/S sum_n s_n |x_n - mean x|^2, summed over the features.
    """
    return 1 - 2 * squared_error / variance if variance > 0 else float("nan")


def total_variance(X: Array) -> float:
    """Compute the variance of the rows of X, summed over the features; exactly 0 if all rows are equal."""
    return float(X.var(axis=0, dtype=np.float64).sum()) if np.ptp(X, axis=0).any() else 0.0
