"""Diagnose a fitted regression: what its fit warns of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from sparsam.engine.training.result import Training
from sparsam.estimators._regression.noise_covariance import (
    DegenerateCovarianceWarning,
    degeneracy_warning,
    has_one_variance,
    never_together_warning,
)
from sparsam.estimators._regression.regression_data import RegressionData
from sparsam.estimators._regression.target_scale import TargetScale

__all__ = ["FitDiagnosis"]

WORSE = 1.5  # largest ratio of the residual variances of the final network to those of the folds
UNLIKE = 10.0  # ratio of the standard deviations of targets that are not of one kind
NOTHING_TO_PREDICT = (
    "All targets are constant: there is nothing to predict. The likelihood has no maximum, and any deviation of the "
    "predictions from the constants is rounding error."
)
CONSTANT_COVARIANCE = (
    "No covariance that depends on the input predicts held-out targets better than a constant one: "
    "predict_covariance(X) is the same for all rows. More rows may show a dependence; covariance='full' takes less "
    "time."
)


@dataclass(frozen=True)
class FitDiagnosis:
    """Diagnosis of a fit by its data, its training and its fitted attributes.

    Attributes
    ----------
    data : RegressionData
    attributes : mapping
        Fitted attributes.
    training : Training
        The final training.
    dtype : str
        Precision of the training.
    in_folds : bool
        Whether trainings in folds preceded the final one.
    """

    data: RegressionData
    attributes: Mapping[str, Any]
    training: Training
    dtype: str
    in_folds: bool

    def warnings(self) -> list[Warning | None]:
        """Make the warnings; None for each that does not apply."""
        data = self.data
        return [
            UserWarning(NOTHING_TO_PREDICT) if data.dependent.all_constant else None,
            self._degeneracy(),
            never_together_warning(data.unknown_pairs, data.dependent.kept),
            self._plateau(),
            self._no_better_than_the_mean(),
            self._unlike_targets(),
            UserWarning(CONSTANT_COVARIANCE) if self._has_constant_covariance() else None,
        ]

    @property
    def has_no_maximum(self) -> bool:
        """Whether the likelihood has no maximum, since residuals can become 0."""
        return self._fits_covariance and (self.data.dependent.all_constant or self._singularity is not None)

    @property
    def _fits_covariance(self) -> bool:
        return isinstance(self.data.covariance, str)

    def _degeneracy(self) -> DegenerateCovarianceWarning | None:
        """Make the warning that targets are linear combinations of others, or the covariance of these is singular."""
        if not self._fits_covariance:
            return None
        dependent = self.data.dependent
        sentences = [dependent.sentence() + "."] if dependent.any else []
        sentences += [] if self._singularity is None else [str(self._singularity)]
        return DegenerateCovarianceWarning(" ".join(sentences)) if sentences else None

    @cached_property
    def _singularity(self) -> DegenerateCovarianceWarning | None:
        """The warning that the covariance of the targets that are fitted is singular."""
        kept, scale = self.data.dependent.kept, self.data.scale.scale
        scaled = np.nan_to_num(self.attributes["covariance_"][np.ix_(kept, kept)] / np.outer(scale, scale))
        stuck, has_units = self.training.stop_reason == "precision", len(self.data.network.layer_sizes) > 2
        return degeneracy_warning(scaled, kept, self.dtype, stuck=stuck, has_hidden_units=has_units)

    def _plateau(self) -> Warning | None:
        """Make the warning that the final training fits its own data worse than the folds fit held-out data."""
        if not self.in_folds or self.data.depends_on_input:
            return None
        final, held_out = (np.diag(self.attributes[name]) for name in ("covariance_", "predictive_covariance_"))
        worse = np.flatnonzero(final > WORSE * held_out)
        if not len(worse):
            return None
        return UserWarning(
            f"The training on all rows ended on a plateau: the residuals of output {worse[0]} have a variance of "
            f"{final[worse[0]]:.3g}, but only {held_out[worse[0]]:.3g} on the rows held out in the folds. Fit with "
            "another random_state, or a smaller alpha."
        )

    def _no_better_than_the_mean(self) -> Warning | None:
        """Make the warning that the folds predict held-out rows no better than the mean of y does."""
        cut_short = self.training.stop_reason in ("time_budget", "max_iter", "interrupted")
        if not self.in_folds or cut_short:  # a longer training may predict
            return None
        factor = self.attributes["covariance_factor_"]
        # A covariance of the input deviates from that of the residuals that the folds held out, F F'.
        C = self.attributes["predictive_covariance_"] if factor is None else factor @ factor.T
        held_out = np.diag(C)[self.data.dependent.kept]
        ratio = float(np.mean(held_out / np.square(self.data.scale.scale)))
        if not ratio >= 1:  # it is NaN without an estimate
            return None
        return UserWarning(
            "The network predicts rows held out in the folds no better than the mean of y does: its mean squared error "
            f"is {ratio:.3g} times the variance of y. Do not rely on the predictions; more rows, or columns of X that "
            "determine y, can help."
        )

    def _unlike_targets(self) -> Warning | None:
        """Make the warning that targets of very different variances share one noise variance."""
        if not has_one_variance(self.data.covariance):
            return None
        deviations = TargetScale.of(self.data.dataset, common=False).scale
        ratio = float(deviations.max() / deviations.min())
        if ratio < UNLIKE:
            return None
        return UserWarning(
            f"covariance='spherical' gives all targets the same noise variance, but their standard deviations differ "
            f"by a factor of {ratio:.2g}: this variance is far too large for targets in small units, which are hardly "
            "fitted. Standardize y, or use covariance='diag'."
        )

    def _has_constant_covariance(self) -> bool:
        """Whether a covariance that may depend on the input is constant."""
        return self.data.depends_on_input and not np.any(self.attributes["covariance_coef_"])
