"""Findings of a report about the training."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from sparsam.reports.diagnostics import diagnose_training

k = np.arange(1, 201)


@pytest.mark.parametrize(
    ("J", "gradient_norm", "advice"),
    [
        (1 / k, 1 / k, "a greater max_iter"),
        (1 + np.exp(-k), 2 + np.sin(k), "More iterations would hardly help"),
    ],
)
def test_more_iterations_are_advised_only_where_they_help(J, gradient_norm, advice):
    network = SimpleNamespace(
        stop_reason_="max_iter",
        n_iter_=199,
        gradient_norm_=float(gradient_norm[-1]),
        tol=1e-5,
        history_=pd.DataFrame({"J": J, "gradient_norm": gradient_norm}),
    )
    assert advice in diagnose_training(network).text
