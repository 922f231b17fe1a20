"""Train one network with several settings and seeds on the same data, at the same time.

The trainings run either as lanes of one program, by `jax.vmap` over the minimizer, or in parallel threads, one per
core. In lanes every step evaluates all of them, so that they share the products with the data and use the whole device;
in threads each runs as it would alone. In both cases each goes through the same iterations as alone, up to rounding.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from numpy.typing import NDArray

from sparsam._utils.jit import quick_jit
from sparsam._utils.stop_signals import interrupts
from sparsam._utils.worker_threads import worker_threads
from sparsam.engine.curvature.factors import kronecker_factors
from sparsam.engine.data.samples import Samples
from sparsam.engine.jax_settings import precision
from sparsam.engine.minimizer import lbfgs
from sparsam.engine.objective.objective import Objective
from sparsam.engine.training.bursts import next_pause, next_steps
from sparsam.engine.training.callbacks import StopWhen
from sparsam.engine.training.compiled_loop import run_loop
from sparsam.engine.training.evaluators import compiled_input_moments, initial_state, make_evaluator
from sparsam.engine.training.plateau import Plateau, go_beyond_plateau, on_plateau
from sparsam.engine.training.result import Training, record
from sparsam.engine.training.train import train

__all__ = ["train_lanes", "train_many", "train_side_by_side"]

Finished = Callable[[int, Training], None]
"""Called with the number and the result of each training that has ended, in the thread that trained it."""


def _never_stop() -> bool:
    return False


def _ignore(number: int, training: Training) -> None:
    return


def train_many(
    objectives: Sequence[Objective],
    samples: Samples,
    thetas: Sequence[NDArray[np.floating]],
    **options: Any,
) -> list[Training]:
    """Minimize several objectives of one network, in the way that is faster on the default device.

    On CPU that is in threads: 16 trainings of the notes' job on two cores took 5.8 seconds, one after another 8.4, in
    lanes 26 including compilation; when a training needed a fifth more evaluations, two processes of one core each took
    11, threads 8. On accelerators it is in lanes, which has not been measured.

    Parameters
    ----------
    objectives : sequence of Objective
        They have the same network and the same kinds of terms; hyperparameters may differ.
    samples : Samples
        The same for all.
    thetas : sequence of arrays of shape (n_parameters,)
        Initial weights of each.
    **options
        ``solver``, ``dtype``, ``tol``, ``max_iter``, ``time_budget``, ``snapshots``, ``plateau``, ``begin_on`` as for
        `sparsam.engine.train`, the same for all; ``finished``, called with each training as it ends; ``stop``, called
        about ten times a second, which returns True to end all trainings, with the reason "interrupted".

    Returns
    -------
    list of Training
        In the order of the objectives. In threads, trainings that ``stop`` ended before their start have no history.
    """
    # Lanes are not implemented for several devices, and begin on all samples.
    if jax.default_backend() == "cpu" or samples.mesh is not None:
        return train_side_by_side(objectives, samples, thetas, **options)
    return train_lanes(objectives, samples, thetas, **options)


def train_side_by_side(
    objectives: Sequence[Objective],
    samples: Samples,
    thetas: Sequence[NDArray[np.floating]],
    *,
    n_workers: int | None = None,
    finished: Finished = _ignore,
    stop: Callable[[], bool] = _never_stop,
    **options: Any,
) -> list[Training]:
    """Minimize several objectives in ``n_workers`` threads (by default one per core), each as it would run alone.

    The threads share the compiled programs, which do the work without Python's global lock. If one of them fails, the
    others end too.
    """
    failed = threading.Event()

    def must_end() -> bool:
        return failed.is_set() or stop()

    def train_one(number: int) -> Training:
        if must_end():
            return Training(np.asarray(thetas[number]), "interrupted", options.get("tol", 1e-5))
        try:
            training = train(objectives[number], samples, thetas[number], callbacks=[StopWhen(must_end)], **options)
            finished(number, training)
        except BaseException:
            failed.set()
            raise
        return training

    with worker_threads(n_workers or os.cpu_count()) as workers:
        trainings = [workers.submit(train_one, number) for number in range(len(objectives))]
        try:
            return [training.result() for training in trainings]
        except BaseException:  # including Ctrl-C, which is raised in this thread
            failed.set()
            raise


def train_lanes(
    objectives: Sequence[Objective],
    samples: Samples,
    thetas: Sequence[NDArray[np.floating]],
    *,
    solver: str = "kronecker-lbfgs",
    dtype: DTypeLike = "float32",
    tol: float = 1e-5,
    max_iter: int = 1000,
    time_budget: float | None = None,
    snapshots: Collection[int] = (),
    plateau: Plateau | None = None,
    begin_on: Sequence[Samples] = (),
    finished: Finished = _ignore,
    stop: Callable[[], bool] = _never_stop,
) -> list[Training]:
    """Minimize several objectives as lanes of one program, which all begin on all samples, whatever ``begin_on``.

    A lane that has stopped, or waits for its factors, keeps its state while the others go on. When at most half of the
    lanes still run, they continue in a program with half as many lanes, so that stopped lanes cost nothing more. The
    numbers of lanes are powers of two, each compiled when it is first needed.

    Parameters and returns are those of `train_many`.
    """
    start = time.perf_counter()
    names = [term.name for term in objectives[0].terms]
    trainings = [Training(np.asarray(theta, dtype), stop_reason="", tol=tol) for theta in thetas]
    with precision(dtype):
        stacked = jax.tree.map(lambda *leaves: np.stack([np.asarray(leaf, dtype) for leaf in leaves]), *objectives)
        inputs = compiled_input_moments(samples) if solver == "kronecker-lbfgs" else None
        theta = cast(jax.Array, trainings[0].theta)
        first = initial_state(make_evaluator(objectives[0], samples), theta, solver, tol=tol, max_iter=max_iter)
        states = _begin_lanes(stacked, samples, first, np.stack([t.theta for t in trainings]), inputs)
    lanes = np.arange(len(trainings))  # number of the training in each lane
    steps, elapsed, compiled = 1, 0.0, 0.0  # compiled: end of the first burst, from which a time budget counts
    try:
        while len(lanes):
            with precision(dtype):
                pauses = [
                    next_pause(len(trainings[k].history) - 1, snapshots, max_iter) if k >= 0 else max_iter
                    for k in lanes
                ]
                states, records = _burst_lanes(stacked, samples, states, steps, cast(Any, np.array(pauses, np.int32)))
                records, reached, status = jax.device_get((records, states.theta, states.status))
                needs_factors = records.needs_factors
                on = [
                    bool(k >= 0 and not trainings[k].stop_reason)
                    and on_plateau(plateau, names, status[lane], records.last_terms[lane])
                    for lane, k in enumerate(lanes)
                ]
                if any(on):
                    states = go_beyond_plateau(states, [trainings[k] for k in lanes[on]], np.array(on))
                    status, wanted = jax.device_get((states.status, lbfgs.needs_factors(states)))
                    needs_factors = needs_factors | (wanted & on)
                if np.any(needs_factors):
                    states = _refresh_lanes(stacked, samples, states, inputs, needs_factors)
            before, elapsed = elapsed, time.perf_counter() - start
            compiled = compiled or elapsed
            steps, ending = next_steps(steps, elapsed - before), stop()
            for lane, k in enumerate(lanes):
                if k >= 0 and not trainings[k].stop_reason:
                    own = jax.tree.map(lambda leaf, lane=lane: leaf[lane], records)
                    record(trainings[k], names, own, reached[lane], int(status[lane]), before, elapsed)
                    trainings[k].take_snapshot(snapshots)
                    if not trainings[k].stop_reason and time_budget is not None and elapsed - compiled >= time_budget:
                        trainings[k].stop_reason = "time_budget"
                    if not trainings[k].stop_reason and ending:
                        trainings[k].stop_reason = "interrupted"
                    if trainings[k].stop_reason:
                        finished(int(k), trainings[k])
            running = np.flatnonzero([bool(k >= 0 and not trainings[k].stop_reason) for k in lanes])
            size = 2 ** int(np.ceil(np.log2(max(len(running), 1))))
            if len(running) == 0:
                lanes = running
            elif size <= len(lanes) // 2:
                # Stopped lanes fill up the program, and keep their states.
                stopped = np.setdiff1d(np.arange(len(lanes)), running)
                kept = np.concatenate([running, stopped])[:size]
                with precision(dtype):
                    stacked, states = _take((stacked, states), kept)
                lanes = np.where(np.arange(size) < len(running), lanes[kept], -1)
    except KeyboardInterrupt:
        if not all(training.history for training in trainings) or not interrupts.end_fit():
            raise
        for training in trainings:
            training.stop_reason = training.stop_reason or "interrupted"
    return trainings


def _begin_lanes(
    stacked: Objective, samples: Samples, first: lbfgs.LBFGSState, thetas: NDArray[np.floating], inputs: Any
) -> lbfgs.LBFGSState:
    """Make the stacked initial states from that of the first training."""
    states: lbfgs.LBFGSState = jax.tree.map(lambda leaf: np.stack([np.asarray(leaf)] * len(thetas)), first)
    states = replace(states, theta=cast(jax.Array, thetas))
    if inputs is None:
        return states
    return _refresh_lanes(stacked, samples, states, inputs, jnp.ones(len(thetas), bool))


def _refresh(objective: Objective, samples: Samples, state: lbfgs.LBFGSState, inputs: Any, wanted: jax.Array) -> Any:
    refreshed = lbfgs.tell_factors(state, kronecker_factors(objective, state.theta, samples, inputs, state.iteration))
    return jax.tree.map(lambda new, old: jnp.where(wanted, new, old), refreshed, state)


# The compiled programs.

_burst_lanes = quick_jit(jax.vmap(run_loop, in_axes=(0, None, 0, None, 0)), donate_argnums=2)
_refresh_lanes = quick_jit(jax.vmap(_refresh, in_axes=(0, None, 0, None, 0)), donate_argnums=2)
_take = quick_jit(lambda tree, lanes: jax.tree.map(lambda leaf: leaf[lanes], tree))
