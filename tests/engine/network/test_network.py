"""Networks: order of the flat vector, initial weights, and the forward pass."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsam import reference
from sparsam.engine.jax_settings import precision
from sparsam.engine.network.network import Network

layer_sizes = st.lists(st.integers(1, 9), min_size=2, max_size=5).map(tuple)


@given(layer_sizes)
def test_blocks_divide_the_flat_vector(sizes):
    network = Network(sizes)
    n_layers = len(sizes) - 1
    layers = range(1, n_layers + 1)
    assert list(network.blocks) == [f"W{l}" for l in layers] + [f"b{l}" for l in layers]
    covered = np.concatenate([np.arange(network.n_parameters)[block] for block in network.blocks.values()])
    np.testing.assert_array_equal(covered, np.arange(network.n_parameters))


@settings(max_examples=15, deadline=None)
@given(layer_sizes)
def test_unravel_cuts_in_c_order_and_ravel_undoes_it(sizes):
    network = Network(sizes)
    theta = np.arange(network.n_parameters, dtype=np.float32)
    parameters = network.unravel(theta)
    assert [coef.shape for coef in parameters.coefs] == list(pairwise(sizes))
    assert [intercept.shape for intercept in parameters.intercepts] == [(n,) for n in sizes[1:]]
    for name, array in zip(network.blocks, (*parameters.coefs, *parameters.intercepts), strict=True):
        np.testing.assert_array_equal(array.ravel(order="C"), theta[network.blocks[name]])
    np.testing.assert_array_equal(network.ravel(parameters), theta)


def test_order_of_the_parameters_is_that_of_the_notes():
    network = Network((2, 3, 2))
    (W1, W2), (b1, b2) = network.unravel(np.arange(17))
    np.testing.assert_array_equal(W1, [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(W2, [[6, 7], [8, 9], [10, 11]])
    np.testing.assert_array_equal(b1, [12, 13, 14])
    np.testing.assert_array_equal(b2, [15, 16])


@pytest.mark.parametrize("source", [np.random.RandomState, np.random.default_rng])
def test_initial_weights_are_uniform_within_the_bounds_of_each_layer_and_biases_zero(source):
    network = Network((40, 60, 20))
    theta = network.initialize(source(0))
    assert theta.dtype == np.float64
    (W1, W2), biases = network.unravel(theta)
    for W in (W1, W2):
        bound = np.sqrt(6 / (sum(W.shape) + 1))
        assert 0.99 * bound < W.max() <= bound
        assert -bound <= W.min() < -0.99 * bound
        assert abs(W.std() / bound - 1 / np.sqrt(3)) < 0.02
        assert abs(W.mean() / bound) < 0.05
    assert not np.any(np.concatenate(biases))
    np.testing.assert_array_equal(network.initialize(source(0)), theta)
    assert np.any(network.initialize(source(1)) != theta)


@pytest.mark.slow
def test_forward_pass_equals_the_one_by_hand(some_float64_case):
    if some_float64_case.error.name not in ("squared_error", "cross_entropy"):
        return  # the other error functions use the same networks
    problem, network = some_float64_case.problem(), some_float64_case.network
    a, z = [], [problem.inputs]
    for coef, intercept, h in zip(*network.unravel(problem.theta), network.activations, strict=True):
        a.append(z[-1] @ coef + intercept)
        z.append(reference.OUTPUT_ACTIVATIONS[h.name](a[-1]))

    with precision("float64"):
        theta, inputs = jnp.asarray(problem.theta), jnp.asarray(problem.inputs)
        forward = jax.jit(network.forward)(network.unravel(theta), inputs.T)
    assert len(forward.hidden) == some_float64_case.depth
    got, expected = (*forward.pre_activations, *forward.hidden, forward.outputs), (*a, *z[1:-1], z[-1])
    for array, by_hand in zip(got, expected, strict=True):
        np.testing.assert_allclose(array.T, by_hand, rtol=0, atol=1e-14)


def test_equal_architectures_share_a_compiled_program():
    one, same = (Network((2, 3, 2), "tanh") for _ in range(2))
    assert one == same
    assert hash(one) == hash(same)
    assert one != Network((2, 3, 2), "relu")


@pytest.mark.parametrize("sizes", [(), (3,), (3, 0), (3, -1, 2), (0, 1)])
def test_layer_sizes_must_be_positive_and_at_least_two(sizes):
    with pytest.raises(ValueError, match="layer_sizes"):
        Network(sizes)


@pytest.mark.parametrize("activations", [("softplus", "identity"), ("tanh", "softplus")])
def test_unknown_activation_is_refused_at_once(activations):
    with pytest.raises(ValueError, match="softplus"):
        Network((2, 2, 2), *activations)


def test_softmax_is_for_outputs_only():
    Network((2, 2, 2), "tanh", "softmax")
    with pytest.raises(ValueError, match=r"'softmax' is for outputs only.*: logistic, tanh, relu, satlin, identity$"):
        Network((2, 2, 2), "softmax", "softmax")
