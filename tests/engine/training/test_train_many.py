"""Each of many simultaneous trainings ends where it would alone."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from sparsam.engine.jax_settings import precision
from sparsam.engine.training import train
from sparsam.engine.training import train_many as many

pytestmark = pytest.mark.slow

TOGETHER = {"lanes": many.train_lanes, "side by side": many.train_side_by_side}
SETTINGS = ({"seed": 0}, {"seed": 1, "alpha": 1e-2}, {"seed": 2, "beta": 0.1}, {"seed": 3, "rho": 0.3}, {"seed": 4})


@pytest.fixture(scope="module")
def jobs(training_job):
    """Make objectives and initial weights; the data are those of the first job."""
    _, samples, _ = training_job("float64")
    objectives, thetas = zip(*(training_job("float64", **setting)[::2] for setting in SETTINGS), strict=True)
    return objectives, samples, thetas


@pytest.fixture(scope="module")
def alone(jobs):
    objectives, samples, thetas = jobs
    return [
        train.train(objective, samples, theta, dtype="float64")
        for objective, theta in zip(objectives, thetas, strict=True)
    ]


@pytest.fixture(scope="module", params=TOGETHER)
def trainings(request, jobs):
    return TOGETHER[request.param](*jobs, dtype="float64")


def test_each_ends_where_it_would_alone(trainings, alone):
    assert [training.stop_reason for training in trainings] == ["converged"] * len(alone)
    for training, single in zip(trainings, alone, strict=True):
        assert training.history[-1].gradient_norm <= 1e-5
        assert training.history[-1].J == pytest.approx(single.history[-1].J, rel=3e-3)


def test_each_begins_as_it_would_alone(trainings, alone):
    for training, single in zip(trainings, alone, strict=True):
        for here, there in zip(training.history[:11], single.history[:11], strict=True):
            assert (here.iteration, here.evaluations) == (there.iteration, there.evaluations)
            assert here.J == pytest.approx(there.J, rel=1e-8)
            assert here.gradient_norm == pytest.approx(there.gradient_norm, rel=1e-6)


def test_each_evaluates_as_it_would_alone(jobs):
    objectives, samples, thetas = jobs
    with precision("float64"):
        single = [
            jax.jit(type(objective).evaluate)(jax.tree.map(np.float64, objective), theta, samples)
            for objective, theta in zip(objectives, thetas, strict=True)
        ]
        stacked = jax.tree.map(lambda *leaves: np.stack([np.float64(leaf) for leaf in leaves]), *objectives)
        together = jax.jit(jax.vmap(type(objectives[0]).evaluate, in_axes=(0, 0, None)))(
            stacked, np.stack(thetas), samples
        )
    for lane, evaluation in enumerate(single):
        np.testing.assert_allclose(together.value[lane], evaluation.value, rtol=1e-12)
        scale = np.abs(evaluation.gradient).max()
        np.testing.assert_allclose(together.gradient[lane], evaluation.gradient, rtol=0, atol=1e-12 * scale)


def test_lanes_that_have_stopped_leave(jobs, monkeypatch):
    """The number of lanes is halved repeatedly, and a lane's result does not depend on when the others stop."""
    objectives, samples, thetas = jobs
    sizes, genuine = [], many._burst_lanes

    def burst(objective, samples, states, steps, pause):
        sizes.append(len(states.status))
        return genuine(objective, samples, states, steps, pause)

    monkeypatch.setattr(many, "_burst_lanes", burst)
    (long,) = many.train_lanes(objectives[:1], samples, thetas[:1], dtype="float64", tol=1e-5)
    sizes.clear()
    starts = [long.theta, long.theta, thetas[0], long.theta, long.theta]  # all but one start at the minimum
    trainings = many.train_lanes([objectives[0]] * 5, samples, starts, dtype="float64", tol=1e-5)
    assert sizes[0] == 5
    assert sizes[-1] == 1
    assert sum(sizes) < 2 * len(sizes) + 5
    assert [training.history[-1].iteration for training in trainings[:2]] == [0, 0]
    assert trainings[2].history[-1].J == pytest.approx(long.history[-1].J, rel=1e-6)


@pytest.mark.parametrize("together", TOGETHER.values(), ids=TOGETHER)
def test_limits_hold_for_each(jobs, together):
    for training in together(*jobs, dtype="float64", max_iter=3):
        assert (training.stop_reason, training.history[-1].iteration) == ("max_iter", 3)
    for training in together(*jobs, dtype="float64", time_budget=1e-9):
        assert training.stop_reason == "time_budget"


def test_a_lane_that_is_not_finite_stops_alone(jobs):
    objectives, samples, thetas = jobs
    error, decay, *rest = objectives[0].terms
    broken = replace(objectives[0], terms=(error, replace(decay, alpha=np.nan), *rest))
    trainings = many.train_lanes([objectives[0], broken], samples, [thetas[0], thetas[1]], dtype="float64")
    assert [training.stop_reason for training in trainings] == ["converged", "not_finite"]
    assert trainings[1].broken_terms == ("weight_decay",)


def test_the_default_is_one_of_them(jobs):
    objectives, samples, thetas = jobs
    trainings = many.train_many(objectives[:2], samples, thetas[:2], dtype="float64", solver="lbfgs", max_iter=5)
    assert [training.history[-1].iteration for training in trainings] == [5, 5]


@pytest.mark.parametrize("together", TOGETHER.values(), ids=TOGETHER)
def test_a_snapshot_is_what_a_smaller_max_iter_leaves(jobs, together):
    objectives, samples, thetas = jobs
    heard = {}
    long = together(objectives, samples, thetas, dtype="float64", snapshots=(3, 7, 10**6), finished=heard.__setitem__)
    for iterations in (3, 7):
        short = together(objectives, samples, thetas, dtype="float64", max_iter=iterations)
        for one, other in zip(long, short, strict=True):
            at = one.at_max_iter(iterations)
            assert (at.stop_reason, len(at.history)) == ("max_iter", iterations + 1)
            np.testing.assert_array_equal(at.theta, other.theta)
            assert [row.J for row in at.history] == [row.J for row in other.history]
            assert [row.evaluations for row in at.history] == [row.evaluations for row in other.history]
    assert all(one.at_max_iter(10**6) is one for one in long)
    assert [heard[number] for number in sorted(heard)] == long


@pytest.mark.parametrize("together", TOGETHER.values(), ids=TOGETHER)
def test_all_end_on_request(jobs, together):
    objectives, samples, thetas = jobs
    asked = iter([False] * 3)
    heard = []
    trainings = together(
        objectives, samples, thetas, dtype="float64", tol=0.0, max_iter=10**9, stop=lambda: next(asked, True),
        finished=lambda number, training: heard.append(training.stop_reason),
    )  # fmt: skip
    assert {training.stop_reason for training in trainings} <= {"interrupted", "precision"}
    assert "interrupted" in {training.stop_reason for training in trainings}


def test_side_by_side_a_failure_ends_the_others(jobs):
    objectives, samples, thetas = jobs

    def finished(number, training):
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        many.train_side_by_side(objectives, samples, thetas, dtype="float64", tol=0.0, max_iter=2, finished=finished)
