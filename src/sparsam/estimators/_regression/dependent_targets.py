"""Targets that are linear combinations of others: constants, copies, sums.

Such a target has no noise of its own. Its contribution to ln|C| decreases without bound as the network learns the
combination, and dominates J, which spoils the means of all targets. But it need not be fitted. If ::

    t = A t_kept + b

exactly, with independent targets t_kept, the means are A y_kept + b, a combination of the last layer's weights, and
the covariance is A C A', which is singular.
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

LEAST_OWN_VARIANCE = 1e-12  # least share of a target's variance that is not rounding, even for numbers from float32
LEAST_VARIANCE = 1e-4  # added to the covariance of scaled targets that are dependent in a part of the data


@dataclass(frozen=True)
class DependentTargets:
    """Targets to fit, and the others as combinations of them.

    Attributes
    ----------
    kept : int array of shape (n_kept,)
    combination : array of shape (n_outputs, n_kept)
        A.
    offset : array of shape (n_outputs,)
        b.
    all_constant : bool
        Whether all targets are constant; all are kept then.
    """

    kept: NDArray[np.intp]
    combination: Array
    offset: Array
    all_constant: bool = False

    @classmethod
    def none(cls, n_outputs: int) -> Self:
        """Keep all targets."""
        return cls(np.arange(n_outputs), np.eye(n_outputs), np.zeros(n_outputs))

    @classmethod
    def of(cls, dataset: Dataset, *, combinations: bool, mask: Array | None) -> Self:
        """Find the dependent targets in one pass: constants, and with ``combinations`` also linear combinations.

        Combinations are found in the samples that have all targets, if there are more than twice as many of these as
        targets; fewer samples could be dependent by chance. Of dependent targets the first ones are kept. A combination
        that the mask does not allow (its output may depend on fewer inputs) is ignored.
        """
        center = _rough_mean(dataset)
        moments = _Moments(*dataset.sum(partial(_moments, center)))
        shift = moments.sums / moments.weights
        mean, variance = center + shift, moments.squares / moments.weights - shift**2
        varies = variance > (1e-12 * np.abs(mean)) ** 2  # otherwise the variance is rounding of a constant
        free = np.flatnonzero(varies)
        if not len(free):
            return replace(cls.none(len(mean)), all_constant=True)
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
        """Whether there are dependent targets."""
        return len(self.kept) < len(self.offset)

    def reduced(self, batch: Batch) -> Batch:
        """Keep the independent targets of a batch, and fill missing ones that the others determine."""
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
        """Convert weights of the network with the kept outputs to those of a network with all outputs."""
        if not self.any:
            return parameters
        *coefs, last = parameters.coefs
        *intercepts, bias = parameters.intercepts
        A: Any = self.combination.T
        return Parameters((*coefs, last @ A), (*intercepts, bias @ A + self.offset))

    def of_kept(self, parameters: Parameters) -> Parameters:
        """Convert weights of a network with all outputs to those of one with the kept outputs."""
        *coefs, last = parameters.coefs
        *intercepts, bias = parameters.intercepts
        return Parameters((*coefs, last[:, self.kept]), (*intercepts, bias[self.kept]))

    def covariance_of_all(self, C: Array) -> Array:
        """Compute A C A'; NaN in C make the entries that depend on them NaN."""
        if not self.any:
            return C
        A, unknown = self.combination, np.isnan(C).astype(float)
        parts = np.abs(A) > 0
        whole = A @ np.nan_to_num(C) @ A.T
        return np.where(parts @ unknown @ parts.T > 0, np.nan, (whole + whole.T) / 2)

    def sentence(self) -> str:
        """Describe which targets depend on which, without the period at the end."""
        described = []
        for k in np.setdiff1d(np.arange(len(self.offset)), self.kept):
            parts = self.kept[np.abs(self.combination[k]) > 1e-9]
            of = f"a linear combination of column{'s' * (len(parts) > 1)} {', '.join(map(str, parts))}"
            described.append(f"column {k} is {of if len(parts) else 'constant'}")
        return (
            f"Some columns of y (the first is 0) are determined by others, or constant: {'; '.join(described)}. They "
            "have no noise of their own and are not fitted: their means are computed from the others, and the "
            "covariance is singular"
        )


def bounded(error: ProfileGaussianError, dataset: Dataset) -> ProfileGaussianError:
    """Bound the likelihood if targets are dependent in a part of the data, for example a rare target that is constant.

    Then C = R/S + `LEAST_VARIANCE` I, so that each of these targets, scaled, contributes at most 4.6 nats.
    """
    if error.prior_product is not None:
        return error
    if not DependentTargets.of(dataset, combinations=error.structure == "full", mask=None).any:
        return error
    n_outputs = next(dataset.batches()).targets.shape[1]
    return replace(error, prior_product=LEAST_VARIANCE * np.eye(n_outputs))  # type: ignore[arg-type]


class _Moments(NamedTuple):
    """Moments of the targets about a center: of each target, and of the samples with all targets."""

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
    """Average the first batch of all processes: close enough to the mean to compute squares about it accurately."""
    first = next(dataset.batches()).targets
    counts = sum_of_processes(np.sum(~np.isnan(first), axis=0, dtype=np.float64), dataset.mesh)
    return np.asarray(sum_of_processes(np.nansum(first, axis=0), dataset.mesh) / np.maximum(counts, 1))


def _combine(A: Array, G: Array, free: NDArray[np.intp], mask: Array | None) -> NDArray[np.intp]:
    """Set each dependent target's row of A to its combination of earlier targets; return the independent targets.

    G is the covariance of the targets.
    """
    kept: list[int] = []
    scale = np.sqrt(np.maximum(np.diag(G), np.finfo(float).tiny))
    correlations = G / np.outer(scale, scale)
    for k in free:
        c = correlations[kept, k]
        weights = np.linalg.lstsq(correlations[np.ix_(kept, kept)], c, rcond=None)[0] if kept else c
        # A weight that is 0 up to rounding would needlessly couple the output to another one.
        weights = np.where(np.abs(weights) > 1e-9, weights, 0.0)
        own = 1 - 2 * weights @ c + weights @ correlations[np.ix_(kept, kept)] @ weights
        used = np.array(kept, np.intp)[weights != 0]
        if own <= LEAST_OWN_VARIANCE and (mask is None or np.all(mask[:, used] <= mask[:, [k]])):
            A[k, k] = 0.0
            A[k, kept] = weights * scale[k] / scale[kept]
        else:
            kept.append(int(k))
    return np.array(kept, np.intp)
