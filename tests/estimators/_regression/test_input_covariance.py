"""A covariance that depends on the input: planted truths, limits, units, missing targets, and every kind of fit."""

import copy
import warnings

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.model_selection import KFold

import sparsam
from sparsam import Checkpoint, MultivariateNormalRegressor, reference

small = {"hidden_layer_sizes": (20,), "covariance": "input", "random_state": 0}
quick = small | {"max_iter": 20, "cv": 2, "covariance_alpha": 0.1, "n_iter_no_change": 10}


def covariance_of(X):
    """The planted C(x) of two targets: the first deviation grows, the correlation changes its sign."""
    first, second = np.exp(0.8 * X[:, 0] - 1), np.full(len(X), 0.3)
    rho = np.tanh(1.5 * X[:, 0])
    C = np.empty((len(X), 2, 2))
    C[:, 0, 0], C[:, 1, 1] = first**2, second**2
    C[:, 0, 1] = C[:, 1, 0] = rho * first * second
    return C


def draw(n, seed):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1.5, 1.5, (n, 2))
    noise = np.einsum("nij,nj->ni", np.linalg.cholesky(covariance_of(X)), rng.normal(size=(n, 2)))
    return X, np.column_stack([np.sin(2 * X[:, 0]), X[:, 1] ** 2]) + noise


@pytest.fixture(scope="module")
def planted():
    return draw(1000, 0)


@pytest.fixture(scope="module")
def model(planted):
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "No covariance that depends on the input")
        return MultivariateNormalRegressor(**small).fit(*planted)


@pytest.fixture(scope="module")
def gaps():
    X, Y = draw(200, 1)
    Y[::3, 0], Y[1::5, 1] = np.nan, np.nan
    seen = ~np.isnan(Y).all(axis=1)
    return X[seen], Y[seen]


def log_likelihood_of_the_truth(X, Y):
    means = np.column_stack([np.sin(2 * X[:, 0]), X[:, 1] ** 2])
    return np.mean([multivariate_normal(m, C).logpdf(y) for m, C, y in zip(means, covariance_of(X), Y, strict=True)])


@pytest.mark.slow
def test_it_recovers_the_covariance_of_each_input(planted, model):
    """One covariance for all loses a nat; the fitted one a tenth of that."""
    X, Y = draw(5000, 9)
    truth = log_likelihood_of_the_truth(X, Y)
    constant = MultivariateNormalRegressor(**small | {"covariance": "full"}).fit(*planted)
    assert truth - constant.mean_log_likelihood(X, Y) > 0.8
    assert 0 < truth - model.mean_log_likelihood(X, Y) < 0.1
    inside = np.abs(X[:, 0]) < 1.2
    found, expected = model.predict_covariance(X[inside]), covariance_of(X[inside])
    deviations = np.sqrt(np.diagonal(found, axis1=1, axis2=2) / np.diagonal(expected, axis1=1, axis2=2))
    assert np.abs(np.log(deviations)).mean() < 0.1
    correlation = found[:, 0, 1] / np.sqrt(found[:, 0, 0] * found[:, 1, 1])
    assert np.abs(correlation - np.tanh(1.5 * X[inside, 0])).mean() < 0.15


@pytest.mark.slow
def test_where_the_noise_is_the_same_everywhere_little_is_lost():
    rng = np.random.default_rng(0)
    losses = []
    for _ in range(3):
        X = rng.uniform(-2, 2, (2400, 2))
        noise = rng.multivariate_normal([0, 0], [[1, 0.5], [0.5, 1]], 2400)
        Y = np.column_stack([np.sin(2 * X[:, 0]), X[:, 1]]) + noise
        fits = [
            MultivariateNormalRegressor(**small | {"covariance": kind}).fit(X[:400], Y[:400])
            for kind in ("full", "input")
        ]
        losses.append(np.subtract(*(fit.mean_log_likelihood(X[400:], Y[400:]) for fit in fits)))
    assert np.mean(losses) < 0.05


def test_covariances_are_those_of_the_reference_at_the_fitted_weights(planted, model):
    """T^-1 D of the outputs, by the definition, times the fitted factor."""
    X = planted[0][:50]
    z = np.tanh(X @ model.coefs_[0] + model.intercepts_[0])
    outputs = np.hstack([np.zeros((50, 2)), z @ model.covariance_coef_ + model.covariance_intercept_])
    expected = reference.heteroscedastic.covariances(outputs, model.covariance_factor_)
    np.testing.assert_allclose(model.predict_covariance(X), expected, rtol=1e-9)
    np.testing.assert_allclose(model.predictive_covariance_, model.predict_covariance(planted[0]).mean(axis=0))


def test_densities_conditionals_deviations_and_samples_are_those_of_each_rows_normal_distribution(planted, model):
    X, Y = planted[0][:20], planted[1][:20].copy()
    means, C = model.predict(X), model.predict_covariance(X)
    expected = [multivariate_normal(m, c).logpdf(y) for m, c, y in zip(means, C, Y, strict=True)]
    np.testing.assert_allclose(model.log_density(X, Y), expected, rtol=1e-9)
    np.testing.assert_allclose(model.mean_log_likelihood(X, Y), np.mean(expected))
    np.testing.assert_allclose(model.predict(X, return_std=True)[1], np.sqrt(np.diagonal(C, axis1=1, axis2=2)))
    Y[::2, 1] = np.nan
    filled, std = model.predict_conditional(X, Y, return_std=True)
    slope = C[:, 1, 0] / C[:, 0, 0]
    given = means[:, 1] + slope * (Y[:, 0] - means[:, 0])
    np.testing.assert_allclose(filled[::2, 1], given[::2])
    np.testing.assert_allclose(std[::2, 1], np.sqrt(C[:, 1, 1] - slope * C[:, 0, 1])[::2])
    draws = model.sample(X[:2], 4000, random_state=0) - means[:2]
    # A covariance of n draws has the variance (C_ij^2 + C_ii C_jj)/n.
    for k in range(2):
        variances = np.diag(C[k])
        limit = 5 * np.sqrt((C[k] ** 2 + np.outer(variances, variances)) / 4000)
        assert np.all(np.abs(np.cov(draws[:, k].T) - C[k]) < limit)


def test_strong_decay_gives_the_constant_covariance(planted):
    X, Y = planted[0][:200], planted[1][:200]
    constant = MultivariateNormalRegressor(**small | {"covariance": "full"}).fit(X, Y)
    stiff = MultivariateNormalRegressor(**small, covariance_alpha=1e6).fit(X, Y)
    np.testing.assert_allclose(stiff.predict_covariance(X), stiff.predict_covariance(X[:1]).repeat(200, 0), rtol=1e-3)
    assert abs(stiff.mean_log_likelihood(X, Y) - constant.mean_log_likelihood(X, Y)) < 0.1


def test_units_of_the_targets_change_only_units(planted):
    X, Y = planted[0][:150], planted[1][:150]
    units, without_folds = np.array([100.0, 0.01]), quick | {"cv": None, "early_stopping": False}
    one, other = (MultivariateNormalRegressor(**without_folds).fit(X, Y * u) for u in (1.0, units))
    np.testing.assert_allclose(other.predict(X), one.predict(X) * units, rtol=1e-6)
    np.testing.assert_allclose(
        other.predict_covariance(X), one.predict_covariance(X) * np.outer(units, units), rtol=1e-6
    )
    np.testing.assert_allclose(
        other.mean_log_likelihood(X, Y * units), one.mean_log_likelihood(X, Y) - np.log(units).sum()
    )


def test_weights_are_repetitions(gaps):
    X, Y = gaps
    counts = np.random.default_rng(0).integers(0, 3, len(X))
    weighted = MultivariateNormalRegressor(**quick).fit(X, Y, sample_weight=counts)
    repeated = MultivariateNormalRegressor(**quick).fit(np.repeat(X, counts, 0), np.repeat(Y, counts, 0))
    np.testing.assert_allclose(weighted.predict_covariance(X), repeated.predict_covariance(X), rtol=1e-6)


def test_missing_targets_have_the_density_of_the_others(gaps):
    X, Y = gaps
    model = MultivariateNormalRegressor(**quick).fit(X, Y)
    means, C = model.predict(X), model.predict_covariance(X)
    row = np.flatnonzero(np.isnan(Y[:, 0]))[0]
    expected = multivariate_normal(means[row, 1], C[row, 1, 1]).logpdf(Y[row, 1])
    assert model.log_density(X[row : row + 1], Y[row : row + 1])[0] == pytest.approx(expected)


@pytest.mark.parametrize(
    "options",
    [
        {"hidden_layer_sizes": ()},
        {"hidden_layer_sizes": (5, 4)},
        {"cv": None},
        {"cv": None, "early_stopping": False},
        {"early_stopping": False},
        {"cv": KFold(2)},
        {"dtype": "float32"},
        {"covariance_alpha": None},
        {"covariance_prior": (3.0, 0.1)},
        {"hidden_layer_sizes": (), "mask": np.eye(2)},
        {"polish": True, "dtype": "float32"},
        {"time_budget": 1e-3},
    ],
    ids=lambda options: "-".join(map(str, options)),
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning", "ignore::UserWarning")
def test_every_kind_of_fit_predicts_positive_definite_covariances(gaps, options):
    X, Y = gaps
    model = MultivariateNormalRegressor(**quick | options).fit(X, Y)
    assert np.linalg.eigvalsh(model.predict_covariance(X)).min() > 0
    assert np.isfinite(model.mean_log_likelihood(X, Y))
    assert model.covariance_.shape == (2, 2)
    model.check_fitted()


def test_targets_that_depend_on_others_have_singular_covariances(planted):
    X, Y = planted[0][:150], planted[1][:150]
    with pytest.warns(sparsam.DegenerateCovarianceWarning, match="linear combination"):
        model = MultivariateNormalRegressor(**quick).fit(X, np.column_stack([Y, Y @ [1, 2], np.ones(150)]))
    C = model.predict_covariance(X[:5])
    np.testing.assert_allclose(C[:, 2, 2], [[1, 2, 0, 0] @ c @ [1, 2, 0, 0] for c in C])
    assert np.all(C[:, 3] == 0)
    y = np.column_stack([Y, Y @ [1, 2], np.ones(150)])[:5]
    assert np.all(np.isfinite(model.log_density(X[:5], y)))
    assert model.sample(X[:5]).shape == (1, 5, 4)


def test_one_dimensional_targets_stay_so(planted):
    X, y = planted[0][:150], planted[1][:150, 0]
    model = MultivariateNormalRegressor(**quick).fit(X, y)
    mean, std = model.predict(X, return_std=True)
    assert mean.shape == std.shape == (150,)
    assert model.predict_covariance(X).shape == (150, 1, 1)
    np.testing.assert_allclose(std**2, model.predict_covariance(X)[:, 0, 0])


def test_a_saved_model_predicts_the_same(planted, model, tmp_path):
    sparsam.save(model, tmp_path / "model.safetensors")
    loaded = sparsam.load(tmp_path / "model.safetensors")
    X = planted[0][:10]
    np.testing.assert_array_equal(loaded.predict_covariance(X), model.predict_covariance(X))
    assert loaded.covariance_alpha_ == model.covariance_alpha_


def test_a_file_whose_arrays_do_not_fit_together_is_refused(model):
    for name in ("covariance_factor_", "covariance_coef_", "covariance_intercept_"):
        for wrong in (None, getattr(model, name)[:-1], getattr(model, name) * np.nan):
            broken = copy.copy(model)
            setattr(broken, name, wrong)
            with pytest.raises(ValueError, match=r"fit together|incomplete|finite"):
                broken.check_fitted()


def test_streamed_data_are_fitted_too(planted):
    X, Y = planted[0][:300], planted[1][:300]

    class Chunks:
        def __iter__(self):
            yield from ((X[k : k + 100], Y[k : k + 100]) for k in range(0, 300, 100))

    model = MultivariateNormalRegressor(**quick).fit(Chunks())
    assert np.linalg.eigvalsh(model.predict_covariance(X)).min() > 0


class Stop(Exception):
    pass


@pytest.mark.parametrize("n_iterates", [5, 30, 60])
def test_a_fit_resumes_from_its_checkpoint_with_the_same_bits(planted, tmp_path, n_iterates):
    """It is stopped in the folds of the constant covariance, in the means, and in the folds of the other."""
    X, Y = planted[0][:150], planted[1][:150]
    left = iter(range(n_iterates))

    def stop_after(progress):
        if next(left, None) is None:
            raise Stop

    whole = MultivariateNormalRegressor(**quick).fit(X, Y)
    stopped = MultivariateNormalRegressor(**quick, checkpoint=Checkpoint(tmp_path, every=0), callback=stop_after)
    with pytest.raises(Stop):
        stopped.fit(X, Y)
    again = clone(stopped).set_params(checkpoint=Checkpoint(tmp_path, every=0, resume=True), callback=None).fit(X, Y)
    np.testing.assert_array_equal(again.predict_covariance(X), whole.predict_covariance(X))


def test_what_needs_a_constant_covariance_is_refused(planted, model):
    with pytest.raises(ValueError, match="constant covariance"):
        model.standard_errors(*planted)
    with pytest.raises(ValueError, match="covariance_alpha is for"):
        MultivariateNormalRegressor(covariance_alpha=0.1).fit(*planted)
    with pytest.raises(ValueError, match="covariance_alpha must be"):
        MultivariateNormalRegressor(covariance="input", covariance_alpha=-1.0).fit(*planted)
    X, Y = planted[0][:20], planted[1][:20].copy()
    Y[:10, 0], Y[10:, 1] = np.nan, np.nan
    with pytest.raises(ValueError, match="never observed together"):
        MultivariateNormalRegressor(**quick).fit(X, Y)


@pytest.mark.slow
def test_a_constant_covariance_where_none_is_better_is_said():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 3))
    Y = np.column_stack([X[:, 0], np.sin(X[:, 1])]) + 0.2 * rng.normal(size=(500, 2))
    X, Y = X[:60], Y[:60]
    with pytest.warns(UserWarning, match="No covariance that depends on the input predicts held-out targets better"):
        model = MultivariateNormalRegressor(**small | {"hidden_layer_sizes": (3,)}).fit(X, Y)
    C = model.predict_covariance(X)
    np.testing.assert_allclose(C, np.broadcast_to(C[0], C.shape), rtol=1e-12)
