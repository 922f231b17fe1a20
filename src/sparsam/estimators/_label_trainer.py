"""Train the networks of a classification: the final one, and those without held-out labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsam.engine.objective.error_functions import NoisyCrossEntropy
from sparsam.engine.objective.objective import Objective, Term
from sparsam.engine.objective.penalties import WeightDecay
from sparsam.engine.training.checkpoints import Checkpointer
from sparsam.engine.training.state import Progress
from sparsam.estimators._autoencoder_base import AutoencoderBase
from sparsam.estimators._data.apply_network import unscaled_parameters
from sparsam.estimators._data.dataset import Dataset
from sparsam.estimators._data.splits import Split, hold_out
from sparsam.estimators._labels.encoding import network_targets
from sparsam.estimators._labels.labeled_data import LabeledData
from sparsam.estimators._labels.noise_estimation import HeldOut, NoiseEstimate
from sparsam.estimators._pretraining import encoder_of, starting_from
from sparsam.estimators._progress.reporter import FitReporter
from sparsam.estimators._tangents import tangent_penalties
from sparsam.estimators._training.convergence import check_finished
from sparsam.estimators._training.fitted_attributes import network_attributes
from sparsam.estimators._training.initial_weights import initial_weights
from sparsam.estimators._training.part_of_fit import digest_of
from sparsam.estimators._training.time_budget import TimeBudget
from sparsam.estimators._training.train_estimator import EstimatorTraining, TrainingProblem

__all__ = ["TANGENTS_OF", "LabelTrainer"]

Array = NDArray[np.float64]

TANGENTS_OF = {"log_odds": "pre_activations", "probabilities": "outputs"}


@dataclass(frozen=True)
class LabelTrainer:
    """Train the networks of a fit; see `LabelFoldTrainer`.

    Attributes
    ----------
    classifier : NoisyLabelClassifier
    labeled : LabeledData
    checkpointer : Checkpointer or None
    budget : TimeBudget
    """

    classifier: Any
    labeled: LabeledData
    checkpointer: Checkpointer | None
    budget: TimeBudget

    @property
    def chunk_size(self) -> int | None:
        """The hyperparameter ``chunk_size``."""
        return self.classifier.chunk_size

    def prepare(self, noise: NoiseEstimate, reporter: FitReporter) -> EstimatorTraining:
        """Prepare the final training."""
        classifier, labeled = self.classifier, self.labeled
        data: Dataset | Split = labeled.dataset
        stop_at = noise.best_iteration if classifier._stops_early() and noise.scores else None
        if stop_at is None and classifier._stops_early() and classifier.early_stopping != "auto":
            data = hold_out(labeled.dataset, classifier.validation_fraction, labeled.seed, by_label=True)
        warm = classifier._is_warm() and not classifier._ends_by_folds()
        problem = self._problem(noise, data, stop_at=stop_at, warm=warm)
        return classifier._prepare_training(problem, reporter, self.checkpointer, budget=self.budget)

    def train_held_out(self, T: Array, alpha: float, split: Split, n_to_come: int, reporter: FitReporter) -> HeldOut:
        """Train a network with a transition matrix and weight decay, without the held-out samples.

        If T is estimated, the network stops early, because networks that memorize wrong labels do not determine T. If
        only alpha is chosen, the network stops early if the final network does.
        """
        stops = self.classifier._estimates_noise() or self.classifier._stops_early()
        problem = self._problem(NoiseEstimate(T, float(alpha)), split if stops else split.training)
        run = self.classifier._prepare_training(
            problem, reporter, self.checkpointer, polish=False, budget=self.budget, n_to_come=n_to_come
        )
        training = run.train()
        check_finished(training)
        parameters = unscaled_parameters(problem.objective, training.theta)
        in_time = training.stop_reason != "time_budget"
        return HeldOut(split.held_out, self.labeled.network, parameters, run.held_out_scores, in_time)

    def _problem(
        self, noise: NoiseEstimate, data: Dataset | Split, *, stop_at: int | None = None, warm: bool = False
    ) -> TrainingProblem:
        """Build the objective from the probabilities of the given labels."""
        classifier, labeled = self.classifier, self.labeled
        of = TANGENTS_OF[classifier.tangents_of]
        terms: tuple[Term, ...] = (
            NoisyCrossEntropy(noise.transition_matrix),  # type: ignore[arg-type]
            WeightDecay(noise.alpha),
            *tangent_penalties(classifier, labeled.has_tangents, of),
        )
        scale = labeled.columns.scale(float(noise.alpha))
        objective = Objective(labeled.network, terms, input_scale=scale)
        if warm:
            theta = initial_weights(classifier, labeled.network, scale.scaled_weights)
        else:
            theta = starting_from(encoder_of(labeled.pretrained), labeled.new_theta, labeled.network, scale)
        return TrainingProblem(
            objective,
            theta,
            network_targets(data, len(labeled.classes), classifier.dtype),
            ClassifierAttributes(objective, labeled.classes, noise, labeled.pretrained),
            labeled.network.layer_sizes,
            labeled.tangents,
            stop_at=stop_at,
            new_weights=not warm and labeled.pretrained is None,
            depends_on={} if labeled.pretrained is None else digest_of([labeled.pretrained]),
        )


@dataclass(frozen=True)
class ClassifierAttributes:
    """Compute the fitted attributes at an iterate."""

    objective: Objective
    classes: NDArray[Any]
    noise: NoiseEstimate
    pretrained: AutoencoderBase | None

    def __call__(self, progress: Progress, theta: NDArray[np.floating]) -> dict[str, Any]:
        T = self.noise.transition_matrix
        return network_attributes(unscaled_parameters(self.objective, theta), progress) | {
            "classes_": self.classes,
            "alpha_": float(self.noise.alpha),
            "transition_matrix_": T,
            "epsilon_": float(np.mean(1 - np.diag(T))),
            "pretraining_": self.pretrained,
        }
