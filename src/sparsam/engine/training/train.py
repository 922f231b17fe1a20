"""Training: drives the minimizer over an objective, in bursts of a compiled loop.

One compiled program runs a given number of evaluations and returns; between bursts, on the host, happen progress,
callbacks, Ctrl-C and the time budget. Where a burst ends has no influence on the result: every evaluation is the same
step of the same program. The program is compiled once for an architecture and the shape of the chunks; other
hyperparameters and seeds, and numbers of samples that round to that shape, meet it compiled.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

import jax
import numpy as np
from jax.typing import DTypeLike
from numpy.typing import NDArray

from sparsam._utils.fork_guard import refuse_after_fork
from sparsam.engine.data.devices import n_processes
from sparsam.engine.data.samples import Samples
from sparsam.engine.minimizer import lbfgs
from sparsam.engine.minimizer.line_search import host_array
from sparsam.engine.objective.objective import Objective
from sparsam.engine.training.compiled_loop import LONGEST_BURST, Records
from sparsam.engine.training.evaluators import Passes, passes_over
from sparsam.engine.training.state import Keeper, NoKeeper, Progress, Saved, restored, saved_leaves
from sparsam.engine.training.streaming import Stream

__all__ = [
    "SOLVERS",
    "STOP_REASONS",
    "Callback",
    "Monitor",
    "Progress",
    "Training",
    "Watch",
    "begin",
    "next_pause",
    "next_steps",
    "precision",
    "record",
    "train",
]

STOP_REASONS = {
    "converged": "converged: no component of the gradient is larger than tol",
    "precision": "no measurable decrease is left in this precision",
    "max_iter": "max_iter iterations are done",
    "time_budget": "the time budget is used up",
    "callback": "a callback asked to stop",
    "held_out": "the error on held-out data has ceased to fall",
    "interrupted": "interrupted",
    "not_finite": "J is not finite",
}
"""Why a training stopped: the word in ``stop_reason_``, and the sentence for it."""

_REASON_OF_STATUS = {
    lbfgs.CONVERGED: "converged",
    lbfgs.PRECISION: "precision",
    lbfgs.MAX_ITER: "max_iter",
    lbfgs.NOT_FINITE: "not_finite",
}

FAILED = "failed"  # a vote, never a reason that a user sees

FINAL = ("converged", "precision", "max_iter", "held_out")
"""Reasons after which there is nothing to go on with."""

SOLVERS = ("kronecker-lbfgs", "lbfgs")
"""L-BFGS from Kronecker factors of the curvature (`curvature.factors`), or from a multiple of the identity."""

BURST_SECONDS = 0.1  # aimed at: short enough for Ctrl-C and progress, long enough to hide the host


Callback = Callable[[Progress], bool | None]
"""Called after each burst (about ten times a second) but the last, outside JAX's precision scope; True stops it."""

Watch = Callable[[Progress, NDArray[np.floating]], bool | None]
"""Called after every burst, the last one too, with the weights; True stops the training as a callback does."""


class Monitor(Protocol):
    """Watches the weights."""

    def __call__(self, iteration: int, theta: NDArray[np.floating]) -> bool:
        """Look at the weights, at the start and after every iteration, the last one too.

        True stops with the reason "held_out".
        """

    def forget(self) -> None:
        """Begin again."""

    def remember(self) -> Mapping[str, NDArray[Any]]:
        """Return what a checkpoint must hold for the monitor to go on."""

    def recall(self, remembered: Mapping[str, NDArray[Any]]) -> None:
        """Go on from there."""


@dataclass
class Training:
    """What a training leaves behind.

    Attributes
    ----------
    theta : array of shape (n_parameters,)
        The last iterate; every value of it finite.
    stop_reason : str
        A key of `STOP_REASONS`.
    tol : float
        What was asked for.
    history : list of Progress
        One an iteration, from the initial weights (iteration 0) on. The seconds within a burst are interpolated.
    broken_terms : tuple of str
        With "not_finite": the terms of J that were not finite.
    snapshots : dict of int to Training
        Of iterations asked for that the training went beyond: what it would have left with that ``max_iter``.
    """

    theta: NDArray[np.floating]
    stop_reason: str
    tol: float
    history: list[Progress] = field(default_factory=list)
    broken_terms: tuple[str, ...] = ()
    snapshots: dict[int, Training] = field(default_factory=dict)

    def after(self, max_iter: int) -> Training:
        """What the training would have left with a smaller ``max_iter``, one of the snapshots asked for."""
        return self.snapshots.get(max_iter, self)

    def take_snapshot(self, wanted: Collection[int]) -> None:
        """Keep what is there, if it is of an iteration that is wanted and the training goes on."""
        iteration = len(self.history) - 1
        if iteration in wanted and not self.stop_reason:
            self.snapshots[iteration] = Training(self.theta, "max_iter", self.tol, self.history)


@contextmanager
def precision(dtype: DTypeLike) -> Iterator[None]:
    """Scope in which JAX computes in ``dtype``, float32 or float64, whatever the user's global setting.

    The setting is the thread's own and is restored at the end.

    Raises
    ------
    RuntimeError
        In a process that was forked after JAX had started.
    """
    refuse_after_fork()
    with jax.enable_x64(np.dtype(dtype) == np.float64):
        yield


def train(
    objective: Objective,
    samples: Samples | Stream,
    theta: NDArray[np.floating],
    *,
    solver: str = "kronecker-lbfgs",
    dtype: DTypeLike = "float32",
    tol: float = 1e-5,
    max_iter: int = 1000,
    time_budget: float | None = None,
    callback: Callback | None = None,
    watch: Watch | None = None,
    every_iteration: bool = False,
    monitor: Monitor | None = None,
    keeper: Keeper | None = None,
    snapshots: Collection[int] = (),
) -> Training:
    """Minimize an objective over samples from the weights theta.

    Parameters
    ----------
    objective : Objective
    samples : Samples or Stream
        Samples are made in the scope `precision(dtype)`. From a stream each evaluation is a burst of its own.
    theta : array of shape (n_parameters,)
        Where to start.
    solver : {"kronecker-lbfgs", "lbfgs"}, default "kronecker-lbfgs"
        See `SOLVERS`.
    dtype : {"float32", "float64"}, default "float32"
        Precision of the training.
    tol : float, default 1e-5
        Converged when no component of the gradient is larger.
    max_iter : int, default 1000
        Most iterations.
    time_budget : float or None
        Seconds after which to stop; checked between bursts.
    callback : callable or None
        See `Callback`.
    watch : callable or None
        See `Watch`.
    every_iteration : bool, default False
        Whether a burst ends with each iteration, so that those who watch see all of them.
    monitor : Monitor or None
    keeper : Keeper or None
        Where to save the training between bursts, and to go on from where something was saved.
    snapshots : collection of int
        Iterations, from 1 on, of which to keep what is there; of a training that is resumed those that are to come.

    Returns
    -------
    Training
        Ctrl-C (KeyboardInterrupt) ends it with stop_reason "interrupted" once there is an iterate; before the first
        evaluation it is passed on.
    """
    start = time.perf_counter()
    names = [term.name for term in objective.terms]
    training = Training(theta=np.asarray(theta, dtype), stop_reason="", tol=tol)
    keeper = keeper or NoKeeper()
    with precision(dtype):
        objective = jax.tree.map(lambda leaf: np.asarray(leaf, dtype), objective)
        passes = passes_over(objective, samples)
        state = begin(passes, cast(jax.Array, training.theta), solver, tol=tol, max_iter=max_iter)
        saved = keeper.load()
        if saved is not None:
            state = restored(saved, state)
            start -= saved.seconds
            training.theta, training.history = np.asarray(state.theta), saved.history
            if monitor is not None:
                monitor.recall(saved.monitor)
            if saved.stop_reason in FINAL:
                training.stop_reason = saved.stop_reason
                return training
        elif solver == "kronecker-lbfgs":
            with ThreadPoolExecutor(1) as other:
                # What is not compiled yet is so beside the factors.
                other.submit(_compile, passes, state)
                state = lbfgs.tell_factors(state, passes.factors(state))
    steps, elapsed = 1, time.perf_counter() - start
    resumed = saved.history[-1].resumed + 1 if saved is not None and saved.history else 0

    def so_far() -> Saved:
        remembered = {} if monitor is None else monitor.remember()
        return Saved(saved_leaves(state), training.history, elapsed, training.stop_reason, remembered)

    try:
        while not training.stop_reason:
            done = len(training.history)
            watched = monitor is not None or every_iteration
            pause = done if watched else next_pause(done - 1, snapshots, max_iter)
            with precision(dtype):
                state, records = passes.steps(state, steps, pause)
                records, reached, status = jax.device_get((records, state.theta, state.status))
                if records.needs_factors:
                    state = lbfgs.tell_factors(state, passes.factors(state))
            before, elapsed = elapsed, time.perf_counter() - start
            record(training, names, records, reached, int(status), before, elapsed, resumed)
            if len(training.history) - 1 == pause and len(training.history) > done:
                training.take_snapshot(snapshots)
                # The last iterate counts like the others, whyever it is the last.
                if monitor is not None and monitor(pause, training.theta):
                    training.stop_reason = training.stop_reason or "held_out"
            failure, reason = None, training.stop_reason
            try:
                if watch is not None and training.history and watch(training.history[-1], training.theta):
                    reason = reason or "callback"
                reason = reason or _asked_to_stop(training, callback, keeper, time_budget, elapsed)
            except Exception as error:  # the callback's: other processes must not wait for this one
                failure, reason = error, FAILED
            steps, training.stop_reason = passes.agreed(next_steps(steps, elapsed - before), reason)
            if failure is not None:
                raise failure
            if training.stop_reason == FAILED:
                raise RuntimeError("a callback has failed in another process of this run, which says how")
            lasting = training.history and training.stop_reason != "not_finite"
            if lasting and (training.stop_reason or keeper.due(elapsed)):
                keeper.save(so_far)
    except KeyboardInterrupt:
        if not training.history or n_processes(samples.mesh) > 1:  # the others would wait for what follows
            raise
        training.stop_reason = "interrupted"
    return training


def _asked_to_stop(
    training: Training, callback: Callback | None, keeper: Keeper, time_budget: float | None, elapsed: float
) -> str:
    """Why to stop after a burst that the minimizer would go on from; empty if nobody asks to."""
    if callback is not None and training.history and callback(training.history[-1]):
        return "callback"
    if keeper.stop:
        return "interrupted"
    return "time_budget" if time_budget is not None and elapsed >= time_budget else ""


def begin(passes: Passes, theta: jax.Array, solver: str, **options: Any) -> lbfgs.LBFGSState:
    """Make the minimizer's first state, which waits for its factors, if the solver uses any."""
    if solver == "lbfgs":
        return lbfgs.initialize(theta, **options)
    shapes = passes.factor_shapes(theta)
    factors = jax.tree.map(lambda leaf: host_array(0, leaf.dtype, leaf.shape), shapes)
    return lbfgs.initialize(theta, factors=factors, **options)


def record(
    training: Training,
    names: list[str],
    records: Records,
    theta: NDArray[np.floating],
    status: int,
    before: float,
    now: float,
    resumed: int = 0,
) -> None:
    """Enter what a burst reports, which ran between two times."""
    more = _progress(records, names, len(training.history), before, now, resumed)
    # At one stroke, lest Ctrl-C leave a history that is ahead of the weights.
    training.theta, training.history = theta, training.history + more
    if status == lbfgs.NOT_FINITE:
        broken = ~np.isfinite(records.last_terms)
        training.broken_terms = tuple(np.asarray(names)[broken].tolist())
    if status != lbfgs.RUNNING:
        training.stop_reason = _REASON_OF_STATUS[status]


def _compile(passes: Passes, state: lbfgs.LBFGSState) -> None:
    with precision(state.theta.dtype):
        passes.compile(state)


def _progress(
    records: Records, names: list[str], first: int, before: float, now: float, resumed: int
) -> list[Progress]:
    """Iterations of a burst that ran between two times, counted from ``first``."""
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


def next_pause(iteration: int, snapshots: Collection[int], max_iter: int) -> int:
    """Iteration at which to pause next: the first snapshot that is still to come, else the last iteration."""
    return min((wanted for wanted in snapshots if wanted > iteration), default=max_iter)


def next_steps(steps: int, seconds: float) -> int:
    """Length of the next burst from the last one's: doubled or halved towards `BURST_SECONDS`."""
    if seconds < BURST_SECONDS / 2:
        return min(2 * steps, LONGEST_BURST)
    return max(steps // 2, 1) if seconds > 2 * BURST_SECONDS else steps
