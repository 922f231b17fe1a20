"""Targets that are combinations of others, and outputs that are never observed together."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from sparsam import DegenerateCovarianceWarning, MultivariateNormalRegressor, likelihood_ratio_test, load, save
from sparsam.engine.data.batch import Batch
from sparsam.estimators._data.dataset import InMemoryDataset
from sparsam.estimators._regression.dependent_targets import DependentTargets

exact = {"alpha": 0.0, "tol": 1e-9, "cv": None}
N = 200


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, 3))
    noise = rng.multivariate_normal([0, 0], [[0.09, 0.05], [0.05, 0.09]], size=N)
    return X, X @ rng.normal(size=(3, 2)) + noise + [5.0, 100.0]


def with_dependent(Y):
    """Add a constant, a sum and a copy."""
    return np.column_stack([Y, np.full(len(Y), 7.0), Y[:, 0] + Y[:, 1], Y[:, 1]])


def least_squares(X, Y):
    return np.linalg.lstsq(np.column_stack([X, np.ones(len(X))]), Y)[0]


def fitted(X, Y, hidden=(), **parameters):
    """Fit; return the model and the messages of the warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = MultivariateNormalRegressor(hidden, **exact | parameters).fit(X, Y)
    return model, [warning for warning in caught if warning.category is not ConvergenceWarning]


@pytest.mark.parametrize("units", [1.0, np.array([1e9, 1e-9, 1.0, 1e4, 1e-4])])
def test_linear_means_are_least_squares_and_one_warning_names_the_columns(data, units):
    X, Y = data
    Z = with_dependent(Y) * units
    model, caught = fitted(X, Z)
    assert [warning.category for warning in caught] == [DegenerateCovarianceWarning]
    assert (
        "column 2 is constant; column 3 is a linear combination of columns 0, 1; "
        "column 4 is a linear combination of column 1."
    ) in str(caught[0].message)
    expected = least_squares(X, Z)
    scale = np.where(Z.std(axis=0) > 1e-12, Z.std(axis=0), 1.0)
    assert np.abs(np.vstack([model.coefs_[0], model.intercepts_[0]]) - expected).max(axis=0) / scale == pytest.approx(
        0, abs=1e-6
    )
    r = (Z - np.column_stack([X, np.ones(N)]) @ expected) / scale
    np.testing.assert_allclose(model.covariance_ / np.outer(scale, scale), r.T @ r / N, atol=1e-7)


def test_the_example_of_the_issue():
    """A third target that is the sum of the others does not spoil their predictions."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 3))
    Y = np.column_stack([X[:, 0], rng.normal(size=100)]) + rng.normal(size=(100, 2)) / 10
    model, _ = fitted(X, np.column_stack([Y, Y.sum(axis=1)]))
    np.testing.assert_allclose(model.coefs_[0][:, :2], least_squares(X, Y)[:3], atol=1e-6)


@pytest.mark.slow
def test_networks_have_the_same_bits_as_without_dependent_targets(data):
    X, Y = data
    options = {"alpha": 0.03, "cv": 5, "tol": 1e-5, "max_iter": 40, "random_state": 0}
    one, _ = fitted(X, with_dependent(Y), (4,), **options)
    other, _ = fitted(X, Y, (4,), **options)
    np.testing.assert_array_equal(one.predict(X)[:, :2], other.predict(X))
    np.testing.assert_allclose(one.predictive_covariance_[:2, :2], other.predictive_covariance_, rtol=1e-12)
    assert one.n_outputs_ == 5
    again, _ = fitted(X, with_dependent(Y), (4,), **options)
    again.set_params(warm_start=True, early_stopping=False, cv=None, max_iter=1)
    with pytest.warns(DegenerateCovarianceWarning):
        again.fit(X, with_dependent(Y))
    assert again.loss_ <= one.loss_ + 1e-9


def test_densities_conditions_and_draws_are_those_of_the_targets_that_determine_the_others(data, tmp_path):
    X, Y = data
    Z = with_dependent(Y)
    model, alone = fitted(X, Z)[0], fitted(X, Y)[0]
    np.testing.assert_allclose(model.log_density(X, Z), alone.log_density(X, Y), rtol=1e-5)
    draws = model.sample(X[:5], 3, random_state=0)
    np.testing.assert_allclose(draws, with_dependent(draws.reshape(15, 5)[:, :2]).reshape(3, 5, 5), rtol=1e-9)
    given = np.where([True, False, False, True, False], np.nan, Z[:4])  # the copy of 1 is given, but 0 is not
    filled, left = model.predict_conditional(X[:4], given, return_std=True)
    expected, deviation = alone.predict_conditional(X[:4], np.where([True, False], np.nan, Y[:4]), return_std=True)
    np.testing.assert_allclose(filled[:, :2], expected, rtol=1e-6)
    np.testing.assert_allclose(left[:, 0], deviation[:, 0], rtol=1e-6)
    np.testing.assert_allclose(filled[:, 3], filled[:, 0] + filled[:, 1])
    given = np.where([True, True, False, False, False], np.nan, Z[:4])  # the sum and the copy determine all
    filled, left = model.predict_conditional(X[:4], given, return_std=True)
    np.testing.assert_allclose(filled, Z[:4], rtol=1e-9)
    np.testing.assert_allclose(left, 0, atol=1e-6)
    errors, expected = model.standard_errors(X, Z)[0], alone.standard_errors(X, Y)[0]
    np.testing.assert_allclose(errors[:, :2], expected, rtol=1e-6)
    assert np.isnan(errors[:, 2:]).all()
    with pytest.raises(ValueError, match="remove outputs that are constant, or linear combinations of others"):
        likelihood_ratio_test(model, fitted(X, Z, covariance="diag")[0], X, Z)
    save(model, tmp_path / "model.safetensors")
    np.testing.assert_array_equal(load(tmp_path / "model.safetensors").covariance_, model.covariance_)


@pytest.mark.parametrize("covariance", ["diag", "spherical"])
def test_independent_outputs_leave_out_only_constants(data, covariance):
    X, Y = data
    Z = with_dependent(Y)
    model, [warning] = fitted(X, Z, covariance=covariance)
    assert "or constant: column 2 is constant." in str(warning.message)
    np.testing.assert_allclose(model.coefs_[0], least_squares(X, Z)[:3], atol=1e-6)


def test_a_known_covariance_is_kept(data):
    X, Y = data
    C = np.eye(5)
    model, caught = fitted(X, with_dependent(Y), covariance=C)
    assert not caught
    np.testing.assert_array_equal(model.predictive_covariance_, C)


def test_a_missing_target_is_computed_from_those_that_determine_it(data):
    X, Y = data
    Z = np.column_stack([Y, Y[:, 0], Y.sum(axis=1)])
    Z[::3, 0] = np.nan  # from its copy
    Z[1::5, 1] = np.nan  # from the sum minus the copy
    model, _ = fitted(X, Z)
    np.testing.assert_allclose(
        model.coefs_[0], least_squares(X, np.column_stack([Y, Y[:, 0], Y.sum(axis=1)]))[:3], atol=1e-6
    )


def test_a_combination_that_the_mask_does_not_allow_is_ignored(data):
    X, Y = data
    Z = np.column_stack([Y, Y.sum(axis=1)])
    dataset = InMemoryDataset(Batch(X, Z, None))
    narrow = np.ones((3, 3))
    narrow[0, 2] = 0.0
    assert not DependentTargets.of(dataset, combinations=True, mask=narrow).any
    wide = np.ones((3, 3))
    wide[0, 0] = 0.0
    assert DependentTargets.of(dataset, combinations=True, mask=wide).kept.tolist() == [0, 1]


def test_few_samples_do_not_determine_combinations():
    rng = np.random.default_rng(0)
    dataset = InMemoryDataset(Batch(np.zeros((6, 1)), rng.normal(size=(6, 9)), None))
    assert not DependentTargets.of(dataset, combinations=True, mask=None).any


def test_noise_of_relative_size_1e_minus_6_makes_a_target_independent(data):
    X, Y = data
    Z = np.column_stack([Y, Y[:, 0] + 1e-5 * np.random.default_rng(0).normal(size=N)])
    assert not DependentTargets.of(InMemoryDataset(Batch(X, Z, None)), combinations=True, mask=None).any


@pytest.mark.slow
def test_a_fold_in_which_a_column_happens_to_be_constant_does_not_spoil_the_others(data):
    X, Y = data
    options = {"alpha": 0.03, "cv": 5, "tol": 1e-5, "max_iter": 100, "random_state": 0}
    rare, caught = fitted(X, np.column_stack([Y, np.arange(N) == 3]), (4,), **options)
    alone, _ = fitted(X, Y, (4,), **options)
    assert not caught
    ratio = np.diag(rare.predictive_covariance_)[:2] / np.diag(alone.predictive_covariance_)
    assert np.all((ratio > 0.7) & (ratio < 1.4))


def test_outputs_never_observed_together_have_no_covariance(data, tmp_path):
    X, Y = data
    Z = np.column_stack([Y, Y.sum(axis=1) + np.random.default_rng(1).normal(size=N)])
    Z[::2, 0] = np.nan
    Z[1::2, 1] = np.nan
    model, [warning] = fitted(X, Z, cv=5)
    assert "The outputs 0 and 1 of y are never observed together" in str(warning.message)
    for C in (model.covariance_, model.predictive_covariance_):
        np.testing.assert_array_equal(np.isnan(C), [[False, True, False], [True, False, False], [False] * 3])
    assert np.isfinite(model.log_density(X, Z)).all()
    assert np.isfinite(model.predict(X, return_std=True)[1]).all()
    assert np.isfinite(model.predict_conditional(X, np.where([True, True, False], np.nan, Z))).all()
    for needs_it in (
        lambda: model.predict_conditional(X, Z),
        lambda: model.sample(X),
        lambda: model.log_density(X, np.nan_to_num(Z)),
    ):
        with pytest.raises(
            ValueError, match="the covariance of the outputs 0 and 1, which were never observed together"
        ):
            needs_it()
    save(model, tmp_path / "model.safetensors")
    np.testing.assert_array_equal(load(tmp_path / "model.safetensors").covariance_, model.covariance_)
    for told in ({"covariance": "diag"}, {"covariance_prior": (4.0, 0.1)}):
        model, caught = fitted(X, Z, **told)
        assert not caught
        assert np.isfinite(model.covariance_).all()


def test_targets_that_are_all_constant_are_said_to_be(data):
    X, _ = data
    with pytest.warns(UserWarning, match="All targets are constant: there is nothing to predict"):
        MultivariateNormalRegressor((), **exact).fit(X, np.full((N, 2), 3.0))


@pytest.mark.parametrize(("unit", "warns"), [(5.0, False), (20.0, True), (1e11, True)])
def test_one_variance_for_targets_in_different_units_has_a_warning(data, unit, warns):
    X, Y = data
    deviations = Y.std(axis=0)
    _, caught = fitted(X, Y / deviations * [unit, 1.0], covariance="spherical")
    messages = [str(warning.message) for warning in caught]
    assert any("by a factor of" in message and "Standardize y" in message for message in messages) == warns
    assert not fitted(X, Y / deviations * [unit, 1.0], covariance="diag")[1]


def test_more_columns_than_rows_are_named_and_a_larger_tol_is_not_advised():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(40, 100))
    y = X[:, :3] @ [2, 1, -1] + rng.normal(size=40)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        MultivariateNormalRegressor(()).fit(X, y)
    messages = [str(warning.message) for warning in caught]
    assert any("fewer columns of X or more rows" in message for message in messages)
    assert not any("hidden units" in message or "larger tol" in message for message in messages)
