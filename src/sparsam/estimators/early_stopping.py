"""Early stopping: a part of the data is held out, and the weights that suit it best are kept."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold, train_test_split

from sparsam.compilation import quick_jit
from sparsam.error_functions import ProfileGaussianError
from sparsam.objective import Objective, Term
from sparsam.samples import Chunk, Samples
from sparsam.train import Training, precision

__all__ = ["EarlyStopping", "Split", "folds", "hold_out"]

Split = tuple[NDArray[np.intp], NDArray[np.intp]]
"""The rows to train on, and those held out."""


def hold_out(n_samples: int, fraction: float, seed: int, labels: NDArray[Any] | None = None) -> Split:
    """Hold out a part, of which each label has its share.

    Raises
    ------
    ValueError
        If nothing would be held out, or nothing left.
    """
    n_held_out = round(fraction * n_samples)
    if not 0 < n_held_out < n_samples:
        raise ValueError(
            f"validation_fraction = {fraction} of {n_samples} samples leaves {n_held_out} to hold out and "
            f"{n_samples - n_held_out} to train on; both must be some"
        )
    training, held_out = train_test_split(
        np.arange(n_samples), test_size=n_held_out, random_state=seed, stratify=labels
    )
    return np.sort(training), np.sort(held_out)


def folds(n_folds: int, seed: int, labels: NDArray[Any]) -> list[Split]:
    """Hold out each row once, each label in equal shares."""
    return list(StratifiedKFold(n_folds, shuffle=True, random_state=seed).split(labels, labels))


@dataclass
class EarlyStopping:
    """A `sparsam.train.Monitor` that keeps the weights of least held-out error.

    Attributes
    ----------
    objective : Objective
        Its first term is the error.
    training, held_out : Samples
        In the precision of the training. What the error estimates from data, a covariance, comes from the former.
    dtype : str
    patience : int
        Iterations without a new best after which to stop.
    scores : list of (int, float)
        Iteration and held-out error, minus a mean log-likelihood.
    """

    objective: Objective
    training: Samples
    held_out: Samples
    dtype: str
    patience: int
    scores: list[tuple[int, float]] = field(default_factory=list)
    best: tuple[int, float, NDArray[np.floating]] | None = None

    def __call__(self, iteration: int, theta: NDArray[np.floating]) -> bool:
        """Score the weights; True where it is time to stop."""
        with precision(self.dtype):
            objective = jax.tree.map(lambda leaf: np.asarray(leaf, self.dtype), self.objective)
            score = float(held_out_error(objective, jnp.asarray(theta), self.training, self.held_out))
        self.scores.append((iteration, score))
        if self.best is None or score < self.best[1]:
            self.best = (iteration, score, theta)
        return iteration - self.best[0] >= self.patience

    def keep_best(self, training: Training) -> Training:
        """Return the training as if it had ended at the best weights."""
        if self.best is None or training.stop_reason == "not_finite":
            return training
        iteration, _, theta = self.best
        return replace(training, theta=theta, history=training.history[: iteration + 1])


@quick_jit
def held_out_error(objective: Objective, theta: jax.Array, training: Samples, held_out: Samples) -> jax.Array:
    """The error on held-out samples, what it estimates from data taken from the others."""
    parameters, error = objective.parameters(theta), objective.terms[0]

    def mean(error: Term, samples: Samples) -> Any:
        part = replace(objective, terms=(error,))

        def sums(chunk: Chunk) -> Any:
            return part.sums(parameters, chunk)[0]

        return jax.tree.map(lambda total: total / samples.total_weight, samples.sum_over_chunks(sums))

    fixed = error.at(mean(error, training)) if isinstance(error, ProfileGaussianError) else error
    return fixed.value(mean(fixed, held_out), parameters)
