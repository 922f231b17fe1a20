"""Activation functions h(a): what a unit makes of its pre-activation.

Symbols are PRML's (CS294A has a and z reversed): ``a`` is a pre-activation, ``z = h(a)`` an activation.
JAX differentiates them; `sparsam.reference` has the slopes by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp

__all__ = ["ACTIVATIONS", "Activation", "Pair", "complementary_logistics", "get_activation"]


Pair = tuple[jax.Array, jax.Array]


@jax.custom_jvp
def complementary_logistics(a: jax.Array) -> Pair:
    """Return logistic(a) and 1 - logistic(a) = logistic(-a), each to its own full relative precision.

    With e = exp(-|a|), which cannot overflow, the larger of the two is 1/(1 + e) and the smaller e/(1 + e). In float32,
    1 - z is 0 from a = 17 on if computed from z; here it is right up to a = 87, and a saturated unit keeps its slope.
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


def _logistic(a: jax.Array) -> jax.Array:
    return complementary_logistics(a)[0]


def _identity(a: jax.Array) -> jax.Array:
    return a


@dataclass(frozen=True)
class Activation:
    """An activation function and what the penalties need to know of its range.

    Attributes
    ----------
    name : str
        The name users write.
    function : callable
        ``h``, elementwise: ``z = h(a)``.
    probabilities : callable or None
        Of units with two ends of their range, the probabilities (p, 1 - p) of the upper and the lower end that z
        amounts to, as functions of a: p = z for logistic units, p = (z + 1)/2 = logistic(2a) for tanh units (CS294A,
        section 3). None where the range is unbounded and a Kullback-Leibler divergence between Bernoulli means has no
        meaning.
    """

    name: str
    function: Callable[[jax.Array], jax.Array]
    probabilities: Callable[[jax.Array], Pair] | None = None


ACTIVATIONS: dict[str, Activation] = {
    activation.name: activation
    for activation in (
        Activation("logistic", _logistic, complementary_logistics),
        Activation("tanh", jnp.tanh, lambda a: complementary_logistics(2.0 * a)),
        Activation("relu", jax.nn.relu),
        Activation("identity", _identity),
    )
}


def get_activation(name: str) -> Activation:
    """Return the activation called ``name``.

    Parameters
    ----------
    name : {"logistic", "tanh", "relu", "identity"}
        As in scikit-learn's `MLPRegressor`.

    Returns
    -------
    Activation

    Raises
    ------
    ValueError
        If there is none of that name.

    Examples
    --------
    >>> get_activation("logistic").function(jnp.zeros(())).item()
    0.5
    """
    try:
        return ACTIVATIONS[name]
    except (KeyError, TypeError):
        raise ValueError(f"unknown activation {name!r}; choose one of {', '.join(ACTIVATIONS)}") from None
