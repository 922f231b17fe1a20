"""A fit sets all attributes or none, even if a warning is turned into an error."""

import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from sparsam import (
    DegenerateCovarianceWarning,
    MultivariateNormalRegressor,
    NoisyLabelClassifier,
    SparseAutoencoder,
)

rng = np.random.default_rng(0)
X = rng.uniform(0.1, 0.9, size=(40, 3))
Y = X @ rng.normal(size=(3, 2)) + 0.1 * rng.normal(size=(40, 2))
LABELS = X[:, 0] > X[:, 1]

CASES = {
    "autoencoder": (SparseAutoencoder(2, rho=0.1, max_iter=2, tol=0.0), None, ConvergenceWarning),
    "regressor": (
        MultivariateNormalRegressor((2,), early_stopping=False, cv=None, max_iter=2, tol=0.0),
        Y,
        ConvergenceWarning,
    ),
    "early stopping": (
        MultivariateNormalRegressor((2,), early_stopping=True, cv=None, max_iter=2, tol=0.0),
        Y,
        ConvergenceWarning,
    ),
    "folds": (
        MultivariateNormalRegressor((2,), early_stopping=False, cv=2, max_iter=2, tol=0.0),
        Y,
        ConvergenceWarning,
    ),
    "degenerate": (MultivariateNormalRegressor((), alpha=0.0), Y[:, [0, 0]], DegenerateCovarianceWarning),
    "classifier": (NoisyLabelClassifier((2,), epsilon=0.1, max_iter=2, tol=0.0), LABELS, ConvergenceWarning),
}


def fitted_attributes(model):
    """Return all attributes of the fit except its seconds."""
    names = [name for name in vars(model) if name.endswith("_") and not name.startswith("__")]
    history = {name: column for name, column in model._history.items() if name != "seconds"}
    return {name: getattr(model, name) for name in names} | {"history": history}


@pytest.mark.parametrize("case", CASES)
def test_a_warning_turned_into_an_error_comes_after_all_attributes_are_set(case):
    model, y, warning = CASES[case]
    model = clone(model).set_params(random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = clone(model).set_params(random_state=1).fit(X, y)
        model.fit(X[::-1] ** 2, None if y is None else y[::-1])
    model.set_params(random_state=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(warning):
            model.fit(X, y)
    np.testing.assert_equal(fitted_attributes(model), fitted_attributes(expected))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("model", "y"), [(MultivariateNormalRegressor(()), Y), (NoisyLabelClassifier((2,), epsilon=0.1), LABELS)]
)
def test_a_refit_that_overflows_at_the_start_keeps_the_previous_fit(model, y):
    model = clone(model).set_params(random_state=0).fit(X, y)
    before, predicted = fitted_attributes(model), model.predict(X)
    with pytest.raises(FloatingPointError):
        model.fit(np.c_[X, X] * 1e200, y)
    np.testing.assert_equal(fitted_attributes(model), before)
    np.testing.assert_array_equal(model.predict(X), predicted)
    new = clone(model)
    with pytest.raises(FloatingPointError):
        new.fit(X * 1e200, y)
    assert not hasattr(new, "n_features_in_")


@pytest.mark.filterwarnings("ignore")
def test_a_sample_weight_beyond_float32_does_not_change_the_others():
    """Also if the sample with the largest weight, by which all weights are scaled, is held out."""
    model = NoisyLabelClassifier((), epsilon=0.1, early_stopping=True, validation_fraction=0.3, max_iter=3)
    for seed in range(4):
        costs = []
        for heavy in (1e10, 1e45):
            weights = np.where(np.arange(40) == 5, heavy, 1.0)
            fitted = clone(model).set_params(random_state=seed).fit(X, LABELS, sample_weight=weights)
            costs.append(fitted.loss_curve_[0])
        assert costs[0] == pytest.approx(costs[1], rel=1e-6)
