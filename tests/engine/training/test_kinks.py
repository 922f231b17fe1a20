"""Trainings of an objective with kinks: rounded over a width that narrows, after mini-batches."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsam import reference
from sparsam._utils.stop_signals import interrupts
from sparsam.engine.data.samples import Samples
from sparsam.engine.jax_settings import precision
from sparsam.engine.network.activations import get_activation
from sparsam.engine.network.network import Network
from sparsam.engine.objective.error_functions import SquaredError
from sparsam.engine.objective.objective import Objective
from sparsam.engine.objective.penalties import L1Sparsity, WeightDecay
from sparsam.engine.training import adam, kinks, mini_batches
from sparsam.engine.training.adam import batch_of
from sparsam.engine.training.callbacks import FitCallback, FunctionCallback
from sparsam.engine.training.checkpoints import Checkpointer
from sparsam.engine.training.kinks import WIDTHS, train_with_kinks
from sparsam.engine.training.mini_batches import descend
from sparsam.engine.training.train import train
from sparsam.reference.gradcheck import numerical_gradient

D, K, BETA, ALPHA = 6, 9, 0.05, 1e-4
NETWORK = Network((D, K, D), "relu", "identity")
OBJECTIVE = Objective(NETWORK, (SquaredError(), WeightDecay(ALPHA), L1Sparsity(BETA)))


@pytest.fixture(scope="module")
def inputs():
    """Rows that are sums of two of eight directions, of length 1 on average."""
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(8, D))
    X = sum(rng.exponential(size=(120, 1)) * directions[rng.integers(8, size=120)] for _ in range(2))
    X = X + 0.1 * rng.normal(size=X.shape)
    X -= X.mean(axis=0)
    return X / np.sqrt(np.mean(np.sum(X**2, axis=1)))


@pytest.fixture(scope="module")
def samples(inputs):
    with precision("float32"):
        return Samples.from_arrays(inputs, chunk_size=64, dtype="float32")


@pytest.fixture(scope="module")
def theta():
    return NETWORK.initialize_dictionary(np.random.default_rng(1))


DEVIATION = D**-0.5  # of an input


def run(samples, theta, **options):
    options = {"tol": 1e-5, "max_iter": 1000} | options
    return train_with_kinks(OBJECTIVE, samples, theta, **options)


def by_hand(theta, inputs, kink_width=0.0):
    """Compute J in NumPy, with kinks rounded over a width."""
    (W1, W2), (b1, b2) = NETWORK.unravel(np.asarray(theta, float))
    a = inputs @ W1 + b1
    z = np.maximum(a, 0)
    if kink_width:
        z = np.where(np.abs(a) < kink_width, (a + kink_width) ** 2 / (4 * kink_width), z)
    error = 0.5 * np.sum((z @ W2 + b2 - inputs) ** 2, axis=1).mean()
    lengths = np.sqrt(np.sum(W2**2, axis=1))
    return error + ALPHA / 2 * (np.sum(W1**2) + np.sum(W2**2)) + BETA * z.mean(axis=0) @ lengths


@given(a=st.floats(-3, 3), width=st.floats(1e-3, 1))
def test_a_rounded_kink_is_smooth_and_differs_only_within_the_width(a, width):
    with precision("float64"):
        h = get_activation("relu").smooth(width)
        value, slope = h(jnp.asarray(a)).item(), jax.grad(h)(jnp.asarray(a)).item()
    assert 0 <= slope <= 1
    if abs(a) >= width:
        assert (value, slope) == (max(a, 0.0), float(a > 0))
    else:
        assert 0 <= value - max(a, 0.0) <= width / 4 * (1 + 1e-12)
        assert slope == pytest.approx((a + width) / (2 * width), abs=1e-12)


def test_activations_without_kinks_and_widths_of_zero_change_nothing():
    a = jnp.linspace(-2, 2, 9)
    for name in ("logistic", "tanh", "identity"):
        assert get_activation(name).smooth(0.5) is get_activation(name).function
    np.testing.assert_array_equal(get_activation("relu").smooth(0.0)(a), np.maximum(a, 0))


def test_the_gradient_of_the_rounded_objective_is_the_numerical_one(inputs, theta):
    with precision("float64"):
        data = Samples.from_arrays(inputs, chunk_size=64, dtype="float64")
        objective = jax.tree.map(lambda leaf: jnp.asarray(leaf, "float64"), replace(OBJECTIVE, kink_width=0.3))
        value, gradient, _ = jax.jit(Objective.evaluate)(objective, jnp.asarray(theta), data)
    assert value == pytest.approx(by_hand(theta, inputs, 0.3), rel=1e-12)
    # The slope of a parabola has kinks of its own at its ends, so the difference is of first order there.
    numerical = numerical_gradient(lambda point: by_hand(point, inputs, 0.3), theta, 1e-5)
    np.testing.assert_allclose(gradient, numerical, atol=1e-6)


def test_it_converges_to_a_lower_cost_than_steps_that_meet_the_kinks(inputs, samples, theta):
    training = run(samples, theta)
    plain = train(OBJECTIVE, samples, theta, tol=1e-5, max_iter=1000)
    assert training.stop_reason == "converged"
    assert plain.stop_reason != "converged"
    assert training.history[-1].J < plain.history[-1].J + 1e-4
    assert len(training.history) < len(plain.history)


def test_at_the_end_the_gradient_rounded_over_the_last_width_is_within_tol(inputs, samples, theta):
    training = run(samples, theta)
    width = WIDTHS[-1] * DEVIATION
    gradient = numerical_gradient(lambda point: by_hand(point, inputs, width), np.asarray(training.theta, float), 1e-6)
    assert np.abs(gradient).max() <= 1.1e-5 + 1e-6  # the training's is rounded to float32
    assert training.history[-1].gradient_norm <= 1e-5


def test_the_cost_at_the_end_is_that_without_rounding(inputs, samples, theta):
    training = run(samples, theta)
    (W1, W2), (b1, b2) = NETWORK.unravel(np.asarray(training.theta, float))
    expected, *_ = reference.network_cost(
        [W1, W2],
        [b1, b2],
        inputs,
        inputs,
        hidden_activation="relu",
        output_activation="identity",
        alpha=ALPHA,
        beta=BETA,
        sparsity="l1",
    )
    assert training.history[-1].J == pytest.approx(expected, rel=1e-5)
    assert sum(training.history[-1].terms.values()) == pytest.approx(expected, rel=1e-5)
    assert [progress.iteration for progress in training.history] == list(range(len(training.history)))


@pytest.mark.parametrize("max_iter", [0, 7, 60])
def test_max_iter_counts_the_iterations_at_all_widths(samples, theta, max_iter):
    training = run(samples, theta, max_iter=max_iter, tol=0.0)
    assert training.stop_reason == "max_iter"
    assert len(training.history) == max_iter + 1


def test_a_callback_and_a_time_budget_end_it(samples, theta):
    stop = FunctionCallback(lambda progress: progress.iteration >= 3)
    assert run(samples, theta, callbacks=[stop]).stop_reason == "callback"
    assert run(samples, theta, time_budget=0.0).stop_reason == "time_budget"


def test_a_large_tol_ends_it_earlier(samples, theta):
    loose = run(samples, theta, tol=1e-3)
    assert loose.stop_reason == "converged"
    assert len(loose.history) < len(run(samples, theta).history) / 2


def test_ctrl_c_between_two_widths_keeps_the_weights(samples, theta, monkeypatch):
    parts = []

    def interrupted(*arguments, **options):
        if len(parts) == 2:
            raise KeyboardInterrupt
        parts.append(train(*arguments, **options))
        return parts[-1]

    monkeypatch.setattr(kinks, "train", interrupted)
    monkeypatch.setattr(interrupts, "last", -np.inf)
    training = run(samples, theta)
    assert training.stop_reason == "interrupted"
    np.testing.assert_array_equal(training.theta, parts[-1].theta)
    assert len(training.history) == sum(len(part.history) for part in parts) - 1


class Memory(Checkpointer):
    """Checkpoints of each part of a training, in memory."""

    writes = True

    def __init__(self):
        super().__init__()
        self.saved, self.part = {}, 0

    def begin_part(self, depends_on):
        self.part += 1

    def load(self):
        return self.saved.get(self.part)

    def due(self, seconds):
        return True

    def save(self, state):
        self.saved[self.part] = state


@pytest.mark.parametrize("batches", [False, True])
@pytest.mark.parametrize("stopped_at", [5, 45])
def test_a_resumed_training_ends_at_the_same_bits(samples, theta, monkeypatch, batches, stopped_at):
    monkeypatch.setattr(mini_batches, "FIRST_CYCLE", 80)
    options = {"mini_batches": samples if batches else None, "max_iter": 120}
    whole = run(samples, theta, **options)

    class Stop(FitCallback):
        seen = 0

        def on_sample(self, progress):
            return self.on_iterate(progress, None, "")

        def on_iterate(self, progress, theta, stop_reason):
            self.seen += 1
            return "callback" if self.seen >= stopped_at else None

        every_iteration = True

    memory = Memory()
    first = run(samples, theta, callbacks=[Stop()], checkpointer=memory, **options)
    assert first.stop_reason == "callback"
    memory.part = 0
    resumed = run(samples, theta, checkpointer=memory, **options)
    np.testing.assert_array_equal(resumed.theta, whole.theta)
    assert resumed.stop_reason == whole.stop_reason
    assert [p.J for p in resumed.history] == [p.J for p in whole.history]
    assert [p.J for p in resumed.sampled] == [p.J for p in whole.sampled]


@pytest.mark.parametrize("n_batches", [1, 10, 77])
def test_each_pass_takes_every_batch_once(n_batches):
    steps = jnp.arange(3 * n_batches)
    order = np.asarray(jax.vmap(lambda step: batch_of(step, jnp.int32(n_batches), jnp.uint32(5)))(steps))
    passes = order.reshape(3, n_batches)
    np.testing.assert_array_equal(np.sort(passes, axis=1), np.tile(np.arange(n_batches), (3, 1)))
    if n_batches >= 10:
        assert not np.array_equal(passes[0], passes[1])
        assert not np.array_equal(passes[0], np.arange(n_batches))


def test_mini_batches_lower_the_cost_in_cycles(inputs, theta, monkeypatch):
    monkeypatch.setattr(mini_batches, "FIRST_CYCLE", 400)
    with precision("float64"):
        data = Samples.from_arrays(inputs, chunk_size=64, dtype="float64")
        descent = descend(OBJECTIVE, data, theta, total_weight=120.0)
    costs = [progress.J for progress in descent.sampled]
    assert np.mean(costs[-5:]) < 0.5 * costs[0]
    assert len(costs) in [mini_batches.n_batch_steps(cycles) // mini_batches.STEPS for cycles in (2, 3, 4)]


class Clock:
    """A clock by which each burst takes a second, and from some burst on two."""

    def __init__(self, slower_from=10**9):
        self.calls, self.slower_from = 0, slower_from

    def perf_counter(self):
        self.calls += 1
        return float(self.calls + max(self.calls - self.slower_from, 0))


@pytest.mark.parametrize("slower_from", [10**9, 25])
@pytest.mark.parametrize("budget", [30.0, 55.0])  # within the first cycle, and within the second
def test_a_time_budget_that_ends_within_a_cycle_lets_the_rate_fall_to_zero(
    inputs, theta, monkeypatch, budget, slower_from
):
    monkeypatch.setattr(mini_batches, "FIRST_CYCLE", 800)
    monkeypatch.setattr(mini_batches, "time", Clock(slower_from))
    left = []

    def recording(objective, samples, state, cycle):
        left.append(int(cycle.n_steps) - int(state.step))
        return steps(objective, samples, state, cycle)

    steps = mini_batches.compiled_steps
    monkeypatch.setattr(mini_batches, "compiled_steps", recording)
    with precision("float64"):
        data = Samples.from_arrays(inputs, chunk_size=64, dtype="float64")
        descent = descend(OBJECTIVE, data, theta, total_weight=120.0, time_budget=budget)
    assert descent.stop_reason == "time_budget"
    assert left[-1] <= 2 * mini_batches.STEPS
    assert left[0] == 800


def test_a_batch_is_a_part_of_the_samples(inputs):
    weights = np.random.default_rng(2).uniform(size=len(inputs))
    with precision("float64"):
        data = Samples.from_arrays(inputs, sample_weight=weights, chunk_size=64, dtype="float64")
        parts = [data.batch(jnp.int32(k), 16) for k in range(8)]
    rows = np.concatenate([np.asarray(part.inputs)[0].T for part in parts])
    np.testing.assert_array_equal(rows[: len(inputs)], inputs)
    assert sum(float(part.total_weight) for part in parts) == pytest.approx(weights.sum())


def test_the_cost_of_mini_batches_is_that_of_all_rows_whatever_is_padding(inputs, theta, monkeypatch):
    """120 rows in chunks of 160 with batches of 16: half of the eighth batch is padding, and all of the last two."""
    monkeypatch.setattr(adam, "BATCH_ROWS", 16)
    monkeypatch.setattr(mini_batches, "RATE", 0.0)
    with precision("float64"):
        data = Samples.from_arrays(inputs, chunk_size=160, dtype="float64")
        descent = descend(OBJECTIVE, data, theta, total_weight=120.0)
        exact = float(jax.jit(Objective.evaluate)(OBJECTIVE, jnp.asarray(theta), data).value)
    assert [progress.J for progress in descent.sampled[:10]] == pytest.approx(
        [exact] * 10, rel=1e-12
    )  # two passes each
