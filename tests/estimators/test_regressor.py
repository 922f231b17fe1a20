"""Regression with a noise covariance: planted truths, known special cases, units, missing targets."""

import copy
import warnings

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.exceptions import ConvergenceWarning

from sparsam import MultivariateNormalRegressor
from sparsam.engine.data.batch import Batch
from sparsam.estimators._data.dataset import InMemoryDataset
from sparsam.estimators._data.splits import hold_out
from sparsam.estimators._training.supervised import split_seed

NOISE = np.array([[1.0, 0.8, 0.0], [0.8, 1.0, -0.3], [0.0, -0.3, 0.5]])
UNITS = np.array([100.0, 0.01, 1.0])
exact = {"alpha": 0.0, "tol": 1e-9, "cv": None}
optimum = {"alpha": 1e-3, "early_stopping": False, "cv": None, "random_state": 0}


@pytest.fixture(scope="module")
def linear():
    """300 samples of a linear model with three outputs in very different units."""
    rng = np.random.default_rng(0)
    X = rng.normal([0.0, 5.0, 0.0, -1.0], size=(300, 4))
    W = rng.normal(size=(4, 3))
    Y = X @ W + [3.0, 0.0, -2.0] + rng.multivariate_normal(np.zeros(3), NOISE, size=300)
    return X, UNITS * Y


@pytest.fixture(scope="module")
def curved():
    """1500 samples of a nonlinear model with correlated noise, and its mean."""
    rng = np.random.default_rng(1)
    X = rng.uniform(-2, 2, size=(1500, 1))
    mean = np.hstack([np.sin(X), np.cos(X), X**2 / 4])
    return X, mean + 0.2 * rng.multivariate_normal(np.zeros(3), NOISE, size=1500), mean


@pytest.fixture(scope="module")
def curved_model(curved):
    return MultivariateNormalRegressor((8,), **optimum).fit(*curved[:2])


def scale_of(Y, covariance):
    """Return the internal scale of the targets: one number for all if C is sigma^2 I."""
    deviations = Y.std(axis=0)
    one = isinstance(covariance, str) and covariance == "spherical"
    return np.full_like(deviations, np.sqrt(np.mean(deviations**2))) if one else deviations


def least_squares(X, Y):
    return np.linalg.lstsq(np.hstack([X, np.ones((len(X), 1))]), Y, rcond=None)[0]


@pytest.mark.parametrize(
    "covariance",
    ["full", *(pytest.param(c, marks=pytest.mark.slow) for c in ("diag", "spherical", NOISE * np.outer(UNITS, UNITS)))],
)
def test_a_linear_fit_to_complete_targets_is_least_squares_for_any_covariance(linear, covariance):
    """Compare up to the remaining gradient: J is quadratic in the weights, so |w - w*| <= |H^-1| |g|."""
    X, Y = linear
    model = MultivariateNormalRegressor((), covariance=covariance, **exact).fit(X, Y)
    found = np.vstack([model.coefs_[0], model.intercepts_[0]])
    D, scale = np.hstack([X, np.ones((300, 1))]), scale_of(Y, covariance)
    # H = C^-1 (x) D'D / S on the scaled targets.
    inverse = np.linalg.eigvalsh(model.covariance_ / np.outer(scale, scale))[-1] / np.linalg.eigvalsh(D.T @ D / 300)[0]
    error = np.linalg.norm((found - least_squares(X, Y)) / scale)
    assert model.gradient_norm_ < 1e-6
    assert error <= inverse * np.sqrt(found.size) * model.gradient_norm_ + 1e-12
    if not isinstance(covariance, str):
        np.testing.assert_allclose(model.covariance_, covariance)


@pytest.mark.slow
def test_the_covariance_is_the_mean_product_of_the_residuals(linear):
    X, Y = linear
    r = Y - np.hstack([X, np.ones((300, 1))]) @ least_squares(X, Y)
    expected = {
        "full": r.T @ r / 300,
        "diag": np.diag(np.mean(r**2, axis=0)),
        "spherical": np.mean(r**2) * np.eye(3),
    }
    for structure, C in expected.items():
        model = MultivariateNormalRegressor((), covariance=structure, **exact).fit(X, Y)
        np.testing.assert_allclose(model.covariance_ / np.outer(UNITS, UNITS), C / np.outer(UNITS, UNITS), atol=1e-9)


def test_spherical_is_one_variance_in_the_units_of_y():
    """Noise of deviation 0.5 on targets of deviations 1 and 10: the variances are equal, not the shares."""
    rng = np.random.default_rng(4)
    X = rng.normal(size=(400, 2))
    Y = X * [1.0, 10.0] + rng.normal(0, 0.5, size=(400, 2))
    model = MultivariateNormalRegressor((), covariance="spherical", **exact).fit(X, Y)
    r = Y - np.hstack([X, np.ones((400, 1))]) @ least_squares(X, Y)
    np.testing.assert_allclose(model.covariance_, np.mean(r**2) * np.eye(2), rtol=1e-9)
    # The sum of 800 squares of noise is chi-squared, with relative deviation sqrt(2/800), less six weights.
    assert model.covariance_[0, 0] == pytest.approx(0.25 * (1 - 6 / 800), rel=2.58 * np.sqrt(2 / 800))
    densities = -0.5 * np.sum(r**2 / model.covariance_[0, 0] + np.log(2 * np.pi * model.covariance_[0, 0]), axis=1)
    np.testing.assert_allclose(model.log_density(X, Y), densities, rtol=1e-6)


@pytest.mark.slow
def test_spherical_a_prior_early_stopping_and_a_warm_start_are_in_the_units_of_y(linear):
    X, Y = linear[0], linear[1] / UNITS * [1.0, 10.0, 0.1]
    r = Y - np.hstack([X, np.ones((300, 1))]) @ least_squares(X, Y)
    build = MultivariateNormalRegressor((), covariance="spherical", **exact)
    # The prior is nu + K + 1 more samples of K targets, whose squares sum to tr Psi; it changes C but not the means.
    prior = build.set_params(covariance_prior=(4.0, 30.0)).fit(X, Y)
    expected = (np.sum(r**2) + 3 * 30.0) / (3 * (300 + 4 + 3 + 1))
    np.testing.assert_allclose(prior.covariance_, expected * np.eye(3), rtol=1e-9)

    again = build.set_params(warm_start=True, covariance_prior=None, tol=1e-6).fit(X, Y)
    assert again.n_iter_ <= 1

    build.set_params(warm_start=False, early_stopping=True, random_state=0, max_iter=20).fit(X, Y)
    held_out = hold_out(InMemoryDataset(Batch(X, Y)).merge_repeated(), 0.1, split_seed(0)).held_out.batch
    best = max(build.validation_scores_)
    assert best == pytest.approx(build.mean_log_likelihood(held_out.inputs, held_out.targets), abs=1e-9)


@pytest.mark.slow
def test_with_a_mask_it_is_iterated_seemingly_unrelated_regression():
    """Fit iterated SUR by linearmodels: parameters, covariance, standard errors."""
    system = pytest.importorskip("linearmodels.system")
    rng = np.random.default_rng(2)
    X = rng.normal(size=(200, 5))
    mask = np.array([[1, 0, 1], [1, 1, 0], [0, 1, 1], [0, 1, 0], [1, 0, 1]], bool)
    Y = X @ (mask * rng.normal(size=(5, 3))) + [1.0, 2.0, 3.0] + rng.multivariate_normal(np.zeros(3), NOISE, size=200)
    model = MultivariateNormalRegressor((), mask=mask, **exact).fit(X, Y)

    equations = {
        f"y{k}": {"dependent": Y[:, k], "exog": np.hstack([X[:, mask[:, k]], np.ones((200, 1))])} for k in range(3)
    }
    other = system.SUR(equations).fit(iterate=True, iter_limit=10_000, tol=1e-12, cov_type="unadjusted")
    parameters, errors = np.split(other.params.to_numpy(), [4, 8]), np.split(other.std_errors.to_numpy(), [4, 8])
    coef_errors, intercept_errors = model.standard_errors(X, Y)
    for k in range(3):
        ours = np.append(model.coefs_[0][mask[:, k], k], model.intercepts_[0][k])
        np.testing.assert_allclose(ours, parameters[k], rtol=1e-6)
        np.testing.assert_allclose(np.append(coef_errors[mask[:, k], k], intercept_errors[k]), errors[k], rtol=1e-6)
    np.testing.assert_allclose(model.covariance_, other.sigma, rtol=1e-6)
    assert np.all(model.coefs_[0][~mask] == 0)
    assert np.all(coef_errors[~mask] == 0)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X: np.c_[X, np.full(300, 1e6)], "columns 4 of X are constant for output 0"),
        (lambda X: np.c_[X, X[:, 1]], r"columns [14] of X are linear combinations of the others for output 0"),
        (lambda X: np.c_[X, 1e-6 * X[:, 0] - 1e-6 * X[:, 2] + 3], r"columns \d of X are linear combinations"),
    ],
)
def test_standard_errors_name_the_columns_whose_weights_are_not_determined(linear, change, message):
    X, Y = linear
    X = change(X)
    model = MultivariateNormalRegressor((), **exact).fit(X, Y)
    with pytest.raises(ValueError, match=message):
        model.standard_errors(X, Y)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("parameters", [{"max_iter": 1}, {"tol": 1.0}])
def test_standard_errors_of_a_fit_that_is_not_at_the_minimum_are_refused(linear, parameters):
    model = MultivariateNormalRegressor((), **exact | parameters).fit(*linear)
    with pytest.raises(ValueError, match="the fit did not converge to the minimum"):
        model.standard_errors(*linear)


@pytest.mark.slow
def test_it_recovers_the_mean_and_the_covariance(curved, curved_model):
    X, _, mean = curved
    np.testing.assert_allclose(curved_model.covariance_, 0.04 * NOISE, atol=0.005)
    assert np.sqrt(np.mean((curved_model.predict(X) - mean) ** 2)) < 0.02
    assert curved_model.converged_


@pytest.mark.slow
def test_likelihood_gain_of_a_full_covariance_is_that_of_the_correlation(curved):
    """The gain is -1/2 ln|R| nats per sample, on new samples."""
    X, Y, _ = curved
    full, diag = (
        MultivariateNormalRegressor((8,), covariance=c, **optimum).fit(X[:1000], Y[:1000]) for c in ("full", "diag")
    )
    gain = full.mean_log_likelihood(X[1000:], Y[1000:]) - diag.mean_log_likelihood(X[1000:], Y[1000:])
    R = np.corrcoef((Y[1000:] - full.predict(X[1000:])).T)
    assert gain == pytest.approx(-0.5 * np.linalg.slogdet(R)[1], rel=0.1)


@pytest.mark.slow
def test_densities_are_those_of_the_normal_distribution(curved, curved_model):
    X, Y, _ = curved
    expected = [
        multivariate_normal.logpdf(y, mean, curved_model.covariance_)
        for y, mean in zip(Y[:20], curved_model.predict(X[:20]), strict=True)
    ]
    np.testing.assert_allclose(curved_model.log_density(X[:20], Y[:20]), expected, rtol=1e-10)
    weights = np.arange(20.0)
    assert curved_model.mean_log_likelihood(X[:20], Y[:20], weights) == pytest.approx(
        np.average(expected, weights=weights)
    )


@pytest.mark.slow
def test_cost_is_minus_the_mean_log_likelihood_of_the_scaled_targets(curved):
    X, Y, _ = curved
    model = MultivariateNormalRegressor((8,), **optimum | {"alpha": 0.0, "max_iter": 40, "tol": 0.0})
    with pytest.warns(ConvergenceWarning):
        model.fit(X, Y)
    assert model.loss_ == pytest.approx(-model.mean_log_likelihood(X, Y) - np.log(Y.std(axis=0)).sum(), rel=1e-6)


@pytest.mark.slow
def test_units_of_the_targets_change_only_units(curved, curved_model):
    X, Y, _ = curved
    model = MultivariateNormalRegressor((8,), **optimum).fit(X, UNITS * Y + [0.0, 7.0, -1000.0])
    np.testing.assert_allclose((model.predict(X) - [0.0, 7.0, -1000.0]) / UNITS, curved_model.predict(X), atol=0.01)
    np.testing.assert_allclose(model.covariance_ / np.outer(UNITS, UNITS), curved_model.covariance_, atol=1e-3)
    shifted = model.mean_log_likelihood(X, UNITS * Y + [0.0, 7.0, -1000.0])
    assert shifted == pytest.approx(curved_model.mean_log_likelihood(X, Y) - np.log(UNITS).sum(), abs=5e-3)


@pytest.mark.slow
def test_predictions_of_missing_targets_use_the_given_ones(curved, curved_model):
    X, Y, _ = curved
    some = np.where(np.random.default_rng(0).random(Y.shape) < 0.5, np.nan, Y)
    filled, deviations = curved_model.predict_conditional(X, some, return_std=True)
    given = ~np.isnan(some)
    np.testing.assert_array_equal(filled[given], Y[given])
    assert np.all(deviations[given] == 0)
    means, noise = curved_model.predict(X, return_std=True)
    nothing = ~given.any(axis=1)
    np.testing.assert_allclose(filled[nothing], means[nothing])
    np.testing.assert_allclose(deviations[nothing], noise[nothing])
    # With more given targets predictions are closer to the truth, as the standard deviations predict.
    error = np.where(given, 0, filled - Y)
    for k in range(3):
        alone = ~given[:, k] & given[:, (k + 1) % 3] & given[:, (k + 2) % 3]
        assert np.std(error[alone, k]) == pytest.approx(deviations[alone, k][0], rel=0.15)
        assert deviations[alone, k][0] < 0.95 * noise[0, k]


@pytest.mark.slow
def test_samples_have_the_mean_and_the_covariance(curved_model):
    draws = curved_model.sample([[0.5]], n_draws=20_000, random_state=0)[:, 0]
    np.testing.assert_allclose(draws.mean(axis=0), curved_model.predict([[0.5]])[0], atol=0.005)
    np.testing.assert_allclose(np.cov(draws.T), curved_model.covariance_, atol=0.002)
    np.testing.assert_array_equal(draws[:5], curved_model.sample([[0.5]], n_draws=20_000, random_state=0)[:5, 0])


# Missing targets


@pytest.fixture(scope="module")
def gaps(linear):
    X, Y = linear
    rng = np.random.default_rng(5)
    gaps = rng.random(Y.shape) < 0.4
    gaps[gaps.all(axis=1), 0] = False
    return X, np.where(gaps, np.nan, Y)


@pytest.mark.slow
@pytest.mark.parametrize("covariance", ["full", "diag", "spherical"])
def test_with_missing_targets_no_other_weights_or_covariance_are_more_likely(gaps, covariance):
    X, Y = gaps
    model = MultivariateNormalRegressor((), covariance=covariance, **exact).fit(X, Y)
    best = model.mean_log_likelihood(X, Y)
    rng = np.random.default_rng(0)
    for _ in range(20):
        other = copy.deepcopy(model)
        other.coefs_[0] = other.coefs_[0] + 1e-4 * UNITS * rng.normal(size=(4, 3))
        assert other.mean_log_likelihood(X, Y) < best
        other.coefs_[0] = model.coefs_[0]
        if covariance == "spherical":
            other.predictive_covariance_ = model.covariance_ * rng.choice([0.999, 1.001])
        else:
            step = rng.normal(size=(3, 3)) if covariance == "full" else np.diag(rng.normal(size=3))
            root = np.linalg.cholesky(model.covariance_) @ (np.eye(3) + 1e-3 * step)
            other.predictive_covariance_ = root @ root.T
        assert other.mean_log_likelihood(X, Y) < best


@pytest.mark.slow
def test_independent_outputs_with_missing_targets_equal_separate_regressions(gaps):
    X, Y = gaps
    model = MultivariateNormalRegressor((), covariance="diag", **exact).fit(X, Y)
    for k in range(3):
        seen = ~np.isnan(Y[:, k])
        alone = least_squares(X[seen], Y[seen, k])
        np.testing.assert_allclose(np.append(model.coefs_[0][:, k], model.intercepts_[0][k]), alone, rtol=1e-6)


def test_a_row_or_an_output_without_any_target_is_an_error(linear):
    X, Y = linear
    empty_row = Y.copy()
    empty_row[7] = np.nan
    with pytest.raises(ValueError, match="1 of 300 rows of y contain only NaN, first in row 7"):
        MultivariateNormalRegressor(()).fit(X, empty_row)
    weights = np.where(np.arange(300) < 3, 0.0, 1.0)  # the message has the number of the user's row
    with pytest.raises(ValueError, match="first in row 7"):
        MultivariateNormalRegressor(()).fit(X, empty_row, sample_weight=weights)
    empty_output = Y.copy()
    empty_output[:, 1] = np.nan
    with pytest.raises(ValueError, match="output 1 of y contains only NaN"):
        MultivariateNormalRegressor(()).fit(X, empty_output)


@pytest.mark.slow
@pytest.mark.parametrize("covariance", ["full", "spherical"])
def test_weights_are_repetitions(gaps, covariance):
    X, Y = gaps
    weights = np.random.default_rng(0).integers(0, 4, size=len(X))
    build = MultivariateNormalRegressor((), covariance=covariance, tol=1e-3, random_state=0)
    weighted = build.fit(X, Y, sample_weight=weights)
    coefs, C = weighted.coefs_, weighted.covariance_
    repeated = build.fit(np.repeat(X, weights, axis=0), np.repeat(Y, weights, axis=0))
    for one, other in zip(coefs, repeated.coefs_, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)
    np.testing.assert_allclose(C, repeated.covariance_, rtol=1e-9)


# Singular covariances


def fitted_despite(X, Y, match, **parameters):
    """Fit although the likelihood has no maximum: expect a warning, and no NaN."""
    with pytest.warns(UserWarning, match=match):
        model = MultivariateNormalRegressor(**optimum | {"max_iter": 200} | parameters).fit(X, Y)
    assert np.all(np.isfinite(model.covariance_))
    assert np.all(np.isfinite(model.predict(X)))
    assert np.isfinite(model.loss_)
    assert np.isfinite(model.mean_log_likelihood(X, Y))
    return model


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("dtype", ["float32", pytest.param("float64", marks=pytest.mark.slow)])
def test_collinear_outputs_have_a_warning(linear, dtype):
    X, Y = linear
    Y = np.hstack([Y / UNITS, Y[:, :1] / UNITS[0] - Y[:, 1:2] / UNITS[1]])
    fitted_despite(X, Y, "column 3 is a linear combination of columns 0, 1", hidden_layer_sizes=(), dtype=dtype)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.slow
def test_more_outputs_than_samples_have_a_warning():
    rng = np.random.default_rng(0)
    fitted_despite(rng.normal(size=(6, 2)), rng.normal(size=(6, 9)), "degenerate", hidden_layer_sizes=())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_network_that_fits_the_targets_exactly_has_a_warning():
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(12, 3)), rng.normal(size=(12, 2))
    fitted_despite(X, Y, "degenerate", hidden_layer_sizes=(50,), alpha=0.0)


@pytest.mark.slow
def test_a_prior_bounds_the_likelihood():
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(12, 3)), rng.normal(size=(12, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = MultivariateNormalRegressor((5,), covariance_prior=(3.0, 0.1), **optimum | {"alpha": 1e-2}).fit(X, Y)
    r = Y - model.predict(X)
    np.testing.assert_allclose(model.covariance_, (r.T @ r + 0.1 * np.eye(2)) / (12 + 3 + 2 + 1), rtol=1e-6)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_with_early_stopping_a_prior_is_relative_to_the_training_samples():
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(20, 3)), rng.normal(size=(20, 2))
    options = {"early_stopping": True, "validation_fraction": 0.5, "random_state": 0, "max_iter": 2}
    model = MultivariateNormalRegressor((), covariance_prior=(3.0, 5.0), **options).fit(X, Y, np.full(20, 2.0))
    dataset = InMemoryDataset(Batch(X, Y, np.full(20, 2.0))).merge_repeated()
    batch = hold_out(dataset, 0.5, split_seed(0)).training.batch
    r, s = batch.targets - model.predict(batch.inputs), batch.weights * 20 / batch.weights.sum()
    np.testing.assert_allclose(model.covariance_, ((r.T * s) @ r + 5 * np.eye(2)) / (20 + 3 + 2 + 1), rtol=1e-9)


@pytest.mark.slow
def test_a_prior_is_in_the_units_of_the_targets(linear):
    X, Y = linear
    psi = 30 * NOISE
    one = MultivariateNormalRegressor((), covariance_prior=(4.0, psi), **exact).fit(X, Y / UNITS)
    two = MultivariateNormalRegressor((), covariance_prior=(4.0, psi * np.outer(UNITS, UNITS)), **exact).fit(X, Y)
    np.testing.assert_allclose(two.covariance_ / np.outer(UNITS, UNITS), one.covariance_, rtol=1e-8)


@pytest.mark.slow
def test_a_likelihood_without_weights_is_refused(curved, curved_model):
    X, Y, _ = curved
    gone = np.where(np.arange(20)[:, None] < 5, np.nan, Y[:20])
    with pytest.raises(ValueError, match="sample_weight is zero for every sample that has a target"):
        curved_model.mean_log_likelihood(X[:20], gone, sample_weight=np.arange(20) < 5)


@pytest.mark.slow
def test_early_stopping_keeps_the_weights_of_the_greatest_held_out_likelihood():
    rng = np.random.default_rng(0)
    X = rng.uniform(-2, 2, size=(60, 1))
    Y = np.hstack([np.sin(X), np.cos(X)]) + 0.3 * rng.normal(size=(60, 2))
    build = MultivariateNormalRegressor(
        (50,), alpha=0.0, early_stopping=True, validation_fraction=0.3, cv=None, random_state=0, max_iter=300
    )
    model = build.fit(X, Y)
    iterations, scores = model.validation_iterations_, model.validation_scores_
    assert model.stop_reason_ == "held_out"
    assert model.n_iter_ == iterations[np.argmax(scores)] == len(model.loss_curve_) - 1
    assert iterations[-1] - model.n_iter_ >= 50
    dataset = InMemoryDataset(Batch(X, Y)).merge_repeated()
    held_out = hold_out(dataset, 0.3, split_seed(0)).held_out
    assert held_out.n_samples == 18
    assert max(scores) == pytest.approx(
        model.mean_log_likelihood(held_out.batch.inputs, held_out.batch.targets), abs=1e-9
    )
    again = [coef.copy() for coef in model.coefs_]
    build.fit(X, Y)
    assert all(np.array_equal(one, other) for one, other in zip(again, build.coefs_, strict=True))


@pytest.mark.slow
def test_one_dimensional_targets_stay_so(curved):
    X, Y, _ = curved
    model = MultivariateNormalRegressor((4,), tol=1e-2, **optimum).fit(X, Y[:, 0])
    mean, std = model.predict(X, return_std=True)
    assert mean.shape == std.shape == (1500,)
    assert model.sample(X, 2).shape == (2, 1500)
    assert model.covariance_.shape == (1, 1)
    assert model.score(X, Y[:, 0]) > 0.5


@pytest.mark.parametrize(
    ("parameters", "error", "match"),
    [
        ({"covariance": "banded"}, ValueError, "covariance must be one of 'full', 'diag', 'spherical'"),
        ({"covariance": np.eye(2)}, ValueError, r"covariance must be \(3, 3\)"),
        ({"covariance": np.diag([1.0, 1.0, 0.0])}, ValueError, "covariance must be positive definite"),
        ({"covariance": [[1, 2, 3], [4, 5, 6], [7, 8, 9]]}, ValueError, "covariance must be finite and symmetric"),
        ({"covariance": np.eye(3), "covariance_prior": (1, 1.0)}, ValueError, "covariance_prior is for an unknown"),
        ({"covariance_prior": 3.0}, TypeError, r"covariance_prior must be None or a pair \(nu, Psi\)"),
        ({"covariance_prior": (-1, 1.0)}, ValueError, "nu of covariance_prior"),
        ({"covariance_prior": (1, 0.0)}, ValueError, "Psi of covariance_prior must be positive"),
        ({"mask": np.ones((4, 3))}, ValueError, r"use hidden_layer_sizes=\(\)"),
        ({"mask": np.ones((3, 4)), "hidden_layer_sizes": ()}, ValueError, r"mask must have the shape .* = \(4, 3\)"),
        ({"mask": 2 * np.ones((4, 3)), "hidden_layer_sizes": ()}, ValueError, "only True and False"),
        ({"hidden_layer_sizes": (0,)}, ValueError, "hidden_layer_sizes"),
        ({"hidden_layer_sizes": "50"}, TypeError, "hidden_layer_sizes must be a tuple"),
        ({"early_stopping": 1}, TypeError, "early_stopping"),
        ({"validation_fraction": 1.0}, ValueError, r"validation_fraction must be in \(0, 1\)"),
        ({"cv": 1}, ValueError, "cv must be"),
        ({"early_stopping": "always"}, TypeError, "early_stopping"),
        ({"early_stopping": True, "cv": None, "validation_fraction": 0.001}, ValueError, "gives 0 samples to hold out"),
        ({"hidden_activation": "softmax"}, ValueError, "hidden_activation must be one of"),
    ],
)
def test_unusable_parameters_are_refused(linear, parameters, error, match):
    with pytest.raises(error, match=match):
        MultivariateNormalRegressor(**parameters).fit(*linear)


def test_standard_errors_that_do_not_exist_are_refused(curved, curved_model):
    with pytest.raises(ValueError, match="linear model without weight decay"):
        curved_model.standard_errors(*curved[:2])
