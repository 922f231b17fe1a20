"""The data of a regression, and the network to be trained on them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sparsam._utils.digests import array_digest
from sparsam.engine.network.network import Network, Parameters
from sparsam.estimators._data.column_moments import ColumnMoments
from sparsam.estimators._data.dataset import Dataset
from sparsam.estimators._regression.dependent_targets import DependentTargets
from sparsam.estimators._regression.given_folds import FoldShares
from sparsam.estimators._regression.noise_covariance import Prior
from sparsam.estimators._regression.target_scale import TargetScale
from sparsam.estimators._tangents import TangentFunction

__all__ = ["RegressionData"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class RegressionData:
    """The data of a fit, and the network to be trained on them.

    Attributes
    ----------
    dataset : Dataset
        Targets scaled, those alone that are fitted.
    columns : ColumnMoments
        Of the inputs.
    dependent : DependentTargets
        The others.
    scale : TargetScale
    patterns : array of bool, (n_patterns, n_outputs)
        Which targets are observed together.
    total_weight : float
        S, as the user gave it.
    covariance : str or array
        A structure, or the known covariance.
    prior : (nu, Psi) or None
    mask : array or None
    network : Network
    fitted : Parameters or None
        Fitted weights, targets scaled, from which the training that is kept goes on; None where it starts from new
        ones.
    new_theta : array of shape (n_parameters,)
        Weights that no target had an influence on, in the minimizer's coordinates.
    seed : int
        Draws what is held out.
    folds : list of FoldShares or None
        That the user gives; None where they are drawn.
    tangents : TangentFunction or None
        Makes tangents that are not held.
    one_dimensional : bool
        Whether the targets were (n_samples,).
    """

    dataset: Dataset
    columns: ColumnMoments
    dependent: DependentTargets
    scale: TargetScale
    patterns: NDArray[np.bool_]
    total_weight: float
    covariance: str | Array
    prior: Prior | None
    mask: Array | None
    network: Network
    fitted: Parameters | None
    new_theta: NDArray[np.floating]
    seed: int
    folds: list[FoldShares] | None
    tangents: TangentFunction | None
    one_dimensional: bool

    @property
    def unknown_pairs(self) -> NDArray[np.bool_]:
        """Which outputs' covariance the data cannot tell, (n_kept, n_kept): those never observed together."""
        together = self.patterns.T.astype(float) @ self.patterns > 0
        asked = isinstance(self.covariance, str) and self.covariance == "full" and self.prior is None
        return np.asarray(~together & asked)

    @property
    def held_out(self) -> int:
        """Number that determines what is held out: the seed that draws it, or a checksum of the given folds."""
        return self.seed if self.folds is None else array_digest(*(share for fold in self.folds for share in fold))

    @property
    def has_tangents(self) -> bool:
        """Whether there are tangents, held or not."""
        return self.tangents is not None or self.dataset.has_tangents

    @property
    def with_tangents(self) -> Dataset:
        """The dataset, with the tangents that are not held, which are made in every pass."""
        return self.dataset if self.tangents is None else self.tangents.add_to(self.dataset)
