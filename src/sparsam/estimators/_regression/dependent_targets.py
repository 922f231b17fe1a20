"""Targets that are linear combinations of others: constants, copies, sums.

Such a target has no noise of its own. Its part of ln|C| falls without end as the network learns to respect the
combination, and J is then about nothing else: the means of all targets are spoiled. But it needs no fit. With ::

    t = A t_kept + b

exactly, where t_kept are as many targets as are independent, the means are A y_kept + b, a combination of the last
layer's weights, and the covariance is A C A', which is singular.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from sparsam.engine.data.batch import Batch
from sparsam.engine.data.devices import sum_of_processes
from sparsam.engine.network.network import Parameters
from sparsam.engine.objective.error_functions import ProfileGaussianError
from sparsam.estimators._data.dataset import Dataset

__all__ = ["DependentTargets", "bounded"]

Array = NDArray[np.float64]

LEAST_OWN_VARIANCE = 1e-12  # share of a target's variance that is not rounding, of numbers in float32 even


LEAST_VARIANCE = 1e-4  # of targets of variance 1 that a part of the data takes for dependent


@dataclass(frozen=True)
class DependentTargets:
    """Which targets are fitted, and the others as combinations of them.

    Attributes
    ----------
    kept : int array of shape (n_kept,)
    combination : array of shape (n_outputs, n_kept)
        A.
    offset : array of shape (n_outputs,)
        b.
    """

    kept: NDArray[np.intp]
    combination: Array
    offset: Array

    @classmethod
    def none(cls, n_outputs: int) -> Self:
        """Keep all."""
        return cls(np.arange(n_outputs), np.eye(n_outputs), np.zeros(n_outputs))

    @classmethod
    def of(cls, dataset: Dataset, *, combinations: bool, mask: Array | None) -> Self:
        """Find them in one pass: constants, and with ``combinations`` the others.

        The samples with all targets tell the combinations, if they are more than twice as many as these; fewer could be
        combined by chance. Of targets that depend on each other the first ones are kept. A combination that the mask
        does not allow (its output may depend on fewer inputs) is left as it is.
        """
        center = _rough_mean(dataset)
        moments = _Moments(*dataset.sum(partial(_moments, center)))
        shift = moments.sums / moments.weights
        mean, variance = center + shift, moments.squares / moments.weights - shift**2
        varies = variance > (1e-12 * np.abs(mean)) ** 2  # what rounding leaves of a constant is no variance
        free = np.flatnonzero(varies)
        if not len(free):
            return cls.none(len(mean))
        kept, A = free, np.zeros((len(mean), len(mean)))
        A[free, free] = 1.0
        if combinations and moments.n_complete > 2 * len(mean):
            shift = moments.complete_sums / moments.complete_weight
            G = moments.complete_products / moments.complete_weight - np.outer(shift, shift)
            mean = np.where(varies, center + shift, mean)
            kept = _combine(A, G, free, mask)
        A = A[:, kept]
        return cls(kept, A, mean - A @ mean[kept])

    @property
    def any(self) -> bool:
        """Whether there are any."""
        return len(self.kept) < len(self.offset)

    def reduced(self, batch: Batch) -> Batch:
        """Keep the independent targets of a batch; one that is missing is made of others where these determine it."""
        Y = np.asarray(batch.targets)
        return batch._replace(targets=self._filled(Y)[:, self.kept] if self.any else Y)

    def _filled(self, Y: Array) -> Array:
        missing = np.isnan(Y)
        others = np.setdiff1d(np.arange(Y.shape[1]), self.kept)
        helped = missing[:, self.kept].any(axis=1) & ~missing[:, others].all(axis=1)
        if not helped.any():
            return Y
        Y = Y.copy()
        for pattern in np.unique(missing[helped], axis=0):
            rows = np.flatnonzero(helped & np.all(missing == pattern, axis=1))
            lacks = pattern[self.kept]
            seen = others[~pattern[others]]
            A = self.combination[seen]
            inverse = np.linalg.pinv(A[:, lacks])
            known = np.nan_to_num(Y[np.ix_(rows, self.kept[~lacks])]) @ A[:, ~lacks].T
            found = (Y[np.ix_(rows, seen)] - self.offset[seen] - known) @ inverse.T
            determined = np.linalg.norm(inverse @ A[:, lacks] - np.eye(int(lacks.sum())), axis=1) < 1e-9
            Y[np.ix_(rows, self.kept[lacks][determined])] = found[:, determined]
        return Y

    def of_all(self, parameters: Parameters) -> Parameters:
        """Make weights of a network with all outputs of one with the kept ones."""
        if not self.any:
            return parameters
        *coefs, last = parameters.coefs
        *intercepts, bias = parameters.intercepts
        A: Any = self.combination.T
        return Parameters((*coefs, last @ A), (*intercepts, bias @ A + self.offset))

    def of_kept(self, parameters: Parameters) -> Parameters:
        """Make the inverse of it."""
        *coefs, last = parameters.coefs
        *intercepts, bias = parameters.intercepts
        return Parameters((*coefs, last[:, self.kept]), (*intercepts, bias[self.kept]))

    def covariance_of_all(self, C: Array) -> Array:
        """A C A'; NaN where an entry of C that is NaN has a part."""
        if not self.any:
            return C
        A, unknown = self.combination, np.isnan(C).astype(float)
        parts = np.abs(A) > 0
        whole = A @ np.nan_to_num(C) @ A.T
        return np.where(parts @ unknown @ parts.T > 0, np.nan, (whole + whole.T) / 2)

    def sentence(self) -> str:
        """Say which targets depend on which."""
        said = []
        for k in np.setdiff1d(np.arange(len(self.offset)), self.kept):
            parts = self.kept[np.abs(self.combination[k]) > 1e-9]
            said.append(f"{k} (of {', '.join(map(str, parts))})" if len(parts) else f"{k} (constant)")
        return (
            f"Columns of y are linear combinations of others: {', '.join(said)}. They have no noise of their own: "
            "their means are made of the others', which are as without them, and the covariance is singular"
        )


def bounded(error: ProfileGaussianError, dataset: Dataset) -> ProfileGaussianError:
    """Bound the likelihood where a part of the data happens to have dependent targets, a rare one that is constant say.

    Then C = R/S + `LEAST_VARIANCE` I, so that these targets, scaled, are no more than 4.6 nats each.
    """
    if error.prior_product is not None:
        return error
    if not DependentTargets.of(dataset, combinations=error.structure == "full", mask=None).any:
        return error
    n_outputs = next(dataset.batches()).targets.shape[1]
    return replace(error, prior_product=LEAST_VARIANCE * np.eye(n_outputs))  # type: ignore[arg-type]


class _Moments(NamedTuple):
    """Moments of the targets about a center: of each, and of the samples that have all."""

    weights: Array
    sums: Array
    squares: Array
    n_complete: Array
    complete_weight: Array
    complete_sums: Array
    complete_products: Array


def _moments(center: Array, batch: Batch) -> _Moments:
    t, s = np.asarray(batch.targets) - center, batch.weights
    seen, filled = s[:, None] * ~np.isnan(t), np.nan_to_num(t)
    complete = ~np.isnan(t).any(axis=1)
    s, whole = s[complete], t[complete]
    return _Moments(
        seen.sum(axis=0),
        np.sum(seen * filled, axis=0),
        np.sum(seen * filled**2, axis=0),
        np.asarray(float(np.sum(s > 0))),
        np.asarray(s.sum()),
        s @ whole,
        (s[:, None] * whole).T @ whole,
    )


def _rough_mean(dataset: Dataset) -> Array:
    """Mean of the first batch, of all processes: near enough that squares about it are as good as about the mean."""
    first = next(dataset.batches()).targets
    counts = sum_of_processes(np.sum(~np.isnan(first), axis=0, dtype=np.float64), dataset.mesh)
    return np.asarray(sum_of_processes(np.nansum(first, axis=0), dataset.mesh) / np.maximum(counts, 1))


def _combine(A: Array, G: Array, free: NDArray[np.intp], mask: Array | None) -> NDArray[np.intp]:
    """Enter combinations of the targets before it into each row of A; return the targets that are none.

    G are the products of the targets about their means.
    """
    kept: list[int] = []
    scale = np.sqrt(np.maximum(np.diag(G), np.finfo(float).tiny))
    correlations = G / np.outer(scale, scale)
    for k in free:
        c = correlations[kept, k]
        weights = np.linalg.lstsq(correlations[np.ix_(kept, kept)], c, rcond=None)[0] if kept else c
        # A weight that is 0 but for rounding would tie the output to another without need.
        weights = np.where(np.abs(weights) > 1e-9, weights, 0.0)
        own = 1 - 2 * weights @ c + weights @ correlations[np.ix_(kept, kept)] @ weights
        used = np.array(kept, np.intp)[weights != 0]
        if own <= LEAST_OWN_VARIANCE and (mask is None or np.all(mask[:, used] <= mask[:, [k]])):
            A[k, k] = 0.0
            A[k, kept] = weights * scale[k] / scale[kept]
        else:
            kept.append(int(k))
    return np.array(kept, np.intp)
