"""Result of a training, and the records of its iterations."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from sparsam.engine.minimizer import lbfgs
from sparsam.engine.training.compiled_loop import LoopRecords
from sparsam.engine.training.state import Progress
from sparsam.engine.training.stop_reasons import REASON_OF_STATUS

__all__ = ["Training", "progress_of", "reason_of", "record"]


@dataclass
class Training:
    """Result of a training.

    Attributes
    ----------
    theta : array of shape (n_parameters,)
        The last iterate; all its values are finite.
    stop_reason : str
        A key of `STOP_REASONS`.
    tol : float
        The tolerance given to the training.
    plateau_tol : float or None
        The smaller tolerance used after it converged on a plateau.
    history : list of Progress
        One entry per iteration, from the first weights evaluated on all samples (iteration 0) on. Seconds within a
        burst are interpolated.
    broken_terms : tuple of str
        With "not_finite": the terms of J that were not finite.
    snapshots : dict of int to Training
        By iteration, the results of the training with that smaller ``max_iter``.
    timed : float
        Seconds that count for a time_budget.
    sampled : list of Progress
        Entries for the iterations on a part of the samples, which precede those of the history.
    """

    theta: NDArray[np.floating]
    stop_reason: str
    tol: float
    plateau_tol: float | None = None
    history: list[Progress] = field(default_factory=list)
    broken_terms: tuple[str, ...] = ()
    snapshots: dict[int, Training] = field(default_factory=dict)
    timed: float = 0.0
    sampled: list[Progress] = field(default_factory=list)

    def at_max_iter(self, max_iter: int) -> Training:
        """Return the result with a smaller ``max_iter``, one of the requested snapshots."""
        return self.snapshots.get(max_iter, self)

    def take_snapshot(self, wanted: Collection[int]) -> None:
        """Store the current result if its iteration is wanted and the training goes on."""
        iteration = len(self.history) - 1
        if iteration in wanted and not self.stop_reason:
            self.snapshots[iteration] = replace(self, stop_reason="max_iter", snapshots={})


def record(
    training: Training,
    names: list[str],
    records: LoopRecords,
    theta: NDArray[np.floating],
    status: int,
    before: float,
    now: float,
    resumed: int = 0,
    after: Progress | None = None,
) -> None:
    """Append the records of a burst, which ran from ``before`` to ``now``, to the history."""
    more = progress_of(records, names, len(training.history), before, now, resumed)
    if after is not None:
        more = [_counted_from(after, progress) for progress in more]
    # In one assignment, so that Ctrl-C cannot leave a history that does not match the weights.
    training.theta, training.history = theta, training.history + more
    if status == lbfgs.NOT_FINITE:
        broken = ~np.isfinite(records.last_terms)
        training.broken_terms = tuple(np.asarray(names)[broken].tolist())
    training.stop_reason = reason_of(training, status)


def reason_of(training: Training, status: int) -> str:
    """Return why a training ended, from the status of its minimizer; empty while it goes on."""
    if status == lbfgs.RUNNING:
        return ""
    if status == lbfgs.PRECISION and training.history[-1].gradient_norm <= training.tol:
        return "converged"  # beyond a plateau: the user's tol is met, and a smaller gradient cannot be reached
    return REASON_OF_STATUS[status]


def progress_of(
    records: LoopRecords, names: list[str], first: int, before: float, now: float, resumed: int
) -> list[Progress]:
    """List the iterations of a burst that ran from ``before`` to ``now``, numbered from ``first`` on."""
    accepted = slice(int(records.n_accepted))
    share = (records.evaluations[accepted] - records.evaluations_before) / records.steps
    return [
        Progress(
            iteration=iteration,
            evaluations=int(evaluations),
            seconds=float(seconds),
            J=float(terms.sum()),
            terms=dict(zip(names, terms.tolist(), strict=True)),
            gradient_norm=float(gradient_norm),
            resumed=resumed,
        )
        for iteration, (evaluations, seconds, terms, gradient_norm) in enumerate(
            zip(
                records.evaluations[accepted],
                before + share * (now - before),
                np.asarray(records.terms[accepted], dtype=np.float64),
                records.gradient_norm[accepted],
                strict=True,
            ),
            start=first,
        )
    ]


def _counted_from(last: Progress, progress: Progress) -> Progress:
    """Add the counts at the end of the training that is continued."""
    return replace(
        progress,
        iteration=last.iteration + progress.iteration,
        evaluations=last.evaluations + progress.evaluations,
        seconds=last.seconds + progress.seconds,
    )
