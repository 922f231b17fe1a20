"""The hand derivation equals the notes' formulas, and works with SciPy's minimizers."""

import ast
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import check_grad, fmin_l_bfgs_b

from sparsam import reference
from sparsam.engine.data.samples import Samples
from sparsam.engine.jax_settings import precision
from sparsam.engine.network.network import Network
from sparsam.engine.objective.error_functions import SquaredError
from sparsam.engine.objective.objective import Objective
from sparsam.engine.objective.penalties import KLSparsity, WeightDecay
from sparsam.engine.training.train import train
from sparsam.reference import network_cost, sparse_autoencoder_cost
from sparsam.reference.activations import logistic

VISIBLE, HIDDEN = 6, 3
ALPHA, RHO, BETA = 2.0**-10, 0.25, 0.5
JOB = (VISIBLE, HIDDEN, ALPHA, RHO, BETA)
NETWORK = Network((VISIBLE, HIDDEN, VISIBLE))


def objective():
    return Objective(NETWORK, (SquaredError(), WeightDecay(ALPHA), KLSparsity(RHO, BETA)))


@pytest.fixture(scope="module")
def data():
    """Draw six pixels that depend on two hidden causes."""
    rng = np.random.default_rng(3)
    causes = rng.random((40, 2)) < 0.3
    return np.clip(causes @ rng.uniform(-1, 1, (2, VISIBLE)) / 2 + 0.5, 0.1, 0.9)


@pytest.fixture(scope="module")
def theta():
    return np.random.default_rng(4).normal(0, 0.7, NETWORK.n_parameters)


def test_it_imports_numpy_alone():
    modules = set()
    for file in Path(reference.__file__).parent.glob("*.py"):
        nodes = list(ast.walk(ast.parse(file.read_text())))
        modules |= {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
        modules |= {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    others = {module for module in modules if not module.startswith("sparsam.reference")}
    assert others == {"__future__", "collections.abc", "dataclasses", "typing", "numpy", "numpy.typing"}


def test_cost_is_that_of_the_notes_written_sample_by_sample(data, theta):
    W1 = theta[:18].reshape(6, 3)
    W2, b1, b2 = theta[18:36].reshape(3, 6), theta[36:39], theta[39:]
    cost, activation = 0.0, np.zeros(3)
    for x in data:
        z = [1 / (1 + np.exp(-(W1[:, j] @ x + b1[j]))) for j in range(3)]
        y = [1 / (1 + np.exp(-(W2[:, k] @ z + b2[k]))) for k in range(6)]
        cost += 0.5 * sum((y[k] - x[k]) ** 2 for k in range(6)) / len(data)
        activation += np.array(z) / len(data)
    cost += ALPHA / 2 * (np.sum(W1**2) + np.sum(W2**2))
    cost += BETA * sum(RHO * np.log(RHO / r) + (1 - RHO) * np.log((1 - RHO) / (1 - r)) for r in activation)
    np.testing.assert_allclose(sparse_autoencoder_cost(theta, *JOB, data)[0], cost, rtol=1e-13)


def test_layout_of_theta_is_the_networks(data, theta):
    with precision("float64"):
        samples = Samples.from_arrays(data, chunk_size=16, dtype="float64")
        evaluation = jax.jit(Objective.evaluate)(objective(), jnp.asarray(theta), samples)
        value, gradient, _ = jax.device_get(evaluation)
    cost, grad = sparse_autoencoder_cost(theta, *JOB, data)
    np.testing.assert_allclose(value, cost, rtol=1e-13)
    np.testing.assert_allclose(gradient, grad, rtol=0, atol=1e-13)


@pytest.mark.slow
def test_scipys_minimizer_and_the_engine_find_the_same_minimum(data, theta):
    theta_scipy, cost, information = fmin_l_bfgs_b(
        sparse_autoencoder_cost, theta, args=(*JOB, data), pgtol=1e-8, factr=0, maxiter=5000, maxfun=10000
    )
    assert np.max(np.abs(information["grad"])) < 1e-7
    with precision("float64"):
        samples = Samples.from_arrays(data, chunk_size=16, dtype="float64")
    training = train(objective(), samples, theta, dtype="float64", tol=1e-8, max_iter=5000)
    assert training.stop_reason == "converged"
    np.testing.assert_allclose(training.history[-1].J, cost, rtol=1e-10)
    np.testing.assert_allclose(training.theta, theta_scipy, rtol=0, atol=1e-4)
    assert cost < 0.7 * training.history[0].J


def test_scipys_own_check_agrees(data, theta):
    error = check_grad(
        lambda theta: sparse_autoencoder_cost(theta, *JOB, data)[0],
        lambda theta: sparse_autoencoder_cost(theta, *JOB, data)[1],
        theta,
        direction="random",
        rng=np.random.default_rng(0),
    )
    assert error < 1e-6


def test_without_targets_only_the_penalties_remain():
    coefs, intercepts, x = [np.ones((2, 3)), np.ones((3, 2))], [np.zeros(3), np.zeros(2)], np.eye(2)
    cost, coef_gradients, intercept_gradients = network_cost(coefs, intercepts, x, None, alpha=0.5)
    assert cost == 0.5 / 2 * 12
    for gradient, coef in zip(coef_gradients, coefs, strict=True):
        np.testing.assert_array_equal(gradient, 0.5 * coef)
    assert not any(np.any(gradient) for gradient in intercept_gradients)


@pytest.mark.parametrize("a", [-800.0, 800.0])
def test_logistic_does_not_overflow(a):
    with np.errstate(all="raise", under="ignore"):
        assert logistic(np.array(a)) == (a > 0)


@pytest.mark.parametrize(
    ("theta_size", "shape", "message"),
    [
        (17, (6, 10), r"shape \(n_samples, 3\), got \(6, 10\)$"),
        (17, (3, 10), r"got \(3, 10\); it has samples in columns, as in the notes: pass data.T"),
        (17, (3,), r"got \(3,\)$"),
        (16, (10, 3), r"theta must have the shape \(17,\), got \(16,\)"),
    ],
)
def test_shapes_of_the_notes_are_named(theta_size, shape, message):
    """3 inputs and 2 units have 2 * 6 + 2 + 3 = 17 parameters."""
    with pytest.raises(ValueError, match=message):
        sparse_autoencoder_cost(np.zeros(theta_size), 3, 2, 1e-4, 0.1, 3.0, np.zeros(shape))
