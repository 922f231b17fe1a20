"""Likelihood of held-out noisy labels as a function of epsilon, the probability that they are wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from sparsam.estimators._labels.noise_model import given_probabilities, largest_epsilon, symmetric

__all__ = ["LikelihoodProfile", "profile_of"]

Array = NDArray[np.float64]

N_POINTS = 181
HALF_CHI_SQUARED = 1.920729  # half the 95 % quantile of chi-squared with one degree of freedom
WIDE, LEAST_WIDE, MOST_WIDE = 0.75, 0.03, 0.09  # width of an uncertain interval, relative to epsilon, and its limits
FEW = 0.05  # a share of wrong labels that is small, however uncertain
IMPLAUSIBLE = 15.0  # nats by which the total log-likelihood is below the maximum


@dataclass(frozen=True)
class LikelihoodProfile:
    """Likelihood of held-out noisy labels as a function of epsilon.

    It uses the held-out samples with the most certain predictions, and takes the predicted probabilities for those of
    the true labels.

    Attributes
    ----------
    epsilon : array of shape (n_points,)
        In increasing order.
    held_out : array of shape (n_points,)
        Mean log-likelihood of the given labels, in nats per label.
    n_held_out : int
        Number of labels in the mean.
    gain : float
        Gain in the log-likelihood of all held-out labels over networks that were trained without noise, in nats.
    settled : bool
        Whether the estimate of epsilon converged: it hardly changed in the last round.
    """

    epsilon: Array
    held_out: Array
    n_held_out: int
    gain: float
    settled: bool = True

    @classmethod
    def of_parabola(cls, epsilon: Array, held_out: Array, near: Array, n_held_out: int) -> Self:
        """Make the profile of version 0.1.0: a parabola through its points near the best one."""
        of_parabola = near > 0
        square, linear, _ = np.polyfit(epsilon[of_parabola], held_out[of_parabola], 2)
        if square >= 0:  # no maximum: the interval contains all values that were tried
            return cls(epsilon, np.where(held_out < held_out.max(), held_out.max() - 1e-9, held_out), n_held_out, 0.0)
        best = np.clip(-linear / (2 * square), *epsilon[of_parabola][[0, -1]])
        half = np.sqrt(HALF_CHI_SQUARED / (-square * n_held_out))
        ends = np.clip([best - half, best, best + half], epsilon[0], epsilon[-1])
        points = np.union1d(np.linspace(epsilon[0], epsilon[-1], N_POINTS), ends)
        lower = square * (points - best) ** 2
        return cls(points, held_out.max() + lower, n_held_out, float(-n_held_out * lower[0]))

    @property
    def best(self) -> float:
        """Epsilon with the greatest likelihood."""
        return float(self.epsilon[np.argmax(self.held_out)])

    @property
    def shows_noise(self) -> bool:
        """Whether held-out labels are more likely with noise than without, by a likelihood-ratio test at 5 %."""
        return self.gain > HALF_CHI_SQUARED

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval: twice the log-likelihood is within the chi-squared quantile of its maximum.

        It begins at 0 if `shows_noise` is False: then networks that were trained without noise explain the labels
        equally well.
        """
        k = int(np.argmax(self.held_out))
        least = self.held_out[k] - HALF_CHI_SQUARED / self.n_held_out
        below, above = slice(None, k + 1), slice(k, None)
        low = float(np.interp(least, self.held_out[below], self.epsilon[below]))
        high = float(np.interp(-least, -self.held_out[above], self.epsilon[above]))
        return (low if self.shows_noise else 0.0), high

    @property
    def warning(self) -> str | None:
        """Warning that the estimate of epsilon is uncertain; None if it is not."""
        if not self.settled:
            return (
                f"The estimate of epsilon has not converged: epsilon = {self.best:.3f} still changed in the last "
                "round. If you know epsilon, set it. Otherwise more time or more rows can help."
            )
        low, high = self.interval
        if self.shows_noise and high >= self.epsilon[-1]:
            return (
                f"The labels can hardly be predicted from X: the estimate of epsilon, {self.best:.3f}, cannot "
                f"be distinguished from its upper limit, {self.epsilon[-1]:.3f}. Do not rely on the labels that "
                "find_label_errors names; check that X describes the classes, or set epsilon if you know it."
            )
        if high - low < min(max(WIDE * self.best, LEAST_WIDE), MOST_WIDE) or high < FEW:
            return None
        if self.shows_noise:
            why = f"the estimate is based on only {self.n_held_out:,} labels, those with the most certain predictions"
        else:
            why = "networks that were trained without noise explain held-out labels equally well"
        return (
            f"The share of wrong labels is very uncertain: epsilon = {self.best:.3f}, 95 % interval {low:.3f} to "
            f"{high:.3f}; {why}. If you know epsilon, set it; otherwise more rows help, if X determines the classes."
        )

    @property
    def near_best(self) -> NDArray[np.bool_]:
        """Mask of the points worth drawing: those in the interval, and other plausible ones."""
        loss = self.n_held_out * (self.held_out.max() - self.held_out)
        return np.asarray((loss < IMPLAUSIBLE) | (self.epsilon <= self.interval[1]))


def profile_of(
    T: Array, true_probabilities: Array, labels: NDArray[np.intp], weights: Array, gain: float, *, settled: bool = True
) -> LikelihoodProfile:
    """Make the profile over the transition matrices I + r (T - I), of which T is the most likely.

    Parameters
    ----------
    T : array of shape (n_classes, n_classes)
    true_probabilities : array of shape (n_rows, n_classes)
    labels : int array of shape (n_rows,)
    weights : array of shape (n_rows,)
        Number of samples that each row stands for.
    gain, settled : float and bool
        See `LikelihoodProfile`.
    """
    n_classes, best = len(T), float(np.mean(1 - T.diagonal()))
    unit = (T if best > 0 else symmetric(0.5, n_classes)) - np.eye(n_classes)  # direction from no noise to T
    unit /= -np.mean(unit.diagonal())
    most = min(largest_epsilon(n_classes), 1 / float(np.max(-unit.diagonal())))
    epsilon = np.union1d(np.linspace(0, max(most, best), N_POINTS), best)
    rows = np.arange(len(labels))
    right = true_probabilities[rows, labels]
    change = given_probabilities(true_probabilities, unit)[rows, labels]
    p = np.maximum(right + epsilon[:, None] * change, np.finfo(float).tiny)
    held_out = np.log(p) @ weights / weights.sum()
    return LikelihoodProfile(epsilon, held_out, max(round(weights.sum()), 1), gain, settled)
