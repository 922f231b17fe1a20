"""Activation functions equal the formulas by hand, and stay precise in saturated units."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sparsam import reference
from sparsam.engine.jax_settings import precision
from sparsam.engine.network.activations import (
    ACTIVATIONS,
    complementary_logistics,
    complementary_softmax,
    get_activation,
    log_complementary_logistics,
    log_softmax,
)

EPS = {"float32": np.finfo(np.float32).eps, "float64": np.finfo(np.float64).eps}
LARGEST = {"float32": 85.0, "float64": 700.0}  # exp(-a) is still a normal number


def pre_activations(dtype):
    """Make a grid over the whole range, finer near 0, in the given precision; without 0, where ReLU has a kink."""
    ends = np.linspace(-LARGEST[dtype], LARGEST[dtype], 502)
    return np.concatenate([ends, np.linspace(-2, 2, 402)]).astype(dtype)


def wide(a):
    """Convert to the type of reference values: more digits than float64 if the platform has them."""
    return np.asarray(a, dtype=np.longdouble)


@pytest.fixture(params=[name for name, activation in ACTIVATIONS.items() if activation.elementwise])
def name(request):
    return request.param


def test_table_is_that_of_the_reference():
    assert [name for name, activation in ACTIVATIONS.items() if activation.elementwise] == list(reference.ACTIVATIONS)
    assert list(ACTIVATIONS) == list(reference.OUTPUT_ACTIVATIONS)


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


def test_log_logistics_and_their_slopes_are_precise_from_end_to_end(dtype):
    a = pre_activations(dtype)
    with precision(dtype):
        logarithms = jax.device_get(log_complementary_logistics(jnp.asarray(a)))
        slopes = [jax.vmap(jax.grad(lambda a, i=i: log_complementary_logistics(a)[i]))(jnp.asarray(a)) for i in (0, 1)]
    for sign, logarithm, slope in zip((1, -1), logarithms, slopes, strict=True):
        exact = -np.log1p(np.exp(-sign * wide(a)))
        exact_slope = sign / (1 + np.exp(sign * wide(a)))  # d ln p/da = 1 - p, d ln q/da = -p
        np.testing.assert_allclose(wide(logarithm) / exact, 1, rtol=0, atol=6 * EPS[dtype])
        np.testing.assert_allclose(wide(slope) / exact_slope, 1, rtol=0, atol=6 * EPS[dtype])


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
        assert name in ("relu", "satlin", "identity")  # unbounded, or exactly 0
        return
    with precision(dtype):
        z = np.asarray(activation.function(jnp.asarray(a)))
        p, q = jax.device_get(activation.probabilities(jnp.asarray(a)))
    lower = {"logistic": 0, "tanh": -1}[name]
    np.testing.assert_allclose(p, (z - lower) / (1 - lower), rtol=0, atol=2 * EPS[dtype])
    np.testing.assert_allclose(q, (1 - z) / (1 - lower), rtol=0, atol=2 * EPS[dtype])


@pytest.mark.parametrize("name", ["sigmoid", "", None, ["tanh"], "Tanh"])
def test_unknown_name_is_refused_and_the_known_ones_named(name):
    with pytest.raises(ValueError, match=r"unknown activation .*logistic, tanh, relu, satlin, identity, softmax"):
        get_activation(name)


# Softmax


def rows(dtype):
    """Make rows of pre-activations of all degrees of confidence, the largest at any place; some have ties."""
    rng = np.random.default_rng(0)
    spread = np.geomspace(0.1, LARGEST[dtype], 200)[:, None]
    level = rng.uniform(-1, 1, (200, 1)) * spread
    return np.concatenate([level + spread * rng.uniform(-0.5, 0.5, (200, 4)), np.eye(4), np.ones((1, 4))]).astype(dtype)


def exact_softmax(a):
    """Compute y, 1 - y and ln y in more digits, each without cancellation."""
    a = wide(a)
    e = np.exp(a - a.max(axis=1, keepdims=True))
    others = e @ (1 - np.eye(a.shape[1], dtype=e.dtype))  # sum_(j != k) e_j
    return e / (e + others), others / (e + others), -np.log1p(others / e)


def test_softmax_its_complement_and_its_logarithm_are_each_precise(dtype):
    a = rows(dtype)
    with precision(dtype):
        functions = (complementary_softmax, log_softmax, get_activation("softmax").function)
        values = jax.device_get(jax.jit(jax.vmap(lambda a: tuple(function(a) for function in functions)))(a))
    (y, complement), logarithm, z = values
    np.testing.assert_array_equal(z, y)
    assert y.dtype == complement.dtype == logarithm.dtype == dtype
    # Errors of exp and of a difference of two pre-activations; exp amplifies the latter by |a_k - a_m|.
    scale = 8 * EPS[dtype] * (1 + np.ptp(a, axis=1, keepdims=True))
    for array, exact in zip((y, complement, logarithm), exact_softmax(a), strict=True):
        assert np.all(np.abs(wide(array) / exact - 1) < scale)
    np.testing.assert_allclose(y.sum(axis=1), 1, rtol=0, atol=2 * EPS[dtype])
    np.testing.assert_allclose(y, reference.OUTPUT_ACTIVATIONS["softmax"](a.astype(float)), rtol=0, atol=4 * EPS[dtype])


@pytest.mark.parametrize("mode", [jax.jacfwd, jax.jacrev])
def test_slopes_of_softmax_are_precise_in_both_modes_of_differentiation(dtype, mode):
    a = rows(dtype)
    y, complement, _ = exact_softmax(a)
    identity = np.eye(a.shape[1])
    log_slopes = np.where(identity, complement[:, :, None], -y[:, None, :])  # d ln y_k/da_r = I_kr - y_r
    softmax_slopes = y[:, :, None] * log_slopes
    with precision(dtype):
        slopes = jax.jit(jax.vmap(mode(lambda a: (log_softmax(a), *complementary_softmax(a)))))(a)
        slopes = jax.device_get(slopes)
    scale = 8 * EPS[dtype] * (1 + np.ptp(a, axis=1)[:, None, None])
    for slope, exact in zip(slopes, (log_slopes, softmax_slopes, -softmax_slopes), strict=True):
        normal = np.abs(exact) > np.finfo(dtype).tiny / EPS[dtype]
        assert np.all((np.abs(wide(slope) / exact - 1) < scale) | ~normal)
        np.testing.assert_allclose(slope, exact.astype(float), rtol=0, atol=8 * EPS[dtype])


def test_second_derivatives_of_log_softmax_are_minus_those_of_its_normalizer(dtype):
    a = rows(dtype)[:20]
    y = exact_softmax(a)[0].astype(float)
    with precision(dtype):
        hessian = jax.device_get(jax.jit(jax.vmap(jax.hessian(lambda a: log_softmax(a)[0])))(a))
    expected = y[:, :, None] * y[:, None, :] - y[:, :, None] * np.eye(4)
    np.testing.assert_allclose(hessian, expected, rtol=0, atol=8 * EPS[dtype])


@pytest.mark.slow
@pytest.mark.parametrize("shift", [-1e30, -1e4, 1e4, 1e30])
def test_no_row_of_pre_activations_overflows_softmax(shift):
    a = jnp.float32(shift) * jnp.asarray([[1.0, 1.0, 0.0], [-1.0, 0.0, 1.0]], jnp.float32)

    def everything(a):
        return complementary_softmax(a), log_softmax(a)

    values, slopes = jax.device_get(jax.jit(jax.vmap(lambda a: (everything(a), jax.jacfwd(everything)(a))))(a))
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves((values, slopes)))
    (y, _), _ = values
    np.testing.assert_array_equal(y, [[0.5, 0.5, 0], [0, 0, 1]] if shift > 0 else [[0, 0, 1], [1, 0, 0]])
