"""Begin a training on a sample of the rows, which grows until it is all of them.

Far from the minimum, a step that is good for a part of the rows is good for all of them, at a fraction of the cost. The
order of the rows has nothing to do with their values (in memory it is that of a hash), and a sample is some of the
first chunks: each sample contains the smaller ones, and all use the same compiled programs.

A larger sample is needed when the gradient on a sample is much smaller than its error. Let g be the gradient on a share
p of the rows, drawn without replacement, g' that on a share p' that contains them, and g* that on all rows. With C the
covariance of the gradient of a single row, divided by the number of rows, and rows of equal weight,

    E |g - g*|^2  =  (1/p - 1) tr C,        E |g - g'|^2  =  (1/p - 1/p') tr C

so that g and g' give an estimate of the error of g. The sample grows when

    |g|^2  <=  NOISE^2 |g - g'|^2 (1/p - 1) / (1/p - 1/p')                                                         (1)

With NOISE = 1 this is the norm test of Byrd, Chin, Nocedal & Wu, "Sample size selection in optimization methods for
machine learning" (Math. Program. 134, 2012, sec. 3), with a larger sample in place of the variance over single rows.
The error lies mostly in directions of large curvature, where steps are short; much smaller gradients are still of use
in the other ones, in which the training takes longest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import jax
import numpy as np
from numpy.typing import NDArray

from sparsam.engine.data.samples import Samples
from sparsam.engine.minimizer import lbfgs
from sparsam.engine.objective.objective import Objective
from sparsam.engine.training.compiled_loop import LoopRecords
from sparsam.engine.training.evaluators import Evaluator, make_evaluator
from sparsam.engine.training.state import Progress
from sparsam.engine.training.streaming import StreamedSamples

__all__ = ["LARGEST", "GrowingSample", "nested_samples", "squared_error"]

GROWTH, NOISE, ITERATIONS = 2, 0.1, 10
"""A sample is this many times as large as the one before; NOISE is that of (1), which is checked after this many
iterations."""

MOST_ITERATIONS = 50
"""Iterations after which a sample grows in any case: where all rows have nearly the same minimum, (1) never holds."""

LARGEST_FIRST, LARGEST = 1 / 6, 1 / 2
"""Largest share of the first sample, and of any sample: beyond it a sample saves too little."""

UNLIMITED = (0.0, 2**30)
"""tol and max_iter on a sample, so that a training with other limits has the same steps."""


def nested_samples(samples: Samples, least_rows: int) -> list[Samples]:
    """Return the samples to begin with, smallest first; none if `LARGEST_FIRST` of the chunks hold fewer rows.

    Call it within the scope of the training's precision.

    Parameters
    ----------
    samples : Samples
        All samples, in an order that has nothing to do with their values.
    least_rows : int
        Least number of rows of the first sample.
    """
    n_devices = 1 if samples.mesh is None else samples.mesh.size
    n_chunks = samples.most_chunks
    k = -(-least_rows // (samples.inputs.shape[-1] * n_devices))
    if k > LARGEST_FIRST * n_chunks:
        return []
    nested = []
    while k <= LARGEST * n_chunks:
        nested.append(samples.first_chunks(k))
        k *= GROWTH
    return nested


def squared_error(own: NDArray[np.floating], larger: NDArray[np.floating], share: float, larger_share: float) -> float:
    """Estimate the squared error of the gradient on a sample, the right side of (1) with NOISE = 1.

    Parameters
    ----------
    own, larger : arrays of shape (n_parameters,)
        The gradients on the sample and on a larger one that contains it.
    share, larger_share : float
        The shares of the two samples in all rows.

    Examples
    --------
    >>> round(squared_error(np.array([0.1, 0.0]), np.array([0.1, 0.2]), 0.25, 0.5), 6)
    0.06
    """
    difference = np.asarray(own, np.float64) - np.asarray(larger, np.float64)
    return float(np.sum(difference**2) * (1 / share - 1) / (1 / share - 1 / larger_share))


@dataclass
class GrowingSample:
    """Sample of a training; all rows from the beginning if there are no smaller samples.

    Attributes
    ----------
    evaluators : sequence of Evaluator
        On nested samples, smallest first; the last one is on all rows.
    shares : sequence of float
        Their shares in the weight of all rows.
    tol, max_iter : float and int
        Limits of the minimizer on all rows.
    level : int
        Number of the current sample.
    cost : float
        Evaluations on smaller samples, in units of all rows.
    """

    evaluators: Sequence[Evaluator]
    shares: Sequence[float]
    tol: float
    max_iter: int
    level: int = 0
    cost: float = 0.0

    @classmethod
    def of(
        cls,
        objective: Objective,
        begin_on: Sequence[Samples],
        samples: Samples | StreamedSamples,
        tol: float,
        max_iter: int,
    ) -> Self:
        """Begin on the first sample with any weight; those without more weight than the one before are left out."""
        evaluators, shares = [], [0.0]
        for part in begin_on:
            share = float(part.total_weight) / float(samples.total_weight)
            if shares[-1] < share < 1:
                evaluators.append(make_evaluator(objective, part))
                shares.append(share)
        return cls([*evaluators, make_evaluator(objective, samples)], [*shares[1:], 1.0], tol, max_iter)

    @property
    def evaluator(self) -> Evaluator:
        """Evaluator on the current sample."""
        return self.evaluators[self.level]

    @property
    def share(self) -> float:
        """Share of the current sample in the weight of all rows."""
        return self.shares[self.level]

    @property
    def is_all(self) -> bool:
        """Whether the current sample is all rows."""
        return self.level == len(self.evaluators) - 1

    @property
    def limits(self) -> tuple[float, int]:
        """The minimizer's tol and max_iter on the current sample."""
        return (self.tol, self.max_iter) if self.is_all else UNLIMITED

    def take_all(self) -> None:
        """Make all rows the current sample."""
        self.level = len(self.evaluators) - 1

    def take_share(self, share: float) -> None:
        """Make the sample of a checkpoint the current one.

        Raises
        ------
        ValueError
            If there is none with this share.
        """
        level = int(np.argmin(np.abs(np.array(self.shares) - share)))
        if not np.isclose(self.shares[level], share, rtol=1e-6):
            raise ValueError(
                f"the checkpoint was saved while training on a share of {share:.4g} of the rows, but this training has "
                "no sample of that size"
            )
        self.level = level

    def in_units_of_all(self, sampled: Sequence[Progress], records: LoopRecords) -> list[Progress]:
        """Count the evaluations of a burst on the current sample in units of all rows, and add them to the cost."""
        before = self.cost - self.share * int(records.evaluations_before)
        self.cost += self.share * int(records.steps)
        return [replace(p, evaluations=before + self.share * p.evaluations, share=self.share) for p in sampled]

    def next_comparison(self, iteration: int) -> int:
        """Return the next iteration at which to compare with a larger sample."""
        return (iteration // ITERATIONS + 1) * ITERATIONS

    def grow_if_needed(self, state: lbfgs.LBFGSState, n_iterations: int) -> tuple[lbfgs.LBFGSState, LoopRecords | None]:
        """Evaluate J on the next larger sample, at the iterate, and go on with that sample if it is needed.

        It is needed by (1), after `MOST_ITERATIONS`, or if the minimizer can go no further on the current one.

        Parameters
        ----------
        state : LBFGSState
        n_iterations : int
            Number of iterations on the current sample.

        Returns
        -------
        state : LBFGSState
            The state to go on with.
        records : LoopRecords or None
            Records of the evaluation, if the sample has grown.
        """
        state = jax.device_get(state)  # a compiled step deletes its argument on the devices
        larger, own = self.level + 1, np.asarray(state.gradient, np.float64)
        becomes_all = larger == len(self.evaluators) - 1
        start = lbfgs.restart(state, limits=(self.tol, self.max_iter) if becomes_all else None)
        after, records = self.evaluators[larger].steps(start, 1, UNLIMITED[1])
        error = squared_error(own, jax.device_get(after.gradient), self.share, self.shares[larger])
        is_needed = np.sum(own**2) <= NOISE**2 * error or n_iterations >= MOST_ITERATIONS
        if int(state.status) == lbfgs.RUNNING and not is_needed:
            self.cost += self.shares[larger]
            return state, None
        self.level = larger
        if not becomes_all:  # otherwise it is counted as the first evaluation on all rows
            self.cost += self.share
        return after, records
