"""The statistics of the hidden units agree with `unit_statistics` of their activations."""

import numpy as np
import pytest

from sparsam import SparseAutoencoder, unit_statistics
from sparsam.engine.data.samples import Samples
from sparsam.engine.jax_settings import precision
from sparsam.estimators._training.reconstruction import input_variance, unit_activity


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("hidden_activation", ["logistic", "tanh", "relu"])
def test_unit_activity_agrees_with_unit_statistics(dtype, hidden_activation):
    rng = np.random.default_rng(0)
    X, weights = rng.uniform(size=(50, 4)), rng.integers(1, 4, 50)
    model = SparseAutoencoder(5, hidden_activation=hidden_activation, beta=0.0, dtype=dtype)
    objective = model._objective(model._network(4, 5))
    scales = np.array([1e-4, 1.0, 30.0, 1.0, 1e-4])  # hardly varying, gradual, switching, and at the ends
    W = rng.normal(size=(4, 5)) * scales
    offsets = np.array([0.3, 0.0, 0.0, -60.0, 60.0]) - 0.5 * W.sum(axis=0)
    theta = np.concatenate([W.ravel(), np.zeros(20), offsets, np.zeros(4)]).astype(dtype)
    with precision(dtype):
        samples = Samples.from_arrays(X, sample_weight=weights, chunk_size=16, dtype=dtype)
    inputs = input_variance(samples, dtype)
    with precision(dtype):
        found = unit_activity(objective, objective.network.unravel(theta), samples, inputs, n_samples=50, rho=None)
    a = (np.repeat(X, weights, axis=0) @ W + offsets).astype(np.float64)
    Z = {"logistic": 1 / (1 + np.exp(-a)), "tanh": np.tanh(a), "relu": np.maximum(a, 0)}[hidden_activation]
    expected = unit_statistics(Z, hidden_activation=hidden_activation)
    scale = 0.5 if hidden_activation == "tanh" else 1.0
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(found.deviation, scale * expected.deviation, rtol=1e3 * eps, atol=10 * eps)
    for name in ("dead", "saturated"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    for name in ("at_low", "at_high"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), atol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_moments_are_weighted_and_exactly_zero_for_equal_rows(dtype):
    rng = np.random.default_rng(0)
    X, weights = rng.normal(size=(40, 3)), rng.uniform(0, 2, 40)
    for data, shift in ((X, 0.0), (X, 100.0), (np.full((40, 3), 0.1), 0.0)):
        with precision(dtype):
            samples = Samples.from_arrays(data + shift, sample_weight=weights, chunk_size=16, dtype=dtype)
        moments = input_variance(samples, dtype)
        mean = np.average((data + shift).astype(dtype), axis=0, weights=weights)
        variance = np.average(((data + shift).astype(dtype) - mean) ** 2, axis=0, weights=weights).sum()
        np.testing.assert_allclose(moments.mean, mean, rtol=1e-5)
        assert moments.variance == pytest.approx(variance, rel=1e-5, abs=1e-20)
    assert moments.variance == 0
    assert moments.plateau is None
