"""Fitted attributes of a training, and the warnings of one that did not converge."""

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from sparsam.engine.training.result import Training
from sparsam.engine.training.state import Progress
from sparsam.estimators._training.convergence import warn_or_raise


def training(J, gradient):
    courses = enumerate(zip(J.tolist(), gradient.tolist(), strict=True))
    history = [Progress(k, k, 0.0, value, {"error": value}, norm) for k, (value, norm) in courses]
    return Training(np.zeros(1), "max_iter", 1e-5, history=history)


k = np.arange(1, 201)


@pytest.mark.parametrize(
    ("J", "gradient", "advice"),
    [
        (1 / k, 1 / k, "Increase max_iter"),
        (1 + 0 * k, 2.0**-k, "Increase max_iter"),
        (-np.log(k), 1 + 0 * k, "Increase max_iter"),
        (1 / k[:20], 1 + 0 * k[:20], "Increase max_iter"),
        (1 + np.exp(-k), 2 + np.sin(k), "would hardly help"),
        (np.exp(-k), 0.01 + 0 * k, "would hardly help"),
    ],
)
def test_more_iterations_are_advised_only_if_they_help(J, gradient, advice):
    with pytest.warns(ConvergenceWarning, match=advice):
        warn_or_raise(training(J, gradient))
