"""The labeled data of a fit, and the networks to be trained on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsam.engine.network.network import Network
from sparsam.estimators._data.column_moments import ColumnMoments
from sparsam.estimators._data.dataset import Dataset
from sparsam.estimators._tangents import TangentFunction

__all__ = ["LabeledData"]


@dataclass(frozen=True)
class LabeledData:
    """The data of a fit, and the networks to be trained on them.

    Attributes
    ----------
    dataset : Dataset
        The numbers of the given labels for targets.
    classes : array of shape (n_classes,)
    network : Network
    columns : ColumnMoments
        Of the inputs.
    new_theta : array of shape (n_parameters,)
        Weights that no label had an influence on, in the minimizer's coordinates: where trainings start.
    seed : int
        Draws what is held out.
    tangents : TangentFunction or None
        Makes tangents that are not held.
    """

    dataset: Dataset
    classes: NDArray[Any]
    network: Network
    columns: ColumnMoments
    new_theta: NDArray[np.floating]
    seed: int
    tangents: TangentFunction | None

    @property
    def has_tangents(self) -> bool:
        """Whether there are tangents, held or not."""
        return self.tangents is not None or self.dataset.has_tangents

    @property
    def with_tangents(self) -> Dataset:
        """The dataset, with the tangents that are not held, which are made in every pass."""
        return self.dataset if self.tangents is None else self.tangents.add_to(self.dataset)
