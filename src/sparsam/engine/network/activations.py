"""Activation functions h(a), of a unit's pre-activation or, for softmax, of all pre-activations of a layer.

Symbols are PRML's (CS294A has a and z reversed): ``a`` is a pre-activation, ``z = h(a)`` an activation.
JAX differentiates the functions; `sparsam.reference` has the slopes by hand.

Probabilities, their complements and their logarithms are each computed to full relative precision. Computed from a
rounded y, 1 - y and ln y would be the same for all confident answers, and their slopes would be lost.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp

__all__ = [
    "ACTIVATIONS",
    "Activation",
    "Pair",
    "complementary_logistics",
    "complementary_softmax",
    "get_activation",
    "log_complementary_logistics",
    "log_softmax",
]


Pair = tuple[jax.Array, jax.Array]


@jax.custom_jvp
def complementary_logistics(a: jax.Array) -> Pair:
    """Return logistic(a) and 1 - logistic(a) = logistic(-a), each to full relative precision.

    With e = exp(-|a|), which cannot overflow, the larger of the two is 1/(1 + e) and the smaller e/(1 + e). In float32,
    1 - z is 0 from a = 17 on if computed from z; here it is precise up to a = 87, and a saturated unit keeps its slope.
    """
    e = jnp.exp(-jnp.abs(a))
    larger = 1.0 / (1.0 + e)
    smaller = e * larger
    positive = a >= 0
    return jnp.where(positive, larger, smaller), jnp.where(positive, smaller, larger)


@complementary_logistics.defjvp
def _complementary_logistics_jvp(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[Pair, Pair]:
    p, q = complementary_logistics(*primals)
    slope = p * q * tangents[0]  # dz/da = z (1 - z)
    return (p, q), (slope, -slope)


@jax.custom_jvp
def log_complementary_logistics(a: jax.Array) -> Pair:
    """Return ln p and ln q for p = logistic(a) and q = 1 - p, each to full relative precision.

    ln p = -ln(1 + exp(-a)) = min(a, 0) - ln(1 + exp(-|a|)): the two terms have the same sign and cannot overflow.
    ln q is the same function of -a.
    """
    rest = jnp.log1p(jnp.exp(-jnp.abs(a)))
    return jnp.minimum(a, 0.0) - rest, jnp.minimum(-a, 0.0) - rest


@log_complementary_logistics.defjvp
def _log_complementary_logistics_jvp(
    primals: tuple[jax.Array], tangents: tuple[jax.Array]
) -> tuple[Pair, tuple[jax.Array, jax.Array]]:
    p, q = complementary_logistics(*primals)
    (a_dot,) = tangents
    return log_complementary_logistics(*primals), (q * a_dot, -p * a_dot)  # dp/da = p q, dq/da = -p q


@jax.custom_jvp
def complementary_softmax(a: jax.Array) -> Pair:
    """Return y_k = exp(a_k) / sum_j exp(a_j) and 1 - y_k over the first axis, each to full relative precision.

    Everything is relative to the largest pre-activation a_m (PRML eq. 4.104 is the same for a - a_m), so that nothing
    overflows: with e_k = exp(a_k - a_m) <= 1 and R the sum of all e_j except e_m = 1 ::

        y_k = e_k / (1 + R),        1 - y_m = R / (1 + R),        1 - y_k = (1 + R - e_k) / (1 + R) for the others

    R keeps the digits that rounding 1 + R would lose.
    """
    largest, _, e, rest = _relative_to_largest(a)
    return e / (1.0 + rest), jnp.where(largest, rest, 1.0 + rest - e) / (1.0 + rest)


@complementary_softmax.defjvp
def _complementary_softmax_jvp(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[Pair, Pair]:
    y, complement = complementary_softmax(*primals)
    slope = y * _log_softmax_slope(*primals, *tangents)  # dy = y d(ln y)
    return (y, complement), (slope, -slope)


@jax.custom_jvp
def log_softmax(a: jax.Array) -> jax.Array:
    """Return ln y_k of softmax units over the first axis, to full relative precision.

    ln y_k = (a_k - a_m) - ln(1 + R), in the symbols of `complementary_softmax`: the two terms have the same sign.
    """
    _, difference, _, rest = _relative_to_largest(a)
    return difference - jnp.log1p(rest)


@log_softmax.defjvp
def _log_softmax_jvp(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    return log_softmax(*primals), _log_softmax_slope(*primals, *tangents)


def _relative_to_largest(a: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Return a mask of the largest unit m (the first of equals), a - a_m, exp(a - a_m), and the others' sum R."""
    units = jnp.arange(len(a)).reshape(-1, *[1] * (a.ndim - 1))
    largest = units == jnp.argmax(a, axis=0, keepdims=True)
    difference = a - jnp.max(a, axis=0, keepdims=True)
    e = jnp.exp(difference)
    return largest, difference, e, jnp.sum(jnp.where(largest, 0.0, e), axis=0, keepdims=True)


def _log_softmax_slope(a: jax.Array, a_dot: jax.Array) -> jax.Array:
    # d(ln y_k) = a_dot_k - sum_j y_j a_dot_j (PRML eq. 4.106). In the largest unit m, a_dot_m - y_m a_dot_m cancels as
    # y_m goes to 1; it equals (1 - y_m) a_dot_m, where 1 - y_m is precise. In all other units y <= 1/2. The
    # transposed map, which computes the gradient, has the same parts and is as precise. For the cotangents -t of the
    # cross-entropy it is y_m sum_(k != m) t_k - (1 - y_m) t_m in unit m and y_k sum_j t_j - t_k in the others: y - t.
    y, complement = complementary_softmax(a)
    largest = _relative_to_largest(a)[0]
    from_largest = jnp.sum(jnp.where(largest, y * a_dot, 0.0), axis=0, keepdims=True)
    from_others = jnp.sum(jnp.where(largest, 0.0, y * a_dot), axis=0, keepdims=True)
    return jnp.where(largest, complement * a_dot, a_dot - from_largest) - from_others


def _logistic(a: jax.Array) -> jax.Array:
    return complementary_logistics(a)[0]


def _softmax(a: jax.Array) -> jax.Array:
    return complementary_softmax(a)[0]


def _saturating_linear(a: jax.Array) -> jax.Array:
    return jnp.clip(a, 0.0, 1.0)


def _rounded_relu(a: jax.Array, width: jax.Array) -> jax.Array:
    # A parabola from 0 at a = -width to a = width, with the slopes 0 and 1 there.
    safe = jnp.where(width > 0, width, 1.0)
    return jnp.where(jnp.abs(a) < width, jnp.square(a + width) / (4.0 * safe), jax.nn.relu(a))


def _identity(a: jax.Array) -> jax.Array:
    return a


@dataclass(frozen=True)
class Activation:
    """An activation function and the properties that the network and the penalties use.

    Attributes
    ----------
    name : str
        Name of the activation in hyperparameters.
    function : callable
        ``h``: ``z = h(a)``, elementwise or over the first axis.
    probabilities : callable or None
        For units with a bounded range, (p, 1 - p) as a function of a, where p is the position of z in that range: p = z
        for logistic units, p = (z + 1)/2 = logistic(2a) for tanh units (CS294A, section 3). None if a Kullback-Leibler
        divergence between Bernoulli means makes no sense: the range is unbounded, the units of a layer share one
        probability (softmax), or a unit may be exactly 0 on all samples (satlin), where the divergence is infinite.
    elementwise : bool
        Whether each unit's z depends on its own a only, as it must in hidden layers. Softmax is not elementwise: it
        turns the pre-activations of the output layer into the probabilities of K exclusive classes.
    width : float
        Width of the range of z: dz/dp.
    rounded : callable or None
        For an activation with a kink, where it has no slope: a smooth function of a and a width, which differs from h
        within the width of the kink only.
    """

    name: str
    function: Callable[[jax.Array], jax.Array]
    probabilities: Callable[[jax.Array], Pair] | None = None
    elementwise: bool = True
    width: float = 1.0
    rounded: Callable[[jax.Array, jax.Array], jax.Array] | None = None

    def smooth(self, kink_width: float | jax.Array | None) -> Callable[[jax.Array], jax.Array]:
        """Return h with its kink rounded over a width; h itself if the width is None, or if it has no kink."""
        if kink_width is None or self.rounded is None:
            return self.function
        rounded = self.rounded
        return lambda a: rounded(a, jnp.asarray(kink_width))

    def slope(self, a: jax.Array, kink_width: float | jax.Array | None = None) -> jax.Array:
        """Compute h'(a) of an elementwise activation."""
        return jax.jvp(self.smooth(kink_width), (a,), (jnp.ones_like(a),))[1]

    def bend(self, a: jax.Array, kink_width: float | jax.Array | None = None) -> jax.Array:
        """Compute h''(a) of an elementwise activation."""
        return jax.jvp(lambda a: self.slope(a, kink_width), (a,), (jnp.ones_like(a),))[1]


ACTIVATIONS: dict[str, Activation] = {
    activation.name: activation
    for activation in (
        Activation("logistic", _logistic, complementary_logistics),
        Activation("tanh", jnp.tanh, lambda a: complementary_logistics(2.0 * a), width=2.0),
        Activation("relu", jax.nn.relu, rounded=_rounded_relu),
        Activation("satlin", _saturating_linear),
        Activation("identity", _identity),
        Activation("softmax", _softmax, elementwise=False),
    )
}


def get_activation(name: str) -> Activation:
    """Return the activation called ``name``.

    Parameters
    ----------
    name : {"logistic", "tanh", "relu", "satlin", "identity", "softmax"}
        The names are those of scikit-learn's MLP. Softmax, for outputs only, is not elementwise: its function maps
        pre-activations (n_outputs, ...) to probabilities.

    Returns
    -------
    Activation

    Raises
    ------
    ValueError
        If there is no activation of that name.

    Examples
    --------
    >>> get_activation("logistic").function(jnp.zeros(())).item()
    0.5
    >>> get_activation("softmax").function(jnp.zeros(4)).tolist()
    [0.25, 0.25, 0.25, 0.25]
    """
    try:
        return ACTIVATIONS[name]
    except (KeyError, TypeError):
        raise ValueError(f"unknown activation {name!r}; choose one of {', '.join(ACTIVATIONS)}") from None
