"""Early stopping: a part of the data is held out, and the weights that suit it best are kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from sparsam.compilation import quick_jit
from sparsam.error_functions import ProfileGaussianError
from sparsam.objective import Objective, Term
from sparsam.samples import Chunk, Samples
from sparsam.train import Training, precision

__all__ = ["EarlyStopping", "Part", "Split", "folds", "hold_out"]


class Part(NamedTuple):
    """Some of the rows, and for each of them the share of its weight that belongs to the part."""

    rows: NDArray[np.intp]
    shares: NDArray[np.float64]


class Split(NamedTuple):
    """What to train on, and what is held out. A row that stands for several samples may be in both, with its shares."""

    training: Part
    held_out: Part

    @classmethod
    def of(cls, held_out: NDArray[np.int64], counts: NDArray[np.int64]) -> Self:
        """Hold out so many of the samples that each row stands for."""
        parts = []
        for taken in (counts - held_out, held_out):
            rows = np.flatnonzero(taken)
            parts.append(Part(rows, taken[rows] / counts[rows]))
        return cls(*parts)


def hold_out(counts: NDArray[np.int64], fraction: float, seed: int, labels: NDArray[Any] | None = None) -> Split:
    """Hold out a part of the samples, of which each label has its share.

    ``counts`` (n_rows,) says how many samples a row stands for. Of a label's samples the nearest whole number to its
    share is held out, but one at least is left to train on.

    Raises
    ------
    ValueError
        If nothing would be held out, or nothing left.
    """
    generator = np.random.default_rng(seed)
    held_out = np.zeros_like(counts)
    for rows in _groups(labels, len(counts)):
        n_samples = int(counts[rows].sum())
        n_held_out = min(round(fraction * n_samples), n_samples - (1 if labels is not None else 0))
        held_out[rows] = _draw(generator, counts[rows], n_held_out)
    n_samples, n_held_out = int(counts.sum()), int(held_out.sum())
    if not 0 < n_held_out < n_samples:
        of_labels = "" if labels is None else f" with {len(np.unique(labels))} labels"
        raise ValueError(
            f"validation_fraction = {fraction} of {n_samples} samples{of_labels} leaves {n_held_out} to hold out and "
            f"{n_samples - n_held_out} to train on; both must be some. Use another fraction, or more samples"
        )
    return Split.of(held_out, counts)


def folds(n_folds: int, counts: NDArray[np.int64], seed: int, labels: NDArray[Any]) -> list[Split]:
    """Hold out each sample once, each label in equal shares."""
    generator = np.random.default_rng(seed)
    left, splits = counts.copy(), []
    for fold in range(n_folds):
        held_out = np.zeros_like(counts)
        for rows in _groups(labels, len(counts)):
            held_out[rows] = _draw(generator, left[rows], round(int(left[rows].sum()) / (n_folds - fold)))
        left -= held_out
        splits.append(Split.of(held_out, counts))
    return splits


def _groups(labels: NDArray[Any] | None, n_rows: int) -> list[NDArray[np.intp]]:
    if labels is None:
        return [np.arange(n_rows)]
    return [np.flatnonzero(labels == label) for label in np.unique(labels)]


def _draw(generator: np.random.Generator, counts: NDArray[np.int64], n_samples: int) -> NDArray[np.int64]:
    """Draw so many of the samples without putting them back: how many of each row."""
    return generator.multivariate_hypergeometric(counts, n_samples, method="marginals")


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
    offset : float
        What a log-likelihood lacks for the user's units.
    scores : list of (int, float)
        Iteration and held-out error, minus a mean log-likelihood.
    """

    objective: Objective
    training: Samples
    held_out: Samples
    dtype: str
    patience: int
    offset: float = 0.0
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

    @property
    def log_likelihoods(self) -> list[tuple[int, float]]:
        """Iteration and mean log-likelihood of what is held out, in the user's units."""
        return [(iteration, self.offset - error) for iteration, error in self.scores]

    def score_at(self, iteration: int) -> float | None:
        """Return the last of them, if it is of this iteration."""
        scored = bool(self.scores) and self.scores[-1][0] == iteration
        return self.offset - self.scores[-1][1] if scored else None

    def remember(self) -> Mapping[str, NDArray[Any]]:
        """Return the scores and the best weights."""
        scores = np.array(self.scores, dtype=np.float64).reshape(-1, 2)
        if self.best is None:
            return {"scores": scores}
        return {"scores": scores, "best": np.array(self.best[:2], dtype=np.float64), "theta": self.best[2]}

    def recall(self, remembered: Mapping[str, NDArray[Any]]) -> None:
        """Go on from there."""
        self.scores = [(int(iteration), float(score)) for iteration, score in remembered["scores"]]
        if "best" in remembered:
            iteration, score = remembered["best"]
            self.best = (int(iteration), float(score), remembered["theta"])

    def keep_best(self, training: Training) -> Training:
        """Return the training as if it had ended at the best weights."""
        if self.best is None or training.stop_reason == "not_finite":
            return training
        iteration, _, theta = self.best
        history = training.history[: iteration + 1]
        # What ended there has not ended here.
        ended = len(history) < len(training.history) and training.stop_reason in ("converged", "precision")
        return replace(
            training, theta=theta, history=history, stop_reason="held_out" if ended else training.stop_reason
        )


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
