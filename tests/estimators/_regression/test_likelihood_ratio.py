"""The likelihood-ratio test: its statistic, its distribution, and its errors."""

import warnings

import numpy as np
import pytest
from scipy.stats import binom

from sparsam import MultivariateNormalRegressor, likelihood_ratio_test

exact = {"alpha": 0.0, "dtype": "float64"}


def fitted(X, Y, **parameters):
    return MultivariateNormalRegressor((), **exact | parameters).fit(X, Y)


def models(X, Y, *structures):
    return [fitted(X, Y, covariance=c) for c in structures]


def draw(seed, correlation=0.0, n_samples=80):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, 2))
    noise = rng.multivariate_normal(np.zeros(3), np.eye(3) + correlation * (1 - np.eye(3)), size=n_samples)
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
def test_the_rejection_rate_is_the_level():
    """Rejections in 100 draws without correlation, n = 200; limits are binomial at 99 %."""
    rejected = sum(
        likelihood_ratio_test(*models(X, Y, "full", "diag"), X, Y).p_value < 0.05
        for X, Y in (draw(seed, n_samples=200) for seed in range(1000, 1100))
    )
    low, high = binom(100, 0.05).interval(0.99)
    assert low <= rejected <= high


@pytest.mark.slow
def test_a_mask_is_tested_by_the_weights_that_it_forbids():
    X, Y = draw(1)
    mask = np.array([[1, 1, 0], [1, 1, 1]])
    test = likelihood_ratio_test(fitted(X, Y), fitted(X, Y, mask=mask), X, Y)
    assert test.degrees_of_freedom == 1
    assert test.p_value < 1e-3  # the true weight is not 0
    both = likelihood_ratio_test(fitted(X, Y), fitted(X, Y, mask=mask, covariance="diag"), X, Y)
    assert both.degrees_of_freedom == 4
    assert both.statistic > test.statistic
    with pytest.raises(ValueError, match="mask of the smaller one allows weights that the mask of the larger one "):
        likelihood_ratio_test(fitted(X, Y, mask=mask), fitted(X, Y, covariance="diag"), X, Y)


@pytest.mark.slow
def test_covariances_that_are_never_observed_do_not_count():
    X, Y = draw(2)
    Y[:40, 0] = np.nan
    Y[40:, 2] = np.nan  # the first and the last are never observed together
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        full, diag = models(X, Y, "full", "diag")
    assert likelihood_ratio_test(full, diag, X, Y).degrees_of_freedom == 2


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_weights_that_the_data_do_not_determine_do_not_count():
    X, Y = draw(4)
    mask = np.array([[1, 1, 1], [1, 1, 1], [0, 1, 1], [0, 0, 1], [0, 0, 0]])
    constant = np.full(80, 3.0)
    X = np.c_[X, X[:, 0] + X[:, 1], constant, np.where(np.arange(80) < 20, 1.0, 0.0)]
    Y[:20, 1] = np.nan  # also if the last input is constant
    larger, smaller = fitted(X, Y), fitted(X, Y, mask=mask)
    assert likelihood_ratio_test(larger, smaller, X, Y).degrees_of_freedom == 2
    mask[4] = [1, 0, 1]
    with pytest.raises(ValueError, match="not counting weights of inputs that are constant or linearly dependent"):
        likelihood_ratio_test(larger, fitted(X, Y, mask=mask), X, Y)


@pytest.mark.filterwarnings("ignore")
def test_a_singular_covariance_is_refused(diag):
    X, Y, _ = diag
    Y = np.c_[Y[:, :2], Y[:, 0] - Y[:, 1]]
    models = [fitted(X, Y, covariance=c, random_state=0) for c in ("full", "diag")]
    with pytest.raises(ValueError, match="covariance of the larger model is singular, so that the likelihood has no"):
        likelihood_ratio_test(*models, X, Y)


def test_a_spherical_covariance_of_equal_shares_is_refused(diag):
    """Version 0.1.0 fitted this covariance for "spherical"."""
    X, Y, larger = diag
    smaller = fitted(X, Y, covariance="spherical")
    smaller.covariance_ = smaller.covariance_ * [0.5, 1.0, 1.5]
    with pytest.raises(ValueError, match=r"the smaller model was fitted by version 0\.1\.0"):
        likelihood_ratio_test(larger, smaller, X, Y)


@pytest.mark.slow
def test_weights_count_samples():
    X, Y = draw(3, 0.3)
    weights = np.arange(80) % 3
    rows = np.repeat(np.arange(80), weights)
    weighted = [MultivariateNormalRegressor((), covariance=c, **exact).fit(X, Y, weights) for c in ("full", "diag")]
    one = likelihood_ratio_test(*weighted, X, Y, weights)
    other = likelihood_ratio_test(*models(X[rows], Y[rows], "full", "diag"), X[rows], Y[rows])
    assert one.statistic == pytest.approx(other.statistic, rel=1e-9)


@pytest.fixture(scope="module")
def diag():
    X, Y = draw(0)
    return X, Y, fitted(X, Y, covariance="diag")


REFUSED = {
    "known": ({"covariance": np.eye(3)}, "the larger model has a known covariance"),
    "decayed": ({"alpha": 0.1}, "has weight decay, .*: use alpha=0, not 0.1"),
    "tangents": (
        {"tangents": lambda X: np.ones((len(X), 1, 2)), "tangent_weight": 0.1},
        "the larger model was fitted with tangents, which are a penalty",
    ),
    "prior": ({"covariance_prior": (3.0, 1.0)}, "the larger model has a prior"),
    "early": ({"early_stopping": True, "random_state": 0}, "fitted with early stopping, on a part of the data"),
    "unconverged": (
        {"max_iter": 1},
        "the larger model did not converge to the minimum, .* it stopped with stop_reason_ 'max_iter'",
    ),
    "not larger": ({"covariance": "diag"}, "the models are not nested: the larger model must have more parameters"),
    "smaller": ({"covariance": "spherical"}, "covariance='spherical' is more restricted than 'diag'"),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", REFUSED)
def test_fits_for_which_the_test_is_not_valid_are_refused_with_the_reason(diag, case):
    X, Y, smaller = diag
    parameters, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        likelihood_ratio_test(fitted(X, Y, **parameters), smaller, X, Y)


def test_other_data_than_those_of_the_fit_are_refused(diag):
    X, Y, smaller = diag
    full = fitted(X, Y)
    for other in ((X[:-1], Y[:-1], None), (X, Y + 0.1, None), (X, Y, np.arange(80))):
        with pytest.raises(ValueError, match="the larger model was not fitted on these data"):
            likelihood_ratio_test(full, smaller, *other)


@pytest.mark.filterwarnings("ignore")
def test_hidden_layers_are_refused(diag):
    X, Y, smaller = diag
    network = MultivariateNormalRegressor((2,), max_iter=2, **exact).fit(X, Y)
    with pytest.raises(ValueError, match="hidden layers: the weights of a network are not identifiable"):
        likelihood_ratio_test(network, smaller, X, Y)
