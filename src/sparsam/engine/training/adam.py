"""Steps of Adam on mini-batches, compiled.

A step is Adam's (Kingma & Ba, "Adam: a method for stochastic optimization", ICLR 2015, algorithm 1). With g the
gradient on a batch, t the number of the step, and products elementwise ::

    m = b1 m + (1 - b1) g,    v = b2 v + (1 - b2) g^2,    w = w - rate_t m / (1 - b1^t) / sqrt(v / (1 - b2^t))
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from sparsam._utils.jit import quick_jit
from sparsam.engine.data.samples import Samples, on_every_device
from sparsam.engine.objective.objective import Objective

__all__ = [
    "STEPS",
    "AdamState",
    "Cycle",
    "adam_step",
    "at_rest",
    "batch_of",
    "compiled_steps",
    "n_batches",
    "run_steps",
]

BATCH_ROWS = 256
WARM_UP = 0.02  # share of the steps of a cycle in which the rate rises
B1, B2 = 0.9, 0.999  # those of the paper
SMALLEST = 1e-8  # that of the paper
STEPS = 20  # of a burst, after which progress is recorded


class AdamState(NamedTuple):
    """Weights, Adam's moments of the gradient, and the number of steps done in this cycle."""

    theta: jax.Array
    m: jax.Array
    v: jax.Array
    step: jax.Array


class Cycle(NamedTuple):
    """Number of steps of a cycle, its largest rate, and the seed of the order of its batches."""

    n_steps: jax.Array
    rate: jax.Array
    seed: jax.Array


def at_rest(theta: NDArray[np.floating]) -> AdamState:
    """Make the state at the beginning of a cycle."""
    return AdamState(theta, np.zeros_like(theta), np.zeros_like(theta), np.int32(0))  # type: ignore[arg-type]


def run_steps(
    objective: Objective, samples: Samples, state: AdamState, cycle: Cycle
) -> tuple[AdamState, jax.Array, jax.Array]:
    """Take `STEPS` steps.

    Returns
    -------
    state : AdamState
    terms : array of shape (n_terms,)
        Their means over the rows of the batches.
    gradient_norm : array of shape ()
        Max-norm of the last gradient.
    """
    size = batch_size(samples)
    n = samples.n_chunks[0] * batches_of_chunk(samples)

    def step(_: int, carry: Any) -> Any:
        state, terms, total, _ = carry
        batch = samples.batch(batch_of(state.step, n, cycle.seed), size)
        weight = batch.total_weight  # 0 if all of it is padding
        batch = replace(batch, total_weight=jnp.where(weight > 0, weight, 1))
        evaluation = objective.evaluate(state.theta, batch)
        terms, total = terms + weight * evaluation.terms, total + weight
        return adam_step(state, evaluation.gradient, cycle), terms, total, evaluation.gradient

    zeros = jnp.zeros(len(objective.terms), state.theta.dtype), jnp.zeros_like(state.theta[0])
    state, terms, total, gradient = jax.lax.fori_loop(0, STEPS, step, (state, *zeros, jnp.zeros_like(state.theta)))
    return state, terms / total, jnp.max(jnp.abs(gradient))


def batch_size(samples: Samples) -> int:
    """Return the number of rows of a batch on each device."""
    n_devices = 1 if samples.mesh is None else samples.mesh.size
    return min(max(BATCH_ROWS // n_devices, 1), samples.inputs.shape[-1])


def batches_of_chunk(samples: Samples) -> int:
    """Return the number of batches in a chunk."""
    return -(-samples.inputs.shape[-1] // batch_size(samples))


def n_batches(samples: Samples) -> int:
    """Return the number of batches in a pass over the samples."""
    return samples.most_chunks * batches_of_chunk(samples)


def batch_of(step: jax.Array, n_batches: jax.Array, seed: jax.Array) -> jax.Array:
    """Choose the batch of a step: in each pass all of them once, in an order that depends on pass and seed.

    The order is that of an affine map i -> (a i + c) mod p, p the first power of two that is not smaller than
    n_batches, with a odd, so that it is a permutation; numbers beyond n_batches are mapped again.
    """
    n = n_batches.astype(jnp.uint32)
    number, turn = step.astype(jnp.uint32) // n, step.astype(jnp.uint32) % n
    a, c = jax.random.bits(jax.random.fold_in(jax.random.key(seed), number), (2,), jnp.uint32)
    mask = jnp.uint32(2) ** jnp.ceil(jnp.log2(jnp.maximum(n, 2).astype(jnp.float32))).astype(jnp.uint32) - 1

    def shuffled(i: jax.Array) -> jax.Array:
        i = (i * (a | 1) + c) & mask
        i = i ^ (i >> jnp.uint32(3))
        return (i * (c | 1) + a) & mask

    return jax.lax.while_loop(lambda i: i >= n, shuffled, shuffled(turn)).astype(jnp.int32)


def adam_step(state: AdamState, g: jax.Array, cycle: Cycle) -> AdamState:
    """Take a step of Adam along the gradient g."""
    m, v = B1 * state.m + (1 - B1) * g, B2 * state.v + (1 - B2) * jnp.square(g)
    t = (state.step + 1).astype(g.dtype)
    done = state.step / cycle.n_steps
    rate = cycle.rate * jnp.minimum(1.0, t / (WARM_UP * cycle.n_steps)) * 0.5 * (1 + jnp.cos(jnp.pi * done))
    change = rate.astype(g.dtype) * m / (1 - B1**t) / (jnp.sqrt(v / (1 - B2**t)) + SMALLEST)
    return AdamState(state.theta - change, m, v, state.step + 1)


compiled_steps = quick_jit(on_every_device(run_steps), thorough=lambda *arguments: True)
