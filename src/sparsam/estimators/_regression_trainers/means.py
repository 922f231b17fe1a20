"""Train the networks of a regression with a constant covariance."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsam.engine.data.batch import Batch
from sparsam.engine.network.network import Network, Parameters
from sparsam.engine.objective.error_functions import (
    GaussianError,
    HeteroscedasticGaussianError,
    ProfileGaussianError,
)
from sparsam.engine.objective.objective import Objective
from sparsam.engine.objective.penalties import WeightDecay
from sparsam.engine.training.checkpoints import Checkpointer
from sparsam.engine.training.result import Training
from sparsam.estimators._data.dataset import Dataset
from sparsam.estimators._data.splits import Split, hold_out
from sparsam.estimators._pretraining import encoder_of, starting_from
from sparsam.estimators._progress.reporter import FitReporter
from sparsam.estimators._regression.dependent_targets import bounded
from sparsam.estimators._regression.fitted_distribution import FittedDistribution
from sparsam.estimators._regression.noise_covariance import make_error
from sparsam.estimators._regression.out_of_fold import HeldOutMoments, OutOfFold
from sparsam.estimators._regression.predictive_covariance import (
    PredictiveCovariance,
    Unchanged,
    linear_inflation,
    out_of_fold_covariance,
)
from sparsam.estimators._regression.regression_data import RegressionData
from sparsam.estimators._regression_trainers.attributes import ConstantCovarianceAttributes
from sparsam.estimators._tangents import tangent_penalties
from sparsam.estimators._training.convergence import check_finished
from sparsam.estimators._training.early_stopping import EarlyStopping
from sparsam.estimators._training.flat_weights import ravel
from sparsam.estimators._training.held_out_residuals import HeldOutResiduals
from sparsam.estimators._training.part_of_fit import digest_of
from sparsam.estimators._training.time_budget import TimeBudget
from sparsam.estimators._training.train_estimator import EstimatorTraining, TrainingProblem

__all__ = ["MeanTrainer", "held_out_moments"]

Array = NDArray[np.float64]
Weights = NDArray[np.floating]

UNEXPLAINED = 0.9  # a fold explains nothing if its residuals have at least this share of the targets' variances


@dataclass(frozen=True)
class MeanTrainer:
    """Train networks with a constant covariance; see `ResidualFoldTrainer`.

    Attributes
    ----------
    regressor : MultivariateNormalRegressor
    data : RegressionData
    checkpointer : Checkpointer or None
    budget : TimeBudget
    alpha : float
    n_after : int
        Trainings that follow the final one.
    """

    regressor: Any
    data: RegressionData
    checkpointer: Checkpointer | None
    budget: TimeBudget
    alpha: float
    n_after: int = 0

    def explains_nothing(self, folds: OutOfFold) -> bool:
        """Whether in some fold the residuals of all outputs have at least nearly the variances of the targets."""
        seen, squares = self.data.dataset.sum(_observed_squares)
        unexplained = folds.variances > UNEXPLAINED * squares / seen
        return bool(np.any(np.all(unexplained | np.isnan(folds.variances), axis=1)))

    def prepare(self, folds: OutOfFold | None, reporter: FitReporter) -> EstimatorTraining:
        """Prepare the final training."""
        regressor, data = self.regressor, self.data
        if folds is not None:
            fitted = None if regressor._ends_by_folds() else data.fitted
            problem = self._problem(data.dataset, fitted, stop_at=folds.iteration, folds=folds)
        else:
            problem = self._problem(self.without_folds(data.dataset), data.fitted)
        return self.training(problem, reporter, n_to_come=1 + self.n_after)

    def without_folds(self, dataset: Dataset) -> Dataset | Split:
        """Return the data of a training that no folds end: early stopping holds out a part."""
        regressor = self.regressor
        if not regressor._stops_early():
            return dataset
        return hold_out(dataset, regressor.validation_fraction, self.data.seed)

    def train_held_out(
        self, split: Split, best_so_far: int | None, n_to_come: int, reporter: FitReporter
    ) -> HeldOutMoments:
        """Train a network without the held-out samples; stop soon after the best iteration of the other folds."""
        stops = self.regressor._stops_early()
        stopping = partial(HeldOutResiduals, observed=self.data.patterns, stops=stops, best_so_far=best_so_far)
        problem = self._problem(split, None, early_stopping=stopping)
        run = self.training(problem, reporter, polish=False, n_to_come=n_to_come + self.n_after)
        return held_out_moments(run, split)

    def weights_without(self, split: Split, stop_at: int | None, n_to_come: int, reporter: FitReporter) -> Weights:
        """Train a network without the held-out samples, up to an iteration; return its weights."""
        problem = self._problem(split.training, None, stop_at=stop_at)
        return self.train_part(problem, n_to_come, reporter).theta

    def attributes_without(
        self, split: Split, folds: OutOfFold | None, n_to_come: int, reporter: FitReporter
    ) -> dict[str, Any]:
        """Train a network without the held-out samples, as the final one is trained; return its fitted attributes."""
        if folds is None:
            problem = self._problem(self.without_folds(split.training), None)
        else:
            problem = self._problem(split.training, None, stop_at=folds.iteration, folds=folds)
        training = self.train_part(problem, n_to_come, reporter)
        return dict(problem.attributes_at(training.history[-1], training.theta))

    def train_part(self, problem: TrainingProblem, n_to_come: int, reporter: FitReporter) -> Training:
        """Train a network that other trainings of the fit need."""
        training = self.training(problem, reporter, polish=False, n_to_come=n_to_come).train()
        check_finished(training)
        return training

    def in_units_of_y(self, scores: list[tuple[int, float]]) -> list[tuple[int, float]]:
        """Convert log-likelihoods of scaled targets to the units of y."""
        offset = self.data.scale.mean_log_jacobian(self.data.dataset)
        return [(iteration, score + offset) for iteration, score in scores]

    def total_weight(self, dataset: Dataset) -> float:
        """Return S of a part of the data in the user's weights: nu of the prior counts samples in these."""
        return self.data.total_weight * (dataset.total_weight / self.data.dataset.total_weight)

    def training(self, problem: TrainingProblem, reporter: FitReporter, **options: Any) -> EstimatorTraining:
        """Prepare a training by the hyperparameters of the regressor."""
        training: EstimatorTraining = self.regressor._prepare_training(
            problem, reporter, self.checkpointer, budget=self.budget, **options
        )
        return training

    def _problem(
        self,
        trained_on: Dataset | Split,
        fitted: Parameters | None,
        *,
        folds: OutOfFold | None = None,
        **stopping: Any,
    ) -> TrainingProblem:
        """Build the objective over a dataset or a split, to be minimized from fitted or new weights."""
        regressor, data, alpha = self.regressor, self.data, self.alpha
        dataset = trained_on.training if isinstance(trained_on, Split) else trained_on
        error = make_error(
            data.constant_covariance, data.prior, data.scale.scale, data.patterns, self.total_weight(dataset)
        )
        if "early_stopping" in stopping and isinstance(error, ProfileGaussianError):
            error = bounded(error, dataset)
        terms = (error, WeightDecay(alpha), *tangent_penalties(regressor, data.has_tangents))
        input_scale = data.columns.scale(alpha)
        objective = Objective(data.network, terms, data.mask, input_scale)  # type: ignore[arg-type]
        distribution = FittedDistribution(
            objective, data.scale, dataset, data.patterns, data.dependent, regressor.chunk_size
        )
        predictive = self._predictive(error, alpha, dataset, folds)
        theta = (
            starting_from(encoder_of(data.pretrained), data.new_theta, data.network, input_scale)
            if fitted is None
            else ravel(data.network, input_scale.scaled_weights(fitted))
        )
        return self.problem_of(
            objective,
            theta,
            trained_on,
            ConstantCovarianceAttributes(data, alpha, distribution, predictive),
            new_weights=fitted is None and data.pretrained is None,
            **stopping,
        )

    def problem_of(
        self, objective: Objective, theta: Weights, trained_on: Dataset | Split, attributes_at: Any, **options: Any
    ) -> TrainingProblem:
        """Make the problem of minimizing an objective from these weights."""
        data = self.data
        return TrainingProblem(
            objective,
            theta,
            trained_on,
            attributes_at,
            _numbers_per_sample(objective.network, objective.terms[0]),
            data.tangents,
            data.scale.mean_log_jacobian(trained_on.held_out) if isinstance(trained_on, Split) else 0.0,
            depends_on={} if data.pretrained is None else digest_of([data.pretrained]),
            **options,
        )

    def _predictive(
        self, error: GaussianError | ProfileGaussianError, alpha: float, dataset: Dataset, folds: OutOfFold | None
    ) -> PredictiveCovariance:
        data = self.data
        if isinstance(error, GaussianError) or self.regressor.cv is None:
            return Unchanged()
        if folds is not None:
            return out_of_fold_covariance(error, folds, data.patterns, data.scale.scale)
        if len(data.network.layer_sizes) > 2:  # too few samples for folds
            return Unchanged()
        return linear_inflation(error.structure, dataset, data.mask, alpha, data.scale.scale)


def held_out_moments(run: EstimatorTraining, split: Split) -> HeldOutMoments:
    """Train, and return the moments of the held-out residuals."""
    training = run.train()
    check_finished(training)
    stopping: EarlyStopping | None = run.early_stopping
    assert isinstance(stopping, HeldOutResiduals)
    moments = stopping.of_held_out(split.held_out.total_weight)
    return moments._replace(in_time=training.stop_reason != "time_budget")


def _numbers_per_sample(network: Network, error: Any) -> tuple[int, ...]:
    """Return how many numbers a sample needs in each layer, and for its residuals in each pattern."""
    n_outputs = network.layer_sizes[-1]
    if isinstance(error, HeteroscedasticGaussianError):
        return (*network.layer_sizes, error.factor.size * (1 + error.missing))
    n_patterns = 0 if error.patterns is None else len(error.patterns)
    return (*network.layer_sizes, n_patterns * n_outputs)


def _observed_squares(batch: Batch) -> tuple[Array, Array]:
    """Sum the weights of each output's observed targets, and the weighted squares of the targets."""
    seen = batch.weights[:, None] * ~np.isnan(batch.targets)
    return seen.sum(axis=0), np.sum(seen * np.nan_to_num(batch.targets) ** 2, axis=0, dtype=np.float64)
