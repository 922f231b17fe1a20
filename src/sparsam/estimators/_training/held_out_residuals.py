"""Moments of the held-out residuals at the iterates of a training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import jax
import numpy as np
from numpy.typing import NDArray

from sparsam.engine.jax_settings import precision
from sparsam.estimators._regression.out_of_fold import HeldOutMoments, mean_log_likelihoods
from sparsam.estimators._training.early_stopping import EarlyStopping, error_sums

__all__ = ["HeldOutResiduals", "HeldOutStandardizedResiduals"]

Array = NDArray[np.float64]

NAMES = ("held_out_counts", "held_out_products", "held_out_ln_determinants")


@dataclass
class HeldOutResiduals(EarlyStopping):
    """Keep the second moments of held-out residuals at scored iterates, and stop when these have ceased to fall.

    Residuals are scored with their own variances, not with the covariance of the training residuals, which becomes
    meaningless when a network begins to fit its training targets exactly.

    Attributes
    ----------
    observed : array of bool, (n_patterns, n_outputs)
        Patterns of targets that are observed together.
    stops : bool
        Whether to stop early at all.
    best_so_far : int or None
        The best iteration of the other folds: the training stops ``patience`` iterations after it.
    """

    observed: NDArray[np.bool_] = field(kw_only=True)
    stops: bool = field(kw_only=True)
    best_so_far: int | None = field(kw_only=True, default=None)
    moments: list[tuple[Array, Array, Array]] = field(default_factory=list, init=False)

    def on_iterate(self, progress: Any, theta: NDArray[np.floating], stop_reason: str) -> str:
        """Keep the moments; stop if ``stops`` is set and the patience is used up."""
        reason = super().on_iterate(progress, theta, stop_reason)
        if self._has_enough(self.scores[-1][0]):
            reason = "held_out"
        return reason if self.stops else ""

    def has_passed(self, iteration: int) -> bool:
        """Return whether the training could have stopped earlier, given the current ``best_so_far``."""
        return self.stops and any(self._has_enough(scored) for scored, _ in self.scores if scored < iteration)

    def _has_enough(self, iteration: int) -> bool:
        """Whether this iteration is at least ``patience`` iterations after the best iteration of the other folds."""
        return self.best_so_far is not None and iteration >= self.best_so_far + self.patience

    def error_at(self, theta: NDArray[np.floating]) -> float:
        """Compute minus the mean log-likelihood of the held-out residuals with their own variances."""
        with precision(self.dtype):
            _, held_out = self._samples()
            error_objective = self._error_objective
            sums = error_sums(error_objective, error_objective.parameters(cast(jax.Array, theta)), held_out)
            means = [np.asarray(total, np.float64) / float(held_out.total_weight) for total in sums]
        counts, products, ln_determinant = self._moments_of(*means)
        self.moments.append((counts, products, ln_determinant))
        return float(ln_determinant - mean_log_likelihoods(counts, products, self.observed))

    def _moments_of(self, counts: Array, products: Array) -> tuple[Array, Array, Array]:
        """Compute the moments from the means of the error function's sums."""
        return counts, products, np.zeros(())

    def of_held_out(self, weight: float) -> HeldOutMoments:
        """Return the moments at all scored iterates, with the weight of the held-out samples."""
        iterations = np.array([iteration for iteration, _ in self.scores])
        counts, products, ln_determinants = map(np.stack, zip(*self.moments, strict=True))
        return HeldOutMoments(weight, iterations, counts, products, ln_determinants)

    def reset(self) -> None:
        """Delete all scores and moments."""
        super().reset()
        self.moments = []

    def state(self) -> Mapping[str, NDArray[Any]]:
        """Return the scores and the moments."""
        due = list(zip(*self.moments[: self.due[0]], strict=True)) or [()] * len(NAMES)
        return {**super().state(), **{name: np.array(part) for name, part in zip(NAMES, due, strict=True)}}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Restore the scores and moments."""
        super().restore(state)
        self.moments = list(zip(*(state[name] for name in NAMES), strict=True))


class HeldOutStandardizedResiduals(HeldOutResiduals):
    """Keep the moments of residuals that are standardized by a covariance that depends on the input.

    They are independent, so each output is a pattern of its own: ``observed`` is the identity.
    """

    def _moments_of(self, counts: Array, squares: Array, ln_determinant: Array) -> tuple[Array, Array, Array]:  # type: ignore[override]
        products = np.stack([np.diag(row) for row in np.diag(squares)])  # of the k-th pattern only the k-th square
        return counts, products, ln_determinant
