"""Training: its records, its reasons to stop, and that only the problem determines the result."""

import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sparsam.engine.curvature.factors import input_moments, kronecker_factors
from sparsam.engine.data.devices import all_devices
from sparsam.engine.jax_settings import precision
from sparsam.engine.minimizer import lbfgs
from sparsam.engine.objective.objective import Objective
from sparsam.engine.training import bursts, evaluators, result, train
from sparsam.engine.training.callbacks import FitCallback, FunctionCallback, StopWhen
from sparsam.engine.training.stop_reasons import REASON_OF_STATUS, STOP_REASONS

evaluate = jax.jit(Objective.evaluate)


def bits(training):
    """Return everything that does not depend on the clock."""
    rows = [(p.iteration, p.evaluations, p.J, p.gradient_norm, *p.terms.values()) for p in training.history]
    return training.theta.tobytes(), training.stop_reason, rows


@pytest.fixture
def check_last_row(training_job):
    def check(training, dtype="float32"):
        objective, samples, _ = training_job(dtype)
        with precision(dtype):
            objective = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), objective)
            value, gradient, terms = jax.device_get(evaluate(objective, jnp.asarray(training.theta), samples))
        last = training.history[-1]
        tolerance = {"float32": 1e-5, "float64": 1e-12}[dtype]
        np.testing.assert_allclose(last.J, value, rtol=tolerance)
        np.testing.assert_allclose(list(last.terms.values()), terms, rtol=tolerance, atol=tolerance)
        np.testing.assert_allclose(last.gradient_norm, np.abs(gradient).max(), rtol=0, atol=tolerance)

    return check


@pytest.fixture
def single_steps(monkeypatch):
    """Make bursts of one evaluation, so that a callback sees each."""
    monkeypatch.setattr(bursts, "BURST_SECONDS", 0.0)


# Records


@pytest.mark.slow
def test_history_has_a_row_for_every_iteration(dtype, run, check_last_row):
    training = run(dtype, options={"tol": {"float32": 1e-4, "float64": 1e-6}[dtype]})
    history = training.history
    assert training.stop_reason == "converged"
    assert [row.iteration for row in history] == list(range(len(history)))
    assert history[0].evaluations == 1
    assert np.all(np.diff([row.evaluations for row in history]) >= 1)
    assert np.all(np.diff([row.seconds for row in history]) >= 0)
    assert [set(row.terms) for row in history] == [{"squared_error", "weight_decay", "sparsity"}] * len(history)
    assert all(sum(row.terms.values()) == row.J for row in history)
    J = np.array([row.J for row in history])
    assert np.all(np.diff(J) <= 16 * np.finfo(dtype).eps * J[:-1])
    assert J[-1] < J[0]
    check_last_row(training, dtype)


@pytest.mark.slow
def test_first_row_describes_the_initial_weights(dtype, training_job, check_last_row):
    objective, samples, theta = training_job(dtype)
    training = train.train(objective, samples, theta, dtype=dtype, max_iter=0)
    assert training.stop_reason == "max_iter"
    assert len(training.history) == 1
    np.testing.assert_array_equal(training.theta, theta.astype(dtype))
    check_last_row(training, dtype)


@pytest.mark.slow
def test_converged_means_that_no_component_of_the_gradient_exceeds_tol(dtype, run):
    tol = {"float32": 1e-4, "float64": 1e-8}[dtype]
    training = run(dtype, options={"tol": tol})
    assert training.stop_reason == "converged"
    assert training.history[-1].gradient_norm <= tol
    assert all(row.gradient_norm > tol for row in training.history[:-1])


# What does not change the result


@pytest.mark.slow
def test_result_does_not_depend_on_the_length_of_bursts(dtype, monkeypatch, run):
    options, lengths = {"max_iter": 60, "tol": 0.0}, []

    def trained(next_steps):
        monkeypatch.setattr(train, "next_steps", next_steps)
        return bits(run(dtype, options=options | {"callback": lambda row: lengths.append(row.iteration)}))

    single = trained(lambda steps, seconds: 1)
    assert len(lengths) > 50
    assert trained(lambda steps, seconds: bursts.MAX_STEPS) == single
    assert trained(lambda steps, seconds: steps % 7 + 3) == single
    assert len(single[2]) == 61


def test_bursts_follow_the_clock_and_never_outgrow_their_records():
    longest, aim = bursts.MAX_STEPS, bursts.BURST_SECONDS
    for steps in (1, 2, longest // 2 + 1, longest):
        assert bursts.next_steps(steps, 0.0) == min(2 * steps, longest)
        assert bursts.next_steps(steps, aim) == steps
        assert bursts.next_steps(steps, 10 * aim) == max(steps // 2, 1)


@pytest.mark.parametrize("dtype", ["float32", pytest.param("float64", marks=pytest.mark.slow)])
def test_same_problem_gives_the_same_bits(dtype, run):
    assert bits(run(dtype, options={"max_iter": 40})) == bits(run(dtype, options={"max_iter": 40}))
    assert bits(run(dtype, options={"max_iter": 40})) != bits(run(dtype, seed=1, options={"max_iter": 40}))


@pytest.mark.slow
@pytest.mark.parametrize("solver", ["kronecker-lbfgs", "lbfgs"])
def test_training_equals_ask_and_tell_by_hand(run, training_job, solver):
    objective, samples, theta = training_job("float64")
    with precision("float64"):
        objective = jax.tree.map(lambda leaf: jnp.asarray(leaf, "float64"), objective)
        factors = None
        if solver == "kronecker-lbfgs":
            inputs = input_moments(samples)
            factors = kronecker_factors(objective, theta, samples, inputs, 0)
        state = lbfgs.initialize(jnp.asarray(theta), max_iter=20, factors=factors)
        refreshed = 0
        while state.status == lbfgs.RUNNING:
            evaluation = evaluate(objective, lbfgs.ask(state), samples)
            state = lbfgs.tell(state, evaluation.value, evaluation.gradient)
            if lbfgs.needs_factors(state):
                state = lbfgs.tell_factors(
                    state, kronecker_factors(objective, state.theta, samples, inputs, state.iteration)
                )
                refreshed += 1
        state = jax.device_get(state)
    assert refreshed == (6 if factors else 0)  # at iterations 2, 5, 8, 11, 14, 18
    training = run("float64", options={"max_iter": 20, "solver": solver})
    np.testing.assert_allclose(training.theta, state.theta, rtol=0, atol=1e-9)
    assert training.history[-1].evaluations == state.evaluations


@pytest.fixture
def compilations():
    """List the programs compiled since the test began."""
    names = []

    def listen(event, duration, fun_name="", **_):
        if event == "/jax/core/compile/backend_compile_duration":
            names.append(fun_name)

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield names
    jax.monitoring.unregister_event_duration_listener(listen)


@pytest.mark.slow
@pytest.mark.parametrize("devices", [lambda: None, all_devices], ids=["device", "mesh"])
@pytest.mark.parametrize("solver", ["kronecker-lbfgs", pytest.param("lbfgs", marks=pytest.mark.exhaustive)])
def test_one_program_serves_all_data_hyperparameters_seeds_and_bursts(run, compilations, solver, devices):
    jax.clear_caches()
    run = partial(run, mesh=devices())
    beta = jnp.float32(2)
    run(options={"max_iter": 3, "solver": solver})
    first = list(compilations)
    assert len(first) < 12
    assert first.count("jit(run_loop)") == 1
    for change in (
        {"n_samples": 33},
        {"n_samples": 48},
        {"seed": 7},
        {"alpha": 1},  # numbers of any type
        {"rho": np.float64(0.3)},
        {"beta": beta},
        {"beta": 0.0},
    ):
        run(options={"max_iter": 3, "solver": solver}, **change)
    for option in ({"tol": 1e-2}, {"max_iter": 60}, {"time_budget": 1e-9}, {"callback": lambda row: None}):
        run(options=option | {"solver": solver})
    assert compilations == first


def test_every_matrix_product_keeps_its_full_precision(training_job):
    objective, samples, theta = training_job()
    state = lbfgs.initialize(jnp.asarray(theta, "float32"))
    program = jax.jit(evaluators.run_loop).lower(objective, samples, state, 1, 1).as_text()
    products = re.findall(r"dot_general.*", program)
    assert len(products) > 10
    assert all("precision = [HIGHEST, HIGHEST]" in product for product in products)


# Reasons to stop


def test_max_iter(run):
    training = run(options={"max_iter": 7, "tol": 0.0})
    assert training.stop_reason == "max_iter"
    assert training.history[-1].iteration == 7


class Counting(FitCallback):
    """Sees every iterate, and stops on request."""

    every_iteration = True

    def __init__(self, stop=False):
        self.stop, self.seen = stop, []

    def on_iterate(self, progress, theta, stop_reason):
        if self.seen[-1:] != [progress.iteration]:
            self.seen.append(progress.iteration)
        return stop_reason or ("held_out" if self.stop else "")


@pytest.mark.parametrize(("options", "reason"), [({"max_iter": 5}, "max_iter"), ({"tol": 0.1}, "converged")])
def test_a_callback_may_see_every_iterate_and_the_last_one_too(run, options, reason):
    counting = Counting()
    training = run(options=options | {"callbacks": [counting]})
    assert counting.seen == [row.iteration for row in training.history]
    assert training.stop_reason == reason
    assert run(options=options | {"callbacks": [Counting(stop=True)]}).stop_reason == "held_out"


def test_the_first_callback_says_why(single_steps, run):
    stops = [StopWhen(lambda: True), FunctionCallback(lambda progress: True)]
    assert run(options={"callbacks": stops}).stop_reason == "interrupted"
    assert run(options={"callbacks": stops[::-1]}).stop_reason == "callback"


def test_a_callback_need_not_pass_on_the_reason(run):
    """A callback cannot erase a reason either: the training ends."""

    class Silent(FitCallback):
        def on_iterate(self, progress, theta, stop_reason):
            return None

    assert run(options={"max_iter": 5, "callbacks": [Silent()]}).stop_reason == "max_iter"


@pytest.mark.parametrize("collective", [False, True])
def test_processes_agree_on_a_failure_unless_the_callback_is_collective(monkeypatch, run, collective):
    class Failing(FitCallback):
        def on_iterate(self, progress, theta, stop_reason):
            raise MemoryError("of the callback")

    callback, votes, genuine = Failing(), [], evaluators.agree
    callback.collective = collective
    monkeypatch.setattr(evaluators, "agree", lambda mesh, *vote: votes.append(vote) or genuine(mesh, *vote))
    with pytest.raises(MemoryError, match="of the callback"):
        run(options={"callbacks": [callback]})
    assert [reason for _, reason in votes] == ([] if collective else ["failed"])


def test_precision(run):
    training = run(options={"tol": 1e-30, "max_iter": 10_000})
    assert training.stop_reason == "precision"
    assert training.history[-1].gradient_norm < 1e-4


def test_time_budget(run):
    training = run(options={"time_budget": 0.0})
    assert training.stop_reason == "time_budget"
    assert len(training.history) == 1


def test_callback_stops_where_it_says_true(single_steps, run, check_last_row):
    seen = []

    def callback(row):
        seen.append(row)
        return row.iteration == 4

    training = run(options={"callback": callback})
    assert training.stop_reason == "callback"
    assert training.history[-1] is seen[-1]
    assert [row.iteration for row in seen][-1] == 4
    check_last_row(training)


@pytest.mark.parametrize("iteration", [0, 5])
def test_interrupt_in_a_callback_leaves_the_last_iterate(single_steps, iteration, run, check_last_row):
    def callback(row):
        if row.iteration == iteration:
            raise KeyboardInterrupt

    training = run(options={"callback": callback})
    assert training.stop_reason == "interrupted"
    assert training.history[-1].iteration == iteration
    check_last_row(training)


def test_interrupt_before_there_is_anything_is_passed_on(monkeypatch, run):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(evaluators, "_burst", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run()


def test_interrupt_in_a_later_burst_leaves_the_iterate_of_the_one_before(monkeypatch, run, check_last_row):
    genuine, calls = evaluators._burst, []

    def interrupted(*arguments):
        calls.append(arguments)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return genuine(*arguments)

    monkeypatch.setattr(evaluators, "_burst", interrupted)
    training = run()
    assert training.stop_reason == "interrupted"
    check_last_row(training)


def test_interrupt_while_history_is_written_leaves_it_in_step_with_the_weights(monkeypatch, run, check_last_row):
    genuine = train.Progress

    def interrupted(**fields):
        if fields["iteration"] == 5:
            raise KeyboardInterrupt
        return genuine(**fields)

    monkeypatch.setattr(result, "Progress", interrupted)
    training = run()
    assert training.stop_reason == "interrupted"
    check_last_row(training)


def test_data_out_of_range_end_as_not_finite_with_the_term_named(run, training_job):
    training = run(scale=1e30, beta=0.0)
    assert training.stop_reason == "not_finite"
    assert training.broken_terms == ("squared_error",)
    assert training.history == []
    np.testing.assert_array_equal(training.theta, training_job()[2].astype("float32"))


def test_every_reason_has_an_explanation():
    assert set(REASON_OF_STATUS.values()) <= set(STOP_REASONS)
    assert set(REASON_OF_STATUS) == {lbfgs.CONVERGED, lbfgs.PRECISION, lbfgs.MAX_ITER, lbfgs.NOT_FINITE}
    assert all(STOP_REASONS.values())
