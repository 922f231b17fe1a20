"""How labels come to be wrong, estimated from labels that were held out.

The labels trained on do not tell it: a flexible network explains wrong labels as well as right ones, and their
likelihood is greatest with no noise at all. Labels held out are wrong in ways that no network can foresee. So each
label is held out once, in folds (cross-fitting), and the networks and the transition matrix T take turns:

1. Networks trained with T say how probable each true label is, of samples that they do not know.
2. T becomes what makes the given labels of the surest of these samples the most likely.

The surest 30 %: near the border between two classes a network that has seen some hundred samples is less sure than it
might be, and what is left of its doubt there would be taken for right labels. Which samples are sure is said by their
inputs alone, so that their labels are wrong as often as any.

The first networks take all labels for right. Their probabilities explain the noise already, and T would stay the
identity. So the first T counts which labels are given to the surest of each class: their true label is hardly any
other. (Patrini et al., CVPR 2017, take the network's own probabilities of such "anchors"; labels that it was not
trained on are not biased by its choice of them.)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from sparsam.engine.data.devices import all_gather_rows
from sparsam.engine.network.network import Network, Parameters
from sparsam.estimators._data.dataset import Dataset, on_all_processes
from sparsam.estimators._data.splits import Split
from sparsam.estimators._labels.class_probabilities import probabilities_of
from sparsam.estimators._labels.encoding import class_numbers
from sparsam.estimators._labels.likelihood_profile import LikelihoodProfile, profile_of
from sparsam.estimators._labels.noise_model import (
    given_probabilities,
    largest_epsilon,
    most_likely_epsilon,
    most_likely_transitions,
    symmetric,
)
from sparsam.estimators._progress.reporter import FitReporter

__all__ = ["N_FOLDS", "STRUCTURES", "HeldOut", "HeldOutTrainer", "NoiseEstimate", "NoiseEstimation"]

Array = NDArray[np.float64]

N_FOLDS = 4
MOST_ROUNDS = 8  # of the networks and T in turns
SETTLED = 0.01  # no element of T moved by more in the last round
SUREST = 0.3  # share of each class from which T is estimated
SMOOTHING = 1e-3  # share of the uniform distribution mixed into each row of a matrix
SAME = 1e-6  # probabilities of the same inputs differ by less


class HeldOut(NamedTuple):
    """A network trained with some noise assumed, and samples that were held out from it.

    Attributes
    ----------
    dataset : Dataset
        The samples, the numbers of their given labels for targets.
    network : Network
    parameters : Parameters
        Trained.
    scores : list of (int, float)
        Iterations, and the mean log-likelihood of the given labels there; empty where it did not stop early.
    in_time : bool
        Whether the training ended before the time was over.
    """

    dataset: Dataset
    network: Network
    parameters: Parameters
    scores: list[tuple[int, float]]
    in_time: bool


class HeldOutTrainer(Protocol):
    """Trains the networks of an estimate."""

    @property
    def chunk_size(self) -> int | None:
        """Rows of the data that are worked on at once, as the user asked for it."""

    def train_held_out(self, T: Array, alpha: float, split: Split, n_to_come: int, reporter: FitReporter) -> HeldOut:
        """Train a network with a transition matrix and weight decay, without the samples held out.

        It is one of so many trainings that are still to come.
        """


class NoiseEstimate(NamedTuple):
    """Estimate of the label noise, and of the weight decay.

    Attributes
    ----------
    transition_matrix : array of shape (n_classes, n_classes)
    alpha : float
    profile : LikelihoodProfile or None
        Where the noise was estimated.
    scores : list of (int, float)
        Iterations, and the mean log-likelihood of all labels held out, of the trainings with this noise and alpha;
        empty where there were none, where they did not stop early, or some had no time to end.
    """

    transition_matrix: Array
    alpha: float
    profile: LikelihoodProfile | None = None
    scores: Sequence[tuple[int, float]] = ()

    @property
    def best_iteration(self) -> int:
        """Iteration at which labels held out are the most likely."""
        return max(self.scores, key=lambda score: score[1])[0]


class Structure(Protocol):
    """What T may be."""

    name: str

    def from_anchors(self, anchors: Array) -> Array:
        """Make T of the numbers of labels given to the surest samples, (true, given)."""

    def most_likely(self, seen: JudgedLabels, T: Array) -> Array:
        """Return the T that makes the given labels the most likely; a search may start from another."""


class OneProbability:
    """T of labels that are wrong with one probability, and then any of the others."""

    name = "epsilon"

    def from_anchors(self, anchors: Array) -> Array:
        """Take the share of wrong labels."""
        wrong = 1 - anchors.trace() / anchors.sum()
        return symmetric(min(wrong, largest_epsilon(len(anchors))), len(anchors))

    def most_likely(self, seen: JudgedLabels, T: Array) -> Array:
        """Look for the probability."""
        return symmetric(most_likely_epsilon(seen.probabilities, seen.labels, seen.weights), len(T))


class AnyMatrix:
    """T of any probabilities."""

    name = "transition matrix"

    def from_anchors(self, anchors: Array) -> Array:
        """Take it as it is, its rows in order."""
        return align_classes(smooth(anchors / anchors.sum(axis=1, keepdims=True)))

    def most_likely(self, seen: JudgedLabels, T: Array) -> Array:
        """Look for the matrix by expectation maximization."""
        T = most_likely_transitions(seen.probabilities, seen.labels, T, seen.weights)
        return align_classes(smooth(T))


STRUCTURES: dict[str, Structure] = {"estimate": OneProbability(), "estimate_matrix": AnyMatrix()}
"""By the value of a classifier's ``epsilon`` that asks for them."""


@dataclass
class NoiseEstimation:
    """Estimation of label noise by cross-fitting.

    Parameters
    ----------
    trainer : HeldOutTrainer
    splits : list of Split
        In which each label is held out once.
    n_classes : int
    alphas : tuple of float
        Weight decays to choose from.
    reporter : FitReporter
        Of the fit.

    Attributes
    ----------
    most, n_done : int
        Trainings of the estimate, at most and so far.
    """

    trainer: HeldOutTrainer
    splits: list[Split]
    n_classes: int
    alphas: tuple[float, ...]
    reporter: FitReporter
    most: int = field(default=0, init=False)
    n_done: int = field(default=0, init=False)

    def estimate_alpha(self, T: Array) -> NoiseEstimate:
        """Choose the alpha under which given labels are the most likely, for a known transition matrix."""
        with self._reporting("alpha", 1) as reporter:
            found = {alpha: self._cross_fit(T, alpha, "", reporter) for alpha in self.alphas}
        alpha = max(found, key=lambda alpha: found[alpha].log_likelihood(T))
        return NoiseEstimate(T, alpha, scores=found[alpha].scores)

    def estimate_noise(self, structure: Structure) -> NoiseEstimate:
        """Find the transition matrix for each alpha, and take those under which given labels are the most likely."""
        with self._reporting(structure.name, 1 + MOST_ROUNDS) as reporter:
            found = [self._alternate(structure, alpha, reporter) for alpha in self.alphas]
        return max(found, key=lambda result: result[0])[1]

    def _alternate(self, structure: Structure, alpha: float, reporter: FitReporter) -> tuple[float, NoiseEstimate]:
        """Return the mean log-likelihood of given labels, and the estimate."""
        without_noise = np.eye(self.n_classes)
        first = self._cross_fit(without_noise, alpha, "without noise", reporter)
        T = structure.from_anchors(first.anchors())
        for k in range(1, MOST_ROUNDS + 1):
            seen, before = self._cross_fit(T, alpha, f"round {k}", reporter), T
            surest = seen.surest()
            T = structure.most_likely(surest, before)
            if np.abs(T - before).max() < SETTLED or not seen.scores:
                break
        likelihood = seen.log_likelihood(before)
        gain = float(seen.weights.sum()) * (likelihood - first.log_likelihood(without_noise))
        settled = bool(abs(np.mean((T - before).diagonal())) < SETTLED)
        profile = profile_of(T, surest.probabilities, surest.labels, surest.weights, gain, settled=settled)
        return likelihood, NoiseEstimate(T, alpha, profile, seen.scores)

    @contextmanager
    def _reporting(self, what: str, most_rounds: int) -> Iterator[FitReporter]:
        """Report on an estimate that takes at most so many rounds of trainings for each alpha."""
        self.most, self.n_done = most_rounds * len(self.splits) * len(self.alphas), 0
        with self.reporter.estimate(what, "labels", self.most) as reporter:
            yield reporter

    def _cross_fit(self, T: Array, alpha: float, label: str, reporter: FitReporter) -> JudgedLabels:
        """Train a network for each split, with a transition matrix and weight decay; judge what it did not see."""
        if len(self.alphas) > 1:
            label = ", ".join(filter(None, (f"alpha {alpha:g}", label)))
        parts = []
        for fold, split in enumerate(self.splits, start=1):
            with reporter.training(", ".join(filter(None, (label, f"fold {fold}")))) as training:
                n_to_come = self.most - self.n_done + 1  # with the one that is kept
                parts.append(self.trainer.train_held_out(T, alpha, split, n_to_come, training))
            self.n_done += 1
        seen = self._judge(parts)
        of = f"{label}: epsilon {1 - np.mean(T.diagonal()):.3f}, held-out log-likelihood {seen.log_likelihood(T):.4f}"
        reporter.display.part(of, self.n_done, self.most)
        return seen

    def _judge(self, parts: list[HeldOut]) -> JudgedLabels:
        """Take at most `MOST_JUDGED` held-out samples and their probabilities; of more, a part is drawn."""
        mesh = parts[0].dataset.mesh
        n_rows = sum(float(part.dataset.sum(lambda batch: np.float64(batch.n_rows))) for part in parts)
        own = on_all_processes(lambda: self._own_judged(parts, n_rows), mesh)
        y, labels, weights = (all_gather_rows(np.concatenate(column), mesh) for column in zip(*own, strict=True))
        samples_a_weight = sum(part.dataset.n_samples for part in parts) / sum(p.dataset.total_weight for p in parts)
        tell = all(part.in_time and part.scores for part in parts)
        scores = _pooled([p.scores for p in parts], [p.dataset.total_weight for p in parts]) if tell else ()
        return JudgedLabels(y, labels, weights * samples_a_weight, scores)

    def _own_judged(self, parts: list[HeldOut], n_rows: float) -> list[tuple[NDArray[Any], ...]]:
        generator = np.random.default_rng(0)
        found: list[tuple[NDArray[Any], ...]] = []
        for part in parts:
            for batch in part.dataset.batches():
                if n_rows > MOST_JUDGED:
                    batch = batch.take(generator.random(batch.n_rows) < MOST_JUDGED / n_rows)
                y = probabilities_of(part.network, part.parameters, batch.inputs, self.trainer.chunk_size)
                found.append((y, class_numbers(batch), batch.weights))
        return found


MOST_JUDGED = 200_000
"""A matrix has far fewer elements; and their probabilities are held, on each process."""


class JudgedLabels(NamedTuple):
    """Held-out labels, of all processes, beside the probabilities of the true ones.

    Attributes
    ----------
    probabilities : array of shape (n_rows, n_classes)
    labels : int array of shape (n_rows,)
    weights : array of shape (n_rows,)
        How many samples each row is.
    scores : list of (int, float)
        Iterations of the networks' trainings, and the mean log-likelihood of the labels there; empty where they did not
        stop early, or some had no time to end.
    """

    probabilities: Array
    labels: NDArray[np.intp]
    weights: Array
    scores: Sequence[tuple[int, float]] = ()

    def log_likelihood(self, T: Array) -> float:
        """Mean log-likelihood of the given labels, nats a label; what is impossible counts as the least number."""
        p = given_probabilities(self.probabilities, T)[np.arange(len(self.labels)), self.labels]
        return float(np.average(np.log(np.maximum(p, np.finfo(float).tiny)), weights=self.weights))

    def surest(self) -> JudgedLabels:
        """Return those of which the network is the surest: 30 % of the samples that it takes for each class."""
        most_probable = self.probabilities.argmax(axis=1)
        sure = self.probabilities.max(axis=1)
        kept = np.zeros(len(sure), bool)
        for k in range(self.probabilities.shape[1]):
            rows = np.flatnonzero(most_probable == k)
            kept[rows] = _greatest(sure[rows], self.weights[rows], SUREST * self.weights[rows].sum())
        return JudgedLabels(self.probabilities[kept], self.labels[kept], self.weights[kept])

    def anchors(self) -> Array:
        """Count the labels given to the surest samples of each class, (true, given)."""
        n_classes = self.probabilities.shape[1]
        counts = np.empty((n_classes, n_classes))
        for i, p in enumerate(self.probabilities.T):
            kept = _greatest(p, self.weights, SUREST * float(self.weights @ p))
            counts[i] = np.bincount(self.labels[kept], self.weights[kept], n_classes)
        return counts


def _pooled(scores: list[list[tuple[int, float]]], weights: list[float]) -> list[tuple[int, float]]:
    """Average scores at each iteration of any training; one that has ended stays at its last."""
    iterations = sorted({iteration for part in scores for iteration, _ in part})
    columns = []
    for part in scores:
        own, values = (np.array(column) for column in zip(*part, strict=True))
        columns.append(values[np.searchsorted(own, iterations, side="right") - 1])
    return list(zip(iterations, np.average(columns, axis=0, weights=weights).tolist(), strict=True))


def _greatest(values: Array, weights: Array, total: float) -> NDArray[np.bool_]:
    """Which values are the greatest, of a total weight, or a little more: samples with the same inputs go together.

    Rows with the same inputs differ in their labels, so that to take one of them and leave another is no fair choice.
    """
    if len(values) == 0:
        return np.zeros(0, bool)
    order = np.argsort(-values, kind="stable")
    last = min(int(np.searchsorted(np.cumsum(weights[order]), total)), len(order) - 1)
    return np.asarray(values >= values[order[last]] - SAME)


def align_classes(T: NDArray[np.float64]) -> NDArray[np.float64]:
    """Order the rows of T so that its trace is the largest.

    The likelihood does not know what the true classes are called: exchange two of them, the rows of T and the network's
    outputs, and it is the same. What names them is that labels are right more often than not.

    Examples
    --------
    >>> align_classes(np.array([[0.4, 0.6], [0.7, 0.3]])).tolist()
    [[0.7, 0.3], [0.4, 0.6]]
    """
    rows, columns = linear_sum_assignment(T, maximize=True)
    return T[rows[np.argsort(columns)]]


def smooth(T: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mix a little of every label into T, so that none is impossible."""
    n_classes = len(T)
    return (1 - SMOOTHING) * T + SMOOTHING / n_classes
