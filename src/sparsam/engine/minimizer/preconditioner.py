"""The minimizer's initial matrix H0 from a model of the curvature: its damping and its refreshes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import jax
import jax.numpy as jnp
import numpy as np

from sparsam.engine.minimizer.inverse_bfgs import Inverse
from sparsam.engine.minimizer.line_search import host_array, rounding_error

__all__ = ["Factors", "Preconditioner", "adapt", "is_stale", "next_refresh", "prepare"]

# The damping of the factors decreases while the model predicts the decrease of J well, and increases when it predicts
# too much (Levenberg and Marquardt's rule). It starts high: without damping, the first steps of a sparse autoencoder
# saturate units for good.
FIRST_DAMPING, LEAST_DAMPING, LARGEST_DAMPING = 1.0, 1e-5, 1e3
GOOD_PREDICTION, DAMPING_DECREASE = 0.75, 0.7
POOR_PREDICTION, DAMPING_INCREASE = 0.25, 1.5
# The inverse is computed again only when the damping has changed by more than this factor, since it is expensive.
TOLERATED = 2.5

# The number of iterations between two refreshes of the factors grows from the first to the last number, since the
# curvature changes fast at first.
FIRST_REFRESH, LAST_REFRESH = 3, 10


class Factors(Protocol):
    """A model C of the curvature, nonnegative definite: a pytree of arrays."""

    def damped(self, damping: jax.Array) -> Inverse:
        """Prepare the inverse of C + damping I, with the damping in units of C's mean eigenvalue."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Preconditioner:
    """The factors, their damping and their inverse, from which H0 is computed.

    Attributes
    ----------
    factors : Factors
    damping : array
    inverse : Inverse
        Inverse of the factors at the damping ``inverse_damping``.
    inverse_damping : array
    age : int array
        Number of iterates since the factors were computed.
    """

    factors: Factors
    damping: jax.Array
    inverse: Inverse
    inverse_damping: jax.Array
    age: jax.Array


@jax.jit  # which caches traces
def _damped(factors: Factors, damping: jax.Array) -> Inverse:
    return factors.damped(damping)


def prepare(factors: Factors) -> Preconditioner:
    """Make the initial preconditioner; since its age is 0, the first iterate computes its inverse."""
    dtype = jax.tree.leaves(factors)[0].dtype
    damping = host_array(FIRST_DAMPING, dtype)
    later = jax.eval_shape(_damped, factors, damping)
    inverse = jax.tree.map(lambda leaf: host_array(0, leaf.dtype, leaf.shape), later)
    return Preconditioner(factors, damping, inverse, damping, host_array(0, np.int32))


def is_stale(preconditioner: Preconditioner, iteration: jax.Array) -> jax.Array:
    """Return whether the factors are old enough to be replaced."""
    return preconditioner.age >= jnp.clip(iteration // 4, FIRST_REFRESH, LAST_REFRESH)


def next_refresh(iteration: int) -> int:
    """Return the iteration at which factors computed at this one become stale.

    The first ones are computed before iteration 0, so that iteration 0 counts too.

    Examples
    --------
    >>> next_refresh(0), next_refresh(2), next_refresh(100)
    (2, 5, 110)
    """
    later = iteration + (FIRST_REFRESH if iteration else FIRST_REFRESH - 1)
    while later - iteration < min(later // 4, LAST_REFRESH):
        later += 1
    return later


def adapt(
    preconditioner: Preconditioner,
    slope: jax.Array,
    before: jax.Array,
    value: jax.Array,
    accepted: jax.Array,
    first: jax.Array,
) -> Preconditioner:
    """After an accepted step, adapt the damping to the ratio of its decrease to the model's.

    With H as the inverse of the curvature, the model predicts a decrease of -slope / 2 along the direction -H g.

    Parameters
    ----------
    preconditioner : Preconditioner
    slope, before : arrays
        dJ/dt at the start of the search, and J there.
    value : array
        J at the trial.
    accepted, first : bool arrays
        Whether the trial is the new iterate; whether it is the first evaluation, which is not a step.
    """
    predicted = -0.5 * slope
    ratio = (before - value) / predicted
    # A predicted decrease below rounding is no evidence against the model.
    good = (ratio >= GOOD_PREDICTION) | (predicted <= rounding_error(value))
    factor = jnp.where(good, DAMPING_DECREASE, jnp.where(ratio < POOR_PREDICTION, DAMPING_INCREASE, 1.0))
    adapted = jnp.clip(factor * preconditioner.damping, LEAST_DAMPING, LARGEST_DAMPING)
    damping = jnp.where(accepted & ~first, adapted, preconditioner.damping)
    fresh = accepted & (preconditioner.age == 0)
    far = jnp.maximum(damping, preconditioner.inverse_damping) > TOLERATED * jnp.minimum(
        damping, preconditioner.inverse_damping
    )
    inverse, inverse_damping = jax.lax.cond(
        fresh | far,
        lambda: (preconditioner.factors.damped(damping), damping),
        lambda: (preconditioner.inverse, preconditioner.inverse_damping),
    )
    return replace(
        preconditioner,
        damping=damping,
        inverse=inverse,
        inverse_damping=inverse_damping,
        age=preconditioner.age + accepted,
    )
