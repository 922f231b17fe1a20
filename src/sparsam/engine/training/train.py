"""Training: minimize an objective in bursts of a compiled loop.

One compiled program runs a given number of evaluations and returns; between two bursts, the host reports progress,
calls callbacks, and handles Ctrl-C and the time budget. The length of bursts has no influence on the result, because
every evaluation is the same step of the same program. The program is compiled once for an architecture and the shape of
the chunks; other hyperparameters and seeds, and numbers of samples that round to the same shape, use the same program.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import cast

import jax
import numpy as np
from jax.typing import DTypeLike
from numpy.typing import NDArray

from sparsam._utils.stop_signals import interrupts
from sparsam._utils.worker_threads import worker_threads
from sparsam.engine.data.devices import n_processes
from sparsam.engine.data.samples import Samples
from sparsam.engine.jax_settings import precision
from sparsam.engine.minimizer import lbfgs
from sparsam.engine.objective.objective import Objective
from sparsam.engine.training.bursts import next_pause, next_steps
from sparsam.engine.training.callbacks import FitCallback
from sparsam.engine.training.checkpoints import Checkpointer
from sparsam.engine.training.compiled_loop import LoopRecords
from sparsam.engine.training.evaluators import Evaluator, initial_state
from sparsam.engine.training.growing_sample import GrowingSample
from sparsam.engine.training.limits import Replayed, replay
from sparsam.engine.training.plateau import Plateau, go_beyond_plateau, on_plateau, tol_beyond
from sparsam.engine.training.result import Training, progress_of, reason_of, record
from sparsam.engine.training.state import Progress, TrainingState, host_leaves, restore_minimizer
from sparsam.engine.training.stop_reasons import FAILED
from sparsam.engine.training.streaming import StreamedSamples

__all__ = ["SOLVERS", "train"]

SOLVERS = ("kronecker-lbfgs", "lbfgs")
"""L-BFGS with H0 from Kronecker factors of the curvature (`curvature.factors`), or a multiple of the identity."""


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
    begin_on: Sequence[Samples] = (),
) -> Training:
    """Minimize an objective over samples, starting at the weights theta.

    Parameters
    ----------
    objective : Objective
    samples : Samples or StreamedSamples
        Samples must be made in the scope `precision(dtype)`. With a stream each evaluation is a burst of its own.
    theta : array of shape (n_parameters,)
        Initial weights.
    solver : {"kronecker-lbfgs", "lbfgs"}, default "kronecker-lbfgs"
        See `SOLVERS`.
    dtype : {"float32", "float64"}, default "float32"
        Precision of the training.
    tol : float, default 1e-5
        The training has converged when no component of the gradient is larger.
    max_iter : int, default 1000
        Maximum number of iterations.
    time_budget : float or None
        Stop after this many seconds of this call, counted from the end of the first evaluation, so that compilation is
        excluded; checked between bursts.
    callbacks : sequence of FitCallback
        Called in order after each burst, about ten times a second, or after each iteration if one of them requires it.
        `FunctionCallback` makes a callback from a function.
    checkpointer : Checkpointer or None
        Saves the training between bursts, and resumes it if there is a checkpoint. It may be resumed with a larger
        max_iter or a smaller tol; the result equals, to the bit, that of a training with these limits from the start.
    snapshots : collection of int
        Iterations, from 1 on, at which to store the result; in a resumed training only those still to come.
    plateau : Plateau or None
        If the training converges on it, it goes on to a hundredth of tol. It counts as converged even if the precision
        does not allow such a small gradient.
    after : Progress or None
        The end of a training that this one continues: iterations, evaluations and seconds are counted from there.
    begin_on : sequence of Samples
        Parts of the samples on which to begin, each contained in the next, as `nested_samples` makes them; see
        `growing_sample`. Limits, snapshots and callbacks count iterations on all samples, and a training that ends
        before has been evaluated on all of them once.

    Returns
    -------
    Training
        Ctrl-C (KeyboardInterrupt) ends it with stop_reason "interrupted" once there is an iterate. Before the first
        evaluation, and within five seconds after the last Ctrl-C, it is raised instead.
    """
    with precision(dtype):
        on_host, theta = jax.tree.map(lambda leaf: np.asarray(leaf, dtype), (objective, theta))
    loop = _TrainingLoop(
        sample=GrowingSample.of(on_host, begin_on, samples, tol, max_iter),
        solver=solver,
        initial=theta,
        training=Training(theta=theta, stop_reason="", tol=tol),
        names=[term.name for term in objective.terms],
        callbacks=callbacks,
        checkpointer=checkpointer or Checkpointer(),
        time_budget=time_budget,
        snapshots=snapshots,
        plateau=plateau,
        after=after,
    )
    loop.begin()
    try:
        while not loop.training.stop_reason:
            loop.run_burst()
    except KeyboardInterrupt:
        begun = loop.training.history or loop.training.sampled
        if not begun or n_processes(samples.mesh) > 1:  # other processes would wait for this one
            raise
        if not interrupts.end_fit():
            raise
        loop.training.stop_reason = "interrupted"
    return loop.finish()


@dataclass
class _TrainingLoop:
    """The loop over bursts, on the host.

    Attributes
    ----------
    sample : GrowingSample
        The samples of the next step, in the end all of them.
    initial : array of shape (n_parameters,)
        The initial weights.
    state : LBFGSState
        The minimizer's state.
    steps : int
        Length of the next burst.
    start, elapsed : float
        Clock time at the start of the training, and the seconds since.
    compiled_at : float or None
        Clock time at the end of the first burst of this call, when everything was compiled.
    resumed : int
        How often the training has been resumed.
    """

    sample: GrowingSample
    solver: str
    initial: NDArray[np.floating]
    training: Training
    names: list[str]
    callbacks: Sequence[FitCallback]
    checkpointer: Checkpointer
    time_budget: float | None
    snapshots: Collection[int]
    plateau: Plateau | None
    after: Progress | None
    start: float = 0.0
    elapsed: float = 0.0
    compiled_at: float | None = None
    steps: int = 1
    resumed: int = 0
    state: lbfgs.LBFGSState = field(init=False)

    def begin(self) -> None:
        """Make the minimizer's initial state, or restore it from a checkpoint."""
        self.start = time.perf_counter()
        with precision(self.initial.dtype):
            self.state = self._state_at(self.initial)
            saved = self.checkpointer.load()
            if saved is not None and self._can_resume(saved):
                self._resume(saved)
            else:
                saved = None
            if self.solver == "kronecker-lbfgs" and saved is None:
                with worker_threads(1) as other:
                    # Compile the loop in parallel with the factors.
                    other.submit(_compile, self.sample.evaluator, self.state)
                    self._refresh_factors()
        self.elapsed = time.perf_counter() - self.start
        if saved is not None:
            self._agree_to_stop(self.steps)  # callbacks and limits may now decide differently than before

    def _can_resume(self, saved: TrainingState) -> bool:
        """Restore the callbacks, and return whether this training would have reached the checkpoint.

        Raises
        ------
        ValueError
            If tol and max_iter end the training before the checkpoint.
        """
        last = len(saved.history) - 1
        end = self._replay(saved).end
        if end is not None and end < last:
            self.checkpointer.refuse(
                ValueError(
                    f"the checkpoint in {self.checkpointer.folder} is at iteration {last}, but with max_iter = "
                    f"{self.sample.max_iter} and tol = {self.training.tol:g} the training would end at iteration "
                    f"{end}: to extend it, set max_iter above {last} and tol below "
                    f"{saved.history[-1].gradient_norm:.2g}; or use another folder"
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
        tol, max_iter, dtype = self.training.tol, self.sample.max_iter, self.training.theta.dtype
        return replay(saved.history, tol=tol, max_iter=max_iter, plateau=self.plateau, dtype=dtype)

    def _resume(self, saved: TrainingState) -> None:
        """Restore a checkpoint, with the limits of this training."""
        training, sample = self.training, self.sample
        sample.take_share(saved.share)
        sample.cost = saved.cost
        state = restore_minimizer(saved.leaves, self.state)
        if sample.is_all:
            if self._replay(saved).beyond_plateau:
                training.plateau_tol = tol_beyond(training.tol)
            tol = training.tol if training.plateau_tol is None else training.plateau_tol
            state = lbfgs.set_limits(state, np.asarray(tol), np.asarray(sample.max_iter))
        self.state = jax.device_get(state)  # to the host, whose arrays are valid on the devices of any process
        if lbfgs.needs_factors(self.state):  # a training that had ended did not compute them
            self._refresh_factors()
        self.start -= saved.seconds
        training.theta, training.history, training.sampled = np.asarray(self.state.theta), saved.history, saved.sampled
        self.resumed = [*saved.sampled, *saved.history][-1].resumed + 1
        if sample.is_all:
            training.stop_reason = reason_of(training, int(self.state.status))

    @property
    def timed(self) -> float:
        """Seconds since everything was compiled."""
        return 0.0 if self.compiled_at is None else time.perf_counter() - self.compiled_at

    def run_burst(self) -> None:
        """Run a burst of the minimizer's steps, record it, and decide whether to stop and whether to save."""
        training, before = self.training, self.elapsed
        with precision(training.theta.dtype):
            if self.sample.is_all:
                self._run_on_all()
            else:
                self._run_on_sample()
        self._agree_to_stop(next_steps(self.steps, self.elapsed - before))
        if (training.history or training.sampled) and training.stop_reason != "not_finite":
            self._save()
        if self.compiled_at is None:
            self.compiled_at = time.perf_counter()

    def finish(self) -> Training:
        """Return the result; if the training ended on a part of the samples, evaluate J on all of them once.

        Weights that are good for a part may give no finite J for all; the initial ones are evaluated then.
        """
        training, reason = self.training, self.training.stop_reason
        if not training.history and reason != "not_finite":
            self.sample.take_all()
            for theta in (training.theta, self.initial):
                training.theta, training.stop_reason = theta, ""
                with precision(theta.dtype):
                    self.state, records = self.sample.evaluator.steps(self._state_at(theta), 1, 0)
                    self._record(records)
                if training.history:
                    training.stop_reason = training.stop_reason or reason
                    break
        training.timed = self.timed
        return training

    def _state_at(self, theta: NDArray[np.floating]) -> lbfgs.LBFGSState:
        """Make the minimizer's initial state at some weights, on the current sample, without factors."""
        tol, max_iter = self.sample.limits
        return initial_state(self.sample.evaluator, cast(jax.Array, theta), self.solver, tol=tol, max_iter=max_iter)

    def _run_on_all(self) -> None:
        done, max_iter = len(self.training.history), self.sample.max_iter
        wanted = [callback.next_iteration(done - 1) for callback in self.callbacks]
        pause = min([k for k in wanted if k is not None], default=max_iter)
        pause = min(pause, next_pause(done - 1, self.snapshots, max_iter))
        self.state, records = self.sample.evaluator.steps(self.state, self.steps, pause)
        self._record(records)
        if len(self.training.history) - 1 == pause and len(self.training.history) > done:
            self.training.take_snapshot(self.snapshots)

    def _record(self, records: LoopRecords) -> None:
        """Record steps on all samples, and prepare the next ones."""
        training = self.training
        records, theta, status = jax.device_get((records, self.state.theta, self.state.status))
        needs_factors = records.needs_factors
        if on_plateau(self.plateau, self.names, status, np.asarray(records.last_terms)):
            self.state = go_beyond_plateau(self.state, [training], np.array(True))
            status, needs_factors = jax.device_get((self.state.status, lbfgs.needs_factors(self.state)))
        if needs_factors:
            self._refresh_factors()
        before, self.elapsed = self.elapsed, time.perf_counter() - self.start
        record(training, self.names, records, theta, int(status), before, self.elapsed, self.resumed, self.after)

    def _run_on_sample(self) -> None:
        """Take steps on a part of the samples, up to the next comparison with a larger part."""
        training, sample = self.training, self.sample
        done = training.sampled[-1].iteration if training.sampled else 0
        pause = sample.next_comparison(done)
        self.state, records = sample.evaluator.steps(self.state, self.steps, pause)
        records, theta, status, iteration = jax.device_get(
            (records, self.state.theta, self.state.status, self.state.iteration)
        )
        if status == lbfgs.NOT_FINITE:
            self._begin_on_all()
            return
        if records.needs_factors:
            self._refresh_factors()
        before, self.elapsed = self.elapsed, time.perf_counter() - self.start
        more = progress_of(records, self.names, len(training.sampled), before, self.elapsed, self.resumed)
        training.theta = theta
        training.sampled = training.sampled + sample.in_units_of_all(more, records)
        if status != lbfgs.RUNNING or iteration >= pause:
            self._grow_if_needed()

    def _grow_if_needed(self) -> None:
        sample = self.sample
        n_iterations = sum(progress.share == sample.share for progress in self.training.sampled)
        self.state, of_larger = sample.grow_if_needed(self.state, n_iterations)
        self.elapsed = time.perf_counter() - self.start
        if of_larger is None:
            return
        self.steps = 1  # as long as steps on the smaller sample: far too many
        of_larger = jax.device_get(of_larger)
        if not of_larger.n_accepted:
            self._begin_on_all()
        elif sample.is_all:
            self._record(of_larger)
        elif of_larger.needs_factors:
            self._refresh_factors()

    def _begin_on_all(self) -> None:
        """Begin again on all samples: J is not finite on a part of them, or at weights that are good for a part."""
        self.sample.take_all()
        self.training.theta, self.training.sampled, self.steps = self.initial, [], 1
        self.state = self._state_at(self.initial)
        if self.solver == "kronecker-lbfgs":
            self._refresh_factors()

    def _refresh_factors(self) -> None:
        self.state = lbfgs.tell_factors(self.state, self.sample.evaluator.factors(self.state))

    def _agree_to_stop(self, steps: int) -> None:
        """Call the callbacks, and agree with the other processes on whether to stop and on the next burst's length."""
        failure, reason = None, self._call([callback for callback in self.callbacks if callback.collective])
        try:
            reason = self._reason_to_stop(reason)
        except Exception as error:  # raised by a callback; other processes must not wait for this one
            failure, reason = error, FAILED
        self.steps, self.training.stop_reason = self.sample.evaluator.agree(steps, reason)
        if failure is not None:
            raise failure
        if self.training.stop_reason == FAILED:
            raise RuntimeError("a callback has failed in another process of this run: see the log of that process")

    def _call(self, callbacks: Sequence[FitCallback], reason: str = "") -> str:
        """Call callbacks in order with the last iterate; return the first reason to stop."""
        training = self.training
        reason = reason or training.stop_reason
        for callback in callbacks:
            more = None
            if training.history:
                more = callback.on_iterate(training.history[-1], training.theta, reason)
            elif training.sampled:
                more = callback.on_sample(training.sampled[-1])
            reason = reason or more or ""
        return reason

    def _reason_to_stop(self, reason: str) -> str:
        reason = self._call([callback for callback in self.callbacks if not callback.collective], reason)
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
            progress = training.history, self.elapsed, callbacks, training.sampled
            self.checkpointer.save(TrainingState(leaves, *progress, self.sample.share, self.sample.cost))


def _compile(evaluator: Evaluator, state: lbfgs.LBFGSState) -> None:
    with precision(state.theta.dtype):
        evaluator.compile(state)
