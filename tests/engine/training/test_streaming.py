"""Streamed data give the same J, gradient, factors and minimum as the same data on the device."""

import threading
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsam._utils.jit import quick_jit
from sparsam.engine.curvature.factors import input_moments, kronecker_factors
from sparsam.engine.jax_settings import precision
from sparsam.engine.training.callbacks import FunctionCallback
from sparsam.engine.training.streaming import (
    Batch,
    StreamedSamples,
    evaluate_stream,
    stream_factors,
    stream_input_moments,
    summed,
)
from sparsam.engine.training.train import train

few = settings.get_profile("few")

factorize = quick_jit(kronecker_factors)


@quick_jit
def damped_product(factors, damping, vector):
    return factors.damped(damping).product(vector)


def stream_of(samples, dtype):
    """Stream the rows of samples from the host, in batches of 7, with chunks of 4."""
    host = jax.device_get(samples)
    parts = (host.inputs, host.targets, host.sample_weight, host.tangents)
    rows = [None if part is None else np.concatenate([chunk.T for chunk in part]) for part in parts]

    def batches():
        for start in range(0, len(rows[0]), 7):
            yield Batch(*(None if part is None else part[start : start + 7] for part in rows))

    return StreamedSamples(batches, 7, 4, float(host.total_weight), dtype)


@pytest.mark.slow
@few
@given(data=st.data())
def test_a_streamed_evaluation_is_that_of_samples(streamed_case, data):
    case = streamed_case
    problem = data.draw(case.problems())
    with precision(case.dtype):
        theta = jnp.asarray(problem.theta, case.dtype)
        value, gradient, _ = jax.device_get(
            evaluate_stream(problem.objective(), theta, stream_of(problem.samples(), case.dtype))
        )
    streamed = float(value), np.asarray(gradient, float)
    assert problem.difference(streamed, problem.evaluate(), by_block=False) < case.tolerance(1e-12, 1e-5)


@pytest.mark.slow
def test_streamed_factors_are_those_of_samples(streamed_case):
    dtype = streamed_case.dtype
    problem = streamed_case.problem(beta=1.0 if streamed_case.sparse else 0.0)
    with precision(dtype):
        objective, theta, samples = problem.objective(), jnp.asarray(problem.theta, dtype), problem.samples()
        stream = stream_of(samples, dtype)
        vector = jnp.asarray(np.random.default_rng(0).normal(size=len(problem.theta)), dtype)
        damping = jnp.asarray(0.1, dtype)
        factors = factorize(objective, theta, samples, input_moments(samples), 1000)
        expected = damped_product(factors, damping, vector)
        got = damped_product(stream_factors(objective, theta, stream, stream_input_moments(stream)), damping, vector)
    tolerance = streamed_case.tolerance(1e-9, 1e-3)
    np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance * np.abs(expected).max())


@pytest.mark.slow
@pytest.mark.parametrize("solver", ["kronecker-lbfgs", pytest.param("lbfgs", marks=pytest.mark.exhaustive)])
def test_a_streamed_training_ends_in_the_same_minimum(training_job, dtype, solver):
    objective, samples, theta = training_job(dtype)
    seen = []
    options = {"dtype": dtype, "solver": solver, "tol": 1e-4}
    expected = train(objective, samples, theta, **options)
    streamed = train(objective, stream_of(samples, dtype), theta, callbacks=[FunctionCallback(seen.append)], **options)
    assert streamed.stop_reason == expected.stop_reason == "converged"
    # In float32 the two diverge on the way, and each ends where its gradient is within tol.
    assert streamed.history[-1].J == pytest.approx(expected.history[-1].J, rel=1e-3 if dtype == "float32" else 1e-4)
    assert [p.iteration for p in streamed.history] == list(range(len(streamed.history)))
    assert streamed.history[0].J == pytest.approx(expected.history[0].J, rel=1e-5)
    assert len(seen) >= len(streamed.history)


def test_the_next_batch_is_fetched_in_another_thread_while_one_is_used():
    threads = []

    def batches():
        for k in range(3):
            threads.append(threading.get_ident())
            yield Batch(np.full((4, 2), float(k)))

    stream = StreamedSamples(batches, 4, 4, 12.0, "float32")
    for count, _ in enumerate(stream, start=1):
        assert len(threads) >= count
    assert set(threads) != {threading.get_ident()}
    total = summed(lambda chunk: chunk.inputs)(stream)
    np.testing.assert_array_equal(total, np.full((2, 4), 3.0))


def test_an_error_while_a_batch_is_made_is_raised():
    def batches():
        yield Batch(np.ones((4, 2)))
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        list(StreamedSamples(batches, 4, 4, 8.0, "float32"))
    nothing = StreamedSamples(lambda: iter(()), 4, 4, 8.0, "float32")
    with pytest.raises(ValueError, match="no batches"):
        nothing.sum(lambda samples: samples)
    with pytest.raises(ValueError, match="no batches"):
        nothing.blank  # noqa: B018


@pytest.mark.slow
def test_values_that_are_not_finite_end_a_streamed_training(training_job):
    objective, samples, theta = training_job("float32")
    stream = stream_of(samples, "float32")
    broken = replace(stream, batches=lambda: (p._replace(inputs=p.inputs * np.inf) for p in stream.batches()))
    training = train(objective, broken, theta)
    assert training.stop_reason == "not_finite"
    assert training.broken_terms
