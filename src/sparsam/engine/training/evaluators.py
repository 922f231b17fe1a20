"""Evaluators over resident or streamed data: steps of the minimizer, and factors of the curvature.

For data on the devices, a burst of steps is one compiled program. For a stream, each evaluation is one or two passes
over its batches in a Python loop. The minimizer is the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import jax
import numpy as np
from jax.sharding import Mesh

from sparsam._utils.jit import quick_jit
from sparsam.engine.curvature.factors import (
    InputMoments,
    assemble,
    input_moments,
    input_moments_of,
    input_products,
    kronecker_factors,
    moments,
)
from sparsam.engine.curvature.kronecker import KroneckerFactors
from sparsam.engine.data.batch import Batch
from sparsam.engine.data.devices import all_gather, n_processes, replicated
from sparsam.engine.data.samples import Samples, on_every_device
from sparsam.engine.minimizer import lbfgs
from sparsam.engine.minimizer.line_search import host_array
from sparsam.engine.objective.objective import Objective
from sparsam.engine.training.compiled_loop import LoopRecords, run_loop, tell_and_record
from sparsam.engine.training.streaming import StreamedSamples, evaluate_stream, stream_factors, stream_input_moments

__all__ = ["Evaluator", "agree", "compiled_input_moments", "initial_state", "make_evaluator"]


class Evaluator(Protocol):
    """Evaluator of an objective over the data."""

    def factor_shapes(self, theta: jax.Array) -> KroneckerFactors:
        """Return the shapes of the factors."""

    def factors(self, state: lbfgs.LBFGSState) -> KroneckerFactors:
        """Compute the factors at the iterate."""

    def steps(self, state: lbfgs.LBFGSState, steps: int, pause: int) -> tuple[lbfgs.LBFGSState, LoopRecords]:
        """Take at most ``steps`` steps, none beyond iteration ``pause``, until it needs factors or stops."""

    def compile(self, state: lbfgs.LBFGSState) -> None:
        """Compile the programs for the steps, if that can be done in advance."""

    def agree(self, steps: int, stop_reason: str) -> tuple[int, str]:
        """Agree with the other processes on the length of the next burst and on why to stop."""


def make_evaluator(objective: Objective, data: Samples | StreamedSamples) -> Evaluator:
    """Make the evaluator for resident or streamed data."""
    if isinstance(data, StreamedSamples):
        return StreamedEvaluator(objective, data)
    return ResidentEvaluator(objective, data)


def initial_state(
    evaluator: Evaluator, theta: jax.Array, solver: str, *, tol: float, max_iter: int
) -> lbfgs.LBFGSState:
    """Make the minimizer's initial state; if the solver uses factors, they are zeros until `lbfgs.tell_factors`."""
    if solver == "lbfgs":
        return lbfgs.initialize(theta, tol=tol, max_iter=max_iter)
    shapes = evaluator.factor_shapes(theta)
    factors = jax.tree.map(lambda leaf: host_array(0, leaf.dtype, leaf.shape), shapes)
    return lbfgs.initialize(theta, factors=factors, tol=tol, max_iter=max_iter)


@dataclass
class ResidentEvaluator:
    """Evaluator over data on the devices."""

    objective: Objective
    samples: Samples

    def factor_shapes(self, theta: jax.Array) -> KroneckerFactors:
        """Return the shapes of the factors."""
        inputs = jax.eval_shape(input_moments, self.samples, self.objective)
        iteration = np.int32(0)  # of the same type as the state's, so that `factors` need not trace it again
        return jax.eval_shape(kronecker_factors, self.objective, theta, self.samples, inputs, iteration)

    def factors(self, state: lbfgs.LBFGSState) -> KroneckerFactors:
        """Compute the factors at the iterate, in early iterations from a part of the samples."""
        state = _placed(state, self.samples.mesh)
        return _factors(self.objective, state.theta, self.samples, self._inputs, state.iteration)

    def steps(self, state: lbfgs.LBFGSState, steps: int, pause: int) -> tuple[lbfgs.LBFGSState, LoopRecords]:
        """Run the compiled loop."""
        return _burst(self.objective, self.samples, _placed(state, self.samples.mesh), steps, pause)

    def compile(self, state: lbfgs.LBFGSState) -> None:
        """Run the compiled loop for zero steps."""
        self.steps(state, 0, 0)

    def agree(self, steps: int, stop_reason: str) -> tuple[int, str]:
        """Agree on the shortest burst, and on the reason of the first process that stops."""
        return agree(self.samples.mesh, steps, stop_reason)

    @cached_property
    def _inputs(self) -> InputMoments:
        return compiled_input_moments(self.samples, self.objective)


@dataclass
class StreamedEvaluator:
    """Evaluator over data that are read again in every pass."""

    objective: Objective
    stream: StreamedSamples

    def factor_shapes(self, theta: jax.Array) -> KroneckerFactors:
        """Return the shapes of the factors."""
        return jax.eval_shape(_factors_of_chunk, self.objective, theta, self.stream.blank)

    def factors(self, state: lbfgs.LBFGSState) -> KroneckerFactors:
        """Compute the factors at the iterate."""
        state = _placed(state, self.stream.mesh)
        return stream_factors(self.objective, state.theta, self.stream, self._inputs)

    def steps(self, state: lbfgs.LBFGSState, steps: int, pause: int) -> tuple[lbfgs.LBFGSState, LoopRecords]:
        """Take one step, whatever the value of ``steps``."""
        state = _placed(state, self.stream.mesh)
        evaluation = evaluate_stream(self.objective, _ask(state), self.stream)
        return _tell(state, evaluation)

    def compile(self, state: lbfgs.LBFGSState) -> None:
        """Do nothing, since the programs are several and small."""

    def agree(self, steps: int, stop_reason: str) -> tuple[int, str]:
        """Agree on the reason of the first process that stops."""
        return agree(self.stream.mesh, steps, stop_reason)

    @cached_property
    def _inputs(self) -> InputMoments:
        return stream_input_moments(self.stream, self.objective)


def _placed(state: lbfgs.LBFGSState, mesh: Mesh | None) -> lbfgs.LBFGSState:
    """Copy arrays on the host to all devices, since JAX compiles a program again for arrays in other places."""
    if mesh is None:
        return state
    return jax.tree.map(lambda leaf: leaf if isinstance(leaf, jax.Array) else replicated(leaf, mesh), state)


def agree(mesh: Mesh | None, steps: int, stop_reason: str) -> tuple[int, str]:
    """Agree by an all-gather, since clocks, callbacks and signals differ between processes."""
    if n_processes(mesh) == 1:
        return steps, stop_reason
    votes = all_gather([steps, *stop_reason.encode().ljust(LONGEST_REASON)], mesh)
    reasons = [bytes(vote[1:].astype(np.uint8)).decode().rstrip() for vote in votes]
    return int(votes[:, 0].min()), next((reason for reason in reasons if reason), "")


LONGEST_REASON = 16


def _factors_of_chunk(objective: Objective, theta: jax.Array, chunk: Batch) -> KroneckerFactors:
    parameters = objective.parameters(theta)
    inputs = input_moments_of(input_products(chunk))
    return assemble(objective, parameters, moments(objective, parameters, chunk), inputs)


# The compiled programs.

_ask = quick_jit(lbfgs.ask)
_tell = quick_jit(tell_and_record)

_burst = quick_jit(
    on_every_device(run_loop),
    thorough=lambda objective, samples, *_: samples.is_large,
    donate_argnums=2,
)
_factors = quick_jit(kronecker_factors)
compiled_input_moments = quick_jit(input_moments)
