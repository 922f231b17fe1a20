"""L-BFGS as ask / tell on an explicit state.

::

    state = initialize(theta)
    while state.status == RUNNING:
        trial = ask(state)                          # weights at which the caller evaluates J
        state = tell(state, value, gradient)        # one evaluation, one step

The state is a pytree of arrays and includes the line search. So the same two functions run compiled on a device, from a
Python loop over data streamed from disk, or under `jax.vmap` for many problems at once, and the state is all that a
checkpoint needs.

The direction is -H g with H the inverse BFGS matrix of the last steps (`inverse_bfgs`); `line_search` chooses the step
along it. The initial matrix H0 may come from a model of J's curvature. Such factors (see `Factors`) need an extra pass
over the data, so the caller computes them when they are due ::

    state = initialize(theta, factors=factors)
    ...
        if needs_factors(state):
            state = tell_factors(state, new_factors)            # made at state.theta

Their damping adapts to how well the model predicts the decrease of J.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np

from sparsam.engine.minimizer.inverse_bfgs import Pairs, inverse_hessian_product, remember
from sparsam.engine.minimizer.line_search import (
    LONGEST_SEARCH,
    LineSearch,
    has_failed,
    host_array,
    judge,
    narrow,
    rounding_error,
    start_search,
)
from sparsam.engine.minimizer.preconditioner import Factors, Preconditioner, adapt, is_stale, prepare

__all__ = [
    "CONVERGED",
    "MAX_ITER",
    "NOT_FINITE",
    "PRECISION",
    "RUNNING",
    "Factors",
    "LBFGSState",
    "ask",
    "initialize",
    "needs_factors",
    "restart",
    "set_limits",
    "set_tol",
    "tell",
    "tell_factors",
]

RUNNING, CONVERGED, PRECISION, MAX_ITER, NOT_FINITE = range(5)
"""Values of `LBFGSState.status`: running; gradient max-norm <= tol; no measurable decrease left in this precision;
max_iter reached; J not finite, or unbounded below."""

# Number of pairs kept. The curvature of J changes along the way, and if factors model the current curvature, old pairs
# do harm.
PAIRS, PAIRS_WITH_FACTORS = 20, 5

PATIENCE = 100  # iterations without a new low after which the precision counts as exhausted


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Lows:
    """Lowest J and gradient so far, to detect that there is no more progress.

    Attributes
    ----------
    value, gradient_norm : arrays
        The lowest J and the lowest max-norm of the gradient. A new low of J is lower by more than rounding, one of the
        gradient by a tenth, so that many small decreases count once they add up.
    idle : int array
        Iterations since the last new low.
    """

    value: jax.Array
    gradient_norm: jax.Array
    idle: jax.Array


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class LBFGSState:
    """State of the minimizer between two evaluations.

    Attributes
    ----------
    theta, value, gradient : arrays
        The iterate: the last accepted weights, J and its gradient there.
    gradient_norm : array
        Max-norm of the gradient at the iterate.
    status : int array
        `RUNNING`, or the reason why it stopped.
    iteration, evaluations : int arrays
        Number of accepted steps, and of evaluations.
    tol, max_iter : arrays
        Limits at which it stops.
    accepted : bool array
        Whether the last evaluation became the iterate.
    search : LineSearch
    pairs : Pairs
    preconditioner : Preconditioner or None
        None if H0 is a multiple of the identity.
    lows : Lows
    """

    theta: jax.Array
    value: jax.Array
    gradient: jax.Array
    gradient_norm: jax.Array
    status: jax.Array
    iteration: jax.Array
    evaluations: jax.Array
    tol: jax.Array
    max_iter: jax.Array
    accepted: jax.Array
    search: LineSearch
    pairs: Pairs
    preconditioner: Preconditioner | None
    lows: Lows


def initialize(
    theta: jax.Array,
    *,
    tol: float = 1e-5,
    max_iter: int = 1000,
    n_pairs: int | None = None,
    factors: Factors | None = None,
) -> LBFGSState:
    """Make the initial state, whose first evaluation is at theta.

    Parameters
    ----------
    theta : array of shape (n_parameters,)
        Initial weights. Their type is the precision of the run.
    tol : float, default 1e-5
        The run has converged when no component of the gradient is larger.
    max_iter : int, default 1000
        Maximum number of iterations (accepted steps); there are about 1.1 times as many evaluations.
    n_pairs : int or None, default None
        Number of pairs (s, y) kept, which takes 2 n_pairs vectors of memory. None is 20, or 5 with factors.
    factors : Factors or None, default None
        A model of the curvature at theta, for the initial matrix H0; see `needs_factors`.

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
    dtype = theta.dtype
    if n_pairs is None:
        n_pairs = PAIRS if factors is None else PAIRS_WITH_FACTORS
    infinity, none = host_array(np.inf, dtype), host_array(0, np.int32)
    return LBFGSState(
        theta=theta,
        value=infinity,
        gradient=host_array(0, dtype, theta.shape),
        gradient_norm=infinity,
        status=host_array(RUNNING, np.int32),
        iteration=none,
        evaluations=none,
        tol=host_array(tol, dtype),
        max_iter=host_array(max_iter, np.int32),
        accepted=host_array(False, np.bool_),
        search=LineSearch.at_rest(theta),
        pairs=Pairs.none(theta, n_pairs),
        preconditioner=None if factors is None else prepare(factors),
        lows=Lows(infinity, infinity, none),
    )


@jax.jit
def ask(state: LBFGSState) -> jax.Array:
    """Return the weights at which to evaluate J next."""
    return state.theta + state.search.step * state.search.direction


@jax.jit  # for Python loops; within a compiled program it has no effect
def tell(state: LBFGSState, value: jax.Array, gradient: jax.Array) -> LBFGSState:
    """Update the state with J and its gradient at `ask`'s weights.

    The first evaluation becomes the iterate. Every other one is a trial of the line search: it is accepted, or narrows
    the bracket. A trial where J or its gradient is not finite counts as a step that is too long.
    """
    search = state.search
    gradient_norm = jnp.max(jnp.abs(gradient))
    finite = jnp.isfinite(value) & jnp.isfinite(gradient_norm)
    # All inner products in one matrix product, a library call; separate sums would have to be compiled.
    vectors = jnp.stack([gradient - state.gradient, search.direction, gradient])
    (yy, yd, _), (_, dd, slope), _ = jnp.matmul(vectors, vectors.T, precision=jax.lax.Precision.HIGHEST)
    first = state.evaluations == 0

    verdict = judge(search, value, slope, finite, state.value)
    accepted = jnp.where(first, finite, verdict.accepted)
    step = accepted & ~first
    narrowed = narrow(search, value, slope, verdict.short_enough, finite)

    # After a failed line search, forget the pairs and search along the negative gradient once; then give up.
    failed = ~accepted & has_failed(narrowed)
    restart = failed & (state.pairs.stored > 0)

    trial = ask(state)
    squares = (search.step**2 * dd, search.step * yd, yy)
    pairs = remember(state.pairs, trial - state.theta, gradient - state.gradient, squares, step)

    preconditioner = state.preconditioner
    if preconditioner is not None:
        preconditioner = adapt(preconditioner, search.slope, state.value, value, accepted, first)

    updated = replace(
        state,
        theta=jnp.where(accepted, trial, state.theta),
        value=jnp.where(accepted, value, state.value),
        gradient=jnp.where(accepted, gradient, state.gradient),
        gradient_norm=jnp.where(accepted, gradient_norm, state.gradient_norm),
        iteration=state.iteration + step,
        evaluations=state.evaluations + 1,
        accepted=accepted,
        pairs=pairs.forget(restart),
        preconditioner=preconditioner,
        lows=_update_lows(state.lows, value, gradient_norm, accepted),
    )
    search = jax.lax.cond(accepted | restart, lambda: _start_search(updated, restart), lambda: narrowed)
    # J decreases up to where it is no longer finite, or without bound; neither is a lack of precision.
    unbounded = ~narrowed.upper_finite | (jnp.isinf(narrowed.upper) & (narrowed.trials >= LONGEST_SEARCH))
    status = jnp.select(
        [accepted, failed & ~restart & unbounded, failed & ~restart],
        [_status_of_iterate(updated), NOT_FINITE, PRECISION],
        RUNNING,
    )
    return replace(updated, status=status.astype(state.status.dtype), search=search)


def needs_factors(state: LBFGSState) -> jax.Array:
    """Return whether the factors are stale, so that `tell_factors` should be called with new ones.

    Not calling it only makes the run slower.
    """
    if state.preconditioner is None:
        return jnp.asarray(False)
    return (state.status == RUNNING) & is_stale(state.preconditioner, state.iteration)


def tell_factors(state: LBFGSState, factors: Factors) -> LBFGSState:
    """Update the state with factors computed at ``state.theta``, when `needs_factors` is true.

    They are used from the next iterate on; the current line search is not affected.
    """
    preconditioner = state.preconditioner
    assert preconditioner is not None
    return replace(state, preconditioner=replace(preconditioner, factors=factors, age=host_array(0, np.int32)))


@jax.jit
def set_tol(state: LBFGSState, tol: jax.Array, where: jax.Array) -> LBFGSState:
    """Set another tol, where wanted, after an accepted iterate; the run continues as if it had been set at the start.

    Parameters
    ----------
    state : LBFGSState
        One state, or several stacked along a first axis.
    tol : array of shape ()
    where : boolean array of shape () or (n_states,)

    Returns
    -------
    LBFGSState
        A state that had converged runs again if its gradient exceeds the new tol.
    """
    tol = jnp.where(where, tol, state.tol).astype(state.tol.dtype)
    status = jnp.where(where, _status_of_iterate(replace(state, tol=tol)), state.status)
    return replace(state, tol=tol, status=status.astype(state.status.dtype))


@jax.jit
def set_limits(state: LBFGSState, tol: jax.Array, max_iter: jax.Array) -> LBFGSState:
    """Set another tol and max_iter; the run continues as if they had been set at the start.

    No iterate before the last may be one at which these limits end the run.

    Parameters
    ----------
    state : LBFGSState
        A state after the first evaluation, at any point of a line search.
    tol, max_iter : arrays of shape ()

    Returns
    -------
    LBFGSState
        It runs again, unless these limits end it at this iterate too, or no measurable decrease was left.
    """
    state = replace(state, tol=tol.astype(state.tol.dtype), max_iter=max_iter.astype(state.max_iter.dtype))
    status = _status_of_iterate(state)
    search_failed = (state.status == PRECISION) & (status == RUNNING)
    return replace(state, status=jnp.where(search_failed, PRECISION, status).astype(state.status.dtype))


def restart(state: LBFGSState, *, limits: tuple[float, int] | None = None) -> LBFGSState:
    """Return the state with which to go on from its iterate after J has changed, for example by more rows.

    The next evaluation is at the iterate and counts as the first. Pairs, factors and damping are kept.

    Parameters
    ----------
    state : LBFGSState
    limits : (float, int) or None
        tol and max_iter from here on, with iterations counted from 0 again; factors are then refreshed as often as at
        the start of a run. None keeps limits and number of the iteration.
    """
    dtype = state.theta.dtype
    infinity, none = host_array(np.inf, dtype), host_array(0, np.int32)
    restarted = replace(
        state,
        value=infinity,
        gradient=host_array(0, dtype, state.theta.shape),
        gradient_norm=infinity,
        status=host_array(RUNNING, np.int32),
        evaluations=none,
        accepted=host_array(False, np.bool_),
        search=LineSearch.at_rest(state.theta),
        lows=Lows(infinity, infinity, none),
    )
    if limits is None:
        return restarted
    tol, max_iter = limits
    return replace(restarted, iteration=none, tol=host_array(tol, dtype), max_iter=host_array(max_iter, np.int32))


def _status_of_iterate(state: LBFGSState) -> jax.Array:
    """Return the status after an accepted iterate: running, or why it is the last."""
    return jnp.select(
        [state.gradient_norm <= state.tol, state.lows.idle >= PATIENCE, state.iteration >= state.max_iter],
        [CONVERGED, PRECISION, MAX_ITER],
        RUNNING,
    )


def _update_lows(lows: Lows, value: jax.Array, gradient_norm: jax.Array, accepted: jax.Array) -> Lows:
    """Update the lows after an accepted step."""
    lower = accepted & (value < lows.value - rounding_error(value))
    flatter = accepted & (gradient_norm < 0.9 * lows.gradient_norm)
    return Lows(
        value=jnp.where(lower, value, lows.value),
        gradient_norm=jnp.where(flatter, gradient_norm, lows.gradient_norm),
        idle=jnp.where(lower | flatter, 0, lows.idle + accepted),
    )


def _start_search(state: LBFGSState, downhill: jax.Array) -> LineSearch:
    """Start a search along -H g, cautiously if nothing is known about the curvature; or along -g, if ``downhill``."""
    inverse = None if state.preconditioner is None else state.preconditioner.inverse
    direction = -inverse_hessian_product(state.pairs, inverse, state.gradient)
    known = (state.pairs.stored > 0) | jnp.asarray(inverse is not None)
    return start_search(
        state.theta,
        jnp.where(downhill, -state.gradient, direction),
        state.value,
        state.gradient,
        cautious=downhill | ~known,
    )
