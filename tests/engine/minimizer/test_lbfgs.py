"""The minimizer by its public interface: ask, evaluate, tell. Functions are in NumPy unless a compiler is needed."""

from dataclasses import dataclass
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sparsam.engine.jax_settings import precision
from sparsam.engine.minimizer import inverse_bfgs as bfgs
from sparsam.engine.minimizer import lbfgs
from sparsam.engine.minimizer.lbfgs import CONVERGED, MAX_ITER, NOT_FINITE, PRECISION, RUNNING

few = settings.get_profile("few")

seeds = st.integers(0, 2**32 - 1)
ask, tell = jax.jit(lbfgs.ask), jax.jit(lbfgs.tell)
START = np.array([-1.2, 1.0])


def minimize(function, start, dtype="float64", **options):
    """Return all states from the first, or a given one, to the last; ``function`` takes and returns NumPy arrays."""
    with precision(dtype), np.errstate(all="ignore"):
        resumed = isinstance(start, lbfgs.LBFGSState)
        states = [
            jax.tree.map(jnp.asarray, start) if resumed else lbfgs.initialize(jnp.asarray(start, dtype), **options)
        ]
        while states[-1].status == RUNNING:
            value, gradient = function(np.asarray(ask(states[-1])))
            states.append(tell(states[-1], jnp.asarray(value, dtype), jnp.asarray(gradient, dtype)))
            assert len(states) < 5000, "it does not end"
        return jax.device_get(states)


def iterates(states):
    """Return the states after the first evaluation and after each accepted trial."""
    return [state for state in states if state.accepted]


def least_squares(condition, seed, dim=10):
    """Make 1/2 sum_i c_i (q_i'(x - m))^2, q_i orthonormal, c_i from 1 down to 1/condition; its minimum is at m."""
    rng = np.random.default_rng(seed)
    Q, _ = np.linalg.qr(rng.normal(size=(dim, dim)))
    m, c = rng.normal(size=dim).astype(np.float32), np.geomspace(1, 1 / condition, dim)

    def function(x):
        residual = Q.T.astype(x.dtype) @ (x - m)
        return np.sum(c.astype(x.dtype) * residual**2) / 2, Q.astype(x.dtype) @ (c.astype(x.dtype) * residual)

    return function, m, rng.normal(size=dim)


def rosenbrock(x):
    x, y = x
    value = 100 * (y - x**2) ** 2 + (1 - x) ** 2
    return value, np.array([-400 * x * (y - x**2) - 2 * (1 - x), 200 * (y - x**2)])


# Minima


@pytest.mark.slow
@few
@given(condition=st.sampled_from([1.0, 1e3, 1e6]), seed=seeds)
@example(condition=1e6, seed=0)
def test_planted_minimum_of_a_quadratic_is_found(dtype, condition, seed):
    function, m, start = least_squares(condition, seed)
    tol = {"float64": 1e-11, "float32": 1e-7}[dtype]
    last = minimize(function, start, dtype, tol=tol, max_iter=200)[-1]
    assert last.status == CONVERGED
    assert last.gradient_norm <= tol
    # |x - m| <= |H^-1| |g|, where the smallest eigenvalue of H is 1/condition, and g is rounded.
    rounding = 10 * np.finfo(dtype).eps * np.abs(m).max()
    assert np.linalg.norm(last.theta - m) <= condition * (np.linalg.norm(last.gradient) + rounding)
    np.testing.assert_array_equal(last.gradient, function(last.theta)[1].astype(dtype))
    assert last.value == function(last.theta)[0]


@pytest.mark.slow
def test_minimum_of_rosenbrocks_function_is_found(dtype):
    states = minimize(rosenbrock, START, dtype, tol={"float64": 1e-10, "float32": 1e-5}[dtype])
    assert states[-1].status == CONVERGED
    assert states[-1].evaluations == len(states) - 1 < 80
    np.testing.assert_allclose(states[-1].theta, 1, rtol=0, atol={"float64": 1e-10, "float32": 1e-4}[dtype])


def test_minimum_is_found_where_the_decrease_drowns_in_the_rounding_of_the_value():
    function, m, start = least_squares(100.0, 0)

    def noisy(x):  # rounded to three units in the last place of 1000, while the last steps gain 1e-10
        value, gradient = function(x)
        return 1000 + value + 2e-4 * np.sin(1e6 * np.sum(x)), gradient

    last = minimize(noisy, start, "float32", tol=1e-5)[-1]
    assert last.status == CONVERGED
    np.testing.assert_allclose(last.theta, m, rtol=0, atol=1e-3)


@pytest.mark.slow
@few
@given(start=st.tuples(st.floats(0.01, 100), st.floats(0.01, 100)), outside=st.sampled_from([np.nan, np.inf, -np.inf]))
def test_minimum_is_found_where_part_of_the_space_is_not_finite(dtype, start, outside):
    def barrier(x):  # minimum at 1; long steps end beyond 0
        if np.any(x <= 0):
            return outside, np.zeros(2)
        return np.sum(x - np.log(x)), 1 - 1 / x

    states = minimize(barrier, start, dtype, tol=1e-4)
    assert states[-1].status == CONVERGED
    np.testing.assert_allclose(states[-1].theta, 1, rtol=0, atol=1e-3)
    assert all(np.all(np.isfinite(state.theta)) and np.isfinite(state.value) for state in states[1:])


def test_finite_value_with_a_gradient_that_is_not_counts_as_a_step_too_long():
    def broken(x):
        value, gradient = rosenbrock(x)
        return value, np.where(np.abs(x) > 1.5, np.nan, gradient)

    last = minimize(broken, START)[-1]
    assert last.status == CONVERGED
    np.testing.assert_allclose(last.theta, 1, rtol=0, atol=1e-3)


# Steps


@pytest.mark.parametrize(
    ("function", "start"),
    [
        (rosenbrock, START),
        (lambda x: (50 * x @ x, 100 * x), np.array([0.4, 0.29])),  # the first trial is beyond the minimum, and higher
        least_squares(1e4, 1)[::2],
    ],
)
def test_every_step_satisfies_the_weak_wolfe_conditions(function, start):
    steps = iterates(minimize(function, start, tol=1e-6))
    assert steps[-1].status == CONVERGED
    for before, after in pairwise(steps):
        step = after.theta - before.theta
        slope = before.gradient @ step
        assert slope < 0
        noise = 1e-14 * abs(before.value)
        assert after.value <= before.value + 1e-4 * slope + noise
        assert after.gradient @ step >= 0.9 * slope * (1 + 1e-8)


def test_direction_is_that_of_the_dense_bfgs_matrix_of_the_last_pairs():
    function, _, start = least_squares(1e4, 2)
    steps = iterates(minimize(function, start, tol=1e-6))
    assert len(steps) > 30
    for k in (1, 2, 19, 20, 21, 30):
        s = [steps[i + 1].theta - steps[i].theta for i in range(max(k - 20, 0), k)]
        y = [steps[i + 1].gradient - steps[i].gradient for i in range(max(k - 20, 0), k)]
        H = np.eye(10) * (s[-1] @ y[-1]) / (y[-1] @ y[-1])
        for s_i, y_i in zip(s, y, strict=True):  # Nocedal & Wright, eq. 7.16
            V = np.eye(10) - np.outer(y_i, s_i) / (s_i @ y_i)
            H = V.T @ H @ V + np.outer(s_i, s_i) / (s_i @ y_i)
        np.testing.assert_allclose(steps[k].search.direction, -H @ steps[k].gradient, rtol=1e-6, atol=1e-10)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_first_trial_goes_down_the_gradient_and_no_further_than_one(scale):
    first = minimize(lambda x: (scale * x @ x, 2 * scale * x), START, tol=1e-9)[1]
    np.testing.assert_array_equal(first.search.direction, -first.gradient)
    assert 0 < np.linalg.norm(lbfgs.ask(first) - START) <= 1 + 1e-12


def test_overshoot_is_interpolated_to_the_minimum_of_a_parabola():
    states = minimize(lambda x: (50 * x @ x, 100 * x), [0.4, 0.29], tol=1e-10)
    assert [bool(state.accepted) for state in states[1:]] == [True, False, True]
    np.testing.assert_allclose(states[-1].theta, 0, rtol=0, atol=1e-12)


def test_trial_too_high_yet_descending_is_interpolated_by_the_values():
    asked = []

    def function(x):  # -t at first and 1 at t = 1: the parabola through these, 2t^2 - t, has its minimum at 1/4
        asked.append(x)
        return [(0.0, [-1.0, 0.0]), (1.0, [-0.5, 0.0]), (-0.1, [0.0, 0.0])][len(asked) - 1]

    assert minimize(function, [0.0, 0.0])[-1].status == CONVERGED
    np.testing.assert_allclose(asked, [[0, 0], [1, 0], [0.25, 0]], rtol=1e-12)


@pytest.mark.slow
def test_failed_search_starts_again_down_the_gradient_without_the_pairs():
    state = minimize(rosenbrock, START)[15]
    assert state.pairs.stored > 0
    with precision("float64"):
        while state.pairs.stored > 0 and state.status == RUNNING:
            state = jax.device_get(tell(state, jnp.nan, jnp.full(2, jnp.nan)))
    assert state.status == RUNNING
    np.testing.assert_array_equal(state.search.direction, -state.gradient)
    assert minimize(rosenbrock, state)[-1].status == CONVERGED


@pytest.mark.parametrize("curvature", [-1.0, 0.0, 1e-20, np.nan])
def test_pair_without_positive_curvature_is_skipped(curvature):
    with precision("float64"):
        pairs = jax.tree.map(jnp.asarray, bfgs.Pairs.none(jnp.zeros(2), 2))
        good, bad = pairs, None
        for y in (jnp.array([2.0, 1.0]), jnp.array([curvature, 3.0])):
            s = jnp.array([1.0, 0.0])
            good, bad = bad or good, bfgs.remember(bad or good, s, y, (s @ s, s @ y, y @ y), jnp.asarray(True))
        good, bad = jax.device_get((good, bad))
    assert good.stored == 1
    for before, after in zip(jax.tree.leaves(good), jax.tree.leaves(bad), strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.slow
@pytest.mark.parametrize("broken", [np.nan, *(pytest.param(b, marks=pytest.mark.slow) for b in (np.inf, -1.0))])
def test_minimum_is_found_whatever_the_factors_are_worth(broken):
    """The search follows the negative gradient if H0 is not finite, or its direction points uphill."""

    @jax.tree_util.register_dataclass
    @dataclass(frozen=True)
    class Multiple:
        factor: jax.Array

        def damped(self, damping):
            return self

        def product(self, vector):
            return self.factor * vector

    function, m, start = least_squares(3.0, 0)
    with precision("float64"):
        last = minimize(function, start, tol=1e-6, factors=Multiple(np.float64(broken)))[-1]
    assert last.status == CONVERGED
    np.testing.assert_allclose(last.theta, m, rtol=0, atol=1e-5)


def test_no_step_is_lost_where_curvature_drowns_in_rounding():
    def turning(x):  # a gradient that changes more and more across the step, and hardly along it
        return -x[0], np.array([-1.0 + 0.5 * (x[0] > 0), 1e20 * x[0]])

    first, second = minimize(turning, [0.0, 0.0], max_iter=1)[1:]
    assert first.accepted
    assert second.accepted
    assert second.pairs.stored == 0


# Ends


@pytest.mark.parametrize("max_iter", [0, 1, 7])
def test_max_iter_is_honored_exactly(max_iter):
    states = minimize(rosenbrock, START, max_iter=max_iter)
    assert states[-1].status == MAX_ITER
    assert states[-1].iteration == max_iter == len(iterates(states)) - 1


def test_iterations_and_evaluations_count_steps_and_calls():
    states = minimize(rosenbrock, START)
    assert [int(state.evaluations) for state in states] == list(range(len(states)))
    accepted = np.cumsum([bool(state.accepted) for state in states])
    np.testing.assert_array_equal([state.iteration for state in states[1:]], accepted[1:] - 1)


@pytest.mark.slow
def test_start_at_the_minimum_needs_one_evaluation(dtype):
    states = minimize(rosenbrock, [1.0, 1.0], dtype)
    assert states[-1].status == CONVERGED
    assert (len(states), states[-1].iteration) == (2, 0)


@pytest.mark.slow
@pytest.mark.parametrize("function", [rosenbrock, lambda x: (np.sum(np.abs(x)), np.sign(x) + (x == 0))])
def test_tolerance_out_of_reach_ends_for_want_of_precision(dtype, function):
    states = minimize(function, START, dtype, tol=-1.0, max_iter=4000)
    assert states[-1].status == PRECISION
    assert states[-1].value <= min(state.value for state in states) + 1e-12
    assert states[-1].value < 1e-3


@pytest.mark.parametrize("bad", [(np.nan, np.ones(2)), (np.inf, np.ones(2)), (1.0, np.array([1.0, np.nan]))])
def test_start_that_is_not_finite_ends_at_once_and_keeps_the_weights(bad):
    last = minimize(lambda x: bad, START)[-1]
    assert (last.status, last.evaluations) == (NOT_FINITE, 1)
    np.testing.assert_array_equal(last.theta, START)
    assert not last.accepted


def test_nothing_finite_but_the_start_ends_there(dtype):
    start = np.array([-1.25, 1.0])
    last = minimize(lambda x: rosenbrock(x) if np.all(x == start) else (np.nan, np.full(2, np.nan)), start, dtype)[-1]
    assert last.status == NOT_FINITE
    np.testing.assert_array_equal(last.theta, start)


def test_what_turns_infinite_for_good_ends_at_the_last_finite_iterate():
    calls = []

    def dying(x):
        calls.append(x)
        return rosenbrock(x) if len(calls) < 15 else (np.nan, np.full(2, np.nan))

    states = minimize(dying, START)
    assert states[-1].status == NOT_FINITE
    np.testing.assert_array_equal(states[-1].theta, iterates(states)[-1].theta)
    assert states[-1].value == rosenbrock(states[-1].theta)[0]


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e10])
@pytest.mark.parametrize("edge", [np.inf, 5.0])
def test_function_unbounded_below_ends_as_not_finite(dtype, scale, edge):
    def descent(x):
        return (-scale * np.sum(x), np.full(2, -scale)) if np.all(x < edge) else (-np.inf, np.full(2, -scale))

    last = minimize(descent, START, dtype, tol=1e-6, max_iter=100)[-1]
    assert last.status == NOT_FINITE
    np.testing.assert_array_equal(last.theta, START.astype(dtype))  # no step satisfied the line search
    assert last.value == pytest.approx(-scale * START.sum())


@pytest.mark.slow
def test_small_decreases_add_up_before_the_precision_is_held_exhausted():
    """Each step on this quadratic decreases J by less than its rounding error, a hundred steps by far more."""
    curvatures = np.geomspace(1, 1e6, 400).astype(np.float32)

    def quadratic(x):
        return np.float32(1 + 0.5 * np.sum(curvatures * x.astype(np.float64) ** 2)), curvatures * x

    states = minimize(quadratic, np.ones(400) / 100, "float32", tol=0.0, max_iter=5000, n_pairs=5)
    values = [float(state.value) for state in states if state.accepted]
    assert states[-1].status == PRECISION
    assert values[-101] - values[-1] <= 1.5 * lbfgs.rounding_error(jnp.float32(1.0))
