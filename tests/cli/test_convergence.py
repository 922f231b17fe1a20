"""Advice after a training that did not converge names options of the command line."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from sparsam.cli.convergence import convergence_advice

k = np.arange(1, 101)
DESCENDING = pd.DataFrame({"J": 1 / k, "gradient_norm": 1 / k})
FLAT = pd.DataFrame({"J": 1 + np.exp(-k), "gradient_norm": 2 + np.sin(k)})


def stopped(reason, history=DESCENDING, dtype="float32", polish=False):
    return SimpleNamespace(stop_reason_=reason, history_=history, dtype=dtype, polish=polish)


@pytest.mark.parametrize("reason", ["converged", "held_out", "interrupted", "callback"])
def test_a_training_that_ended_as_intended_needs_no_advice(reason):
    assert convergence_advice(stopped(reason), has_checkpoint=False) is None


@pytest.mark.parametrize(
    ("model", "options", "advice"),
    [
        (stopped("max_iter"), {}, "increase --max-iter"),
        (stopped("time_budget"), {}, "increase --time-budget"),
        (
            stopped("max_iter"),
            {"has_checkpoint": True},
            "increase --max-iter and continue from the checkpoint with --resume",
        ),
        (
            stopped("max_iter"),
            {"model_file": "run/model.safetensors"},
            "increase --max-iter, or continue with --warm-start run/model.safetensors --out ANOTHER",
        ),
        (stopped("precision"), {}, "use --dtype float64 or a larger --tol"),
        (stopped("precision", dtype="float64"), {}, "use a larger --tol"),
        (
            stopped("precision", polish=True),
            {},
            "this is the limit of the precision; without --polish, training stops at --tol",
        ),
    ],
)
def test_the_advice_names_the_options_of_the_command(model, options, advice):
    assert convergence_advice(model, **({"has_checkpoint": False} | options)) == advice


def test_more_iterations_are_not_advised_once_they_stop_helping():
    advice = convergence_advice(stopped("max_iter", FLAT), has_checkpoint=True)
    assert advice.startswith("more iterations would hardly help")
    assert "--max-iter" not in advice
