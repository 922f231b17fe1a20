"""The likelihood of noisy labels that were held out, against the probability that they are wrong."""

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
WIDE, LEAST_WIDE, MOST_WIDE = 0.75, 0.03, 0.09  # an interval as wide says little: in units of epsilon, within limits
HOPELESS = 15.0  # nats of all labels below the best


@dataclass(frozen=True)
class LikelihoodProfile:
    """Likelihood of noisy labels that were held out, against epsilon.

    Of the samples of which networks that do not know them are the surest, with the probabilities of the true labels as
    these networks say them.

    Attributes
    ----------
    epsilon : array of shape (n_points,)
        In order.
    held_out : array of shape (n_points,)
        Mean log-likelihood of the given labels, nats a label.
    n_held_out : int
        Labels that it is the mean over.
    gain : float
        By how much all labels held out are more likely than by networks that were trained without noise, nats in total.
    settled : bool
        Whether epsilon moved by little in the last round of the estimate.
    """

    epsilon: Array
    held_out: Array
    n_held_out: int
    gain: float
    settled: bool = True

    @classmethod
    def of_parabola(cls, epsilon: Array, held_out: Array, near: Array, n_held_out: int) -> Self:
        """Make the profile that version 0.1.0 had: a parabola through those of its points that are near the best."""
        of_parabola = near > 0
        square, linear, _ = np.polyfit(epsilon[of_parabola], held_out[of_parabola], 2)
        if square >= 0:  # it says nothing, and the interval was all that had been tried
            return cls(epsilon, np.where(held_out < held_out.max(), held_out.max() - 1e-9, held_out), n_held_out, 0.0)
        best = np.clip(-linear / (2 * square), *epsilon[of_parabola][[0, -1]])
        half = np.sqrt(HALF_CHI_SQUARED / (-square * n_held_out))
        ends = np.clip([best - half, best, best + half], epsilon[0], epsilon[-1])
        points = np.union1d(np.linspace(epsilon[0], epsilon[-1], N_POINTS), ends)
        lower = square * (points - best) ** 2
        return cls(points, held_out.max() + lower, n_held_out, float(-n_held_out * lower[0]))

    @property
    def best(self) -> float:
        """Epsilon of the greatest likelihood."""
        return float(self.epsilon[np.argmax(self.held_out)])

    @property
    def shows_noise(self) -> bool:
        """Whether labels held out are more likely with noise than without, by a likelihood-ratio test at 5 %."""
        return self.gain > HALF_CHI_SQUARED

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval: where twice the log-likelihood is within chi-squared's quantile of its maximum.

        It begins at 0 where `shows_noise` is False: networks that were trained without noise explain the labels as
        well.
        """
        k = int(np.argmax(self.held_out))
        least = self.held_out[k] - HALF_CHI_SQUARED / self.n_held_out
        below, above = slice(None, k + 1), slice(k, None)
        low = float(np.interp(least, self.held_out[below], self.epsilon[below]))
        high = float(np.interp(-least, -self.held_out[above], self.epsilon[above]))
        return (low if self.shows_noise else 0.0), high

    @property
    def warning(self) -> str | None:
        """What to say of a rate that the labels hardly tell; None where they do."""
        if not self.settled:
            return (
                f"The estimate of the noise has not settled: epsilon = {self.best:.3f} still moved in the last round. "
                "Where some classes are taken for certain others, use epsilon='estimate_matrix'; or give epsilon, if "
                "you know it, or more time or rows."
            )
        low, high = self.interval
        if high - low < min(max(WIDE * self.best, LEAST_WIDE), MOST_WIDE):
            return None
        if self.shows_noise:
            why = f"{self.n_held_out:,} labels, those of which the network is the surest, are few"
        else:
            why = "networks that were trained without noise explain labels held out as well"
        return (
            f"It is hardly known how many labels are wrong: epsilon = {self.best:.3f}, its 95 % interval {low:.3f} to "
            f"{high:.3f}; {why}. Give epsilon, if you know it, or more rows."
        )

    @property
    def near_best(self) -> NDArray[np.bool_]:
        """Which points are worth drawing: those of the interval, and others that are not hopeless."""
        loss = self.n_held_out * (self.held_out.max() - self.held_out)
        return np.asarray((loss < HOPELESS) | (self.epsilon <= self.interval[1]))


def profile_of(
    T: Array, true_probabilities: Array, labels: NDArray[np.intp], weights: Array, gain: float, *, settled: bool = True
) -> LikelihoodProfile:
    """Make the profile along the transition matrices I + r (T - I), which T is the most likely of.

    Parameters
    ----------
    T : array of shape (n_classes, n_classes)
    true_probabilities : array of shape (n_rows, n_classes)
    labels : int array of shape (n_rows,)
    weights : array of shape (n_rows,)
        How many samples each row is.
    gain, settled : float and bool
        See `LikelihoodProfile`.
    """
    n_classes, best = len(T), float(np.mean(1 - T.diagonal()))
    unit = (T if best > 0 else symmetric(0.5, n_classes)) - np.eye(n_classes)  # the way from no noise to T
    unit /= -np.mean(unit.diagonal())
    most = min(largest_epsilon(n_classes), 1 / float(np.max(-unit.diagonal())))
    epsilon = np.union1d(np.linspace(0, max(most, best), N_POINTS), best)
    rows = np.arange(len(labels))
    right = true_probabilities[rows, labels]
    change = given_probabilities(true_probabilities, unit)[rows, labels]
    p = np.maximum(right + epsilon[:, None] * change, np.finfo(float).tiny)
    held_out = np.log(p) @ weights / weights.sum()
    return LikelihoodProfile(epsilon, held_out, max(round(weights.sum()), 1), gain, settled)
