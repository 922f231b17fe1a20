"""The line search, one trial at a time: each trial narrows a bracket until one is accepted.

With phi(t) = J(theta + t direction), a step must satisfy the weak Wolfe conditions ::

    phi(t) <= phi(0) + c1 t phi'(0),        phi'(t) >= c2 phi'(0)

It is found by bracketing (Lewis & Overton, "Nonsmooth optimization via quasi-Newton methods", Math. Program. 141, 2013,
algorithm 2.6) with interpolation inside the bracket. If the decrease is smaller than the rounding error of J, the
slopes decide, as in the approximate Wolfe conditions (Hager & Zhang, "A new conjugate gradient method with guaranteed
descent and an efficient line search", SIAM J. Optim. 16, 2005, eq. 4.1).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

__all__ = [
    "LONGEST_SEARCH",
    "LineSearch",
    "Verdict",
    "has_failed",
    "host_array",
    "judge",
    "narrow",
    "rounding_error",
    "start_search",
]

SUFFICIENT_DECREASE = 1e-4  # c1
CURVATURE = 0.9  # c2
LONGEST_SEARCH = 30
NOISE = 8.0  # relative rounding error of J, in units of the type's epsilon


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class LineSearch:
    """State of the search on phi(t) = J(theta + t direction): a bracket [lower, upper] and the next trial step.

    ``lower`` satisfies the decrease condition, but phi still descends too steeply there; ``upper`` (infinite while
    unknown) is too long.
    """

    direction: jax.Array
    slope: jax.Array  # phi'(0)
    step: jax.Array  # the trial t
    lower: jax.Array
    lower_value: jax.Array
    lower_slope: jax.Array
    upper: jax.Array
    upper_finite: jax.Array  # whether J was finite there
    trials: jax.Array
    shortest: jax.Array  # a step that moves the weights by no more than their rounding

    @classmethod
    def at_rest(cls, theta: jax.Array) -> LineSearch:
        """Make a search whose trial is theta itself."""
        none, infinity = host_array(0, theta.dtype), host_array(np.inf, theta.dtype)
        return cls(
            direction=host_array(0, theta.dtype, theta.shape),
            slope=none,
            step=none,
            lower=none,
            lower_value=infinity,
            lower_slope=none,
            upper=infinity,
            upper_finite=host_array(True, np.bool_),
            trials=host_array(0, np.int32),
            shortest=none,
        )


class Verdict(NamedTuple):
    """Outcome of a trial step."""

    short_enough: jax.Array  # satisfies the decrease condition
    accepted: jax.Array  # satisfies the slope condition too


def start_search(
    theta: jax.Array, direction: jax.Array, value: jax.Array, gradient: jax.Array, *, cautious: jax.Array
) -> LineSearch:
    """Start a search at theta, where J has this value and gradient.

    The first step is t = 1; if ``cautious``, its length is at most 1. A direction that does not descend, or is not
    finite, is replaced by the negative gradient, with a cautious step.
    """
    # All inner products in one matrix product, a library call; separate sums would have to be compiled.
    vectors = jnp.stack([theta, direction, gradient])
    products = jnp.matmul(vectors, vectors.T, precision=jax.lax.Precision.HIGHEST)
    descends = products[1, 2] < 0
    slope = jnp.where(descends, products[1, 2], -products[2, 2])
    length = jnp.sqrt(jnp.where(descends, products[1, 1], products[2, 2]))
    return LineSearch(
        direction=jnp.where(descends, direction, -gradient),
        slope=slope,
        step=jnp.where(cautious | ~descends, jnp.minimum(1.0, 1.0 / length), 1.0).astype(slope.dtype),
        lower=jnp.zeros_like(slope),
        lower_value=value,
        lower_slope=slope,
        upper=jnp.full_like(slope, jnp.inf),
        upper_finite=jnp.asarray(True),
        trials=jnp.asarray(0, jnp.int32),
        shortest=0.1 * jnp.finfo(theta.dtype).eps * jnp.sqrt(products[0, 0]) / length,
    )


def judge(search: LineSearch, value: jax.Array, slope: jax.Array, finite: jax.Array, start: jax.Array) -> Verdict:
    """Judge the trial at ``search.step`` by J and its slope there, and by J at the start of the search."""
    decreased = value <= start + SUFFICIENT_DECREASE * search.step * search.slope
    # Within rounding: J does not measurably increase, and phi rises at most about as steeply as it fell at the start.
    level = (value <= start + rounding_error(start)) & (slope <= (2 * SUFFICIENT_DECREASE - 1) * search.slope)
    short_enough = finite & (decreased | level)
    return Verdict(short_enough, short_enough & (slope >= CURVATURE * search.slope))


def narrow(
    search: LineSearch, value: jax.Array, slope: jax.Array, short_enough: jax.Array, finite: jax.Array
) -> LineSearch:
    """Narrow the bracket by a rejected trial and choose the next.

    A trial that is too long becomes the upper end, and the next trial is the minimum of an interpolating polynomial in
    the bracket: if the slope at the upper end is positive, by linear interpolation of the slopes (near the minimum the
    values are mostly rounding, the slopes are not), otherwise quadratic in both values and the lower slope. A trial
    that still descends steeply becomes the lower end; the next trial bisects the bracket or, while there is no upper
    end, extrapolates the slope. Safeguards keep the trial away from the bracket's ends.
    """
    step = search.step
    lower = jnp.where(short_enough, step, search.lower)
    lower_value = jnp.where(short_enough, value, search.lower_value)
    lower_slope = jnp.where(short_enough, slope, search.lower_slope)
    upper = jnp.where(short_enough, search.upper, step)

    # Too long: interpolate between lower and this trial.
    width = upper - lower
    by_slopes = lower_slope / (lower_slope - slope)
    by_values = -0.5 * lower_slope * width / (value - lower_value - lower_slope * width)
    fraction = jnp.where(slope > 0, by_slopes, by_values)
    fraction = jnp.clip(jnp.nan_to_num(fraction, nan=0.5), 0.1, 0.9)
    interpolated = lower + jnp.where(finite, fraction, 0.1) * width
    # Not long enough, upper end known from an earlier trial: bisect.
    bisected = 0.5 * (lower + upper)
    # Not long enough, no upper end: extrapolate the slope to zero, within 2 to 10 times the step.
    growth = search.lower_slope / (search.lower_slope - slope)
    zero = jnp.where(growth > 0, search.lower + growth * (step - search.lower), jnp.inf)
    extrapolated = jnp.clip(zero, 2.0 * step, 10.0 * step)

    longer = jnp.where(jnp.isfinite(upper), bisected, extrapolated)
    return replace(
        search,
        step=jnp.where(short_enough, longer, interpolated),
        lower=lower,
        lower_value=lower_value,
        lower_slope=lower_slope,
        upper=upper,
        upper_finite=jnp.where(short_enough, search.upper_finite, finite),
        trials=search.trials + 1,
    )


def has_failed(search: LineSearch) -> jax.Array:
    """Return whether to give up the search."""
    return (search.trials >= LONGEST_SEARCH) | ((search.trials > 0) & (search.step <= search.shortest))


def rounding_error(value: jax.Array) -> jax.Array:
    """Estimate the rounding error of J."""
    return NOISE * jnp.finfo(value.dtype).eps * jnp.abs(value)


def host_array(value: float, dtype: DTypeLike, shape: tuple[int, ...] = ()) -> jax.Array:
    """Make a constant array by NumPy, since JAX would compile a program for it."""
    return cast(jax.Array, np.full(shape, value, dtype))
