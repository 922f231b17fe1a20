"""The likelihood-ratio test: its statistic, its distribution, its refusals."""

import numpy as np
import pytest

from sparsam import MultivariateNormalRegressor, likelihood_ratio_test


def models(X, Y, *structures):
    return [MultivariateNormalRegressor((), covariance=c, alpha=0.0, dtype="float64").fit(X, Y) for c in structures]


def draw(seed, correlation=0.0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(80, 2))
    noise = rng.multivariate_normal(np.zeros(3), np.eye(3) + correlation * (1 - np.eye(3)), size=80)
    return X, X @ rng.normal(size=(2, 3)) + noise


@pytest.mark.slow
def test_statistic_is_minus_n_times_the_log_determinant_of_the_correlation():
    X, Y = draw(0, 0.3)
    full, diag = models(X, Y, "full", "diag")
    r = Y - full.predict(X)
    test = likelihood_ratio_test(full, diag, X, Y)
    # ln|C| - ln|diag C| = ln|R|
    R = (r.T @ r) / np.sqrt(np.outer((r**2).sum(axis=0), (r**2).sum(axis=0)))
    assert test.statistic == pytest.approx(-80 * np.linalg.slogdet(R)[1], rel=1e-6)
    assert test.degrees_of_freedom == 3
    assert test.p_value < 0.01


@pytest.mark.slow
def test_p_values_are_uniform_where_there_is_nothing_to_find():
    p_values = [likelihood_ratio_test(*models(*draw(seed), "full", "diag"), *draw(seed)).p_value for seed in range(60)]
    assert 0.3 < np.mean(p_values) < 0.6  # small samples make it a little liberal
    assert np.mean(np.array(p_values) < 0.1) < 0.25


@pytest.mark.slow
def test_models_that_are_not_nested_are_refused():
    X, Y = draw(0)
    full, diag = models(X, Y, "full", "diag")
    with pytest.raises(ValueError, match="the models are not nested"):
        likelihood_ratio_test(diag, full, X, Y)
    known = MultivariateNormalRegressor((), covariance=np.eye(3)).fit(X, Y)
    with pytest.raises(ValueError, match="a model with a known covariance"):
        likelihood_ratio_test(known, diag, X, Y)
    decayed = MultivariateNormalRegressor((), alpha=0.1).fit(X, Y)
    with pytest.raises(ValueError, match="fits without weight decay: use alpha=0, not"):
        likelihood_ratio_test(decayed, diag, X, Y)
