"""Train the networks of a regression: the means with a constant covariance, then a covariance of the input."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
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
from sparsam.engine.training.state import Progress
from sparsam.estimators._autoencoder_base import AutoencoderBase, digest_of
from sparsam.estimators._data.apply_network import unscaled_parameters
from sparsam.estimators._data.dataset import Dataset
from sparsam.estimators._data.splits import Split, hold_out
from sparsam.estimators._pretraining import encoder_of, starting_from
from sparsam.estimators._progress.reporter import FitReporter
from sparsam.estimators._regression.dependent_targets import bounded
from sparsam.estimators._regression.fitted_distribution import FittedDistribution
from sparsam.estimators._regression.input_covariance import (
    CovarianceOutputs,
    penalties,
    root,
    with_covariance_outputs,
    with_zero_outputs,
)
from sparsam.estimators._regression.noise_covariance import make_error
from sparsam.estimators._regression.out_of_fold import HeldOutMoments, OutOfFold, variances_of
from sparsam.estimators._regression.predictive_covariance import (
    PredictiveCovariance,
    Unchanged,
    linear_inflation,
    out_of_fold_covariance,
)
from sparsam.estimators._regression.regression_data import RegressionData
from sparsam.estimators._tangents import tangent_penalties
from sparsam.estimators._training.early_stopping import EarlyStopping
from sparsam.estimators._training.fitted_attributes import check_finished, network_attributes, ravel
from sparsam.estimators._training.held_out_residuals import HeldOutResiduals, HeldOutStandardizedResiduals
from sparsam.estimators._training.time_budget import TimeBudget
from sparsam.estimators._training.train_estimator import EstimatorTraining, TrainingProblem

__all__ = ["CovarianceTrainer", "MeanTrainer"]

Array = NDArray[np.float64]
Weights = NDArray[np.floating]

NONE = dict.fromkeys(
    (
        "covariance_alpha_",
        "covariance_factor_",
        "covariance_coef_",
        "covariance_intercept_",
        "calibration_distances_",
        "calibration_weights_",
    )
)
"""Fitted attributes that are None with a constant covariance, and without calibration rows."""

UNEXPLAINED = 0.9  # a fold explains nothing if its residuals have at least this share of the targets' variances


@dataclass(frozen=True)
class MeanTrainer:
    """Train networks with a constant covariance; see `HeldOutTrainer`.

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
            problem = self._problem(self.trained_on, data.fitted)
        return self._training(problem, reporter, n_to_come=1 + self.n_after)

    @property
    def trained_on(self) -> Dataset | Split:
        """The data of the final training without folds, of which early stopping holds out a part."""
        regressor, data = self.regressor, self.data
        if not regressor._stops_early():
            return data.dataset
        return hold_out(data.dataset, regressor.validation_fraction, data.seed)

    def train_held_out(
        self, split: Split, best_so_far: int | None, n_to_come: int, reporter: FitReporter
    ) -> HeldOutMoments:
        """Train a network without the held-out samples; stop soon after the best iteration of the other folds."""
        stops = self.regressor._stops_early()
        stopping = partial(HeldOutResiduals, observed=self.data.patterns, stops=stops, best_so_far=best_so_far)
        problem = self._problem(split, None, early_stopping=stopping)
        run = self._training(problem, reporter, polish=False, n_to_come=n_to_come + self.n_after)
        return held_out_moments(run, split)

    def train_without(self, split: Split, stop_at: int | None, n_to_come: int, reporter: FitReporter) -> Weights:
        """Train a network without the held-out samples, up to an iteration; return its weights."""
        problem = self._problem(split.training, None, stop_at=stop_at)
        training = self._training(problem, reporter, polish=False, n_to_come=n_to_come).train()
        check_finished(training)
        return training.theta

    def attributes_without(
        self, split: Split, folds: OutOfFold | None, n_to_come: int, reporter: FitReporter
    ) -> dict[str, Any]:
        """Train a network without the held-out samples, as long as the final one; return its fitted attributes."""
        stop_at = None if folds is None else folds.iteration
        problem = self._problem(split.training, None, stop_at=stop_at, folds=folds)
        return self._attributes(problem, n_to_come, reporter)

    def _attributes(self, problem: TrainingProblem, n_to_come: int, reporter: FitReporter) -> dict[str, Any]:
        """Train, and return the fitted attributes."""
        training = self._training(problem, reporter, polish=False, n_to_come=n_to_come).train()
        check_finished(training)
        return dict(problem.attributes_at(training.history[-1], training.theta))

    def in_units_of_y(self, scores: list[tuple[int, float]]) -> list[tuple[int, float]]:
        """Convert log-likelihoods of scaled targets to the units of y."""
        offset = self.data.scale.mean_log_jacobian(self.data.dataset)
        return [(iteration, score + offset) for iteration, score in scores]

    def total_weight(self, dataset: Dataset) -> float:
        """Return S of a part of the data in the user's weights: nu of the prior counts samples in these."""
        return self.data.total_weight * (dataset.total_weight / self.data.dataset.total_weight)

    def _training(self, problem: TrainingProblem, reporter: FitReporter, **options: Any) -> EstimatorTraining:
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
            _AttributesAt(distribution, predictive, data.unknown_pairs, alpha, data.one_dimensional, data.pretrained),
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


@dataclass(frozen=True)
class CovarianceTrainer:
    """Train networks whose covariance depends on the input, from means trained before; see `HeldOutTrainer`.

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
    trained : dict
        Weights of the means trained without each fold, by the fold's identity: they are the same for all
        covariance_alpha.
    """

    means: MeanTrainer
    stop_at: int | None
    factor: Array
    theta: Weights
    covariance_alpha: float
    trained: dict[int, Weights] = field(default_factory=dict)

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
        factor = root(attributes_at.predictive_covariance_at(training.theta) / np.outer(scale, scale))
        stop_at = None if folds is None else folds.iteration
        return cls(replace(means, n_after=0), stop_at, factor, training.theta, covariance_alpha)

    def train_means_without(self, splits: list[Split], reporter: FitReporter) -> None:
        """Train the means without each fold, up to the iteration that was chosen."""
        with reporter.trainings("means", "training the means without each fold", len(splits)) as trainings:
            for fold, split in enumerate(splits, start=1):
                with trainings.training(f"means without fold {fold}") as training:
                    n_to_come = 2 * len(splits) - fold + 2  # with those of one covariance_alpha, and the last
                    theta = self.means.train_without(split, self.stop_at, n_to_come, training)
                    self.trained[id(split)] = theta

    @property
    def independent(self) -> NDArray[np.bool_]:
        """The patterns of standardized residuals, which are independent: each output on its own."""
        return np.eye(len(self.factor), dtype=bool)

    def prepare(self, folds: OutOfFold | None, reporter: FitReporter) -> EstimatorTraining:
        """Prepare the final training."""
        if folds is None:
            problem = self._problem(self.means.trained_on, self.theta, self._log_scale(None))
        else:
            data = self.means.data.dataset
            problem = self._problem(data, self.theta, self._log_scale(folds), stop_at=folds.iteration)
        return self.means._training(problem, reporter)

    @property
    def data(self) -> RegressionData:
        """The data of the fit."""
        return self.means.data

    def attributes_without(
        self, split: Split, folds: OutOfFold | None, n_to_come: int, reporter: FitReporter
    ) -> dict[str, Any]:
        """Train a network without the held-out samples, as long as the final one; return its fitted attributes."""
        assert folds is not None
        theta, log_scale = self.trained[id(split)], self._log_scale(folds)
        problem = self._problem(split.training, theta, log_scale, stop_at=folds.iteration)
        return self.means._attributes(problem, n_to_come, reporter)

    def _log_scale(self, folds: OutOfFold | None) -> Array:
        """Compute the shifts of d.

        The covariance L(x) diag(v_k) L(x)', for mean squares v_k, has the greatest likelihood of the held-out
        standardized residuals: d_k grows by ln(v_k)/2.
        """
        if folds is None:
            return np.zeros(len(self.factor))
        variances = variances_of(folds.counts, folds.products, self.independent)
        return np.asarray(0.5 * np.log(variances))

    def train_held_out(
        self, split: Split, best_so_far: int | None, n_to_come: int, reporter: FitReporter
    ) -> HeldOutMoments:
        """Train a network without the held-out samples; stop soon after the best iteration of the other folds."""
        stops = self.means.regressor._stops_early()
        stopping = partial(
            HeldOutStandardizedResiduals, observed=self.independent, stops=stops, best_so_far=best_so_far
        )
        problem = self._problem(split, self.trained[id(split)], self._log_scale(None), early_stopping=stopping)
        run = self.means._training(problem, reporter, polish=False, n_to_come=n_to_come)
        return held_out_moments(run, split)

    def in_units_of_y(self, scores: list[tuple[int, float]]) -> list[tuple[int, float]]:
        """Convert log-likelihoods of scaled targets to the units of y."""
        return self.means.in_units_of_y(scores)

    def _problem(
        self, trained_on: Dataset | Split, theta: Weights, log_scale: Array, **stopping: Any
    ) -> TrainingProblem:
        """Build the objective over a dataset or a split, to be minimized from trained means."""
        means, n_targets = self.means, len(self.factor)
        data = means.data
        network = with_covariance_outputs(data.network)
        missing = not data.patterns.all()
        terms = (
            HeteroscedasticGaussianError(self.factor, missing),  # type: ignore[arg-type]
            *penalties(network, n_targets, means.alpha, self.covariance_alpha),
            *tangent_penalties(means.regressor, data.has_tangents),
        )
        mask = data.mask
        if mask is not None:
            mask = np.hstack([mask, np.ones((len(mask), network.layer_sizes[-1] - n_targets))])
        objective = Objective(network, terms, mask, data.columns.scale(means.alpha))  # type: ignore[arg-type]
        start = ravel(network, with_zero_outputs(data.network.unravel(theta)))  # type: ignore[arg-type]
        dataset = trained_on.training if isinstance(trained_on, Split) else trained_on
        attributes_at = _CovarianceAttributesAt(objective, data, dataset, log_scale, self, means.regressor.chunk_size)
        return means.problem_of(objective, start, trained_on, attributes_at, new_weights=False, **stopping)


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


@dataclass(frozen=True)
class _AttributesAt:
    """Compute the fitted attributes at an iterate."""

    distribution: FittedDistribution
    predictive: PredictiveCovariance
    unknown: NDArray[np.bool_]
    alpha: float
    one_dimensional: bool
    pretrained: AutoencoderBase | None

    def __call__(self, progress: Progress, theta: NDArray[np.floating]) -> dict[str, Any]:
        covariance = self.distribution.covariance_at(theta)
        return network_attributes(self.distribution.parameters_at(theta), progress) | {
            "alpha_": self.alpha,
            "covariance_": self._of_all(covariance),
            "predictive_covariance_": self._of_all(self.predictive.of(covariance)),
            "n_outputs_": len(self.distribution.dependent.offset),
            "_one_dimensional": self.one_dimensional,
            "pretraining_": self.pretrained,
            **NONE,
        }

    def predictive_covariance_at(self, theta: NDArray[np.floating]) -> Array:
        """Compute the predictive covariance of the fitted targets, in the units of y."""
        return self.predictive.of(self.distribution.covariance_at(theta))

    def _of_all(self, covariance: Array) -> Array:
        return self.distribution.dependent.covariance_of_all(np.where(self.unknown, np.nan, covariance))


@dataclass(frozen=True)
class _CovarianceAttributesAt:
    """Compute the fitted attributes at an iterate, if the covariance depends on the input."""

    objective: Objective
    data: RegressionData
    dataset: Dataset
    log_scale: Array
    trainer: CovarianceTrainer
    chunk_size: int | None

    def __call__(self, progress: Progress, theta: NDArray[np.floating]) -> dict[str, Any]:
        data, n_targets = self.data, len(self.log_scale)
        coefs, intercepts = unscaled_parameters(self.objective, theta)
        of_means = Parameters((*coefs[:-1], coefs[-1][:, :n_targets]), (*intercepts[:-1], intercepts[-1][:n_targets]))
        parameters = data.dependent.of_all(data.scale.in_units_of_y(of_means))
        fitted = self._outputs(coefs, intercepts)
        predictive = fitted.shifted(self.log_scale)
        return network_attributes(parameters, progress) | {
            **NONE,
            "alpha_": self.trainer.means.alpha,
            "covariance_": fitted.mean_covariance(self.dataset),
            "predictive_covariance_": predictive.mean_covariance(self.dataset),
            "n_outputs_": len(data.dependent.offset),
            "_one_dimensional": data.one_dimensional,
            "pretraining_": data.pretrained,
            "covariance_alpha_": self.trainer.covariance_alpha,
            "covariance_factor_": predictive.factor,
            "covariance_coef_": np.array(predictive.parameters.coefs[-1]),
            "covariance_intercept_": np.array(predictive.parameters.intercepts[-1]),
        }

    def _outputs(self, coefs: Any, intercepts: Any) -> CovarianceOutputs:
        data, n_targets = self.data, len(self.log_scale)
        W, b = coefs[-1][:, n_targets:], intercepts[-1][n_targets:]
        factor = data.dependent.combination @ (data.scale.scale[:, None] * self.trainer.factor)
        hidden = Parameters(coefs[:-1], intercepts[:-1])
        return CovarianceOutputs.of(hidden, data.network.hidden_activation, W, b, factor, self.chunk_size)
