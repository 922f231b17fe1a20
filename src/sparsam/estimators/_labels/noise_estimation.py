"""Estimation of the label noise from held-out labels.

Training labels cannot determine the noise: a flexible network explains wrong labels as well as right ones, and their
likelihood is greatest without noise. No network can predict wrong labels that were held out. So each label is held out
once, in folds (cross-fitting), and two steps alternate:

1. Networks trained with the transition matrix T predict the probabilities of the true labels of held-out samples.
2. T is set to its maximum-likelihood value for the given labels of the most certain of these samples.

These are the most certain 30 %: near the boundary between two classes a network that was trained on some hundred
samples is less certain than it could be, and its remaining doubt there would explain wrong labels as right ones. The
certainty depends only on the inputs, so that the selected labels are wrong as often as any others.

The first networks are trained without noise. Their probabilities already explain the noise, and T would stay the
identity. So the first T is estimated from the counts of given labels among the most certain samples of each class,
whose true label is hardly in doubt. (Patrini et al., CVPR 2017, use the network's own probabilities of such "anchors";
held-out labels are not biased by the choice of anchors.)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from sparsam.engine.data.devices import all_gather_rows
from sparsam.engine.network.network import Network, Parameters
from sparsam.estimators._data.dataset import Dataset, on_all_processes
from sparsam.estimators._data.splits import Split
from sparsam.estimators._labels.class_probabilities import probabilities_of
from sparsam.estimators._labels.encoding import class_numbers
from sparsam.estimators._labels.held_out_labels import HeldOutLabels
from sparsam.estimators._labels.likelihood_profile import LikelihoodProfile, profile_of
from sparsam.estimators._labels.noise_structures import Structure
from sparsam.estimators._progress.reporter import FitReporter

__all__ = ["N_FOLDS", "HeldOut", "LabelFoldTrainer", "NoiseEstimate", "NoiseEstimation"]

Array = NDArray[np.float64]

N_FOLDS = 4
MAX_ROUNDS = 8  # of training the networks and estimating T
SETTLED = 0.01  # largest change of an element of T in the last round


class HeldOut(NamedTuple):
    """Network trained with an assumed noise, and the samples held out from its training.

    Attributes
    ----------
    dataset : Dataset
        The held-out samples; targets are the numbers of their given labels' classes.
    network : Network
    parameters : Parameters
        Trained weights.
    scores : list of (int, float)
        Iterations, and the mean log-likelihood of the given labels there; empty without early stopping.
    in_time : bool
        Whether the training ended within the time budget.
    """

    dataset: Dataset
    network: Network
    parameters: Parameters
    scores: list[tuple[int, float]]
    in_time: bool


class LabelFoldTrainer(Protocol):
    """Trainer of the networks of an estimate."""

    @property
    def chunk_size(self) -> int | None:
        """The user's number of rows to process at once."""

    def train_held_out(self, T: Array, alpha: float, split: Split, n_to_come: int, reporter: FitReporter) -> HeldOut:
        """Train a network with a transition matrix and weight decay, without the held-out samples.

        ``n_to_come`` is the number of trainings still to come, including this one.
        """


class NoiseEstimate(NamedTuple):
    """Estimate of the label noise, and of the weight decay.

    Attributes
    ----------
    transition_matrix : array of shape (n_classes, n_classes)
    alpha : float
    profile : LikelihoodProfile or None
        None if the noise was not estimated.
    scores : list of (int, float)
        Iterations, and the mean log-likelihood of all held-out labels, for the trainings with this noise and alpha;
        empty without such trainings, without early stopping, or if the time budget ended one of them.
    """

    transition_matrix: Array
    alpha: float
    profile: LikelihoodProfile | None = None
    scores: Sequence[tuple[int, float]] = ()

    @property
    def best_iteration(self) -> int:
        """Iteration at which held-out labels are the most likely."""
        return max(self.scores, key=lambda score: score[1])[0]


@dataclass
class NoiseEstimation:
    """Estimation of label noise by cross-fitting.

    Parameters
    ----------
    trainer : LabelFoldTrainer
    splits : list of Split
        Splits in which each label is held out once.
    n_classes : int
    alphas : tuple of float
        Weight decays to choose from.
    reporter : FitReporter
        Reporter of the fit.

    Attributes
    ----------
    most, n_done : int
        Number of trainings of the estimate: at most, and so far.
    """

    trainer: LabelFoldTrainer
    splits: list[Split]
    n_classes: int
    alphas: tuple[float, ...]
    reporter: FitReporter
    most: int = field(default=0, init=False)
    n_done: int = field(default=0, init=False)

    def estimate_alpha(self, T: Array) -> NoiseEstimate:
        """Choose the alpha with the greatest held-out likelihood, for a known transition matrix.

        With one alpha, held-out labels choose the number of iterations only.
        """
        with self._reporting("alpha" if len(self.alphas) > 1 else "the number of iterations", 1) as reporter:
            found = {alpha: self._cross_fit(T, alpha, "", reporter) for alpha in self.alphas}
        alpha = max(found, key=lambda alpha: found[alpha].log_likelihood(T))
        return NoiseEstimate(T, alpha, scores=found[alpha].scores)

    def estimate_noise(self, structure: Structure) -> NoiseEstimate:
        """Estimate the transition matrix for each alpha, and choose those with the greatest held-out likelihood."""
        with self._reporting(structure.name, 1 + MAX_ROUNDS) as reporter:
            found = [self._alternate(structure, alpha, reporter) for alpha in self.alphas]
        return max(found, key=lambda result: result[0])[1]

    def _alternate(self, structure: Structure, alpha: float, reporter: FitReporter) -> tuple[float, NoiseEstimate]:
        """Alternate between networks and T; return the mean held-out log-likelihood, and the estimate."""
        without_noise = np.eye(self.n_classes)
        first = self._cross_fit(without_noise, alpha, "without noise", reporter)
        T = structure.from_anchors(first.anchors())
        for k in range(1, MAX_ROUNDS + 1):
            held_out, before = self._cross_fit(T, alpha, f"round {k}", reporter), T
            certain = held_out.most_certain()
            T = structure.most_likely(certain, before)
            if np.abs(T - before).max() < SETTLED or not held_out.scores:
                break
        likelihood = held_out.log_likelihood(before)
        gain = float(held_out.weights.sum()) * (likelihood - first.log_likelihood(without_noise))
        settled = bool(abs(np.mean((T - before).diagonal())) < SETTLED)
        profile = profile_of(T, certain.probabilities, certain.labels, certain.weights, gain, settled=settled)
        return likelihood, NoiseEstimate(T, alpha, profile, held_out.scores)

    @contextmanager
    def _reporting(self, what: str, most_rounds: int) -> Iterator[FitReporter]:
        """Report on an estimate that takes at most ``most_rounds`` rounds of trainings for each alpha."""
        self.most, self.n_done = most_rounds * len(self.splits) * len(self.alphas), 0
        with self.reporter.estimate(what, "labels", self.most) as reporter:
            yield reporter

    def _cross_fit(self, T: Array, alpha: float, label: str, reporter: FitReporter) -> HeldOutLabels:
        """Train a network for each split, with a transition matrix and weight decay; predict its held-out samples."""
        if len(self.alphas) > 1:
            label = ", ".join(filter(None, (f"alpha {alpha:g}", label)))
        parts = []
        for fold, split in enumerate(self.splits, start=1):
            with reporter.training(", ".join(filter(None, (label, f"fold {fold}")))) as training:
                n_to_come = self.most - self.n_done + 1  # including the final training
                parts.append(self.trainer.train_held_out(T, alpha, split, n_to_come, training))
            self.n_done += 1
        held_out = self._predict(parts)
        epsilon, likelihood = 1 - np.mean(T.diagonal()), held_out.log_likelihood(T)
        result = f"epsilon {epsilon:.3f}, held-out log-likelihood {likelihood:.4f}"
        reporter.display.part(": ".join(filter(None, (label, result))), self.n_done, self.most)
        return held_out

    def _predict(self, parts: list[HeldOut]) -> HeldOutLabels:
        """Predict the class probabilities of the held-out samples, or of about `MAX_PREDICTED` drawn from them."""
        mesh = parts[0].dataset.mesh
        n_rows = sum(float(part.dataset.sum(lambda batch: np.float64(batch.n_rows))) for part in parts)
        own = on_all_processes(lambda: self._own_predictions(parts, n_rows), mesh)
        y, labels, weights = (all_gather_rows(np.concatenate(column), mesh) for column in zip(*own, strict=True))
        samples_per_weight = sum(part.dataset.n_samples for part in parts) / sum(p.dataset.total_weight for p in parts)
        scored = all(part.in_time and part.scores for part in parts)
        scores = _pooled([p.scores for p in parts], [p.dataset.total_weight for p in parts]) if scored else ()
        return HeldOutLabels(y, labels, weights * samples_per_weight, scores)

    def _own_predictions(self, parts: list[HeldOut], n_rows: float) -> list[tuple[NDArray[Any], ...]]:
        generator = np.random.default_rng(0)
        found: list[tuple[NDArray[Any], ...]] = []
        for part in parts:
            for batch in part.dataset.batches():
                if n_rows > MAX_PREDICTED:
                    batch = batch.take(generator.random(batch.n_rows) < MAX_PREDICTED / n_rows)
                y = probabilities_of(part.network, part.parameters, batch.inputs, self.trainer.chunk_size)
                found.append((y, class_numbers(batch), batch.weights))
        return found


MAX_PREDICTED = 200_000
"""Held-out rows used for an estimate: enough for a matrix, which has far fewer elements, and they fit into the memory
of each process."""


def _pooled(scores: list[list[tuple[int, float]]], weights: list[float]) -> list[tuple[int, float]]:
    """Average the scores at each iteration of any training; a training that has ended keeps its last score."""
    iterations = sorted({iteration for part in scores for iteration, _ in part})
    columns = []
    for part in scores:
        own, values = (np.array(column) for column in zip(*part, strict=True))
        columns.append(values[np.searchsorted(own, iterations, side="right") - 1])
    return list(zip(iterations, np.average(columns, axis=0, weights=weights).tolist(), strict=True))
