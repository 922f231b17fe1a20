"""The certificate detects a wrong gradient, and passes a correct one."""

from itertools import islice

import jax
import numpy as np
import pytest

from sparsam import reference
from sparsam.verification import certificate as certificates
from sparsam.verification.certificate import BOUNDS, MAX_ROWS, Comparison, certify

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def inputs():
    return np.random.default_rng(0).uniform(0.1, 0.9, size=(20, 6))


@pytest.fixture(scope="module")
def comparisons(inputs):
    return list(certify(inputs, n_components=4))


def test_the_quadratic_gives_the_notes_figure(comparisons):
    assert comparisons[0].notes_step == pytest.approx(2.1452e-12, rel=1e-4)


def test_every_combination_of_the_notes_is_compared_and_within_bounds(comparisons):
    names = [comparison.name for comparison in comparisons]
    assert names[1:6] == [
        "error",
        "weight decay",
        "sparsity",
        "error + weight decay",
        "error + weight decay + sparsity",
    ]
    assert [comparison.exceeded for comparison in comparisons] == [()] * len(comparisons)
    for comparison in comparisons[1:]:
        assert comparison.autodiff_hand is not None
        assert 0 < comparison.float32_hand < BOUNDS["float32_hand"]
        if comparison not in comparisons[6:9]:
            assert 0 < comparison.hand_numerical < BOUNDS["hand_numerical"]


def test_the_other_ways_of_evaluating_are_compared(comparisons, inputs, monkeypatch):
    assert [comparison.name for comparison in comparisons[6:9]] == [
        "the same, read in batches",
        "the same, on 1 device of a mesh",
        "the same, a resumed training",
    ]

    def wrong(objective, theta, stream, right=certificates.evaluate_stream):
        evaluation = right(objective, theta, stream)
        return evaluation._replace(value=evaluation.value * (1 + 1e-7))

    monkeypatch.setattr(certificates, "evaluate_stream", wrong)
    assert next(islice(certify(inputs, n_components=4), 6, None)).exceeded == ("autodiff_hand",)


def test_only_the_first_rows_are_used():
    inputs = np.random.default_rng(1).uniform(size=(MAX_ROWS + 1, 3))
    changed = inputs.copy()
    changed[MAX_ROWS] = 0.5
    one, other = (list(islice(certify(rows, n_components=2), 4)) for rows in (inputs, changed))
    assert one == other


@pytest.mark.parametrize("block", ["coefs", "intercepts"])
def test_a_wrong_hand_derived_gradient_is_noticed(inputs, monkeypatch, block):
    right = reference.network_cost

    def wrong(*args, **kwargs):
        cost, coef_gradients, intercept_gradients = right(*args, **kwargs)
        gradients = coef_gradients if block == "coefs" else intercept_gradients
        gradients[-1] = gradients[-1] * (1 + 1e-7)
        return cost, coef_gradients, intercept_gradients

    monkeypatch.setattr(reference, "network_cost", wrong)
    last = next(islice(certify(inputs, n_components=4), 5, None))
    assert {"hand_numerical", "autodiff_hand"} <= set(last.exceeded)


def test_a_wrong_engine_is_noticed(inputs, monkeypatch):
    @jax.tree_util.register_static
    class WrongError(certificates.SquaredError):
        def value(self, mean, parameters):
            return mean * (1 + 1e-7)

    monkeypatch.setattr(certificates, "SquaredError", WrongError)
    comparison = next(islice(certify(inputs, n_components=4), 1, None))
    assert {"autodiff_numerical", "autodiff_hand"} <= set(comparison.exceeded)


def test_the_truncation_error_of_the_notes_formula_does_not_fail_a_gradient():
    assert Comparison("small net", notes_step=1.4e-9, truncation=1.4e-9).exceeded == ()
    assert Comparison("wrong", notes_step=1.4e-9, truncation=1e-11).exceeded == ("notes_step",)


def test_not_a_number_exceeds_its_bound():
    assert Comparison("broken", autodiff_hand=float("nan")).exceeded == ("autodiff_hand",)
