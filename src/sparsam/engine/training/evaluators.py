"""What a training asks of the data: evaluations, and factors of the curvature.

Of data that reside on devices a burst of steps is one compiled program; of a stream each evaluation is passes over its
pieces, taken from a Python loop. The minimizer is the same.
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
from sparsam.engine.data.devices import gathered, n_processes
from sparsam.engine.data.samples import Chunk, Samples, on_every_device
from sparsam.engine.minimizer import lbfgs
from sparsam.engine.objective.objective import Objective
from sparsam.engine.training.compiled_loop import Records, run_burst, tell_and_record
from sparsam.engine.training.streaming import Stream, evaluate_stream, stream_factors, stream_input_moments

__all__ = ["Passes", "compiled_input_moments", "passes_over"]


class Passes(Protocol):
    """Passes over the data, for one objective."""

    def factor_shapes(self, theta: jax.Array) -> KroneckerFactors:
        """Return shapes of the factors."""

    def factors(self, state: lbfgs.LBFGSState) -> KroneckerFactors:
        """Make the factors at the iterate."""

    def steps(self, state: lbfgs.LBFGSState, steps: int, pause: int) -> tuple[lbfgs.LBFGSState, Records]:
        """Do at most so many steps, none beyond iteration ``pause``, until factors are needed or it stops."""

    def compile(self, state: lbfgs.LBFGSState) -> None:
        """Compile what the steps will need, where that can be done ahead."""

    def agreed(self, steps: int, stop_reason: str) -> tuple[int, str]:
        """Return the length of the next burst and why to stop, the same in all processes."""


def passes_over(objective: Objective, data: Samples | Stream) -> Passes:
    """Passes over data of either kind."""
    return StreamPasses(objective, data) if isinstance(data, Stream) else ResidentPasses(objective, data)


@dataclass
class ResidentPasses:
    """Over data that reside on devices."""

    objective: Objective
    samples: Samples

    def factor_shapes(self, theta: jax.Array) -> KroneckerFactors:
        """Return shapes of the factors."""
        inputs = jax.eval_shape(input_moments, self.samples)
        return jax.eval_shape(kronecker_factors, self.objective, theta, self.samples, inputs, 0)

    def factors(self, state: lbfgs.LBFGSState) -> KroneckerFactors:
        """Make the factors at the iterate, at first of a part of the samples."""
        return _factors(self.objective, state.theta, self.samples, self._inputs, state.iteration)

    def steps(self, state: lbfgs.LBFGSState, steps: int, pause: int) -> tuple[lbfgs.LBFGSState, Records]:
        """Do a burst."""
        return _burst(self.objective, self.samples, state, steps, pause)

    def compile(self, state: lbfgs.LBFGSState) -> None:
        """Do a burst of no steps."""
        self.steps(state, 0, 0)

    def agreed(self, steps: int, stop_reason: str) -> tuple[int, str]:
        """Return the shortest burst, and why the first process that wants to stop does."""
        return _agreed(self.samples.mesh, steps, stop_reason)

    @cached_property
    def _inputs(self) -> InputMoments:
        return compiled_input_moments(self.samples)


@dataclass
class StreamPasses:
    """Over data that are read again in every pass."""

    objective: Objective
    stream: Stream

    def factor_shapes(self, theta: jax.Array) -> KroneckerFactors:
        """Return shapes of the factors."""
        return jax.eval_shape(_factors_of_chunk, self.objective, theta, self.stream.blank)

    def factors(self, state: lbfgs.LBFGSState) -> KroneckerFactors:
        """Make the factors at the iterate."""
        return stream_factors(self.objective, state.theta, self.stream, self._inputs)

    def steps(self, state: lbfgs.LBFGSState, steps: int, pause: int) -> tuple[lbfgs.LBFGSState, Records]:
        """Do one step, whatever is asked for."""
        evaluation = evaluate_stream(self.objective, _ask(state), self.stream)
        return _tell(state, evaluation)

    def compile(self, state: lbfgs.LBFGSState) -> None:
        """Do nothing: its programs are several, and small."""

    def agreed(self, steps: int, stop_reason: str) -> tuple[int, str]:
        """Return why the first process that wants to stop does."""
        return _agreed(self.stream.mesh, steps, stop_reason)

    @cached_property
    def _inputs(self) -> InputMoments:
        return stream_input_moments(self.stream)


def _agreed(mesh: Mesh | None, steps: int, stop_reason: str) -> tuple[int, str]:
    """Agree on what follows: clocks, callbacks and signals are not the same everywhere, and all must do the same."""
    if n_processes(mesh) == 1:
        return steps, stop_reason
    votes = gathered([steps, *stop_reason.encode().ljust(LONGEST_REASON)], mesh)
    reasons = [bytes(vote[1:].astype(np.uint8)).decode().rstrip() for vote in votes]
    return int(votes[:, 0].min()), next((reason for reason in reasons if reason), "")


LONGEST_REASON = 16


def _factors_of_chunk(objective: Objective, theta: jax.Array, chunk: Chunk) -> KroneckerFactors:
    parameters = objective.parameters(theta)
    inputs = input_moments_of(input_products(chunk))
    return assemble(objective, parameters, moments(objective, parameters, chunk), inputs)


# The compiled programs.

_ask = quick_jit(lbfgs.ask)
_tell = quick_jit(tell_and_record)

_burst = quick_jit(
    on_every_device(run_burst),
    thorough=lambda objective, samples, *_: len(samples.inputs) > 1,
    donate_argnums=2,
)
_factors = quick_jit(kronecker_factors)
compiled_input_moments = quick_jit(input_moments)
