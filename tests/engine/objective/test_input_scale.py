"""J does not change when the inputs are centered and scaled, in all cases."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsam._utils.jit import quick_jit
from sparsam.engine.data.batch import Batch
from sparsam.engine.data.samples import Samples
from sparsam.engine.jax_settings import precision
from sparsam.engine.network.network import Network, Parameters
from sparsam.engine.objective.input_scale import InputScale
from sparsam.engine.objective.objective import Objective

few = settings.get_profile("few")

evaluate = quick_jit(Objective.evaluate)


def ravel(network, parameters):
    free = parameters.coefs[: network.n_free]
    return np.concatenate([np.ravel(array) for array in (*free, *parameters.intercepts)])


def scale_of(seed, n_features):
    rng = np.random.default_rng(seed)
    return InputScale(rng.uniform(-2, 2, n_features), 2.0 ** rng.integers(-3, 4, n_features))


@few
@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_value_and_gradient_are_those_of_the_hand_derivation_in_other_coordinates(some_float64_case, data, seed):
    """By (1) in `input_scale`, dJ/dV = (dJ/dW_1 - m dJ/db_1') / c row by row, and dJ/dd = dJ/db_1."""
    problem = data.draw(some_float64_case.problems())
    network = some_float64_case.network
    scale = scale_of(seed, network.layer_sizes[0])
    if network.tied:  # the weights of a tied decoder are not those of scaled inputs
        scale = InputScale(scale.mean, np.ones_like(scale.scale))
    batch = scale.scaled(Batch(problem.inputs, problem.targets, problem.sample_weight, problem.tangents), "float64")
    theta = ravel(network, scale.scaled_weights(network.unravel(problem.theta)))
    with precision("float64"):
        objective = replace(problem.objective(), input_scale=jax.tree.map(jnp.asarray, scale))
        samples = Samples.from_arrays(*batch, chunk_size=8, dtype="float64")
        value, gradient, _ = evaluate(objective, jnp.asarray(theta), samples)

    expected, by_own = problem.reference()
    coefs, intercepts = network.unravel(by_own)
    first = (coefs[0] - np.outer(scale.mean, intercepts[0])) / scale.scale[:, None]
    by_scaled = ravel(network, Parameters((first, *coefs[1:]), intercepts))
    found = float(value), np.asarray(gradient)
    assert problem.difference(found, (expected, by_scaled)) < some_float64_case.tolerance(1e-11, 0)


@pytest.mark.parametrize("n_hidden", [(), (3,)])
def test_weights_go_there_and_back(n_hidden):
    rng = np.random.default_rng(0)
    network = Network((4, *n_hidden, 2))
    shapes = network.shapes
    weights = Parameters(tuple(rng.normal(size=s) for s in shapes), tuple(rng.normal(size=s[1]) for s in shapes))
    scale = scale_of(1, 4)
    back = scale.unscaled_weights(scale.scaled_weights(weights))
    for got, expected in zip(ravel(network, back), ravel(network, weights), strict=True):
        assert got == pytest.approx(expected, rel=1e-14, abs=1e-15)


def test_inputs_are_centered_before_they_are_rounded():
    x = np.linspace(0, 1, 5000)[:, None]
    scaled = InputScale(np.array([1e9]), np.array([2.0])).scaled(Batch(x + 1e9), "float32")
    assert scaled.inputs.dtype == np.float32
    np.testing.assert_allclose(scaled.inputs, x / 2, atol=1e-6)
