"""L-BFGS as ask / tell on an explicit state.

::

    state = initialize(theta)
    while state.status == RUNNING:
        trial = ask(state)                          # weights at which the caller evaluates J
        state = tell(state, value, gradient)        # one evaluation, one step

The state is a pytree of arrays and the line search is part of it. So the same two functions run compiled on a
device, from a Python loop over data streamed from disk, or under `jax.vmap` for many problems at once, and the state
is all that a checkpoint needs.

The direction is -H g with H the inverse BFGS matrix of the last pairs (s, y) = (change of the weights, change of the
gradient), by the two-loop recursion (Nocedal & Wright, *Numerical Optimization*, 2nd ed., algorithm 7.4); the step
along it is `sparsam.line_search`'s.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

import jax
import jax.numpy as jnp

from sparsam.line_search import (
    LONGEST_SEARCH,
    LineSearch,
    dot,
    judge,
    narrow,
    rounding_error,
    start_search,
)

Tree = TypeVar("Tree")

__all__ = [
    "CONVERGED",
    "MAX_ITER",
    "NOT_FINITE",
    "PRECISION",
    "RUNNING",
    "LBFGSState",
    "ask",
    "initialize",
    "tell",
]

RUNNING, CONVERGED, PRECISION, MAX_ITER, NOT_FINITE = range(5)
"""Values of `LBFGSState.status`: running; gradient max-norm <= tol; no measurable decrease left in this precision;
max_iter reached; J not finite, or unbounded below."""

PATIENCE = 100  # iterations without a new low before the precision is held exhausted


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Pairs:
    """The last pairs (s, y), in a ring."""

    s: jax.Array  # (n_pairs, n_parameters)
    y: jax.Array
    inverse_curvature: jax.Array  # 1 / s'y, (n_pairs,); 0 where there is no pair
    stored: jax.Array  # how many were ever stored since the last restart
    scale: jax.Array  # gamma of H0 = gamma I: s'y / y'y of the newest pair


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class LBFGSState:
    """The minimizer between two evaluations.

    Attributes
    ----------
    theta, value, gradient : arrays
        The iterate: the last weights accepted, J and its gradient there.
    status : int array
        `RUNNING` or why it stopped.
    iteration, evaluations : int arrays
        Steps accepted; evaluations told.
    tol, max_iter : arrays
        When to stop.
    accepted : bool array
        Whether the last evaluation told became the iterate.
    search : LineSearch
    pairs : Pairs
    factors : pytree or None
        What the initial matrix H0 is made of; None for a multiple of the identity.
    lowest_value, lowest_gradient_norm, idle : arrays
        The lows of J, by more than rounding, and of the gradient, by a tenth; iterations since there was a new one.
    """

    theta: jax.Array
    value: jax.Array
    gradient: jax.Array
    status: jax.Array
    iteration: jax.Array
    evaluations: jax.Array
    tol: jax.Array
    max_iter: jax.Array
    accepted: jax.Array
    search: LineSearch
    pairs: Pairs
    factors: None
    lowest_value: jax.Array
    lowest_gradient_norm: jax.Array
    idle: jax.Array

    @property
    def gradient_norm(self) -> jax.Array:
        """Max-norm of the gradient at the iterate."""
        return jnp.max(jnp.abs(self.gradient))


def initialize(theta: jax.Array, *, tol: float = 1e-5, max_iter: int = 1000, n_pairs: int = 20) -> LBFGSState:
    """Make the state that asks for a first evaluation at theta.

    Parameters
    ----------
    theta : array of shape (n_parameters,)
        Where to start. Its type is the precision of the run.
    tol : float, default 1e-5
        Converged when no component of the gradient is larger.
    max_iter : int, default 1000
        Most iterations (steps accepted); the evaluations are about 1.05 times as many.
    n_pairs : int, default 20
        Pairs (s, y) remembered: 2 n_pairs vectors of memory.

    Returns
    -------
    LBFGSState

    Examples
    --------
    Minimize Rosenbrock's function:

    >>> def rosenbrock(x):
    ...     return 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2
    >>> state = initialize(jnp.array([-1.2, 1.0]), tol=1e-3)
    >>> while state.status == RUNNING:
    ...     state = tell(state, *jax.value_and_grad(rosenbrock)(ask(state)))
    >>> state.theta.round(2).tolist()
    [1.0, 1.0]
    """
    zeros = jnp.zeros_like(theta)
    zero, infinity = jnp.zeros((), theta.dtype), jnp.asarray(jnp.inf, theta.dtype)
    return LBFGSState(
        theta=theta,
        value=infinity,
        gradient=zeros,
        status=jnp.asarray(RUNNING, jnp.int32),
        iteration=jnp.asarray(0, jnp.int32),
        evaluations=jnp.asarray(0, jnp.int32),
        tol=jnp.asarray(tol, theta.dtype),
        max_iter=jnp.asarray(max_iter, jnp.int32),
        accepted=jnp.asarray(False),
        search=start_search(zeros, infinity, zeros, zero),
        pairs=Pairs(
            s=jnp.zeros((n_pairs, theta.size), theta.dtype),
            y=jnp.zeros((n_pairs, theta.size), theta.dtype),
            inverse_curvature=jnp.zeros(n_pairs, theta.dtype),
            stored=jnp.asarray(0, jnp.int32),
            scale=jnp.ones((), theta.dtype),
        ),
        factors=None,
        lowest_value=infinity,
        lowest_gradient_norm=infinity,
        idle=jnp.asarray(0, jnp.int32),
    )


@jax.jit
def ask(state: LBFGSState) -> jax.Array:
    """Return the weights at which to evaluate J next."""
    return state.theta + state.search.step * state.search.direction


@jax.jit  # for the Python loops; within a compiled program it changes nothing
def tell(state: LBFGSState, value: jax.Array, gradient: jax.Array) -> LBFGSState:
    """Take J and its gradient at `ask`'s weights; return the state that asks for the next.

    The first evaluation is the iterate by definition. Every other is a trial of the line search: it is accepted, or
    narrows the bracket. A trial where J or its gradient is not finite counts as a step too long.
    """
    search = state.search
    finite = jnp.isfinite(value) & jnp.all(jnp.isfinite(gradient))
    slope = dot(gradient, search.direction)
    first = state.evaluations == 0

    verdict = judge(search, value, slope, finite, state.value)
    accepted = jnp.where(first, finite, verdict.accepted)

    told = replace(state, evaluations=state.evaluations + 1, accepted=accepted)
    moved = _move(told, value, gradient)
    narrowed = replace(told, search=narrow(search, value, slope, verdict.short_enough, finite))
    # `_remember` has looked at whether the trial was accepted: selecting between two histories would copy both.
    following = _select(accepted, moved, replace(narrowed, pairs=moved.pairs))
    return _restart_or_stop(following)


def _move(state: LBFGSState, value: jax.Array, gradient: jax.Array) -> LBFGSState:
    """Make the trial the iterate; remember the pair; start the next line search; see whether to stop."""
    first = state.evaluations == 1
    theta = ask(state)
    pairs = _remember(state.pairs, theta - state.theta, gradient - state.gradient, state.accepted & ~first)
    direction = jax.lax.cond(
        state.accepted,
        lambda: -_inverse_hessian_product(pairs, state.factors, gradient),
        lambda: jnp.zeros_like(gradient),
    )
    iteration = state.iteration + jnp.where(first, 0, 1)
    gradient_norm = jnp.max(jnp.abs(gradient))

    # The lows move by measurable progress only, so that many small decreases add up to one.
    lower = value < state.lowest_value - rounding_error(value)
    flatter = gradient_norm < 0.9 * state.lowest_gradient_norm
    idle = jnp.where(lower | flatter, 0, state.idle + 1)
    status = jnp.select(
        [gradient_norm <= state.tol, idle >= PATIENCE, iteration >= state.max_iter],
        [CONVERGED, PRECISION, MAX_ITER],
        RUNNING,
    )
    return replace(
        state,
        theta=theta,
        value=value,
        gradient=gradient,
        status=status.astype(state.status.dtype),
        iteration=iteration,
        search=start_search(direction, value, gradient, _first_step(pairs, gradient)),
        pairs=pairs,
        lowest_value=jnp.where(lower, value, state.lowest_value),
        lowest_gradient_norm=jnp.where(flatter, gradient_norm, state.lowest_gradient_norm),
        idle=idle,
    )


def _restart_or_stop(state: LBFGSState) -> LBFGSState:
    """Where a line search has failed, forget the pairs and go down the gradient once; then give up.

    A first evaluation that is not finite has failed at once: there is nowhere to go from it.
    """
    search = state.search
    failed = (search.trials >= LONGEST_SEARCH) | ((search.trials > 0) & jnp.all(ask(state) == state.theta))
    restart = failed & (state.pairs.stored > 0)
    pairs = replace(
        state.pairs,
        inverse_curvature=jnp.where(restart, 0, state.pairs.inverse_curvature),
        stored=jnp.where(restart, 0, state.pairs.stored),
        scale=jnp.where(restart, 1, state.pairs.scale),
    )
    steepest = start_search(-state.gradient, state.value, state.gradient, _first_step(pairs, state.gradient))
    give_up = failed & ~restart
    # Either J descends for as long as it is finite, or it descends without end: no want of precision.
    endless = ~search.upper_finite | (jnp.isinf(search.upper) & (search.trials >= LONGEST_SEARCH))
    status = jnp.select([give_up & endless, give_up], [NOT_FINITE, PRECISION], state.status)
    return replace(
        state,
        status=status.astype(state.status.dtype),
        search=_select(restart, steepest, search),
        pairs=pairs,
    )


def _first_step(pairs: Pairs, gradient: jax.Array) -> jax.Array:
    """1 once there is curvature to set the scale; before that a step no longer than 1."""
    return jnp.where(pairs.stored > 0, 1.0, jnp.minimum(1.0, 1.0 / _norm(gradient)))


# The inverse BFGS matrix


def _remember(pairs: Pairs, s: jax.Array, y: jax.Array, wanted: jax.Array) -> Pairs:
    """Store (s, y) over the oldest pair, if its curvature s'y is positive beyond rounding."""
    curvature = dot(s, y)
    epsilon = jnp.finfo(s.dtype).eps
    store = wanted & (curvature > epsilon * _norm(s) * _norm(y))
    slot = pairs.stored % len(pairs.s)
    # Written in any case, so that the ring is updated in place rather than copied: the old row where not wanted.
    return Pairs(
        s=pairs.s.at[slot].set(jnp.where(store, s, pairs.s[slot])),
        y=pairs.y.at[slot].set(jnp.where(store, y, pairs.y[slot])),
        inverse_curvature=pairs.inverse_curvature.at[slot].set(
            jnp.where(store, 1 / curvature, pairs.inverse_curvature[slot])
        ),
        stored=pairs.stored + store,
        scale=jnp.where(store, curvature / dot(y, y), pairs.scale),
    )


def _inverse_hessian_product(pairs: Pairs, factors: None, vector: jax.Array) -> jax.Array:
    """H v by the two-loop recursion. Pairs not stored have 1/s'y = 0 and do nothing."""
    n_pairs = len(pairs.s)

    def newest_to_oldest(k: jax.Array, carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        q, coefficients = carry
        slot = (pairs.stored - 1 - k) % n_pairs
        coefficient = pairs.inverse_curvature[slot] * dot(pairs.s[slot], q)
        return q - coefficient * pairs.y[slot], coefficients.at[slot].set(coefficient)

    def oldest_to_newest(k: jax.Array, r: jax.Array) -> jax.Array:
        slot = (pairs.stored + k) % n_pairs
        correction = pairs.inverse_curvature[slot] * dot(pairs.y[slot], r)
        return r + (coefficients[slot] - correction) * pairs.s[slot]

    q, coefficients = jax.lax.fori_loop(0, n_pairs, newest_to_oldest, (vector, jnp.zeros_like(pairs.inverse_curvature)))
    return jax.lax.fori_loop(0, n_pairs, oldest_to_newest, pairs.scale * _initial_inverse(factors, q))


def _initial_inverse(factors: None, vector: jax.Array) -> jax.Array:
    """H0 v but for its scale: the place of a preconditioner."""
    return vector


def _norm(vector: jax.Array) -> jax.Array:
    return jnp.sqrt(dot(vector, vector))


def _select(predicate: jax.Array, this: Tree, other: Tree) -> Tree:
    return jax.tree.map(lambda a, b: jnp.where(predicate, a, b), this, other)
