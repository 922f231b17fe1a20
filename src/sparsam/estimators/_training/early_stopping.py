"""Early stopping: a part of the data is held out, and the weights that suit it best are kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

import jax
import numpy as np
from numpy.typing import NDArray

from sparsam._utils.jit import quick_jit
from sparsam.engine.data.samples import Chunk, Samples
from sparsam.engine.network.network import Parameters
from sparsam.engine.objective.error_functions import ProfileGaussianError
from sparsam.engine.objective.objective import Objective
from sparsam.engine.training.streaming import Stream, summed
from sparsam.engine.training.train import Training, precision

__all__ = ["EarlyStopping"]


@dataclass
class EarlyStopping:
    """A `training.train.Monitor` that keeps the weights of least held-out error.

    Attributes
    ----------
    objective : Objective
        Its first term is the error.
    training, held_out : callable
        Return the data in a precision. What the error estimates from data, a covariance, comes from the former.
    dtype : str
    patience : int
        Iterations without a new best after which to stop.
    offset : float
        What a log-likelihood lacks for the user's units.
    scores : list of (int, float)
        Iteration and held-out error, minus a mean log-likelihood.
    """

    objective: Objective
    training: Callable[[str], Samples | Stream]
    held_out: Callable[[str], Samples | Stream]
    dtype: str
    patience: int
    offset: float = 0.0
    scores: list[tuple[int, float]] = field(default_factory=list)
    best: tuple[int, float, NDArray[np.floating]] | None = None

    def __call__(self, iteration: int, theta: NDArray[np.floating]) -> bool:
        """Score the weights; True where it is time to stop."""
        with precision(self.dtype):
            score = held_out_error(self.objective, theta, self.training(self.dtype), self.held_out(self.dtype))
        self.scores.append((iteration, score))
        if self.best is None or score < self.best[1]:
            self.best = (iteration, score, theta)
        return iteration - self.best[0] >= self.patience

    def forget(self) -> None:
        """Begin again."""
        self.scores, self.best = [], None

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
        if iteration == self.scores[-1][0] and training.stop_reason in ("converged", "precision"):
            return training  # which ended there, or was polished from there
        history = training.history[: iteration + 1]
        # What ended there has not ended here.
        ended = len(history) < len(training.history) and training.stop_reason in ("converged", "precision")
        return replace(
            training, theta=theta, history=history, stop_reason="held_out" if ended else training.stop_reason
        )


def held_out_error(
    objective: Objective, theta: NDArray[np.floating], training: Samples | Stream, held_out: Samples | Stream
) -> float:
    """The error on held-out samples, what it estimates from data taken from the others."""
    # NumPy in, NumPy out, for the devices of whatever process.
    alone = replace(objective, terms=objective.terms[:1])
    alone = jax.tree.map(lambda leaf: np.asarray(leaf, theta.dtype), alone)
    parameters = alone.parameters(cast(jax.Array, theta))
    if isinstance(alone.terms[0], ProfileGaussianError):
        weight = np.asarray(training.total_weight, theta.dtype)
        fixed = _at(alone.terms[0], _error_sums(alone, parameters, training), weight)  # type: ignore[arg-type]
        alone = replace(alone, terms=(jax.tree.map(np.asarray, fixed),))
    sums = _error_sums(alone, parameters, held_out)
    weight = np.asarray(held_out.total_weight, theta.dtype)
    return float(_value(alone, sums, parameters, weight))  # type: ignore[arg-type]


def _sums(objective: Objective, parameters: Parameters, chunk: Chunk) -> Any:
    return objective.sums(parameters, chunk)[0]


_error_sums = summed(_sums)


@quick_jit
def _at(error: ProfileGaussianError, sums: Any, total_weight: jax.Array) -> Any:
    return error.at(jax.tree.map(lambda total: total / total_weight, sums))


@quick_jit
def _value(objective: Objective, sums: Any, parameters: Parameters, total_weight: jax.Array) -> jax.Array:
    mean = jax.tree.map(lambda total: total / total_weight, sums)
    return objective.terms[0].value(mean, parameters)
