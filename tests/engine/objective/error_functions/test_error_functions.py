"""Error functions: each sample's error, and the cross-entropy of outputs that round to 0 or 1."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sparsam.engine.data.samples import Samples
from sparsam.engine.jax_settings import precision
from sparsam.engine.network.activations import get_activation
from sparsam.engine.network.network import ForwardPass, Network
from sparsam.engine.objective.error_functions import CrossEntropy, SquaredError
from sparsam.engine.objective.objective import Objective
from sparsam.reference import network_cost

EPS = {"float32": np.finfo(np.float32).eps, "float64": np.finfo(np.float64).eps}


@partial(jax.jit, static_argnums=(0, 1))
def evaluate(error, network, a, t):
    def total(a):
        outputs = get_activation(network.output_activation).function(a)
        E = error.per_sample(network, ForwardPass((a,), (), outputs), t.T)
        return jnp.sum(E), E

    slope, E = jax.grad(total, has_aux=True)(a.T)
    return E, slope.T


def errors_and_slopes(error, output, a, t, dtype):
    """Compute E_n and dE_n/da_n at pre-activations a (n_samples, n_outputs) of the outputs."""
    network = Network((1, np.shape(a)[1]), output_activation=output)
    with precision(dtype):
        return jax.device_get(evaluate(error, network, jnp.asarray(a, dtype), jnp.asarray(t, dtype)))


LABELS = np.eye(3)


@pytest.mark.parametrize("large", [200.0, 1e4])
def test_softmax_cross_entropy_is_exact_at_large_logits(large, dtype):
    a = np.repeat([[large, 0.0, -large]], 3, axis=0)
    E, slope = errors_and_slopes(CrossEntropy(), "softmax", a, LABELS, dtype)
    np.testing.assert_allclose(E, [0, large, 2 * large], rtol=0, atol=1e-80)  # y = (1, 0, 0)
    np.testing.assert_allclose(slope, [1, 0, 0] - LABELS, rtol=0, atol=1e-80)


@pytest.mark.parametrize("large", [200.0, 1e4])
def test_logistic_cross_entropy_is_exact_at_large_logits(large, dtype):
    a, t = [[large], [large], [-large], [-large], [large]], [[1], [0], [1], [0], [0.25]]
    E, slope = errors_and_slopes(CrossEntropy(), "logistic", a, t, dtype)
    np.testing.assert_allclose(E, [0, large, large, 0, 0.75 * large], rtol=0, atol=1e-80)
    np.testing.assert_allclose(slope, [[0], [1], [-1], [0], [0.75]], rtol=0, atol=1e-80)


def test_softmax_cross_entropy_keeps_the_small_errors_of_confident_outputs(dtype):
    # In float32 neither ln sum_j exp(a_j) = 1000.000006 nor y = 0.999994 can represent the error 6e-6.
    a = np.repeat([[1000.0, 988.0, 980.0]], 3, axis=0)
    e = np.exp([-12.0, -20.0])
    rest, total = e.sum(), 1 + e.sum()
    E, slope = errors_and_slopes(CrossEntropy(), "softmax", a, LABELS, dtype)
    expected = np.array([[-rest, e[0], e[1]], [1, e[0] - total, e[1]], [1, e[0], e[1] - total]]) / total  # y - t
    np.testing.assert_allclose(E, np.array([0, 12, 20]) + np.log1p(rest), rtol=4 * EPS[dtype])
    np.testing.assert_allclose(slope, expected, rtol=8 * EPS[dtype])


def test_logistic_cross_entropy_keeps_the_small_errors_of_confident_outputs(dtype):
    a, t = np.array([[20.0, -20.0, 20.0, -20.0]]), np.array([[1.0, 0.0, 0.0, 1.0]])
    E, slope = errors_and_slopes(CrossEntropy(), "logistic", a, t, dtype)
    q = np.exp(-20) / (1 + np.exp(-20))
    np.testing.assert_allclose(slope, [[-q, q, 1 - q, q - 1]], rtol=4 * EPS[dtype])
    confident, slope = errors_and_slopes(CrossEntropy(), "logistic", a[:, :2], t[:, :2], dtype)
    np.testing.assert_allclose(confident, 2 * np.log1p(np.exp(-20)), rtol=4 * EPS[dtype])
    np.testing.assert_allclose(E, 40 + 4 * np.log1p(np.exp(-20)), rtol=4 * EPS[dtype])


@pytest.mark.slow
def test_two_classes_of_softmax_on_logits_a_and_0_are_one_logistic_output(dtype):
    a = np.linspace(-50, 50, 101)[:, None]
    t = np.random.default_rng(0).integers(257, size=a.shape) / 256  # 1 - t is exact
    t[::2] = np.round(t[::2])
    E, slope = errors_and_slopes(CrossEntropy(), "logistic", a, t, dtype)
    two, slopes = errors_and_slopes(CrossEntropy(), "softmax", np.hstack([a, 0 * a]), np.hstack([t, 1 - t]), dtype)
    np.testing.assert_allclose(two, E, rtol=8 * EPS[dtype])
    np.testing.assert_allclose(slopes, np.hstack([slope, -slope]), rtol=8 * EPS[dtype], atol=2 * EPS[dtype])


def test_cross_entropy_with_soft_targets_is_least_where_outputs_equal_them(dtype):
    t = np.array([[0.5, 0.25, 0.25]])
    E, slope = errors_and_slopes(CrossEntropy(), "softmax", np.log(t), t, dtype)
    np.testing.assert_allclose(E, -np.sum(t * np.log(t)), rtol=4 * EPS[dtype])  # their entropy
    np.testing.assert_allclose(slope, np.zeros((1, 3)), rtol=0, atol=2 * EPS[dtype])


def test_squared_error_is_half_the_squared_distance_of_the_outputs():
    a, t = np.log([[1.0, 1.0, 2.0]]), np.array([[0.0, 0.0, 1.0]])  # y = (1/4, 1/4, 1/2)
    for output, y in (("identity", a), ("softmax", np.array([[0.25, 0.25, 0.5]]))):
        E, _ = errors_and_slopes(SquaredError(), output, a, t, "float64")
        np.testing.assert_allclose(E, 0.5 * np.sum((y - t) ** 2, axis=1), rtol=1e-15)


@pytest.mark.parametrize("output", ["identity", "tanh", "relu"])
def test_cross_entropy_refuses_outputs_that_are_not_probabilities(output):
    network = Network((2, 3), output_activation=output)
    samples = Samples.from_arrays(np.ones((3, 2)), np.eye(3), chunk_size=4, dtype="float32")
    objective = Objective(network, (CrossEntropy(),))
    with pytest.raises(ValueError, match=rf"which '{output}' outputs are not: use softmax .* or logistic"):
        objective.evaluate(jnp.zeros(network.n_parameters), samples)


@pytest.mark.parametrize(("error", "output"), [("cross_entropy", "identity"), ("absolute_error", "logistic")])
def test_reference_refuses_what_it_does_not_derive(error, output):
    with pytest.raises(ValueError, match=f"no derivation for the error '{error}' with '{output}' outputs"):
        network_cost(
            [np.ones((2, 3))], [np.zeros(3)], np.eye(2), np.ones((2, 3)), output_activation=output, error=error
        )
