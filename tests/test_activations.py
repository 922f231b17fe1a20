"""Activation functions: against the formulas by hand, and precise where a unit saturates."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sparsam import reference
from sparsam.activations import ACTIVATIONS, complementary_logistics, get_activation
from sparsam.train import precision

EPS = {"float32": np.finfo(np.float32).eps, "float64": np.finfo(np.float64).eps}
LARGEST = {"float32": 85.0, "float64": 700.0}  # exp(-a) just stays a normal number


def pre_activations(dtype):
    """A grid from end to end, and near 0; representable in the precision. Never 0 itself, where ReLU has a kink."""
    ends = np.linspace(-LARGEST[dtype], LARGEST[dtype], 502)
    return np.concatenate([ends, np.linspace(-2, 2, 402)]).astype(dtype)


def wide(a):
    """What reference values are computed in: more digits than float64 where the platform has them."""
    return np.asarray(a, dtype=np.longdouble)


@pytest.fixture(params=ACTIVATIONS)
def name(request):
    return request.param


def test_table_is_that_of_the_reference():
    assert list(ACTIVATIONS) == list(reference.ACTIVATIONS)


def test_activations_and_slopes_equal_those_by_hand(name, dtype):
    a = pre_activations(dtype)
    h, slope_of_z = reference.ACTIVATIONS[name]
    with precision(dtype):
        z, slope = jax.vmap(jax.value_and_grad(get_activation(name).function))(jnp.asarray(a))
        assert z.dtype == slope.dtype == dtype
    z_by_hand = h(a.astype(float))
    np.testing.assert_allclose(z, z_by_hand, rtol=4 * EPS[dtype], atol=EPS[dtype])
    np.testing.assert_allclose(slope, slope_of_z(z_by_hand), rtol=4 * EPS[dtype], atol=4 * EPS[dtype])


def test_complementary_logistics_are_each_precise_from_end_to_end(dtype):
    a = pre_activations(dtype)
    with precision(dtype):
        p, q = jax.device_get(complementary_logistics(jnp.asarray(a)))
    for one, sign in ((p, 1), (q, -1)):
        exact = 1 / (1 + np.exp(-sign * wide(a)))
        np.testing.assert_allclose(wide(one) / exact, 1, rtol=0, atol=6 * EPS[dtype])
    np.testing.assert_allclose(p + q, 1, rtol=0, atol=EPS[dtype])


def test_saturated_units_keep_their_slope(dtype):
    a = pre_activations(dtype)
    with precision(dtype):
        slopes = [jax.vmap(jax.grad(lambda a, i=i: complementary_logistics(a)[i]))(jnp.asarray(a)) for i in (0, 1)]
        slopes = jax.device_get(slopes)
    exact = 1 / (1 + np.exp(-wide(a))) / (1 + np.exp(wide(a)))
    np.testing.assert_allclose(wide(slopes[0]) / exact, 1, rtol=0, atol=8 * EPS[dtype])
    np.testing.assert_array_equal(slopes[1], -slopes[0])


@pytest.mark.parametrize("a", [-np.inf, -1e30, -200.0, 0.0, 200.0, 1e30, np.inf])
def test_no_pre_activation_overflows(name, a):
    activation = get_activation(name)
    functions = [activation.function]
    if activation.probabilities:
        functions += [lambda a, i=i: activation.probabilities(a)[i] for i in (0, 1)]
    for function in functions:
        value, slope = jax.value_and_grad(function)(jnp.float32(a))
        assert not jnp.isnan(value)
        assert not jnp.isnan(slope)


def test_probabilities_are_what_z_amounts_to_between_the_ends_of_its_range(name, dtype):
    activation, a = get_activation(name), np.linspace(-5, 5, 101).astype(dtype)
    if activation.probabilities is None:
        assert name in ("relu", "identity")  # unbounded
        return
    with precision(dtype):
        z = np.asarray(activation.function(jnp.asarray(a)))
        p, q = jax.device_get(activation.probabilities(jnp.asarray(a)))
    lower = {"logistic": 0, "tanh": -1}[name]
    np.testing.assert_allclose(p, (z - lower) / (1 - lower), rtol=0, atol=2 * EPS[dtype])
    np.testing.assert_allclose(q, (1 - z) / (1 - lower), rtol=0, atol=2 * EPS[dtype])


@pytest.mark.parametrize("name", ["sigmoid", "", None, ["tanh"], "Tanh"])
def test_unknown_name_is_refused_and_the_known_ones_named(name):
    with pytest.raises(ValueError, match=r"unknown activation .*logistic, tanh, relu, identity"):
        get_activation(name)
