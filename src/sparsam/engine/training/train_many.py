"""Many trainings at once: settings and seeds of one network on the same data.

Either as lanes of one program, by `jax.vmap` over the minimizer: every step evaluates all of them, so that products
with the data are shared and a device is filled; or side by side, each as it would run alone, one to a core. Either way
each goes through the same iterations as alone, up to rounding.
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
from sparsam.engine.minimizer import lbfgs
from sparsam.engine.objective.objective import Objective
from sparsam.engine.training.callbacks import FunctionCallback
from sparsam.engine.training.compiled_loop import run_loop
from sparsam.engine.training.evaluators import compiled_input_moments, make_evaluator
from sparsam.engine.training.plateau import Plateau
from sparsam.engine.training.train import (
    Training,
    go_beyond_plateau,
    initial_state,
    next_pause,
    next_steps,
    on_plateau,
    precision,
    record,
    train,
)

__all__ = ["train_lanes", "train_many", "train_side_by_side"]

Finished = Callable[[int, Training], None]
"""Called with the number of each training that has ended, and the training, in the thread that trained it."""


def _never() -> bool:
    return False


def _ignore(number: int, training: Training) -> None:
    return


def train_many(
    objectives: Sequence[Objective], samples: Samples, thetas: Sequence[NDArray[np.floating]], **options: Any
) -> list[Training]:
    """Minimize several objectives of one network, the way that is faster on the default device.

    On CPU that is side by side: 16 trainings of the notes' job on two cores took 5.8 seconds, one after another 8.4, in
    lanes 26 with their compilation; two processes of one core each took 11 against 8 side by side when a training
    needed a fifth more evaluations. On accelerators it is in lanes; that has not been measured.

    Parameters
    ----------
    objectives : sequence of Objective
        Of one network and the same kinds of terms; hyperparameters may differ.
    samples : Samples
        The same for all.
    thetas : sequence of arrays of shape (n_parameters,)
        Where each starts.
    **options
        ``solver``, ``dtype``, ``tol``, ``max_iter``, ``time_budget``, ``snapshots``, ``plateau`` as for
        `sparsam.engine.train`, the same for all; ``finished``, told of each training as it ends; ``stop``, asked about
        ten times a second whether to end them all, with the reason "interrupted".

    Returns
    -------
    list of Training
        In the order of the objectives. Side by side those that ``stop`` came before have no history.
    """
    # Lanes have not been divided among several devices.
    train_all = train_side_by_side if jax.default_backend() == "cpu" or samples.mesh is not None else train_lanes
    return train_all(objectives, samples, thetas, **options)


def train_side_by_side(
    objectives: Sequence[Objective],
    samples: Samples,
    thetas: Sequence[NDArray[np.floating]],
    *,
    n_workers: int | None = None,
    finished: Finished = _ignore,
    stop: Callable[[], bool] = _never,
    **options: Any,
) -> list[Training]:
    """Minimize several objectives, ``n_workers`` at a time (by default one to a core), each as it would run alone.

    The workers are threads: the compiled programs that do the work leave Python's lock alone, and are shared. Where one
    of them fails, the others end too.
    """
    failed = threading.Event()

    def ending() -> bool:
        return failed.is_set() or stop()

    def one(number: int) -> Training:
        if ending():
            return Training(np.asarray(thetas[number]), "interrupted", options.get("tol", 1e-5))
        try:
            ends = FunctionCallback(lambda progress: ending(), reason="interrupted")
            training = train(objectives[number], samples, thetas[number], callbacks=[ends], **options)
            finished(number, training)
        except BaseException:
            failed.set()
            raise
        return training

    with worker_threads(n_workers or os.cpu_count()) as workers:
        trainings = [workers.submit(one, number) for number in range(len(objectives))]
        try:
            return [training.result() for training in trainings]
        except BaseException:  # Ctrl-C too, which comes to this thread
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
    finished: Finished = _ignore,
    stop: Callable[[], bool] = _never,
) -> list[Training]:
    """Minimize several objectives as lanes of one program.

    A lane that has stopped, or waits for its factors, keeps its state while the others go on; when at most half of the
    lanes still run, these go on in a program of half as many, so that those that have stopped cost nothing more. Sizes
    are powers of two, each of which is compiled when it is first met.

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
    lanes = np.arange(len(trainings))  # which training each lane is
    steps, elapsed, compiled = 1, 0.0, 0.0  # the first burst's end: a time budget counts from there
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
                # Lanes that only fill up have stopped, and keep their states.
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
    """Make the first states, stacked, like the first of them."""
    states: lbfgs.LBFGSState = jax.tree.map(lambda leaf: np.stack([np.asarray(leaf)] * len(thetas)), first)
    states = replace(states, theta=cast(jax.Array, thetas))
    if inputs is None:
        return states
    return _refresh_lanes(stacked, samples, states, inputs, jnp.ones(len(thetas), bool))


def _refresh(objective: Objective, samples: Samples, state: lbfgs.LBFGSState, inputs: Any, wanted: jax.Array) -> Any:
    told = lbfgs.tell_factors(state, kronecker_factors(objective, state.theta, samples, inputs, state.iteration))
    return jax.tree.map(lambda new, old: jnp.where(wanted, new, old), told, state)


# The compiled programs.

_burst_lanes = quick_jit(jax.vmap(run_loop, in_axes=(0, None, 0, None, 0)), donate_argnums=2)
_refresh_lanes = quick_jit(jax.vmap(_refresh, in_axes=(0, None, 0, None, 0)), donate_argnums=2)
_take = quick_jit(lambda tree, lanes: jax.tree.map(lambda leaf: leaf[lanes], tree))
