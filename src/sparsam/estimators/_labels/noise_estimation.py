"""The probability that a label is wrong, estimated by the likelihood of noisy labels that were held out.

The labels trained on do not tell it: a flexible network explains wrong labels as well as right ones, and their
likelihood is greatest with no noise at all. Labels held out are wrong in ways that no network can foresee. Their
likelihood is greatest at the probability with which they are.
"""

from __future__ import annotations

from collections.abc import Iterator
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
from sparsam.estimators._labels.noise_model import most_likely_transitions, symmetric
from sparsam.estimators._progress.reporter import FitReporter

__all__ = ["HeldOut", "HeldOutTrainer", "LikelihoodProfile", "NoiseEstimate", "NoiseEstimation"]

Array = NDArray[np.float64]

GRID = 7  # points from 0 to nine tenths of what would make the labels meaningless
FINER = 5  # more between the neighbors of the best of them
N_FOLDS = 4  # in which labels are held out for the matrix, which has many elements to be estimated
MOST_ROUNDS = 8  # of the network and the matrix in turns
SETTLED = 0.01  # no element of the matrix moved by more in the last round
ANCHORS = 0.3  # of each class, the share of the surest
SMOOTHING = 1e-3  # share of the uniform distribution mixed into each row of T
HALF_CHI_SQUARED = 1.920729  # half the 95 % quantile of chi-squared with one degree of freedom


@dataclass(frozen=True)
class LikelihoodProfile:
    """Likelihood of noisy labels, held out and trained on, against epsilon.

    Each point is a network of its own, and scatters a little by where its training ended. So the maximum is that of a
    parabola, fitted to the points around the best.

    Attributes
    ----------
    epsilon : array of shape (n_points,)
        What was tried, in order.
    held_out, training : arrays of shape (n_points,)
        Mean log-likelihood of the labels, nats a sample.
    n_held_out : int
        Labels held out.
    near : array of shape (n_points,)
        Which points the parabola is fitted to, 1 or 0.
    """

    epsilon: NDArray[np.float64]
    held_out: NDArray[np.float64]
    training: NDArray[np.float64]
    near: NDArray[np.float64]
    n_held_out: int

    @property
    def parabola(self) -> NDArray[np.float64]:
        """Its coefficients, the highest power first."""
        near = self.near > 0
        return np.polyfit(self.epsilon[near], self.held_out[near], 2)

    @property
    def best(self) -> float:
        """Epsilon of the greatest held-out likelihood."""
        square, linear, _ = self.parabola
        low, high = self.epsilon[self.near > 0][[0, -1]]
        if square >= 0:  # there is no maximum inside
            return float(self.epsilon[np.argmax(self.held_out)])
        return float(np.clip(-linear / (2 * square), low, high))

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval: where twice the held-out log-likelihood is within chi-squared's quantile of its maximum.

        By the parabola, and within what was tried. It is about the labels held out, with the network as it came out at
        each epsilon.
        """
        square = self.parabola[0]
        if square >= 0:
            return float(self.epsilon[0]), float(self.epsilon[-1])
        half = np.sqrt(HALF_CHI_SQUARED / (-square * self.n_held_out))
        low, high = np.clip([self.best - half, self.best + half], self.epsilon[0], self.epsilon[-1])
        return float(low), float(high)


class HeldOut(NamedTuple):
    """A network trained with some noise assumed, and samples that were held out from it.

    Attributes
    ----------
    dataset : Dataset
        The samples, the numbers of their given labels for targets.
    network : Network
    parameters : Parameters
        Trained.
    likelihood, training_likelihood : float
        Mean log-likelihood of the given labels, held out and trained on.
    """

    dataset: Dataset
    network: Network
    parameters: Parameters
    likelihood: float
    training_likelihood: float


class HeldOutTrainer(Protocol):
    """Trains the networks of an estimate."""

    @property
    def chunk_size(self) -> int | None:
        """Rows of the data that are worked on at once, as the user asked for it."""

    def train_held_out(self, T: Array, alpha: float, split: Split, reporter: FitReporter) -> HeldOut:
        """Train a network with a transition matrix and weight decay, without the samples held out."""


class NoiseEstimate(NamedTuple):
    """Estimate of the label noise, and of the weight decay.

    Attributes
    ----------
    transition_matrix : array of shape (n_classes, n_classes)
    alpha : float
    profile : LikelihoodProfile or None
        Where a single probability was estimated.
    """

    transition_matrix: Array
    alpha: float
    profile: LikelihoodProfile | None = None


@dataclass
class NoiseEstimation:
    """Estimation of label noise by the likelihood of noisy labels that were held out.

    Parameters
    ----------
    trainer : HeldOutTrainer
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
    n_classes: int
    alphas: tuple[float, ...]
    reporter: FitReporter
    most: int = field(default=0, init=False)
    n_done: int = field(default=0, init=False)

    def estimate_alpha(self, T: Array, split: Split) -> NoiseEstimate:
        """Choose the most likely alpha for a known transition matrix."""
        with self._reporting("alpha", len(self.alphas)) as reporter:
            found = {alpha: likelihood(self._train(T, alpha, "", [split], reporter)) for alpha in self.alphas}
        return NoiseEstimate(T, max(found, key=lambda alpha: found[alpha]))

    def estimate_epsilon(self, split: Split) -> NoiseEstimate:
        """Find the most likely alpha and epsilon.

        On a grid of epsilon for each alpha; then, with the best of these, on a finer grid between the neighbors of the
        best epsilon.
        """
        grid = np.linspace(0, 0.9 * (1 - 1 / self.n_classes), GRID)
        with self._reporting("epsilon", GRID * len(self.alphas) + FINER) as reporter:
            coarse = {alpha: self._train_at(grid, alpha, split, reporter) for alpha in self.alphas}
            alpha = max(coarse, key=lambda alpha: max(held_out.likelihood for held_out in coarse[alpha].values()))
            found = coarse[alpha]
            k = int(np.argmax([held_out.likelihood for held_out in found.values()]))
            low, high = grid[max(k - 1, 0)], grid[min(k + 1, GRID - 1)]
            finer = np.linspace(low, high, FINER + 2)[1:-1]
            found |= self._train_at(np.setdiff1d(finer.round(12), grid.round(12)), alpha, split, reporter)
        epsilon = np.array(sorted(found))
        profile = LikelihoodProfile(
            epsilon,
            np.array([found[e].likelihood for e in epsilon]),
            np.array([found[e].training_likelihood for e in epsilon]),
            ((epsilon >= low) & (epsilon <= high)).astype(float),
            found[0.0].dataset.n_samples,
        )
        return NoiseEstimate(symmetric(profile.best, self.n_classes), alpha, profile)

    def estimate_matrix(self, splits: list[Split]) -> NoiseEstimate:
        """Find the alpha and the transition matrix under which held-out labels are the most likely.

        For each alpha the network and the matrix that is the most likely for its held-out probabilities take turns
        until the matrix has settled.

        The first network takes all labels for right, so its probabilities explain the noise already, and T would stay
        the identity. The first matrix counts instead which labels are given to those samples that it finds the surest
        of a class: their true label is hardly any other. (Patrini et al., CVPR 2017, take the network's own
        probabilities of such "anchors"; labels that it was not trained on are not biased by its choice of them.) From
        then on the network's probabilities are of the true labels.
        """
        with self._reporting("transition matrix", (1 + MOST_ROUNDS) * len(splits) * len(self.alphas)) as reporter:
            found = {alpha: self._alternate(alpha, splits, reporter) for alpha in self.alphas}
        alpha = max(found, key=lambda alpha: found[alpha][0])
        return NoiseEstimate(found[alpha][1], alpha)

    def _alternate(self, alpha: float, splits: list[Split], reporter: FitReporter) -> tuple[float, Array]:
        first = self._judge(self._train(np.eye(self.n_classes), alpha, "without noise", splits, reporter))
        T = align_classes(smooth(_labels_of_anchors(first)))
        for k in range(1, MOST_ROUNDS + 1):
            held_out, before = self._train(T, alpha, f"round {k}", splits, reporter), T
            seen = self._judge(held_out)
            T = most_likely_transitions(seen.probabilities, seen.labels, T, seen.weights)
            T = align_classes(smooth(T))
            if np.abs(T - before).max() < SETTLED:
                break
        return likelihood(held_out), T

    @contextmanager
    def _reporting(self, what: str, most: int) -> Iterator[FitReporter]:
        """Report on an estimate that takes at most so many trainings."""
        self.most, self.n_done = most, 0
        with self.reporter.estimate(what, "labels", most) as reporter:
            yield reporter

    def _train_at(self, epsilons: Array, alpha: float, split: Split, reporter: FitReporter) -> dict[float, HeldOut]:
        """Train a network at each epsilon."""
        found = {}
        for epsilon in map(float, epsilons):
            T = symmetric(epsilon, self.n_classes)
            [found[epsilon]] = self._train(T, alpha, f"epsilon {epsilon:.3f}", [split], reporter)
        return found

    def _train(self, T: Array, alpha: float, label: str, splits: list[Split], reporter: FitReporter) -> list[HeldOut]:
        """Train a network for each split, with a transition matrix and weight decay."""
        if len(self.alphas) > 1:
            label = ", ".join(filter(None, (f"alpha {alpha:g}", label)))
        parts = []
        for fold, split in enumerate(splits, start=1):
            with reporter.training(f"{label}, fold {fold}" if len(splits) > 1 else label) as training:
                parts.append(self.trainer.train_held_out(T, alpha, split, training))
            self.n_done += 1
        reporter.display.part(f"{label}: held-out log-likelihood {likelihood(parts):.4f}", self.n_done, self.most)
        return parts

    def _judge(self, parts: list[HeldOut]) -> JudgedLabels:
        """Take at most `MOST_JUDGED` held-out samples and their probabilities; of more, a part is drawn."""
        mesh = parts[0].dataset.mesh
        n_rows = sum(float(part.dataset.sum(lambda batch: np.float64(batch.n_rows))) for part in parts)
        own = on_all_processes(lambda: self._own_judged(parts, n_rows), mesh)
        return JudgedLabels(*(all_gather_rows(np.concatenate(column), mesh) for column in zip(*own, strict=True)))

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
    """Held-out labels, of all processes, beside the probabilities of the true ones."""

    probabilities: NDArray[np.float64]
    labels: NDArray[np.intp]
    weights: NDArray[np.float64]


def likelihood(parts: list[HeldOut]) -> float:
    """Average the log-likelihood of held-out labels over several networks, each with a part of them."""
    weights = [part.dataset.total_weight for part in parts]
    return float(np.average([part.likelihood for part in parts], weights=weights))


def _labels_of_anchors(held_out: JudgedLabels) -> NDArray[np.float64]:
    n_classes = held_out.probabilities.shape[1]
    given = np.eye(n_classes)[held_out.labels] * held_out.weights[:, None]
    T = np.empty((n_classes, n_classes))
    for i, probabilities in enumerate(held_out.probabilities.T):
        n_anchors = max(int(ANCHORS * probabilities.sum()), 1)
        counts = given[np.argsort(-probabilities, kind="stable")[:n_anchors]].sum(axis=0)
        T[i] = counts / counts.sum()
    return T


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
