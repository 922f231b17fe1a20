"""Out-of-fold residuals: they choose the number of iterations, and estimate the covariance of predictions.

For each fold a network is trained without it. At iteration i of these trainings every sample has a residual from a
network that was not trained on it. Under independent outputs, with maximum-likelihood variances v_k, the mean squares
of output k's residuals, their mean log-likelihood is

    L(i) = -1/2 sum_k c_k [ln v_k(i) + 1 + ln 2 pi],        c_k = share of samples with output k observed

Only one number, the iteration with the greatest L, is chosen with all samples, so that its residuals are hardly
biased: they are like those of new data. The network trained on all data stops at the same iteration.

For a covariance that depends on the input the residuals are standardized by its Cholesky factor F(x), F^-1 r. They are
independent if it is right, and L(i) is reduced by the mean of ln|F(x)|: it is then the log-likelihood of the covariance
F(x) diag(v_k) F(x)'.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from sparsam.estimators._data.splits import Split
from sparsam.estimators._progress.reporter import FitReporter

__all__ = ["HeldOutMoments", "OutOfFold", "ResidualFoldTrainer", "mean_log_likelihoods", "train_in_folds"]

Array = NDArray[np.float64]

LEAST_VARIANCE = float(np.finfo(float).eps)  # of targets of variance 1: smaller is rounding


class HeldOutMoments(NamedTuple):
    """Moments of the residuals of a held-out part, at T iterates, for P patterns of observed outputs and K outputs.

    Attributes
    ----------
    weight : float
        Sum of the sample weights.
    iterations : int array of shape (T,)
        The scored iterations, in order; the same in all parts, except the last one of each training.
    counts : array of shape (T, P)
        Share of each pattern.
    products : array of shape (T, P, K, K)
        Mean of s r r' over the part, 0 where a target is missing.
    ln_determinants : array of shape (T,)
        Mean of ln|F(x)|, if the residuals are standardized; otherwise 0.
    in_time : bool
        Whether the training ended within the time budget.
    """

    weight: float
    iterations: NDArray[np.intp]
    counts: Array
    products: Array
    ln_determinants: Array
    in_time: bool = True


class OutOfFold(NamedTuple):
    """Result of the trainings in folds.

    Attributes
    ----------
    iteration : int or None
        Iteration at which to stop; None without early stopping, or if the time budget ended one of the trainings.
    scores : list of (int, float)
        Iterations, and the mean log-likelihood of the residuals of scaled targets under independent outputs.
    counts, products : arrays of shape (P,) and (P, K, K)
        Mean moments of the residuals of all folds.
    variances : array of shape (n_folds, K)
        Variances of each fold's residuals; NaN for outputs without a target in the fold.
    """

    iteration: int | None
    scores: list[tuple[int, float]]
    counts: Array
    products: Array
    variances: Array

    @property
    def likelihood(self) -> float:
        """The score at ``iteration``, or the last score if that is None."""
        return self.scores[-1][1] if self.iteration is None else dict(self.scores)[self.iteration]


class ResidualFoldTrainer(Protocol):
    """Trainer of the networks of the folds."""

    def train_held_out(
        self, split: Split, best_so_far: int | None, n_to_come: int, reporter: FitReporter
    ) -> HeldOutMoments:
        """Train a network without the held-out samples; stop soon after the best iteration of the other folds.

        ``n_to_come`` is the number of trainings still to come, including this one.
        """


def train_in_folds(
    trainer: ResidualFoldTrainer,
    *,
    splits: list[Split],
    observed: NDArray[np.bool_],
    stops: bool,
    reporter: FitReporter,
    what: str = "covariance of predictions",
) -> OutOfFold:
    """Train a network for each split, and pool the moments of the held-out residuals.

    Parameters
    ----------
    trainer : ResidualFoldTrainer
    splits : list of Split
    observed : array of bool, (P, K)
        Patterns of targets that are observed together.
    stops : bool
        Whether to choose the best iteration, or the last one.
    reporter : FitReporter
        Reporter of the fit.
    what : str
        The estimate, for the report.
    """
    parts: list[HeldOutMoments] = []
    with reporter.estimate(what, "residuals", len(splits)) as trainings:
        for fold, split in enumerate(splits, start=1):
            best_so_far = out_of_fold(parts, observed, stops=stops).iteration if parts else None
            with trainings.training(f"fold {fold}") as training:
                n_to_come = len(splits) - len(parts) + 1  # including the final training
                parts.append(trainer.train_held_out(split, best_so_far, n_to_come, training))
    return out_of_fold(parts, observed, stops=stops)


def out_of_fold(parts: list[HeldOutMoments], observed: NDArray[np.bool_], *, stops: bool) -> OutOfFold:
    """Pool the moments of several parts, and choose the best iteration, or the last."""
    iterations, counts, products, ln_determinants = pooled(parts)
    log_likelihoods = mean_log_likelihoods(counts, products, observed) - ln_determinants
    best = int(np.argmax(log_likelihoods)) if stops else len(log_likelihoods) - 1
    scores = list(zip(iterations.tolist(), log_likelihoods.tolist(), strict=True))
    variances = []
    for part in parts:
        at = np.searchsorted(part.iterations, iterations[best], side="right") - 1
        variances.append(variances_of(part.counts[at], part.products[at], observed))
    iteration = int(iterations[best]) if stops and all(part.in_time for part in parts) else None
    return OutOfFold(iteration, scores, counts[best], products[best], np.array(variances))


def pooled(parts: list[HeldOutMoments]) -> tuple[NDArray[np.intp], Array, Array, Array]:
    """Average the moments of several parts at each iteration of any; an ended training keeps its last moments."""
    iterations = np.unique(np.concatenate([part.iterations for part in parts]))
    weights = [part.weight for part in parts]
    at = [np.searchsorted(part.iterations, iterations, side="right") - 1 for part in parts]

    def average(name: str) -> Array:
        return np.average([getattr(part, name)[i] for part, i in zip(parts, at, strict=True)], axis=0, weights=weights)

    return iterations, average("counts"), average("products"), average("ln_determinants")


def mean_log_likelihoods(counts: Array, products: Array, observed: NDArray[np.bool_]) -> Array:
    """Compute L from moments (..., P) and (..., P, K, K) of residuals in patterns (P, K)."""
    shares = counts @ observed
    variances = np.nan_to_num(variances_of(counts, products, observed), nan=LEAST_VARIANCE)
    return np.asarray(-0.5 * np.sum(shares * (np.log(variances) + 1 + np.log(2 * np.pi)), axis=-1))


def variances_of(counts: Array, products: Array, observed: NDArray[np.bool_]) -> Array:
    """Compute mean squares (..., K) of residuals from moments (..., P) and (..., P, K, K); NaN without a target."""
    shares = counts @ observed
    squares = np.diagonal(products, axis1=-2, axis2=-1).sum(axis=-2)
    variances = np.maximum(squares / np.where(shares > 0, shares, 1), LEAST_VARIANCE)
    return np.asarray(np.where(shares > 0, variances, np.nan))
