"""Initial weights of a fit with warm_start if folds choose the number of iterations."""

import warnings

import numpy as np
import pytest

from sparsam import MultivariateNormalRegressor, NoisyLabelClassifier

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")]

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 3))
TARGETS = {
    MultivariateNormalRegressor: np.sin(X[:, :2]) + 0.3 * RNG.normal(size=(120, 2)),
    NoisyLabelClassifier: (X[:, 0] > 0) ^ (RNG.random(120) < 0.2),
}
BY_FOLDS = [
    (MultivariateNormalRegressor, {}),
    (NoisyLabelClassifier, {}),
    (NoisyLabelClassifier, {"epsilon": 0.2}),
    (NoisyLabelClassifier, {"epsilon": 0.2, "alpha": (1e-3, 1e-2), "early_stopping": True}),
]
TO_THE_END = [
    (MultivariateNormalRegressor, {"early_stopping": False}),
    (NoisyLabelClassifier, {"early_stopping": False}),
    (NoisyLabelClassifier, {"epsilon": 0.2, "early_stopping": False}),
    (NoisyLabelClassifier, {"epsilon": 0.2, "alpha": (1e-3, 1e-2), "early_stopping": False}),
]


def fitted_twice(Model, options):
    """Fit, and fit again from the fitted weights; return both J, and the warnings about warm_start."""
    model = Model((3,), random_state=0, tol=1e-3, warm_start=True, **options).fit(X, TARGETS[Model])
    first = list(model.loss_curve_)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, TARGETS[Model])
    said = [str(warning.message) for warning in caught if "warm_start=True has no influence" in str(warning.message)]
    return first, model.loss_curve_, said


@pytest.mark.parametrize(("Model", "options"), BY_FOLDS)
def test_with_folds_the_final_training_starts_from_new_weights(Model, options):
    first, second, said = fitted_twice(Model, options)
    assert second == first
    assert len(said) == 1
    assert "Set early_stopping=False to start from the fitted weights" in said[0]


@pytest.mark.parametrize(("Model", "options"), TO_THE_END)
def test_a_training_without_folds_starts_from_the_fitted_weights(Model, options):
    first, second, said = fitted_twice(Model, options)
    assert second[0] == pytest.approx(first[-1], abs=1e-5)
    assert second[0] < first[0]
    assert said == []


@pytest.mark.parametrize(("Model", "options"), BY_FOLDS[:2])
def test_with_folds_the_warning_does_not_advise_a_warm_start(Model, options):
    with pytest.warns(UserWarning, match="Not converged: max_iter iterations are done") as caught:
        Model((3,), random_state=0, max_iter=2, tol=0.0, **options).fit(X, TARGETS[Model])
    [text] = [str(warning.message) for warning in caught if "max_iter iterations" in str(warning.message)]
    assert text.endswith("Increase max_iter.")
