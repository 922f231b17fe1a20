"""Training: drives the minimizer over an objective, in bursts of a compiled loop.

One compiled program runs a given number of evaluations and returns; between bursts, on the host, happen progress,
callbacks, Ctrl-C and the time budget. Where a burst ends has no influence on the result: every evaluation is the same
step of the same program. The program is compiled once for an architecture and the shape of the chunks; other
hyperparameters and seeds, and numbers of samples that round to that shape, meet it compiled.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import cast

import jax
import numpy as np
from jax.typing import DTypeLike
from numpy.typing import NDArray

from sparsam._utils.fork_guard import refuse_after_fork
from sparsam._utils.jax_settings import own_settings
from sparsam._utils.stop_signals import interrupts
from sparsam._utils.worker_threads import worker_threads
from sparsam.engine.data.devices import n_processes
from sparsam.engine.data.samples import Samples
from sparsam.engine.minimizer import lbfgs
from sparsam.engine.minimizer.line_search import host_array
from sparsam.engine.objective.objective import Objective
from sparsam.engine.training.callbacks import FitCallback
from sparsam.engine.training.checkpoints import Checkpointer
from sparsam.engine.training.compiled_loop import MAX_STEPS, LoopRecords
from sparsam.engine.training.evaluators import Evaluator, make_evaluator
from sparsam.engine.training.limits import Replayed, replay
from sparsam.engine.training.plateau import Plateau, tol_beyond
from sparsam.engine.training.state import Progress, TrainingState, host_leaves, restore_minimizer
from sparsam.engine.training.stop_reasons import FAILED, REASON_OF_STATUS
from sparsam.engine.training.streaming import StreamedSamples

__all__ = [
    "SOLVERS",
    "Training",
    "go_beyond_plateau",
    "initial_state",
    "next_pause",
    "next_steps",
    "on_plateau",
    "precision",
    "record",
    "train",
]

SOLVERS = ("kronecker-lbfgs", "lbfgs")
"""L-BFGS from Kronecker factors of the curvature (`curvature.factors`), or from a multiple of the identity."""

BURST_SECONDS = 0.1  # aimed at: short enough for Ctrl-C and progress, long enough to hide the host


@dataclass
class Training:
    """Result of a training.

    Attributes
    ----------
    theta : array of shape (n_parameters,)
        The last iterate; every value of it finite.
    stop_reason : str
        A key of `STOP_REASONS`.
    tol : float
        What was asked for.
    plateau_tol : float or None
        What the training went on to, having converged on a plateau.
    history : list of Progress
        One an iteration, from the initial weights (iteration 0) on. The seconds within a burst are interpolated.
    broken_terms : tuple of str
        With "not_finite": the terms of J that were not finite.
    snapshots : dict of int to Training
        Results at earlier iterations, by ``max_iter``: the training as it would have ended there.
    timed : float
        Seconds that count for a time_budget.
    """

    theta: NDArray[np.floating]
    stop_reason: str
    tol: float
    plateau_tol: float | None = None
    history: list[Progress] = field(default_factory=list)
    broken_terms: tuple[str, ...] = ()
    snapshots: dict[int, Training] = field(default_factory=dict)
    timed: float = 0.0

    def at_max_iter(self, max_iter: int) -> Training:
        """Return the training as it would be with a smaller ``max_iter``, one of the snapshots asked for."""
        return self.snapshots.get(max_iter, self)

    def take_snapshot(self, wanted: Collection[int]) -> None:
        """Keep what is there, if it is of an iteration that is wanted and the training goes on."""
        iteration = len(self.history) - 1
        if iteration in wanted and not self.stop_reason:
            self.snapshots[iteration] = replace(self, stop_reason="max_iter", snapshots={})


@contextmanager
def precision(dtype: DTypeLike) -> Iterator[None]:
    """Scope in which JAX computes in ``dtype``, float32 or float64, whatever the settings of the user's program.

    So promotion of types and ranks, guards of transfers, checks for NaN and infinity, and the like, are JAX's defaults.
    The settings are the thread's own and are restored at the end.

    Raises
    ------
    RuntimeError
        In a process that was forked after JAX had started.
    """
    refuse_after_fork()
    with own_settings(dtype):
        yield


def train(
    objective: Objective,
    samples: Samples | StreamedSamples,
    theta: NDArray[np.floating],
    *,
    solver: str = "kronecker-lbfgs",
    dtype: DTypeLike = "float32",
    tol: float = 1e-5,
    max_iter: int = 1000,
    time_budget: float | None = None,
    callbacks: Sequence[FitCallback] = (),
    checkpointer: Checkpointer | None = None,
    snapshots: Collection[int] = (),
    plateau: Plateau | None = None,
    after: Progress | None = None,
) -> Training:
    """Minimize an objective over samples from the weights theta.

    Parameters
    ----------
    objective : Objective
    samples : Samples or StreamedSamples
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
        Seconds of this call after which to stop, from the end of the first evaluation on, so that compilation does not
        count; checked between bursts.
    callbacks : sequence of FitCallback
        Called in order after each burst, about ten times a second, or after each iteration if one of them asks for it.
        `FunctionCallback` makes one of a function.
    checkpointer : Checkpointer or None
        Where to save the training between bursts, and to go on from where something was saved: also with a larger
        max_iter or a smaller tol, to the bits of a training that had these from the start.
    snapshots : collection of int
        Iterations, from 1 on, of which to keep what is there; of a training that is resumed those that are to come.
    plateau : Plateau or None
        Where to go on to a hundredth of tol before it counts as converged. Where no such decrease is left in the
        precision, it has converged all the same.
    after : Progress or None
        The end of a training that this one continues: iterations, evaluations and seconds are counted from there.

    Returns
    -------
    Training
        Ctrl-C (KeyboardInterrupt) ends it with stop_reason "interrupted" once there is an iterate; before the first
        evaluation, and within five seconds of the last one, it is passed on.
    """
    with precision(dtype):
        on_host, theta = jax.tree.map(lambda leaf: np.asarray(leaf, dtype), (objective, theta))
    loop = _TrainingLoop(
        evaluator=make_evaluator(on_host, samples),
        training=Training(theta=theta, stop_reason="", tol=tol),
        names=[term.name for term in objective.terms],
        callbacks=callbacks,
        checkpointer=checkpointer or Checkpointer(),
        time_budget=time_budget,
        snapshots=snapshots,
        max_iter=max_iter,
        plateau=plateau,
        after=after,
    )
    loop.begin(solver)
    try:
        while not loop.training.stop_reason:
            loop.run_burst()
    except KeyboardInterrupt:
        if not loop.training.history or n_processes(samples.mesh) > 1:  # the others would wait for what follows
            raise
        if not interrupts.end_fit():
            raise
        loop.training.stop_reason = "interrupted"
    loop.training.timed = loop.timed
    return loop.training


@dataclass
class _TrainingLoop:
    """The loop over bursts, on the host.

    Attributes
    ----------
    state : LBFGSState
        The minimizer's.
    steps : int
        Length of the next burst.
    start, elapsed : float
        The clock when the training began, and seconds since.
    compiled_at : float or None
        The clock when the first burst of this call had ended, with all that it had to compile.
    resumed : int
        How often the training has been resumed.
    """

    evaluator: Evaluator
    training: Training
    names: list[str]
    callbacks: Sequence[FitCallback]
    checkpointer: Checkpointer
    time_budget: float | None
    snapshots: Collection[int]
    max_iter: int
    plateau: Plateau | None
    after: Progress | None
    start: float = 0.0
    elapsed: float = 0.0
    compiled_at: float | None = None
    steps: int = 1
    resumed: int = 0
    state: lbfgs.LBFGSState = field(init=False)

    def begin(self, solver: str) -> None:
        """Make the minimizer's first state, or restore the one of a checkpoint."""
        self.start, theta = time.perf_counter(), self.training.theta
        with precision(theta.dtype):
            self.state = initial_state(
                self.evaluator, cast(jax.Array, theta), solver, tol=self.training.tol, max_iter=self.max_iter
            )
            saved = self.checkpointer.load()
            if saved is not None and self._can_resume(saved):
                self._resume(saved)
            else:
                saved = None
            if solver == "kronecker-lbfgs" and saved is None:
                with worker_threads(1) as other:
                    # The loop is compiled beside the factors.
                    other.submit(_compile, self.evaluator, self.state)
                    self.state = lbfgs.tell_factors(self.state, self.evaluator.factors(self.state))
        self.elapsed = time.perf_counter() - self.start
        if saved is not None:
            self._agree_to_stop(self.steps)  # who ended it may let it go on now, and the other way round

    def _can_resume(self, saved: TrainingState) -> bool:
        """Restore the callbacks, and return whether the checkpoint is on the way of this training.

        Raises
        ------
        ValueError
            If it is beyond where tol and max_iter end the training.
        """
        last = len(saved.history) - 1
        end = self._replay(saved).end
        if end is not None and end < last:
            self.checkpointer.refuse(
                ValueError(
                    f"the checkpoint in {self.checkpointer.folder} is of iteration {last}, and with max_iter = "
                    f"{self.max_iter} and tol = {self.training.tol:g} the training ends at iteration {end} already: to "
                    f"extend it, give a max_iter above {last} and a tol below {saved.history[-1].gradient_norm:.2g}; "
                    "or name another folder"
                )
            )
            return False
        for callback in self.callbacks:
            callback.restore(saved.callbacks)
        if any(callback.has_passed(last) for callback in self.callbacks):
            for callback in self.callbacks:
                callback.reset()
            return False
        return True

    def _replay(self, saved: TrainingState) -> Replayed:
        tol, dtype = self.training.tol, self.training.theta.dtype
        return replay(saved.history, tol=tol, max_iter=self.max_iter, plateau=self.plateau, dtype=dtype)

    def _resume(self, saved: TrainingState) -> None:
        """Go on from a checkpoint, with the limits of this training."""
        training = self.training
        if self._replay(saved).beyond_plateau:
            training.plateau_tol = tol_beyond(training.tol)
        tol = training.tol if training.plateau_tol is None else training.plateau_tol
        state = restore_minimizer(saved.leaves, self.state)
        # On the host, for the devices of whatever process.
        self.state = jax.device_get(lbfgs.set_limits(state, np.asarray(tol), np.asarray(self.max_iter)))
        if lbfgs.needs_factors(self.state):  # a training that had ended has made none
            self.state = lbfgs.tell_factors(self.state, self.evaluator.factors(self.state))
        self.start -= saved.seconds
        training.theta, training.history = np.asarray(self.state.theta), saved.history
        self.resumed = saved.history[-1].resumed + 1
        training.stop_reason = reason_of(training, int(self.state.status))

    @property
    def timed(self) -> float:
        """Seconds since all was compiled."""
        return 0.0 if self.compiled_at is None else time.perf_counter() - self.compiled_at

    def run_burst(self) -> None:
        """Run steps of the minimizer, record them, and see whether to stop and to save."""
        training = self.training
        done = len(training.history)
        wanted = [callback.next_iteration(done - 1) for callback in self.callbacks]
        pause = min([k for k in wanted if k is not None], default=self.max_iter)
        pause = min(pause, next_pause(done - 1, self.snapshots, self.max_iter))
        with precision(training.theta.dtype):
            self.state, records = self.evaluator.steps(self.state, self.steps, pause)
            records, theta, status = jax.device_get((records, self.state.theta, self.state.status))
            needs_factors = records.needs_factors
            if on_plateau(self.plateau, self.names, status, records.last_terms):
                self.state = go_beyond_plateau(self.state, [training], np.array(True))
                status, needs_factors = jax.device_get((self.state.status, lbfgs.needs_factors(self.state)))
            if needs_factors:
                self.state = lbfgs.tell_factors(self.state, self.evaluator.factors(self.state))
        before, self.elapsed = self.elapsed, time.perf_counter() - self.start
        record(training, self.names, records, theta, int(status), before, self.elapsed, self.resumed, self.after)
        if len(training.history) - 1 == pause and len(training.history) > done:
            training.take_snapshot(self.snapshots)
        self._agree_to_stop(next_steps(self.steps, self.elapsed - before))
        if training.history and training.stop_reason != "not_finite":
            self._save()
        if self.compiled_at is None:
            self.compiled_at = time.perf_counter()

    def _agree_to_stop(self, steps: int) -> None:
        """Ask the callbacks, and agree with the other processes on whether to stop and on the next burst's length."""
        failure, reason = None, self._ask([callback for callback in self.callbacks if callback.collective])
        try:
            reason = self._reason_to_stop(reason)
        except Exception as error:  # a callback's: other processes must not wait for this one
            failure, reason = error, FAILED
        self.steps, self.training.stop_reason = self.evaluator.agree(steps, reason)
        if failure is not None:
            raise failure
        if self.training.stop_reason == FAILED:
            raise RuntimeError("a callback has failed in another process of this run: see the log of that process")

    def _ask(self, callbacks: Sequence[FitCallback], reason: str = "") -> str:
        """Ask callbacks in order whether to stop; the first reason counts."""
        reason = reason or self.training.stop_reason
        if self.training.history:
            for callback in callbacks:
                more = callback.on_iterate(self.training.history[-1], self.training.theta, reason)
                reason = reason or more or ""
        return reason

    def _reason_to_stop(self, reason: str) -> str:
        reason = self._ask([callback for callback in self.callbacks if not callback.collective], reason)
        if not reason and self.checkpointer.stop:
            return "interrupted"
        if not reason and self.time_budget is not None and self.timed >= self.time_budget:
            return "time_budget"
        return reason

    def _save(self) -> None:
        if self.checkpointer.writes and (self.training.stop_reason or self.checkpointer.due(self.elapsed)):
            callbacks = {name: array for callback in self.callbacks for name, array in callback.state().items()}
            training = self.training
            with precision(training.theta.dtype):
                leaves = host_leaves(self.state)
            self.checkpointer.save(TrainingState(leaves, training.history, self.elapsed, callbacks))


def initial_state(
    evaluator: Evaluator, theta: jax.Array, solver: str, *, tol: float, max_iter: int
) -> lbfgs.LBFGSState:
    """Make the minimizer's first state, which waits for its factors, if the solver uses any."""
    if solver == "lbfgs":
        return lbfgs.initialize(theta, tol=tol, max_iter=max_iter)
    shapes = evaluator.factor_shapes(theta)
    factors = jax.tree.map(lambda leaf: host_array(0, leaf.dtype, leaf.shape), shapes)
    return lbfgs.initialize(theta, factors=factors, tol=tol, max_iter=max_iter)


def on_plateau(
    plateau: Plateau | None, names: list[str], status: int | NDArray[np.integer], terms: NDArray[np.floating]
) -> bool:
    """Whether a training has converged on a plateau, by the terms of J where it did."""
    if plateau is None or status != lbfgs.CONVERGED:
        return False
    return plateau.includes(dict(zip(names, np.asarray(terms, np.float64).tolist(), strict=True)))


def go_beyond_plateau(
    state: lbfgs.LBFGSState, trainings: Sequence[Training], where: NDArray[np.bool_]
) -> lbfgs.LBFGSState:
    """Let trainings that have converged on a plateau go on: of one state, or of a stack, where it says so."""
    tol = tol_beyond(trainings[0].tol)  # the same for all
    for training in trainings:
        training.plateau_tol = tol
    return lbfgs.set_tol(state, cast(jax.Array, np.asarray(tol, state.tol.dtype)), cast(jax.Array, where))


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
    """Enter the records of a burst that ran between two times."""
    more = _progress(records, names, len(training.history), before, now, resumed)
    if after is not None:
        more = [_continued(after, progress) for progress in more]
    # At one stroke, lest Ctrl-C leave a history that is ahead of the weights.
    training.theta, training.history = theta, training.history + more
    if status == lbfgs.NOT_FINITE:
        broken = ~np.isfinite(records.last_terms)
        training.broken_terms = tuple(np.asarray(names)[broken].tolist())
    training.stop_reason = reason_of(training, status)


def reason_of(training: Training, status: int) -> str:
    """Return why a training ended, by the status of its minimizer; empty while it goes on."""
    if status == lbfgs.RUNNING:
        return ""
    if status == lbfgs.PRECISION and training.history[-1].gradient_norm <= training.tol:
        return "converged"  # beyond a plateau: the user's tol is met, and there is nothing lower
    return REASON_OF_STATUS[status]


def _compile(evaluator: Evaluator, state: lbfgs.LBFGSState) -> None:
    with precision(state.theta.dtype):
        evaluator.compile(state)


def _continued(last: Progress, progress: Progress) -> Progress:
    """Count from the end of the training that is continued."""
    return replace(
        progress,
        iteration=last.iteration + progress.iteration,
        evaluations=last.evaluations + progress.evaluations,
        seconds=last.seconds + progress.seconds,
    )


def _progress(
    records: LoopRecords, names: list[str], first: int, before: float, now: float, resumed: int
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
    """Choose the length of the next burst from the last one's: doubled or halved towards `BURST_SECONDS`."""
    if seconds < BURST_SECONDS / 2:
        return min(2 * steps, MAX_STEPS)
    return max(steps // 2, 1) if seconds > 2 * BURST_SECONDS else steps
