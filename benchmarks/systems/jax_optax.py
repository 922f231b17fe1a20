"""optax.lbfgs, compiled as a whole: one lax.while_loop from the initial weights to the final ones."""

from __future__ import annotations

import time
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.problems import Problem
from benchmarks.protocol import Limits, Run, Start
from benchmarks.systems.jax_cost import make_cost, set_precision

LONGEST_CURVE = 20_000  # iterations
WARM_UP_EVALUATIONS = 60
PATIENCE = 50  # a run with as many iterations without a lower J has stalled


class JaxOptax:
    """optax.lbfgs with its zoom line search.

    Parameters
    ----------
    dtype : {"float32", "float64"}
    memory_size : int
    max_linesearch_steps : int
    approx_dec_rtol : float
        Relative increase of J up to which the line search accepts a trial by its slope instead of its value.
    """

    def __init__(
        self,
        dtype: str = "float32",
        memory_size: int = 20,
        max_linesearch_steps: int = 20,
        approx_dec_rtol: float = 1e-6,
    ) -> None:
        set_precision(dtype)
        self.dtype = dtype
        search = optax.scale_by_zoom_linesearch(
            max_linesearch_steps=max_linesearch_steps, approx_dec_rtol=approx_dec_rtol, initial_guess_strategy="one"
        )
        self.optimizer = optax.lbfgs(memory_size=memory_size, linesearch=search)
        self.seconds_per_evaluation = np.inf  # until a warm-up has measured it

    def prepare(self, problem: Problem, data: np.ndarray) -> None:
        """Copy the data to the device, and compile."""
        self.x = jnp.asarray(data, self.dtype)
        self.minimize = jax.jit(partial(minimize, make_cost(problem, self.dtype), self.optimizer))

    def run(self, start: Start, limits: Limits) -> Run:
        """Minimize; a compiled loop has no clock, so the time limit is converted to a number of evaluations."""
        most = WARM_UP_EVALUATIONS if limits.warm_up else int(limits.max_seconds / self.seconds_per_evaluation)
        target = -np.inf if limits.target is None else limits.target
        begin = time.perf_counter()
        theta, n_iterations, evaluations, J, stalled, gradient_norm = jax.device_get(
            self.minimize(
                jnp.asarray(start.theta, self.dtype),
                self.x,
                jnp.asarray(limits.tol, self.dtype),
                jnp.asarray(target, self.dtype),
                most,
            )
        )
        seconds = time.perf_counter() - begin
        self.seconds_per_evaluation = seconds / max(int(evaluations[n_iterations]), 1)
        rows = slice(0, n_iterations + 1)
        times = evaluations[rows] / max(evaluations[n_iterations], 1) * seconds
        curve = [(float(t), int(n), float(j)) for t, n, j in zip(times, evaluations[rows], J[rows], strict=True)]
        reason = "tol" if gradient_norm <= limits.tol else "stalled" if stalled >= PATIENCE else "target or budget"
        return Run(np.asarray(theta, np.float64), seconds, curve, reason, int(evaluations[n_iterations]))


def minimize(cost, optimizer, theta, x, tol, target, most):
    """Run L-BFGS until tol, target, or most evaluations, or until J has not decreased for `PATIENCE` iterations."""

    def J_of(theta):
        return cost(theta, x)

    value_and_gradient = optax.value_and_grad_from_state(J_of)

    def unfinished(carry):
        _, _, iteration, evaluations, _, lowest, stalled, gradient_norm = carry
        return (
            (gradient_norm > tol)
            & (lowest > target)
            & (stalled < PATIENCE)
            & (evaluations[iteration] < most)
            & (iteration < LONGEST_CURVE - 1)
        )

    def step(carry):
        theta, state, iteration, evaluations, J, lowest, stalled, _ = carry
        value, gradient = value_and_gradient(theta, state=state)
        updates, state = optimizer.update(gradient, state, theta, value=value, grad=gradient, value_fn=J_of)
        theta = optax.apply_updates(theta, updates)
        # The line search keeps J and its gradient at the new weights.
        value = optax.tree.get(state, "value")
        gradient_norm = jnp.max(jnp.abs(optax.tree.get(state, "grad")))
        trials = optax.tree.get(state, "num_linesearch_steps")
        return (
            theta,
            state,
            iteration + 1,
            evaluations.at[iteration + 1].set(evaluations[iteration] + trials.astype(jnp.int32)),
            J.at[iteration + 1].set(value),
            jnp.minimum(lowest, value),
            jnp.where(value < lowest, 0, stalled + 1),
            gradient_norm,
        )

    first = J_of(theta)
    evaluations = jnp.zeros(LONGEST_CURVE, jnp.int32).at[0].set(1)
    J = jnp.zeros(LONGEST_CURVE, theta.dtype).at[0].set(first)
    carry = (theta, optimizer.init(theta), 0, evaluations, J, first, 0, jnp.asarray(jnp.inf, theta.dtype))
    theta, _, iteration, evaluations, J, _, stalled, gradient_norm = jax.lax.while_loop(unfinished, step, carry)
    return theta, iteration, evaluations, J, stalled, gradient_norm
