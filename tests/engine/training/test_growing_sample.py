"""Trainings that begin on a sample of the rows: they end at a minimum on all rows, and stop and resume as others do."""

from dataclasses import replace
from functools import partial

import jax
import numpy as np
import pytest

from sparsam.engine.data.samples import Samples
from sparsam.engine.jax_settings import precision
from sparsam.engine.objective.objective import Objective
from sparsam.engine.training import bursts, evaluators, train
from sparsam.engine.training.callbacks import FitCallback, FunctionCallback, StopWhen
from sparsam.engine.training.checkpoints import Checkpointer
from sparsam.engine.training.growing_sample import (
    GROWTH,
    LARGEST,
    LARGEST_FIRST,
    MOST_ITERATIONS,
    nested_samples,
    squared_error,
)
from sparsam.engine.training.stop_reasons import STOP_REASONS
from sparsam.engine.training.train_many import train_many

N_SAMPLES, CHUNK_SIZE, LEAST_ROWS = 640, 16, 70

evaluate = jax.jit(Objective.evaluate)


@pytest.fixture
def begin(training_job):
    """Return a function that trains on 640 rows, and begins on 80."""

    def begin(dtype="float32", **options):
        objective, samples, theta = training_job(dtype, n_samples=N_SAMPLES)
        with precision(dtype):
            parts = nested_samples(samples, LEAST_ROWS)
        assert [int(part.n_chunks[0]) for part in parts] == [5, 10, 20]
        training = train.train(objective, samples, theta, dtype=dtype, **{"begin_on": parts, **options})
        assert training.stop_reason in STOP_REASONS
        return training

    return begin


@pytest.fixture
def objective_at(training_job):
    """Return a function that evaluates J on all rows."""

    def objective_at(theta, dtype="float32"):
        objective, samples, _ = training_job(dtype, n_samples=N_SAMPLES)
        with precision(dtype):
            objective = jax.tree.map(lambda leaf: np.asarray(leaf, dtype), objective)
            return jax.device_get(evaluate(objective, theta, samples))

    return objective_at


def bits(training):
    """Return everything that does not depend on the clock."""
    rows = [(p.iteration, p.evaluations, p.J, p.gradient_norm, p.share) for p in training.sampled + training.history]
    return training.theta.tobytes(), training.stop_reason, rows


# The samples


@pytest.mark.parametrize("n_samples", [1, 15, 400, 640, 1000])
@pytest.mark.parametrize("least_rows", [1, 33, 200])
def test_samples_are_nested_and_grow_from_enough_rows_to_half(n_samples, least_rows):
    rng = np.random.default_rng(0)
    inputs, weights = rng.normal(size=(n_samples, 2)), rng.uniform(1, 2, n_samples)
    with precision("float64"):
        samples = Samples.from_arrays(inputs, None, weights, chunk_size=CHUNK_SIZE, dtype="float64")
        parts = nested_samples(samples, least_rows)
    n_chunks = -(-n_samples // CHUNK_SIZE)
    numbers = [int(part.n_chunks[0]) for part in parts]
    if -(-least_rows // CHUNK_SIZE) > LARGEST_FIRST * n_chunks:
        assert numbers == []
        return
    assert numbers[0] * CHUNK_SIZE >= least_rows > (numbers[0] - 1) * CHUNK_SIZE
    assert numbers[-1] <= LARGEST * n_chunks < GROWTH * numbers[-1]
    assert numbers == [numbers[0] * GROWTH**k for k in range(len(numbers))]
    for number, part in zip(numbers, parts, strict=True):
        np.testing.assert_allclose(float(part.total_weight), weights[: number * CHUNK_SIZE].sum(), rtol=1e-12)
        assert part.inputs is samples.inputs


def test_the_error_of_a_gradient_is_estimated_without_bias():
    rng = np.random.default_rng(0)
    rows = rng.normal(1.0, 2.0, (400, 6))
    estimated, true = [], []
    for _ in range(2000):
        drawn = rows[rng.permutation(len(rows))]
        own, larger = drawn[:50].mean(axis=0), drawn[:100].mean(axis=0)
        estimated.append(squared_error(own, larger, 50 / 400, 100 / 400))
        true.append(np.sum((own - rows.mean(axis=0)) ** 2))
    difference = np.array(estimated) - true
    assert abs(difference.mean()) < 4 * difference.std() / np.sqrt(len(difference))
    assert np.mean(estimated) > 10 * abs(difference.mean())


# The training


@pytest.mark.parametrize("solver", train.SOLVERS)
def test_the_training_ends_at_a_minimum_on_all_rows(begin, objective_at, dtype, solver):
    tol = {"float32": 1e-4, "float64": 1e-7}[dtype]
    training = begin(dtype, tol=tol, max_iter=3000, solver=solver)
    assert training.stop_reason == "converged"
    at_end = objective_at(training.theta, dtype)
    assert np.max(np.abs(at_end.gradient)) <= tol * (1 + 1e-3)
    np.testing.assert_allclose(training.history[-1].J, at_end.value, rtol=1e-5)
    assert training.history[-1].J < training.history[0].J
    assert [p.iteration for p in training.history] == list(range(len(training.history)))
    assert training.history[0].evaluations == 1
    assert {p.share for p in training.history} == {1.0}
    assert [p.iteration for p in training.sampled] == list(range(len(training.sampled)))
    shares = [p.share for p in training.sampled]
    assert shares == sorted(shares)
    assert set(shares) == {5 / 40, 10 / 40, 20 / 40}
    seconds = [p.seconds for p in training.sampled + training.history]
    assert seconds == sorted(seconds)


def test_evaluations_on_a_sample_count_by_its_share(begin, monkeypatch):
    taken, steps = [], evaluators.ResidentEvaluator.steps

    def counted(self, *arguments):
        state, records = steps(self, *arguments)
        taken.append(int(records.steps) * float(self.samples.total_weight) / N_SAMPLES)
        return state, records

    monkeypatch.setattr(evaluators.ResidentEvaluator, "steps", counted)
    training = begin(max_iter=5)
    counted = training.sampled[-1].evaluations + training.history[-1].evaluations
    np.testing.assert_allclose(counted, sum(taken))
    assert np.all(np.diff([p.evaluations for p in training.sampled]) > 0)


def test_steps_on_a_sample_do_not_depend_on_limits_or_bursts(begin, monkeypatch):
    short, long = begin(tol=1e-2, max_iter=3), begin(tol=1e-4, max_iter=30)
    n = len(short.history)
    assert bits(short)[2] == bits(long)[2][: len(short.sampled) + n]
    monkeypatch.setattr(train, "next_steps", lambda steps, seconds: steps % 7 + 3)
    assert bits(begin(tol=1e-4, max_iter=30)) == bits(long)


def test_trainings_side_by_side_begin_on_the_sample_too(begin, training_job):
    objective, samples, theta = training_job(n_samples=N_SAMPLES)
    with precision("float32"):
        parts = nested_samples(samples, LEAST_ROWS)
    found = train_many([objective] * 2, samples, [theta] * 2, begin_on=parts, max_iter=10)
    assert [bits(training) for training in found] == [bits(begin(max_iter=10))] * 2


def test_J_that_is_not_finite_is_found_on_all_rows(training_job):
    objective, samples, theta = training_job(n_samples=N_SAMPLES, scale=1e25)
    with precision("float32"):
        parts = nested_samples(samples, LEAST_ROWS)
    training = train.train(objective, samples, theta, begin_on=parts)
    assert training.stop_reason == "not_finite"
    assert training.broken_terms == train.train(objective, samples, theta).broken_terms
    np.testing.assert_array_equal(training.theta, theta.astype("float32"))


def test_where_all_rows_have_the_same_minimum_samples_grow_all_the_same(training_job):
    """Without noise (1) never holds: the gradients on all samples vanish together."""
    objective, _, theta = training_job("float64")
    row = np.random.default_rng(0).uniform(0.1, 0.9, (1, 6))
    with precision("float64"):
        samples = Samples.from_arrays(np.repeat(row, 640, axis=0), chunk_size=CHUNK_SIZE, dtype="float64")
        parts = nested_samples(samples, LEAST_ROWS)
    training = train.train(objective, samples, theta, dtype="float64", begin_on=parts, max_iter=500)
    assert training.stop_reason == "converged"
    for share in {p.share for p in training.sampled}:
        assert sum(p.share == share for p in training.sampled) <= MOST_ITERATIONS + 1
    assert max(p.share for p in training.sampled) == 0.5


@pytest.mark.parametrize("broken", [0, 1, 2])
def test_where_J_is_not_finite_on_a_sample_the_training_begins_on_all_rows(training_job, broken):
    objective, samples, theta = training_job(n_samples=N_SAMPLES)
    with precision("float32"):
        parts = nested_samples(samples, LEAST_ROWS)
        inputs = np.asarray(samples.inputs).copy()
        inputs[0, 0, 0] = np.nan
        spoilt = replace(parts[broken], inputs=jax.device_put(inputs))
    training = train.train(objective, samples, theta, begin_on=[*parts[:broken], spoilt], max_iter=10)
    plain = train.train(objective, samples, theta, max_iter=10)
    assert training.sampled == []
    assert bits(training) == bits(plain)


def test_samples_without_weight_are_left_out(training_job):
    objective, _, theta = training_job()
    inputs = np.random.default_rng(0).uniform(0.1, 0.9, (N_SAMPLES, 6))
    weights = np.concatenate([np.zeros(100), np.ones(220), np.zeros(320)])
    with precision("float32"):
        samples = Samples.from_arrays(inputs, None, weights, chunk_size=CHUNK_SIZE, dtype="float32")
        parts = nested_samples(samples, LEAST_ROWS)
    training = train.train(objective, samples, theta, begin_on=parts, max_iter=10)
    assert {p.share for p in training.sampled} == {60 / 220}  # the first has no weight, the third all of it


def test_the_first_burst_on_all_rows_is_short(begin, monkeypatch):
    """Bursts on a sample become long, of steps that take no time; those on all rows take longer."""
    taken, steps = [], evaluators.ResidentEvaluator.steps

    def counted(self, state, n_steps, pause):
        if float(self.samples.total_weight) == N_SAMPLES:
            taken.append(n_steps)
        return steps(self, state, n_steps, pause)

    monkeypatch.setattr(evaluators.ResidentEvaluator, "steps", counted)
    begin(max_iter=20, solver="lbfgs")
    after_growth = taken[taken.index(1) :] if 1 in taken else taken
    assert after_growth[1] <= 2


# Stops on a sample


class AtSample(FitCallback):
    """Call a function at every burst on a sample from an iteration on."""

    def __init__(self, function, iteration=12):
        self.function, self.iteration = function, iteration

    def on_sample(self, progress):
        return self.function() if progress.iteration >= self.iteration else None


def interrupt():
    raise KeyboardInterrupt


@pytest.fixture
def single_steps(monkeypatch):
    """Make bursts of one evaluation, so that a callback sees each."""
    monkeypatch.setattr(bursts, "BURST_SECONDS", 0.0)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"time_budget": 0.0}, "time_budget"),
        ({"callbacks": [StopWhen(lambda: True)]}, "interrupted"),
        ({"callbacks": [AtSample(lambda: "callback")]}, "callback"),
        ({"callbacks": [AtSample(interrupt)]}, "interrupted"),
    ],
    ids=["time", "stop", "callback", "Ctrl-C"],
)
def test_a_stop_on_a_sample_evaluates_all_rows(begin, objective_at, single_steps, options, reason):
    training = begin(**options)
    assert training.stop_reason == reason
    assert training.sampled
    (row,) = training.history
    at_end = objective_at(training.theta)
    assert (row.iteration, row.evaluations, row.share) == (0, 1, 1.0)
    np.testing.assert_allclose([row.J, sum(row.terms.values())], at_end.value, rtol=1e-5)
    np.testing.assert_allclose(row.gradient_norm, np.abs(at_end.gradient).max(), rtol=1e-3)


def test_user_callbacks_see_iterates_on_all_rows_only(begin, single_steps):
    seen = []
    training = begin(max_iter=6, callbacks=[FunctionCallback(seen.append)])
    assert [p.iteration for p in seen] == list(range(6))  # not the last, at which it could not stop
    assert {p.share for p in seen} == {1.0}
    assert len(training.sampled) > 6


class Killed(Exception):
    pass


def kill():
    raise Killed


@pytest.mark.parametrize("iteration", [0, 3, 10, 11, 27])
def test_a_training_killed_on_a_sample_resumes_to_the_same_bits(begin, single_steps, tmp_path, iteration):
    checkpointed = partial(Checkpointer, tmp_path, 0.0, fingerprint={})
    with pytest.raises(Killed):
        begin(max_iter=8, callbacks=[AtSample(kill, iteration)], checkpointer=checkpointed())
    resumed = begin(max_iter=8, checkpointer=checkpointed(resume=True))
    assert bits(resumed) == bits(begin(max_iter=8))
    assert resumed.history[-1].resumed == (1 if iteration else 0)  # nothing was saved before the first burst ended


def test_a_checkpoint_of_other_samples_is_refused(begin, single_steps, tmp_path, training_job):
    with pytest.raises(Killed):
        begin(callbacks=[AtSample(kill, 3)], checkpointer=Checkpointer(tmp_path, 0.0, fingerprint={}))
    with pytest.raises(ValueError, match=r"while training on a share of 0\.125 of the rows, but this training"):
        begin(begin_on=[], checkpointer=Checkpointer(tmp_path, 0.0, resume=True, fingerprint={}))


def test_a_training_killed_on_all_rows_keeps_what_was_sampled(begin, single_steps, tmp_path):
    checkpointed = partial(Checkpointer, tmp_path, 0.0, fingerprint={})
    stop = FunctionCallback(lambda progress: kill() if progress.iteration >= 3 else False)
    with pytest.raises(Killed):
        begin(max_iter=8, callbacks=[stop], checkpointer=checkpointed())
    assert bits(begin(max_iter=8, checkpointer=checkpointed(resume=True))) == bits(begin(max_iter=8))


def test_a_training_out_of_time_on_a_sample_goes_on_there(begin, single_steps, tmp_path):
    checkpointed = partial(Checkpointer, tmp_path, 0.0, fingerprint={})
    short = begin(max_iter=8, time_budget=0.0, checkpointer=checkpointed())
    assert short.stop_reason == "time_budget"
    assert bits(begin(max_iter=8, checkpointer=checkpointed(resume=True))) == bits(begin(max_iter=8))
