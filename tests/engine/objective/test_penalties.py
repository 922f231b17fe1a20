"""Precision of the penalties where naive formulas would lose it; `test_objective` tests the rest."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsam.engine.data.samples import Samples
from sparsam.engine.jax_settings import precision
from sparsam.engine.network.network import Network, Parameters
from sparsam.engine.objective.objective import Objective
from sparsam.engine.objective.penalties import KLSparsity, WeightDecay

RHO, BETA = 0.125, 3.0
INPUTS, WEIGHTS = np.array([[-1.0], [0.5], [1.0]]), np.array([1.0, 2.0, 0.5])
EPS = float(np.finfo(np.float32).eps)
evaluate = jax.jit(Objective.evaluate)


def wide(array):
    """Convert to more digits than float64 if the platform has them."""
    return np.asarray(array, dtype=np.longdouble)


def divergence(p, q):
    """Compute KL(rho || p) of wide p and q = 1 - p, and its slope with respect to p, from the definition."""
    value = RHO * np.log(RHO / p) + (1 - RHO) * np.log((1 - RHO) / q)
    return value, -RHO / p + (1 - RHO) / q


def sparsity(dtype, activation, W1, b1, rho, beta):
    """Evaluate the engine's term and its gradient (as W1, W2, b1, b2) for two hidden units."""
    network = Network((1, 2, 1), activation, "identity")
    theta = np.concatenate([np.ravel(W1), np.zeros(2), b1, np.zeros(1)])
    with precision(dtype):
        samples = Samples.from_arrays(INPUTS, sample_weight=WEIGHTS, chunk_size=2, dtype=dtype)
        objective = Objective(network, (KLSparsity(*jnp.asarray([rho, beta], dtype)),))
        return jax.device_get(evaluate(objective, jnp.asarray(theta, dtype), samples))[:2]


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["logistic", "tanh"])
@pytest.mark.parametrize("signs", [(1, 1), (-1, -1), (1, -1)])
def test_saturated_units_have_a_finite_and_right_divergence_and_gradient(dtype, activation, signs):
    scale = {"logistic": 1, "tanh": 2}[activation]  # (tanh(a) + 1)/2 = logistic(2a)
    b1 = {"float32": 30.0, "float64": 300.0}[dtype] / scale * np.array(signs)
    W1 = np.array([[0.5, -0.25]]) / scale  # a little more or less by sample
    value, gradient = sparsity(dtype, activation, W1, b1, RHO, BETA)

    s, x = wide(WEIGHTS)[:, None] / wide(WEIGHTS).sum(), wide(INPUTS)
    p, q = (1 / (1 + np.exp(-sign * scale * (x * W1 + b1))) for sign in (1, -1))
    kl, slope = divergence((s * p).sum(axis=0), (s * q).sum(axis=0))
    delta = BETA * s * slope * scale * p * q
    expected = [np.sum(x * delta, axis=0), np.zeros(2), delta.sum(axis=0), np.zeros(1)]
    tolerance = {"float32": 1e-5, "float64": 1e-12}[dtype]
    np.testing.assert_allclose(value, float(BETA * kl.sum()), rtol=tolerance)
    np.testing.assert_allclose(gradient, np.concatenate(expected).astype(float), rtol=tolerance, atol=0)


@settings(deadline=None)
@given(
    mean=st.floats(1e-4, 0.5),
    excess=st.floats(-0.5, 0.5) | st.floats(-1e-6, 1e-6),
    upper_end=st.booleans(),
)
def test_divergence_near_its_minimum_loses_nothing_to_cancellation(mean, excess, upper_end):
    small, large, rho = np.float32(mean), np.float32(1 - mean), np.float32(mean * (1 + excess))
    p, q = small, large
    if upper_end:
        p, q, rho = q, p, np.float32(1 - rho)
    penalty = KLSparsity(jnp.asarray(rho), jnp.asarray(1.0))
    value = float(penalty.value(((jnp.asarray([p]), jnp.asarray([q])),), Parameters((), ())))

    p, q = (1 - wide(small), wide(small)) if upper_end else (wide(small), 1 - wide(small))
    d = p - wide(rho)
    exact = wide(rho) * np.log1p(-d / p) + (1 - wide(rho)) * np.log1p(d / q)
    # Its two logarithms are of order d and cancel to order d^2; by the definition the error would be about epsilon.
    assert abs(value - exact) <= 4 * EPS * (abs(d) + exact)


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["logistic", "tanh"])
@pytest.mark.parametrize("excess", [0.0, 1e-6, -1e-4, 0.01])
def test_sparsity_near_its_minimum_is_as_precise_in_float32_as_in_float64(activation, excess):
    W1, b1 = np.array([[0.5, 0.5]]), np.array([-1.5, -1.5])
    a = 0.5 * INPUTS[:, 0] - 1.5
    z = np.tanh(a) / 2 + 0.5 if activation == "tanh" else 1 / (1 + np.exp(-a))
    rho = np.float32(np.average(z, weights=WEIGHTS) * (1 + excess))
    value, expected = (sparsity(dtype, activation, W1, b1, rho, 1.0)[0] for dtype in ("float32", "float64"))
    assert abs(value - expected) < 0.1 * EPS


def test_weight_decay_leaves_biases_alone():
    parameters = Parameters((jnp.array([[1.0, 2.0]]), jnp.array([[3.0], [4.0]])), (jnp.full(2, 9.0), jnp.full(1, 9.0)))
    value, slope = jax.value_and_grad(lambda parameters: WeightDecay(0.5).value((), parameters))(parameters)
    assert value == 0.5 / 2 * (1 + 4 + 9 + 16)
    for coef, gradient in zip(parameters.coefs, slope.coefs, strict=True):
        np.testing.assert_array_equal(gradient, 0.5 * coef)
    assert not any(np.any(gradient) for gradient in slope.intercepts)
