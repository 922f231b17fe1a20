"""Omega's curvature: exact in the cases that allow it, and useful to the minimizer."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sparsam.engine.curvature.tangent_factors import hidden_curvature, joint_basis, single_product, tangent_moments
from sparsam.engine.data.batch import Batch
from sparsam.engine.data.samples import Samples
from sparsam.engine.jax_settings import precision
from sparsam.engine.network.network import Network
from sparsam.engine.objective.error_functions import CrossEntropy
from sparsam.engine.objective.objective import Objective
from sparsam.engine.objective.penalties import TangentPropagation, WeightDecay
from sparsam.engine.training.train import train


def slopes_by_autodiff(network, parameters, x, tau, layer):
    """Compute, for one sample and tangent, delta = dy_dot/da_dot and phi = dy_dot/da of a layer, and a_dot itself."""

    def y_dot(shift, shift_dot):
        z, z_dot = x, tau
        for l, (W, b) in enumerate(zip(*parameters, strict=True)):
            a, a_dot = W.T @ z + b, W.T @ z_dot
            if l == layer:
                a, a_dot = a + shift, a_dot + shift_dot
            z, z_dot = jax.jvp(network.activations[l].function, (a,), (a_dot,))
        return z_dot

    zeros = jnp.zeros(network.layer_sizes[layer + 1])
    return jax.jacobian(y_dot, 1)(zeros, zeros), jax.jacobian(y_dot, 0)(zeros, zeros)


@pytest.mark.parametrize(
    "output",
    [
        "identity",
        *(pytest.param(output, marks=pytest.mark.slow) for output in ("tanh", "softmax")),
        pytest.param("logistic", marks=pytest.mark.exhaustive),
    ],
)
def test_at_the_outputs_they_are_the_gauss_newton_matrices(output):
    network = Network((4, 3), output_activation=output)
    rng = np.random.default_rng(0)
    with precision("float64"):
        parameters = network.unravel(jnp.asarray(rng.normal(size=network.n_parameters)))
        x, tau = jnp.asarray(rng.normal(size=(4, 5))), jnp.asarray(rng.normal(size=(4, 2, 5)))
        s = jnp.asarray(rng.uniform(size=5))
        forward = network.forward(parameters, x, (), tau)
        D, P = tangent_moments(network, forward, Batch(x, x, s, tau), "outputs").output
        expected_D, expected_P = 0, 0
        for n in range(5):
            for t in range(2):
                delta, phi = slopes_by_autodiff(network, parameters, x[:, n], tau[:, t, n], 0)
                expected_D += s[n] * delta.T @ delta / 2  # the same for both tangents
                expected_P += s[n] * phi.T @ phi
    as_matrix = (lambda G: G) if output == "softmax" else np.diag
    np.testing.assert_allclose(as_matrix(D), expected_D, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(as_matrix(P), expected_P, rtol=1e-12, atol=1e-14)


@pytest.mark.slow
def test_for_pre_activations_only_the_derivative_through_a_dot_remains():
    network = Network((4, 3), output_activation="softmax")
    with precision("float64"):
        parameters = network.unravel(jnp.ones(network.n_parameters))
        x, tau = jnp.ones((4, 5)), jnp.ones((4, 2, 5))
        forward = network.forward(parameters, x, (), tau)
        D, P = tangent_moments(network, forward, Batch(x, x, jnp.ones(5), tau), "pre_activations").output
    np.testing.assert_array_equal(D, [5, 5, 5])
    np.testing.assert_array_equal(P, [0, 0, 0])


@pytest.mark.slow
@pytest.mark.parametrize("output", ["identity", "softmax"])
def test_through_a_hidden_layer_both_parts_are_exact_except_for_the_cross_terms(output):
    network = Network((4, 5, 3), "tanh", output)
    rng = np.random.default_rng(1)
    with precision("float64"):
        parameters = network.unravel(jnp.asarray(rng.normal(size=network.n_parameters)))
        x, tau = jnp.asarray(rng.normal(size=(4, 1))), jnp.asarray(rng.normal(size=(4, 1, 1)))
        forward = network.forward(parameters, x, (), tau)
        moments = tangent_moments(network, forward, Batch(x, x, jnp.ones(1), tau), "outputs")
        h1 = 1 - forward.hidden[0] ** 2
        W = parameters.coefs[1]
        D, P = hidden_curvature(moments.output, W, h1 @ h1.T, moments.bends[0])
        delta, phi = slopes_by_autodiff(network, parameters, x[:, 0], tau[:, 0, 0], 0)
        above_delta, above_phi = slopes_by_autodiff(network, parameters, x[:, 0], tau[:, 0, 0], 1)
        h1 = h1[:, 0]
        h2_a_dot = -2 * forward.hidden[0][:, 0] * h1 * forward.tangents.pre_activations[0][:, 0, 0]
        by_bend, by_above = (np.asarray(above @ W.T * h) for above, h in ((above_delta, h2_a_dot), (above_phi, h1)))
        delta, phi = np.asarray(delta), np.asarray(phi)
    np.testing.assert_allclose(D, delta.T @ delta, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(by_bend + by_above, phi, rtol=1e-12, atol=1e-14)  # the two parts of P
    np.testing.assert_allclose(P, by_bend.T @ by_bend + by_above.T @ by_above, rtol=1e-12, atol=1e-14)


def test_matrices_that_commute_are_diagonal_in_their_joint_basis():
    rng = np.random.default_rng(2)
    vectors = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    A, A_dot = ((vectors * rng.uniform(size=5)) @ vectors.T for _ in range(2))
    with precision("float64"):
        U, p, c = map(np.asarray, joint_basis(jnp.asarray(A), jnp.asarray(A_dot)))
    np.testing.assert_allclose((U * p) @ U.T, A, atol=1e-12)
    np.testing.assert_allclose((U * c) @ U.T, A_dot, atol=1e-12)


def test_for_other_matrices_the_joint_basis_keeps_the_traces_even_of_a_zero_matrix():
    rng = np.random.default_rng(3)
    root = rng.normal(size=(2, 4, 4))
    A, A_dot = root @ np.swapaxes(root, 1, 2)
    for other in (A_dot, np.diag(np.arange(4.0)), np.arange(4.0), 0 * A_dot):
        with precision("float64"):
            U, p, c = map(np.asarray, joint_basis(jnp.asarray(A), jnp.asarray(other)))
        np.testing.assert_allclose(U @ U.T, np.eye(4), atol=1e-12)
        assert np.sum(p) == pytest.approx(np.trace(A), rel=1e-12)
        assert np.sum(c) == pytest.approx(np.sum(other if other.ndim == 1 else np.diag(other)), rel=1e-12)


def test_single_product_equals_the_sum_if_a_factor_is_shared_and_always_has_its_trace():
    p, c, q, d = (np.random.default_rng(seed).uniform(size=size) for seed, size in enumerate((4, 4, 3, 3)))
    with precision("float64"):
        for other_p, other_q in ((c, d), (2 * p, d), (c, 3 * q), (0 * p, d), (c, 0 * q)):
            expected = np.outer(p, q) + np.outer(other_p, other_q)
            got = np.outer(*single_product(p, q, other_p, other_q))
            assert got.sum() == pytest.approx(expected.sum(), rel=1e-12)
            if other_p is not c or other_q is not d:
                np.testing.assert_allclose(got, expected, rtol=1e-9)


@pytest.mark.slow
def test_the_minimizer_needs_fewer_evaluations_with_it(monkeypatch):
    rng = np.random.default_rng(0)
    network = Network((30, 10, 3), "tanh", "softmax")
    X = rng.normal(size=(120, 30)) * np.geomspace(3, 0.1, 30)
    labels = np.eye(3)[np.argmax(X[:, :3] + 0.1 * rng.normal(size=(120, 3)), axis=1)]
    tangents = 3 * rng.normal(size=(120, 4, 30)) * np.geomspace(0.1, 3, 30)
    theta = network.initialize(rng)

    def evaluations():
        objective = Objective(network, (CrossEntropy(), WeightDecay(1e-3), TangentPropagation(1e-2, "pre_activations")))
        with precision("float64"):
            samples = Samples.from_arrays(X, labels, None, tangents, chunk_size=128, dtype="float64")
        training = train(objective, samples, theta, dtype="float64", tol=1e-5, max_iter=1000)
        return training.stop_reason, training.history[-1].evaluations

    stop_reason, with_curvature = evaluations()
    assert stop_reason == "converged"
    jax.clear_caches()
    monkeypatch.delattr(TangentPropagation, "tangent_curvature")
    _, without = evaluations()
    assert with_curvature < 0.6 * without
    jax.clear_caches()
