"""Covariance of new targets about their predictions: folds, degrees of freedom, coverage."""

import warnings

import numpy as np
import pytest
from scipy.stats import norm

from sparsam import MultivariateNormalRegressor
from sparsam.engine.data.batch import Batch
from sparsam.estimators._data.dataset import InMemoryDataset
from sparsam.estimators._data.splits import folds_of_rows
from sparsam.estimators._regression.out_of_fold import HeldOutMoments, mean_log_likelihoods, out_of_fold, pooled
from sparsam.estimators._training.held_out_residuals import HeldOutResiduals
from sparsam.estimators._training.time_budget import TimeBudget

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def curve(rng, n):
    """One input, two targets with correlated noise."""
    X = rng.uniform(-3, 3, size=(n, 1))
    noise = rng.multivariate_normal([0, 0], [[0.04, 0.028], [0.028, 0.04]], size=n)
    return X, np.hstack([np.sin(X), np.cos(X)]) + noise


# Folds


def test_folds_hold_out_each_distinct_row_once_and_each_pattern_in_equal_shares():
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(53, 2)), rng.normal(size=(53, 2))
    Y[:20, 0] = np.nan
    dataset = InMemoryDataset(Batch(np.repeat(X, 2, axis=0), np.repeat(Y, 2, axis=0), None)).merge_repeated()
    splits = folds_of_rows(5, dataset, 0)
    held_out = [split.held_out.batch.inputs for split in splits]
    assert sorted(map(len, held_out)) == [10, 10, 11, 11, 11]
    assert len(np.unique(np.vstack(held_out), axis=0)) == 53
    for split in splits:
        both = np.vstack([split.training.batch.inputs, split.held_out.batch.inputs])
        assert len(np.unique(both, axis=0)) == len(both) == 53
    assert {int(np.isnan(split.held_out.batch.targets[:, 0]).sum()) for split in splits} <= {4}
    assert [s.held_out.n_samples for s in splits] == [2 * len(rows) for rows in held_out]


@pytest.mark.parametrize(("n_observed", "n_folds"), [(1, 0), (2, 2), (4, 4), (30, 5)])
def test_every_fold_trains_on_all_outputs(n_observed, n_folds):
    Y = np.random.default_rng(0).normal(size=(30, 2))
    Y[n_observed:, 1] = np.nan
    splits = folds_of_rows(5, InMemoryDataset(Batch(np.arange(30.0)[:, None], Y, None)), 0)
    assert len(splits) <= n_folds
    assert all(np.any(~np.isnan(split.training.batch.targets[:, 1])) for split in splits)


def test_an_ended_training_keeps_its_last_moments():
    short = HeldOutMoments(1.0, np.arange(2), np.ones((2, 1)), np.array([4.0, 2.0]).reshape(2, 1, 1, 1), np.zeros(2))
    long = HeldOutMoments(
        3.0, np.arange(3), np.ones((3, 1)), np.array([8.0, 4.0, 1.0]).reshape(3, 1, 1, 1), np.zeros(3)
    )
    iterations, _, products, _ = pooled([short, long])
    assert iterations.tolist() == [0, 1, 2]
    np.testing.assert_allclose(products.ravel(), [7.0, 3.5, 1.25])


def test_held_out_residuals_are_scored_with_their_own_variances():
    rng = np.random.default_rng(0)
    r = rng.normal(size=(500, 2)) * [1.0, 3.0]
    r[:100, 0] = np.nan
    patterns = np.array([[True, True], [False, True]])
    filled = np.nan_to_num(r)
    counts = np.array([0.8, 0.2])
    products = np.array([filled[100:].T @ filled[100:], filled[:100].T @ filled[:100]]) / 500
    expected = sum(
        norm(scale=np.sqrt(np.nanmean(r[:, k] ** 2))).logpdf(r[~np.isnan(r[:, k]), k]).sum() for k in range(2)
    )
    assert mean_log_likelihoods(counts, products, patterns) == pytest.approx(expected / 500)


# Folds in a fit


@pytest.fixture(scope="module")
def default_model():
    X, Y = curve(np.random.default_rng(0), 60)
    return MultivariateNormalRegressor((6,), max_iter=80, random_state=0).fit(X, Y), X, Y


@pytest.mark.slow
def test_the_fit_stops_at_the_iteration_that_is_best_for_the_folds_together(default_model):
    model, X, Y = default_model
    iterations, scores = model.validation_iterations_, model.validation_scores_
    assert model.n_iter_ == iterations[int(np.argmax(scores))]
    assert model.stop_reason_ == ("held_out" if model.n_iter_ < 80 else "max_iter")
    assert model.alpha_ == 0.03
    r = Y - model.predict(X)
    np.testing.assert_allclose(model.covariance_, r.T @ r / len(X), rtol=1e-6)  # over all rows
    # The scores are those of the residuals with their own variances, in the units of y.
    of_predictions = -0.5 * np.sum(np.log(2 * np.pi * np.diag(model.predictive_covariance_)) + 1)
    assert max(scores) == pytest.approx(of_predictions, rel=1e-6)
    deviation = model.predict(X, return_std=True)[1][0]
    np.testing.assert_allclose(deviation, np.sqrt(np.diag(model.predictive_covariance_)))


@pytest.mark.slow
def test_the_same_seed_draws_the_same_folds_for_weights_and_for_repetitions(default_model):
    model, X, Y = default_model
    again = MultivariateNormalRegressor((6,), max_iter=80, random_state=0).fit(
        np.repeat(X, 2, axis=0), np.repeat(Y, 2, axis=0)
    )
    np.testing.assert_allclose(again.predictive_covariance_, model.predictive_covariance_, rtol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("structure", ["diag", "spherical"])
def test_the_structure_is_kept(structure):
    X, Y = curve(np.random.default_rng(0), 40)
    C = (
        MultivariateNormalRegressor((3,), covariance=structure, alpha=0.03, cv=2, max_iter=10, random_state=0)
        .fit(X, Y)
        .predictive_covariance_
    )
    assert C[0, 1] == 0


@pytest.mark.slow
def test_without_folds_the_predictive_covariance_is_that_of_the_fit():
    X, Y = curve(np.random.default_rng(0), 40)
    for options in ({"cv": None}, {"covariance": 0.04 * np.eye(2)}):
        model = MultivariateNormalRegressor((3,), max_iter=10, random_state=0, **options).fit(X, Y)
        np.testing.assert_array_equal(model.predictive_covariance_, model.covariance_)


@pytest.mark.slow
def test_a_network_that_could_fit_its_targets_exactly_stops_early():
    """A smaller version of the issue's first example: one hundred rows, ten inputs, noise of variance 1."""
    from sklearn.datasets import make_friedman1

    X, y = make_friedman1(100, noise=1.0, random_state=0)
    model = MultivariateNormalRegressor(random_state=0).fit(X - 0.5, y)
    assert model.covariance_[0, 0] > 0.01
    assert model.predictive_covariance_[0, 0] > 1


def test_weight_decay_is_the_same_prior_for_many_samples_and_limited_for_few():
    model = MultivariateNormalRegressor()
    assert [model._weight_decay(n) for n in (100, 2000, 20_000)] == [0.03, 0.01, 0.001]
    assert model.set_params(alpha=0.2)._weight_decay(2000) == 0.2
    assert MultivariateNormalRegressor(())._weight_decay(2000) == 1e-3


def fine_structure(n=300):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 2))
    return X, np.sin(3 * X[:, 0]) + 0.1 * rng.normal(size=n)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.exhaustive)])
def test_if_folds_explain_nothing_a_weaker_decay_is_tried(seed):
    X, y = fine_structure()
    model = MultivariateNormalRegressor(random_state=seed).fit(X, y)
    assert model.alpha_ == pytest.approx(0.003)
    assert model.score(X, y) > 0.9
    assert MultivariateNormalRegressor(random_state=seed, alpha=0.03).fit(X, y).score(X, y) < 0.1  # why folds exist


@pytest.mark.slow
def test_with_noise_targets_the_decay_stays_or_the_likelihood_is_greater():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(100, 3)), rng.normal(size=100)
    model = MultivariateNormalRegressor(random_state=0).fit(X, y)
    given = MultivariateNormalRegressor(random_state=0, alpha=0.03).fit(X, y)
    best, of_given = (max(m.validation_scores_) for m in (model, given))
    assert best >= of_given
    assert model.predictive_covariance_[0, 0] == pytest.approx(1, abs=0.4)


@pytest.mark.slow
def test_a_final_training_that_ends_worse_than_the_folds_has_a_warning():
    X, y = fine_structure()
    with pytest.warns(UserWarning, match=r"on a plateau: the residuals of output 0 .* of 0\.\d+, but only 0\.\d+ on"):
        model = MultivariateNormalRegressor(random_state=0, alpha=0.01).fit(X, y)
    assert model.covariance_ > 1.5 * model.predictive_covariance_


def warns_that_the_mean_predicts_as_well(share, seed, unit=1.0, **options):
    """Fit 100 rows of which X determines this share of the variance of y."""
    rng = np.random.default_rng(seed)
    X, noise = rng.normal(size=(100, 5)), rng.normal(size=(100, 2))
    Y = np.sqrt(share) * X[:, :2] + np.sqrt(1 - share) * noise
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        MultivariateNormalRegressor(random_state=seed, **options).fit(X, unit * Y)
    return any("no better than the mean of y" in str(warning.message) for warning in caught)


@pytest.mark.slow
def test_fits_to_noise_say_that_the_mean_predicts_as_well_and_others_do_not():
    """A fit to noise warned 25 times of 36; at that rate fewer than 3 of 8 do in 1 of 50 suites."""
    seeds = range(40, 48)
    assert sum(warns_that_the_mean_predicts_as_well(0.0, seed) for seed in seeds) >= 3
    assert not any(warns_that_the_mean_predicts_as_well(0.5, seed) for seed in seeds)


@pytest.mark.slow
def test_that_warning_does_not_depend_on_units():
    for seed in range(40, 43):
        plain = warns_that_the_mean_predicts_as_well(0.0, seed)
        assert warns_that_the_mean_predicts_as_well(0.0, seed, unit=2.0**-20) == plain


@pytest.mark.slow
def test_that_warning_needs_folds_that_were_trained_to_their_end():
    assert warns_that_the_mean_predicts_as_well(0.0, 40)
    for options in ({"time_budget": 1e-9}, {"max_iter": 1, "early_stopping": False}, {"cv": None}):
        assert not warns_that_the_mean_predicts_as_well(0.0, 40, **options)


@pytest.mark.slow
def test_the_time_budget_is_shared_by_folds_and_training(monkeypatch):
    asked = []
    monkeypatch.setattr(TimeBudget, "share", lambda self, n_to_come: asked.append(n_to_come))
    X, Y = curve(np.random.default_rng(0), 60)
    MultivariateNormalRegressor((6,), max_iter=30, random_state=0).fit(X, Y)
    assert asked == [6, 5, 4, 3, 2, 1]


@pytest.mark.slow
def test_folds_ended_by_the_budget_do_not_choose_the_number_of_iterations(monkeypatch):
    monkeypatch.setattr(TimeBudget, "share", lambda self, n_to_come: None if n_to_come == 1 else 0.0)
    X, Y = curve(np.random.default_rng(0), 60)
    model = MultivariateNormalRegressor((6,), alpha=0.03, max_iter=30, time_budget=60, random_state=0).fit(X, Y)
    assert (model.stop_reason_, model.n_iter_) == ("max_iter", 30)


@pytest.mark.slow
def test_no_fold_continues_far_beyond_the_best_iteration_of_earlier_folds(monkeypatch):
    trained = []
    of_held_out = HeldOutResiduals.of_held_out

    def watched(self, weight):
        moments = of_held_out(self, weight)
        trained.append(moments)
        return moments

    monkeypatch.setattr(HeldOutResiduals, "of_held_out", watched)
    X, Y = curve(np.random.default_rng(0), 60)
    MultivariateNormalRegressor((6,), n_iter_no_change=8, random_state=0).fit(X, Y)
    assert len(trained) == 5
    observed = np.ones((1, 2), bool)
    for k in range(1, 5):
        best = out_of_fold(trained[:k], observed, stops=True).iteration
        # Scored iterations are at most two apart.
        assert trained[k].iterations[-1] < best + 8 + 2


@pytest.mark.slow
def test_streamed_rows_are_held_out_once():
    """If targets are pure noise, a network that has learned some of it is worse on held-out rows."""
    X, Y = np.random.default_rng(0).normal(size=(2, 200, 2))

    class Rows:
        def __iter__(self):
            for start in range(0, 200, 50):
                yield X[start : start + 50], Y[start : start + 50]

    model = MultivariateNormalRegressor((4,), max_iter=30, tol=1e-3, random_state=0).fit(Rows())
    assert np.all(np.linalg.eigvalsh(model.predictive_covariance_) > 0)
    assert model.stop_reason_ == "held_out"
    assert model.n_iter_ == model.validation_iterations_[np.argmax(model.validation_scores_)]


# Linear models


@pytest.mark.parametrize("alpha", [pytest.param(0.0, marks=pytest.mark.exhaustive), 0.05])
def test_for_linear_models_it_is_the_covariance_of_new_targets(alpha):
    """Ratio of new residuals' mean squares to predicted ones, in 200 draws of n = 40 rows of p = 10 inputs.

    Generalized cross-validation is exact up to terms of 1/n^2; the ratio's standard error is below 0.02.
    """
    rng = np.random.default_rng(0)
    ratios = []
    for _ in range(200):
        W = rng.normal(size=(10, 2))
        X, X_new = rng.normal(size=(40, 10)), rng.normal(size=(200, 10))
        Y, Y_new = (x @ W + rng.normal(size=(len(x), 2)) * [1.0, 5.0] for x in (X, X_new))
        model = MultivariateNormalRegressor((), alpha=alpha, covariance="diag").fit(X, Y)
        ratios.append(np.mean((Y_new - model.predict(X_new)) ** 2, axis=0) / np.diag(model.predictive_covariance_))
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.1)


def test_degrees_of_freedom_are_those_of_each_output():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 4))
    Y = X[:, :2] + rng.normal(size=(60, 2))
    Y[:20, 0] = np.nan
    mask = np.ones((4, 2))
    mask[1:, 1] = 0
    model = MultivariateNormalRegressor((), alpha=0.0, mask=mask).fit(X, Y)
    factors = np.array([1 / (1 - 5 / 40), 1 / (1 - 2 / 60)])
    np.testing.assert_allclose(model.predictive_covariance_, model.covariance_ * np.outer(factors, factors), rtol=1e-9)
