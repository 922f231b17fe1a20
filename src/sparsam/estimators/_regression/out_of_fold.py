"""Residuals that were held out, in folds: where to stop, and the covariance of predictions.

Of each fold a network is trained without it. At iterate i of these trainings the residuals of all folds together are
those of predictions of the whole data, each by a network that does not know it. Their variances are the greatest
likelihood's under independent outputs,

    L(i) = -1/2 sum_k c_k [ln v_k(i) + 1 + ln 2 pi],        c_k = share of samples with output k observed

v_k the mean square of output k's residuals. One number, the iteration of the greatest L, is chosen by all samples, so
that the residuals there are as good as new ones. A network trained on all data stops at the same iteration.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from sparsam.estimators._data.splits import Split
from sparsam.estimators._progress.reporter import FitReporter

__all__ = ["HeldOutMoments", "HeldOutTrainer", "OutOfFold", "mean_log_likelihoods", "train_in_folds"]

Array = NDArray[np.float64]

LEAST_VARIANCE = float(np.finfo(float).eps)  # of targets of variance 1: smaller is rounding


class HeldOutMoments(NamedTuple):
    """Moments of the residuals of a held-out part, T iterates of a training, P patterns of observed outputs, K outputs.

    Attributes
    ----------
    weight : float
        Sum of the sample weights.
    iterations : int array of shape (T,)
        The iterates that were looked at, in order; the same in all parts, but for the last of each training.
    counts : array of shape (T, P)
        Share of each pattern.
    products : array of shape (T, P, K, K)
        Mean of s r r' over the part, 0 where a target is missing.
    in_time : bool
        Whether the training ended before the time was over.
    """

    weight: float
    iterations: NDArray[np.intp]
    counts: Array
    products: Array
    in_time: bool = True


class OutOfFold(NamedTuple):
    """What the folds found.

    Attributes
    ----------
    iteration : int or None
        Where to stop; None where trainings end by themselves, or some had no time to.
    scores : list of (int, float)
        Iteration and mean log-likelihood of the residuals, targets scaled, under independent outputs.
    counts, products : arrays of shape (P,) and (P, K, K)
        Mean moments of the residuals of all folds.
    variances : array of shape (n_folds, K)
        Of each fold's residuals; NaN where it has no target.
    """

    iteration: int | None
    scores: list[tuple[int, float]]
    counts: Array
    products: Array
    variances: Array

    @property
    def likelihood(self) -> float:
        """The score at the iteration, or the last."""
        return self.scores[-1][1] if self.iteration is None else dict(self.scores)[self.iteration]


class HeldOutTrainer(Protocol):
    """Trains the networks of the folds."""

    def train_held_out(
        self, split: Split, best_so_far: int | None, n_to_come: int, reporter: FitReporter
    ) -> HeldOutMoments:
        """Train a network without the samples held out; not much beyond the iteration best for other folds.

        It is one of so many trainings that are still to come.
        """


def train_in_folds(
    trainer: HeldOutTrainer,
    *,
    splits: list[Split],
    observed: NDArray[np.bool_],
    stops: bool,
    reporter: FitReporter,
) -> OutOfFold:
    """Train a network for each split, and pool what it holds out.

    Parameters
    ----------
    trainer : HeldOutTrainer
    splits : list of Split
    observed : array of bool, (P, K)
        Which targets are observed together.
    stops : bool
        Whether to look for the best iteration, or to take the last.
    reporter : FitReporter
        Of the fit.
    """
    parts: list[HeldOutMoments] = []
    with reporter.estimate("covariance of predictions", "residuals", len(splits)) as trainings:
        for fold, split in enumerate(splits, start=1):
            best_so_far = out_of_fold(parts, observed, stops=stops).iteration if parts else None
            with trainings.training(f"fold {fold}") as training:
                n_to_come = len(splits) - len(parts) + 1  # with the one that is kept
                parts.append(trainer.train_held_out(split, best_so_far, n_to_come, training))
    return out_of_fold(parts, observed, stops=stops)


def out_of_fold(parts: list[HeldOutMoments], observed: NDArray[np.bool_], *, stops: bool) -> OutOfFold:
    """Pool the moments of several parts, and take the best iteration, or the last."""
    iterations, counts, products = pooled(parts)
    scores = mean_log_likelihoods(counts, products, observed)
    best = int(np.argmax(scores)) if stops else len(scores) - 1
    named = list(zip(iterations.tolist(), scores.tolist(), strict=True))
    variances = []
    for part in parts:
        at = np.searchsorted(part.iterations, iterations[best], side="right") - 1
        variances.append(variances_of(part.counts[at], part.products[at], observed))
    iteration = int(iterations[best]) if stops and all(part.in_time for part in parts) else None
    return OutOfFold(iteration, named, counts[best], products[best], np.array(variances))


def pooled(parts: list[HeldOutMoments]) -> tuple[NDArray[np.intp], Array, Array]:
    """Average the moments of several parts at each iteration of any; a training that has ended stays at its last."""
    iterations = np.unique(np.concatenate([part.iterations for part in parts]))
    weights = [part.weight for part in parts]
    at = [np.searchsorted(part.iterations, iterations, side="right") - 1 for part in parts]
    counts = np.average([part.counts[i] for part, i in zip(parts, at, strict=True)], axis=0, weights=weights)
    products = np.average([part.products[i] for part, i in zip(parts, at, strict=True)], axis=0, weights=weights)
    return iterations, counts, products


def mean_log_likelihoods(counts: Array, products: Array, observed: NDArray[np.bool_]) -> Array:
    """L of moments (..., P) and (..., P, K, K) of residuals in patterns (P, K)."""
    shares = counts @ observed
    variances = np.nan_to_num(variances_of(counts, products, observed), nan=LEAST_VARIANCE)
    return np.asarray(-0.5 * np.sum(shares * (np.log(variances) + 1 + np.log(2 * np.pi)), axis=-1))


def variances_of(counts: Array, products: Array, observed: NDArray[np.bool_]) -> Array:
    """Mean squares of each output's residuals, (..., K), of moments (..., P) and (..., P, K, K); NaN of none."""
    shares = counts @ observed
    squares = np.diagonal(products, axis1=-2, axis2=-1).sum(axis=-2)
    variances = np.maximum(squares / np.where(shares > 0, shares, 1), LEAST_VARIANCE)
    return np.asarray(np.where(shares > 0, variances, np.nan))
