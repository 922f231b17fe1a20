"""Polishing continues in float64 where float32 ended, with one history of both."""

from itertools import pairwise

import numpy as np
import pytest

from sparsam.engine.training.callbacks import FunctionCallback
from sparsam.engine.training.polish import POLISHED_TOL, can_be_polished, polish
from sparsam.engine.training.train import train

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def jobs(training_job):
    objective, samples, theta = training_job("float32")
    return objective, samples, theta, lambda: training_job("float64")[1]


@pytest.fixture(scope="module")
def single(jobs):
    objective, samples, theta, _ = jobs
    return train(objective, samples, theta)


def test_polishing_leaves_a_gradient_of_1e_8(jobs, single):
    objective, _, _, samples = jobs
    polished = polish(single, objective, samples())
    assert polished.stop_reason == "converged"
    assert polished.theta.dtype == np.float64
    assert polished.history[-1].gradient_norm <= POLISHED_TOL == polished.tol == 1e-8
    assert polished.history[-1].J <= single.history[-1].J * (1 + 1e-6)


def test_history_goes_on(jobs, single):
    objective, _, _, samples = jobs
    history = polish(single, objective, samples()).history
    before = len(single.history) - 1
    assert history[:before] == single.history[:before]
    assert history[before].gradient_norm == pytest.approx(single.history[before].gradient_norm, rel=0.5)
    assert [row.iteration for row in history] == list(range(len(history)))
    for row, following in pairwise(history):
        assert row.evaluations < following.evaluations
        assert row.seconds <= following.seconds


def test_limits_hold_for_both_together(jobs, single):
    objective, _, _, samples = jobs
    done = single.history[-1].iteration
    assert polish(single, objective, samples(), max_iter=done + 3).history[-1].iteration == done + 3
    assert polish(single, objective, samples(), time_budget=1e-9).stop_reason == "time_budget"


def test_callback_counts_from_the_start(jobs, single):
    objective, _, _, samples = jobs
    rows = []
    polish(single, objective, samples(), callbacks=[FunctionCallback(rows.append)])
    assert rows[0].iteration >= single.history[-1].iteration
    assert rows[0].evaluations > single.history[-1].evaluations


def test_a_training_that_was_stopped_is_not_polished(jobs):
    objective, samples, theta, _ = jobs
    assert not can_be_polished(train(objective, samples, theta, max_iter=3))
