"""Cross-entropy of noisy labels: without noise the plain one, finite at any logit, with a bounded slope."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sparsam.engine.jax_settings import precision
from sparsam.engine.network.activations import get_activation
from sparsam.engine.network.network import ForwardPass, Network
from sparsam.engine.objective.error_functions import CrossEntropy, NoisyCrossEntropy

LABELS = {"softmax": np.eye(3)[[0, 1, 2, 0, 1, 2, 0, 1]], "logistic": np.eye(3)[[0, 1, 2, 0, 1, 2, 0, 1]]}
CLASSES = {"softmax": 3, "logistic": 2}


@partial(jax.jit, static_argnums=0)
def evaluate(network, error, a, t):
    def total(a):
        outputs = get_activation(network.output_activation).function(a)
        E = error.per_sample(network, ForwardPass((a,), (), outputs), t)
        return jnp.sum(E), E

    slope, E = jax.grad(total, has_aux=True)(a)
    forward = ForwardPass((a,), (), get_activation(network.output_activation).function(a))
    return E, slope, error.curvature_sums(network, forward, t, jnp.ones(a.shape[1], a.dtype))


def errors_slopes_and_curvature(error, output, a, t, dtype):
    with precision(dtype):
        error = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), error)
        network = Network((1, 3), output_activation=output)
        return jax.device_get(evaluate(network, error, jnp.asarray(a.T, dtype), jnp.asarray(t.T, dtype)))


@pytest.mark.slow
@pytest.mark.parametrize("output", ["softmax", "logistic"])
def test_without_noise_it_is_the_cross_entropy_to_the_last_digit(output, dtype):
    a = np.random.default_rng(0).normal(scale=[[1], [1], [1], [10], [10], [30], [100], [1e4]], size=(8, 3))
    noisy = NoisyCrossEntropy(np.eye(CLASSES[output]))
    E, slope, _ = errors_slopes_and_curvature(noisy, output, a, LABELS[output], dtype)
    plain, plain_slope, _ = errors_slopes_and_curvature(CrossEntropy(), output, a, LABELS[output], dtype)
    np.testing.assert_array_equal(E, plain)
    np.testing.assert_allclose(slope, plain_slope, rtol=2 * np.finfo(dtype).eps, atol=0)


@pytest.mark.slow
@pytest.mark.parametrize("output", ["softmax", "logistic"])
@pytest.mark.parametrize("epsilon", [0.0, 1e-3, 0.4])
def test_it_is_finite_at_any_logit(output, epsilon, dtype):
    K = CLASSES[output]
    T = np.where(np.eye(K, dtype=bool), 1 - epsilon, epsilon / (K - 1))
    a = np.random.default_rng(0).choice([-1e4, -100.0, 0.0, 100.0, 1e4], size=(8, 3))
    for result in errors_slopes_and_curvature(NoisyCrossEntropy(T), output, a, LABELS[output], dtype):
        assert np.all(np.isfinite(result))


def test_two_classes_have_the_same_likelihood_by_softmax_and_by_a_logistic_output(dtype):
    """With pre-activations (0, a) softmax gives the second class the probability logistic(a), and a the same slope."""
    a = np.random.default_rng(0).normal(scale=5, size=(8, 1))
    labels = np.array([0, 1, 1, 0, 1, 0, 0, 1])
    noisy = NoisyCrossEntropy(np.array([[0.875, 0.125], [0.25, 0.75]]))
    E, slope, _ = errors_slopes_and_curvature(noisy, "logistic", a, labels[:, None], dtype)
    both = errors_slopes_and_curvature(noisy, "softmax", np.hstack([0 * a, a]), np.eye(2)[labels], dtype)
    np.testing.assert_allclose(E, both[0], rtol=4 * np.finfo(dtype).eps)
    np.testing.assert_allclose(slope, both[1][1:], rtol=4 * np.finfo(dtype).eps)
    np.testing.assert_allclose(-slope, both[1][:1], rtol=4 * np.finfo(dtype).eps)


def test_a_contradicting_label_pulls_less_the_more_certain_the_network_is(dtype):
    T = np.array([[0.9, 0.1], [0.1, 0.9]])
    a = np.array([[2.0, 5.0, 20.0]])
    E, slope, _ = errors_slopes_and_curvature(NoisyCrossEntropy(T), "logistic", a, np.zeros((1, 3)), dtype)
    assert slope[0, 0] > slope[1, 0] > slope[2, 0] > 0
    # For the plain cross-entropy the slope would tend to 1, and E to infinity; here E tends to -ln epsilon.
    assert E[0] < 3 * -np.log(0.1)


@pytest.mark.parametrize("output", ["softmax", "logistic"])
def test_curvature_is_the_plain_ones_without_noise_and_less_with_it(output):
    a = np.random.default_rng(0).normal(size=(8, 3))
    K, t = CLASSES[output], LABELS[output]
    plain = errors_slopes_and_curvature(CrossEntropy(), output, a, t, "float64")[2]
    np.testing.assert_allclose(
        errors_slopes_and_curvature(NoisyCrossEntropy(np.eye(K)), output, a, t, "float64")[2],
        plain,
        rtol=1e-12,
        atol=1e-14,
    )
    T = np.where(np.eye(K, dtype=bool), 0.7, 0.3 / (K - 1))
    noisy = errors_slopes_and_curvature(NoisyCrossEntropy(T), output, a, t, "float64")[2]
    difference = np.diag(plain - noisy) if plain.ndim == 1 else plain - noisy
    assert np.linalg.eigvalsh(difference)[0] > -1e-12  # given labels tell less than true ones


def test_outputs_that_are_not_probabilities_are_refused():
    network = Network((2, 3), output_activation="identity")
    forward = network.forward(network.unravel(jnp.zeros(9)), jnp.ones((2, 1)))
    with pytest.raises(ValueError, match="needs softmax or logistic outputs, not 'identity'"):
        NoisyCrossEntropy(jnp.eye(3)).per_sample(network, forward, jnp.ones((3, 1)))
