"""Train the networks of a regression whose covariance depends on the input."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsam.engine.objective.error_functions import HeteroscedasticGaussianError
from sparsam.engine.objective.objective import Objective
from sparsam.estimators._data.dataset import Dataset
from sparsam.estimators._data.splits import Split
from sparsam.estimators._progress.reporter import FitReporter
from sparsam.estimators._regression.input_covariance import (
    cholesky_factor,
    weight_decays,
    with_covariance_outputs,
    with_zero_outputs,
)
from sparsam.estimators._regression.out_of_fold import HeldOutMoments, OutOfFold, variances_of
from sparsam.estimators._regression.regression_data import RegressionData
from sparsam.estimators._regression_trainers.attributes import InputCovarianceAttributes
from sparsam.estimators._regression_trainers.means import MeanTrainer, held_out_moments
from sparsam.estimators._tangents import tangent_penalties
from sparsam.estimators._training.convergence import check_finished
from sparsam.estimators._training.flat_weights import ravel
from sparsam.estimators._training.held_out_residuals import HeldOutStandardizedResiduals
from sparsam.estimators._training.train_estimator import EstimatorTraining, TrainingProblem

__all__ = ["CovarianceTrainer"]

Array = NDArray[np.float64]
Weights = NDArray[np.floating]


@dataclass(frozen=True)
class CovarianceTrainer:
    """Train networks whose covariance depends on the input, from means trained before; see `ResidualFoldTrainer`.

    Attributes
    ----------
    means : MeanTrainer
    stop_at : int or None
        Iteration at which the trainings of the means stop.
    factor : array of shape (n_targets, n_targets)
        L_0 of scaled targets, the Cholesky factor of the constant covariance.
    theta : array
        Weights of the means, trained on all data.
    covariance_alpha : float
    trained_without : list of (Split, array)
        Weights of the means trained without each fold: they are the same for all covariance_alpha.
    """

    means: MeanTrainer
    stop_at: int | None
    factor: Array
    theta: Weights
    covariance_alpha: float
    trained_without: list[tuple[Split, Weights]] = field(default_factory=list)

    @classmethod
    def after(
        cls, means: MeanTrainer, folds: OutOfFold | None, covariance_alpha: float, reporter: FitReporter
    ) -> CovarianceTrainer:
        """Train the means on all data, with a constant covariance."""
        run = means.prepare(folds, reporter)
        training = run.train()
        check_finished(training)
        attributes_at: Any = run.problem.attributes_at
        scale = means.data.scale.scale
        factor = cholesky_factor(attributes_at.predictive_covariance_at(training.theta) / np.outer(scale, scale))
        stop_at = None if folds is None else folds.iteration
        return cls(replace(means, n_after=0), stop_at, factor, training.theta, covariance_alpha)

    def with_means_without(self, splits: list[Split], reporter: FitReporter) -> CovarianceTrainer:
        """Train the means without each fold, up to the iteration that was chosen."""
        trained = []
        with reporter.trainings("means", "training the means without each fold", len(splits)) as trainings:
            for fold, split in enumerate(splits, start=1):
                with trainings.training(f"means without fold {fold}") as training:
                    n_to_come = 2 * len(splits) - fold + 2  # with those of one covariance_alpha, and the last
                    trained.append((split, self.means.weights_without(split, self.stop_at, n_to_come, training)))
        return replace(self, trained_without=trained)

    @property
    def regressor(self) -> Any:
        """The estimator whose fit this is."""
        return self.means.regressor

    @property
    def data(self) -> RegressionData:
        """The data of the fit."""
        return self.means.data

    @property
    def independent(self) -> NDArray[np.bool_]:
        """The patterns of standardized residuals, which are independent: each output on its own."""
        return np.eye(len(self.factor), dtype=bool)

    def prepare(self, folds: OutOfFold | None, reporter: FitReporter) -> EstimatorTraining:
        """Prepare the final training."""
        dataset = self.data.dataset
        if folds is None:
            problem = self._problem(self.means.without_folds(dataset), self.theta)
        else:
            problem = self._problem(dataset, self.theta, folds, stop_at=folds.iteration)
        return self.means.training(problem, reporter)

    def train_held_out(
        self, split: Split, best_so_far: int | None, n_to_come: int, reporter: FitReporter
    ) -> HeldOutMoments:
        """Train a network without the held-out samples; stop soon after the best iteration of the other folds."""
        stops = self.regressor._stops_early()
        stopping = partial(
            HeldOutStandardizedResiduals, observed=self.independent, stops=stops, best_so_far=best_so_far
        )
        problem = self._problem(split, self._means_without(split), early_stopping=stopping)
        run = self.means.training(problem, reporter, polish=False, n_to_come=n_to_come)
        return held_out_moments(run, split)

    def attributes_without(
        self, split: Split, folds: OutOfFold, n_to_come: int, reporter: FitReporter
    ) -> dict[str, Any]:
        """Train a network without the held-out samples, as the final one is trained; return its fitted attributes."""
        problem = self._problem(split.training, self._means_without(split), folds, stop_at=folds.iteration)
        training = self.means.train_part(problem, n_to_come, reporter)
        return dict(problem.attributes_at(training.history[-1], training.theta))

    def in_units_of_y(self, scores: list[tuple[int, float]]) -> list[tuple[int, float]]:
        """Convert log-likelihoods of scaled targets to the units of y."""
        return self.means.in_units_of_y(scores)

    def _means_without(self, split: Split) -> Weights:
        """Return the weights of the means that were trained without a fold."""
        return next(theta for other, theta in self.trained_without if other is split)

    def _log_scale(self, folds: OutOfFold | None) -> Array:
        """Compute the shifts of d.

        The covariance L(x) diag(v_k) L(x)', for mean squares v_k, has the greatest likelihood of the held-out
        standardized residuals: d_k grows by ln(v_k)/2.
        """
        if folds is None:
            return np.zeros(len(self.factor))
        variances = variances_of(folds.counts, folds.products, self.independent)
        return np.asarray(0.5 * np.log(variances))

    def _problem(
        self, trained_on: Dataset | Split, theta: Weights, folds: OutOfFold | None = None, **stopping: Any
    ) -> TrainingProblem:
        """Build the objective over a dataset or a split, to be minimized from trained means."""
        means, data, n_targets = self.means, self.data, len(self.factor)
        network = with_covariance_outputs(data.network)
        terms = (
            HeteroscedasticGaussianError(self.factor, missing=not data.patterns.all()),  # type: ignore[arg-type]
            *weight_decays(network, n_targets, means.alpha, self.covariance_alpha),
            *tangent_penalties(self.regressor, data.has_tangents),
        )
        mask = data.mask
        if mask is not None:
            mask = np.hstack([mask, np.ones((len(mask), network.layer_sizes[-1] - n_targets))])
        objective = Objective(network, terms, mask, data.columns.scale(means.alpha))  # type: ignore[arg-type]
        start = ravel(network, with_zero_outputs(data.network.unravel(theta)))  # type: ignore[arg-type]
        attributes_at = InputCovarianceAttributes(
            data,
            means.alpha,
            self.covariance_alpha,
            objective,
            trained_on.training if isinstance(trained_on, Split) else trained_on,
            self.factor,
            self._log_scale(folds),
            self.regressor.chunk_size,
        )
        return means.problem_of(objective, start, trained_on, attributes_at, new_weights=False, **stopping)
