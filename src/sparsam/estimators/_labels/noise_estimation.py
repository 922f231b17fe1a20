"""The probability that a label is wrong, estimated by the likelihood of noisy labels that were held out.

The labels trained on do not tell it: a flexible network explains wrong labels as well as right ones, and their
likelihood is greatest with no noise at all. Labels held out are wrong in ways that no network can foresee. Their
likelihood is greatest at the probability with which they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from sparsam.engine.data.devices import all_rows
from sparsam.estimators._data.dataset import Data, sum_over, together
from sparsam.estimators._data.splits import n_samples
from sparsam.estimators._labels.label_noise import most_likely_transitions, symmetric

__all__ = ["HeldOut", "HeldOutAt", "LikelihoodProfile", "estimate_transitions", "likelihood", "profile_likelihood"]

GRID = 7  # points from 0 to nine tenths of what would make the labels meaningless
FINER = 5  # more between the neighbors of the best of them
N_FOLDS = 4  # in which labels are held out for the matrix, which has many elements to be told
MOST_ROUNDS = 8  # of the network and the matrix in turns
SETTLED = 0.01  # no element of the matrix moved by more in the last round
ANCHORS = 0.3  # of each class, the share of the surest
LITTLE = 1e-3
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
    """What a network, trained with some noise assumed, says of samples that were held out.

    Attributes
    ----------
    data : Data
        The samples, the numbers of their given labels for targets.
    probabilities : callable
        Takes inputs, and returns the probabilities of the true labels, (n_rows, n_classes).
    likelihood, training_likelihood : float
        Mean log-likelihood of the given labels, held out and trained on.
    """

    data: Data
    probabilities: Callable[[NDArray[np.floating]], NDArray[np.float64]]
    likelihood: float
    training_likelihood: float


HeldOutAt = Callable[[NDArray[np.float64], str], list[HeldOut]]
"""Trains networks with some transition matrix, and says what each makes of samples held out.

The text says which it is, for those who follow.
"""


def likelihood(parts: list[HeldOut]) -> float:
    """Mean log-likelihood of held-out labels, of several networks for a part of them each."""
    return float(np.average([part.likelihood for part in parts], weights=[part.data.total_weight for part in parts]))


class Judged(NamedTuple):
    """Held-out labels, of all processes, beside the probabilities of the true ones."""

    probabilities: NDArray[np.float64]
    labels: NDArray[np.intp]
    weights: NDArray[np.float64]


def judged(parts: list[HeldOut]) -> Judged:
    """Take at most `MOST_JUDGED` held-out samples and their probabilities; of more, a part is drawn."""
    mesh = parts[0].data.mesh
    n_rows = sum(float(sum_over(part.data, lambda rows: np.float64(len(rows.X)))) for part in parts)
    generator = np.random.default_rng(0)
    found: list[tuple[NDArray[Any], ...]] = []

    def look() -> None:
        for part in parts:
            for rows in part.data.pieces():
                if n_rows > MOST_JUDGED:
                    rows = rows.take(generator.random(len(rows.X)) < MOST_JUDGED / n_rows)
                found.append((part.probabilities(rows.X), rows.t[:, 0].astype(np.intp), rows.s))

    together(look, mesh)
    return Judged(
        all_rows(np.concatenate([p for p, _, _ in found]), mesh),
        all_rows(np.concatenate([labels for _, labels, _ in found]), mesh),
        all_rows(np.concatenate([weights for _, _, weights in found]), mesh),
    )


MOST_JUDGED = 200_000
"""A matrix has far fewer elements; and their probabilities are held, on each process."""


def profile_likelihood(held_out_at: Mapping[float, HeldOutAt], n_classes: int) -> tuple[float, LikelihoodProfile]:
    """Look for the most likely alpha and epsilon.

    On a grid of epsilon for each alpha; then, with the best of these, on a finer grid between the neighbors of the best
    epsilon.

    Returns
    -------
    alpha : float
        A key of ``held_out_at``.
    profile : LikelihoodProfile
        With that alpha.
    """
    grid = np.linspace(0, 0.9 * (1 - 1 / n_classes), GRID)

    def look(alpha: float, at: NDArray[np.float64]) -> dict[float, HeldOut]:
        return {
            float(epsilon): held_out_at[alpha](symmetric(float(epsilon), n_classes), f"epsilon {epsilon:.3f}")[0]
            for epsilon in at
        }

    coarse = {alpha: look(alpha, grid) for alpha in held_out_at}
    alpha = max(coarse, key=lambda alpha: max(held_out.likelihood for held_out in coarse[alpha].values()))
    found = coarse[alpha]
    k = int(np.argmax([held_out.likelihood for held_out in found.values()]))
    low, high = grid[max(k - 1, 0)], grid[min(k + 1, GRID - 1)]
    finer = np.linspace(low, high, FINER + 2)[1:-1]
    found |= look(alpha, np.setdiff1d(finer.round(12), grid.round(12)))
    epsilon = np.array(sorted(found))
    profile = LikelihoodProfile(
        epsilon,
        np.array([found[e].likelihood for e in epsilon]),
        np.array([found[e].training_likelihood for e in epsilon]),
        ((epsilon >= low) & (epsilon <= high)).astype(float),
        n_samples(found[0.0].data),
    )
    return alpha, profile


def estimate_transitions(held_out_at: Mapping[float, HeldOutAt], n_classes: int) -> tuple[float, NDArray[np.float64]]:
    """Return the alpha (a key of ``held_out_at``) and the transition matrix under which held-out labels are likeliest.

    For each alpha the network and the matrix that is the most likely for its held-out probabilities take turns until
    the matrix has settled.

    The first network takes all labels for right, so its probabilities explain the noise already, and T would stay the
    identity. The first matrix counts instead which labels are given to those samples that it finds the surest of a
    class: their true label is hardly any other. (Patrini et al., CVPR 2017, take the network's own probabilities of
    such "anchors"; labels that it was not trained on are not biased by its choice of them.) From then on the network's
    probabilities are of the true labels.
    """

    def alternate(held_out_at: HeldOutAt) -> tuple[float, NDArray[np.float64]]:
        T = named(mixed(_labels_of_anchors(judged(held_out_at(np.eye(n_classes), "without noise")))))
        for k in range(1, MOST_ROUNDS + 1):
            held_out, before = held_out_at(T, f"round {k}"), T
            seen = judged(held_out)
            T = most_likely_transitions(seen.probabilities, seen.labels, T, seen.weights)
            T = named(mixed(T))
            if np.abs(T - before).max() < SETTLED:
                break
        return likelihood(held_out), T

    found = {alpha: alternate(at) for alpha, at in held_out_at.items()}
    alpha = max(found, key=lambda alpha: found[alpha][0])
    return alpha, found[alpha][1]


def _labels_of_anchors(held_out: Judged) -> NDArray[np.float64]:
    n_classes = held_out.probabilities.shape[1]
    given = np.eye(n_classes)[held_out.labels] * held_out.weights[:, None]
    T = np.empty((n_classes, n_classes))
    for i, probabilities in enumerate(held_out.probabilities.T):
        n_anchors = max(int(ANCHORS * probabilities.sum()), 1)
        counts = given[np.argsort(-probabilities, kind="stable")[:n_anchors]].sum(axis=0)
        T[i] = counts / counts.sum()
    return T


def named(T: NDArray[np.float64]) -> NDArray[np.float64]:
    """T with its rows in the order that makes its trace the largest.

    The likelihood does not know what the true classes are called: exchange two of them, the rows of T and the network's
    outputs, and it is the same. What names them is that labels are right more often than not.

    Examples
    --------
    >>> named(np.array([[0.4, 0.6], [0.7, 0.3]])).tolist()
    [[0.7, 0.3], [0.4, 0.6]]
    """
    rows, columns = linear_sum_assignment(T, maximize=True)
    return T[rows[np.argsort(columns)]]


def mixed(T: NDArray[np.float64]) -> NDArray[np.float64]:
    """T with a little of every label in it, so that none is impossible."""
    n_classes = len(T)
    return (1 - LITTLE) * T + LITTLE / n_classes
