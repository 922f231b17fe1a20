"""Labeled data of a fit, and the network to train on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsam.engine.network.network import Network
from sparsam.estimators._data.column_moments import ColumnMoments
from sparsam.estimators._data.dataset import Dataset
from sparsam.estimators._labels.unlabeled import UnlabeledRows
from sparsam.estimators._tangents import TangentFunction

__all__ = ["LabeledData"]


@dataclass(frozen=True)
class LabeledData:
    """Data of a fit, and the network to train on them.

    Attributes
    ----------
    dataset : Dataset
        The rows with a label; their targets are the numbers of the given labels' classes.
    unlabeled : UnlabeledRows
    classes : array of shape (n_classes,)
    transitions : array of shape (n_classes, n_classes) or None
        The transition matrix T, if it is not estimated.
    network : Network
    columns : ColumnMoments
        Moments of the inputs.
    new_theta : array of shape (n_parameters,)
        Random initial weights, which do not depend on any label, in the minimizer's coordinates.
    seed : int
        Seed for drawing the held-out samples.
    tangents : TangentFunction or None
        Computes tangents that are not in memory.
    all_rows : Dataset or None
        Inputs of all rows, without the weights of the classes, if the pretraining has others than those of ``dataset``.
    pretrained : autoencoder or None
        Its encoder replaces the first layers of ``new_theta``.
    """

    dataset: Dataset
    unlabeled: UnlabeledRows
    classes: NDArray[Any]
    transitions: NDArray[np.float64] | None
    network: Network
    columns: ColumnMoments
    new_theta: NDArray[np.floating]
    seed: int
    tangents: TangentFunction | None
    all_rows: Dataset | None = None
    pretrained: Any = None

    @property
    def has_tangents(self) -> bool:
        """Whether there are tangents, in memory or computed in every pass."""
        return self.tangents is not None or self.dataset.has_tangents

    @property
    def with_tangents(self) -> Dataset:
        """The dataset with tangents; those that are not in memory are computed in every pass."""
        return self.dataset if self.tangents is None else self.tangents.add_to(self.dataset)
