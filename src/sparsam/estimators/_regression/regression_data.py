"""Data of a regression, and the network to train on them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsam._utils.digests import array_digest
from sparsam.engine.network.network import Network, Parameters
from sparsam.estimators._data.column_moments import ColumnMoments
from sparsam.estimators._data.dataset import Dataset
from sparsam.estimators._regression.dependent_targets import DependentTargets
from sparsam.estimators._regression.given_folds import FoldShares
from sparsam.estimators._regression.noise_covariance import OF_INPUT, Prior
from sparsam.estimators._regression.prediction_region import Calibration
from sparsam.estimators._regression.target_scale import TargetScale
from sparsam.estimators._tangents import TangentFunction

__all__ = ["RegressionData"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class RegressionData:
    """Data of a fit, and the network to train on them.

    Attributes
    ----------
    dataset : Dataset
        Contains only the targets to fit, scaled.
    columns : ColumnMoments
        Moments of the inputs.
    dependent : DependentTargets
        The other targets.
    scale : TargetScale
    patterns : array of bool, (n_patterns, n_outputs)
        Patterns of targets that are observed together.
    total_weight : float
        S, in the user's weights.
    covariance : str or array
        Structure, or the known covariance.
    prior : (nu, Psi) or None
    mask : array or None
    network : Network
    fitted : Parameters or None
        Fitted weights for scaled targets, from which the final training starts; None if it starts from new ones.
    new_theta : array of shape (n_parameters,)
        Random initial weights, which do not depend on any target, in the minimizer's coordinates.
    seed : int
        Seed for drawing the held-out samples.
    folds : list of FoldShares or None
        The user's folds; None if folds are drawn.
    tangents : TangentFunction or None
        Computes tangents that are not in memory.
    one_dimensional : bool
        Whether the shape of y was (n_samples,).
    calibration : Dataset or None
        Held-out rows to calibrate prediction regions with, with the targets to fit, not scaled.
    calibrations : list of Calibration
        Distances of the rows of each fold, if these calibrate.
    pretrained : autoencoder or None
        Its encoder replaces the first layers of ``new_theta``.
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
    calibration: Dataset | None
    calibrations: list[Calibration] = field(default_factory=list)
    pretrained: Any = None

    @property
    def constant_covariance(self) -> str | Array:
        """Structure of the constant covariance, or the known one; "full" if the covariance depends on the input."""
        return "full" if self.depends_on_input else self.covariance

    @property
    def depends_on_input(self) -> bool:
        """Whether the covariance depends on the input."""
        return isinstance(self.covariance, str) and self.covariance == OF_INPUT

    @property
    def unknown_pairs(self) -> NDArray[np.bool_]:
        """Mask of pairs of outputs whose covariance cannot be estimated, (n_kept, n_kept)."""
        observed_together = self.patterns.T.astype(float) @ self.patterns > 0
        needed = self.prior is None and np.array_equal(self.constant_covariance, "full")
        return np.asarray(~observed_together & needed)

    @property
    def held_out(self) -> int:
        """Number that determines the held-out samples: their seed, or a checksum of the user's folds."""
        return self.seed if self.folds is None else array_digest(*(share for fold in self.folds for share in fold))

    @property
    def has_tangents(self) -> bool:
        """Whether there are tangents, in memory or computed in every pass."""
        return self.tangents is not None or self.dataset.has_tangents

    @property
    def with_tangents(self) -> Dataset:
        """The dataset with tangents; those that are not in memory are computed in every pass."""
        return self.dataset if self.tangents is None else self.tangents.add_to(self.dataset)
