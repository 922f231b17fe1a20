"""Early stopping: hold out a part of the data, and use the weights with the least held-out error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, cast

import jax
import numpy as np
from numpy.typing import NDArray

from sparsam._utils.jit import quick_jit
from sparsam.engine.data.batch import Batch
from sparsam.engine.data.samples import Samples
from sparsam.engine.jax_settings import precision
from sparsam.engine.minimizer.preconditioner import next_refresh
from sparsam.engine.network.network import Parameters
from sparsam.engine.objective.error_functions import ProfileGaussianError
from sparsam.engine.objective.objective import Objective
from sparsam.engine.training.callbacks import FitCallback
from sparsam.engine.training.result import Training
from sparsam.engine.training.state import Progress
from sparsam.engine.training.streaming import StreamedSamples, summed
from sparsam.estimators._training.device_data import DeviceData

__all__ = ["EarlyStopping", "StopAt", "error_sums"]

Best = tuple[int, float, NDArray[np.floating]] | None

FIRST = 5  # number of first iterations that are all scored; curvature factors are computed after these


@dataclass
class EarlyStopping(FitCallback):
    """Keep the weights with the least held-out error, and stop when it has ceased to fall.

    Not every iterate is scored, since a pause takes longer than several steps. The first ones are, because a linear
    model may be at its best there; then those where the minimizer pauses anyway for new curvature factors,
    `next_refresh`: 8, 11, 14, 18, 23, 30, 39, 49, and so on; but no further apart than a quarter of the patience.

    Attributes
    ----------
    objective : Objective
        Its first term is the error function.
    training, held_out : DeviceData
        A covariance in the error function is estimated from the training data.
    dtype : str
    patience : int
        Iterations without a new best after which to stop.
    offset : float
        Constant to add to a mean log-likelihood to convert it to the user's units.
    scores : list of (int, float)
        Scored iterations, and the held-out error there, minus a mean log-likelihood.
    best : (int, float, array) or None
        Iteration, error and weights.
    due : (int, best)
        Number of scores and best iterate at the last iteration that was due. A checkpoint contains only these: the end
        of the training is also scored, but not if the training is extended.
    """

    objective: Objective
    training: DeviceData
    held_out: DeviceData
    dtype: str
    patience: int
    offset: float = 0.0
    scores: list[tuple[int, float]] = field(default_factory=list)
    best: Best = None
    due: tuple[int, Best] = (0, None)
    collective = True

    def next_iteration(self, iteration: int) -> int:
        """Return the next iteration to score, which depends only on the patience."""
        following, longest = 0, max(self.patience // 4, 1)
        while following <= iteration:
            following = following + 1 if following < FIRST else min(next_refresh(following), following + longest)
        return following

    def on_iterate(self, progress: Progress, theta: NDArray[np.floating], stop_reason: str) -> str:
        """Score the weights if they are due or the training ends, but each iterate only once."""
        iteration = progress.iteration
        is_due = self.next_iteration(iteration - 1) == iteration
        if not stop_reason and not is_due:
            return ""  # the end of a burst must not influence the result
        if not self.scores or self.scores[-1][0] != iteration:
            score = self.error_at(theta)
            self.scores.append((iteration, score))
            if self.best is None or score < self.best[1]:
                self.best = (iteration, score, theta)
            if is_due:
                self.due = (len(self.scores), self.best)
        assert self.best is not None
        return "held_out" if iteration - self.best[0] >= self.patience else ""

    def error_at(self, theta: NDArray[np.floating]) -> float:
        """Compute the held-out error of some weights."""
        with precision(self.dtype):
            return held_out_error(self._error_objective, theta, *self._samples())

    @cached_property
    def _error_objective(self) -> Objective:
        """The objective without penalties, as NumPy arrays, which do not belong to the devices of one process."""
        error_objective = replace(self.objective, terms=self.objective.terms[:1])
        return cast(Objective, jax.tree.map(lambda leaf: np.asarray(leaf, self.dtype), error_objective))

    def _samples(self) -> tuple[Samples | StreamedSamples, Samples | StreamedSamples]:
        return self.training.samples_in(self.dtype), self.held_out.samples_in(self.dtype)

    def reset(self) -> None:
        """Delete all scores."""
        self.scores, self.best, self.due = [], None, (0, None)

    def state(self) -> Mapping[str, NDArray[Any]]:
        """Return the scores and the best weights of the iterates that were due."""
        n_due, best = self.due
        scores = np.array(self.scores[:n_due], dtype=np.float64).reshape(-1, 2)
        if best is None:
            return {"scores": scores}
        return {"scores": scores, "best": np.array(best[:2], dtype=np.float64), "theta": best[2]}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Restore the scores and weights."""
        self.scores = [(int(iteration), float(score)) for iteration, score in state["scores"]]
        if "best" in state:
            iteration, score = state["best"]
            self.best = (int(iteration), float(score), state["theta"])
        self.due = (len(self.scores), self.best)

    @property
    def log_likelihoods(self) -> list[tuple[int, float]]:
        """Iterations and mean held-out log-likelihoods, in the user's units."""
        return [(iteration, self.offset - error) for iteration, error in self.scores]

    def last_log_likelihood(self) -> float | None:
        """Return the last held-out log-likelihood, if there is one."""
        return self.offset - self.scores[-1][1] if self.scores else None

    def keep_best(self, training: Training) -> Training:
        """Return the training as if it had ended at the best weights."""
        if self.best is None or training.stop_reason == "not_finite":
            return training
        iteration, _, theta = self.best
        if iteration == self.scores[-1][0] and training.stop_reason in ("converged", "precision"):
            return training  # it ended at the best weights, or was polished from there
        history = training.history[: iteration + 1]
        # A training that converged after the best iteration has not converged at it.
        ended = len(history) < len(training.history) and training.stop_reason in ("converged", "precision")
        return replace(
            training, theta=theta, history=history, stop_reason="held_out" if ended else training.stop_reason
        )


@dataclass
class StopAt(FitCallback):
    """Stop at the iteration that was the best in other trainings, with held-out data."""

    iteration: int

    def next_iteration(self, iteration: int) -> int | None:
        """Return that iteration, if it is still to come."""
        return self.iteration if iteration < self.iteration else None

    def on_iterate(self, progress: Progress, theta: NDArray[np.floating], stop_reason: str) -> str:
        """Stop there."""
        return "held_out" if progress.iteration >= self.iteration else ""

    def has_passed(self, iteration: int) -> bool:
        """Return whether this callback would have stopped the training earlier."""
        return iteration > self.iteration


def held_out_error(
    error_objective: Objective,
    theta: NDArray[np.floating],
    training: Samples | StreamedSamples,
    held_out: Samples | StreamedSamples,
) -> float:
    """Compute the error without penalties on held-out samples; a covariance is estimated from the training samples."""
    parameters = error_objective.parameters(cast(jax.Array, theta))
    if isinstance(error_objective.terms[0], ProfileGaussianError):
        weight = np.asarray(training.total_weight, theta.dtype)
        fixed = _at(error_objective.terms[0], error_sums(error_objective, parameters, training), weight)  # type: ignore[arg-type]
        error_objective = replace(error_objective, terms=(jax.tree.map(np.asarray, fixed),))
    sums = error_sums(error_objective, parameters, held_out)
    weight = np.asarray(held_out.total_weight, theta.dtype)
    return float(_value(error_objective, sums, parameters, weight))  # type: ignore[arg-type]


def _sums(objective: Objective, parameters: Parameters, chunk: Batch) -> Any:
    return objective.sums(parameters, chunk)[0]


error_sums = summed(_sums)


@quick_jit
def _at(error: ProfileGaussianError, sums: Any, total_weight: jax.Array) -> Any:
    return error.at(jax.tree.map(lambda total: total / total_weight, sums))


@quick_jit
def _value(objective: Objective, sums: Any, parameters: Parameters, total_weight: jax.Array) -> jax.Array:
    mean = jax.tree.map(lambda total: total / total_weight, sums)
    return objective.terms[0].value(mean, parameters)
