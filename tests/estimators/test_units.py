"""Fits do not depend on the units and origins of the inputs, or warn if they do because of weight decay."""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from sparsam import MultivariateNormalRegressor, NoisyLabelClassifier, SparseAutoencoder, load, save

UNITS = [1e-9, 1e9, (1e-9, 1e9)]
SHIFTS = [0.0, 1e6]

rng = np.random.default_rng(0)
X = rng.normal(size=(300, 2))
MEANS = np.tanh(X @ [[1, -0.7], [0.5, 1.0]] + [0.3, -0.4]) @ [[1, 2], [-1, 1.0]]
Y = MEANS + 0.1 * rng.normal(size=(300, 2))
POINTS = rng.normal(size=(600, 2))
LOG_ODDS = 2 * np.tanh(POINTS @ [[2, -1.4], [1, 2.0]] + [0.3, -0.4]) @ [1.0, -1.5]
LABELS = (rng.uniform(size=600) < 1 / (1 + np.exp(-LOG_ODDS))).astype(int)


def least_squares(X, Y):
    """Compute means of the targets by least squares on centered, scaled columns."""
    U = (X - X.mean(axis=0)) / X.std(axis=0)
    design = np.column_stack([U, np.ones(len(U))])
    return design @ np.linalg.lstsq(design, Y, rcond=None)[0]


def without_warnings(fit, *arguments, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return fit(*arguments, **options)


@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize("unit", UNITS)
def test_a_linear_regression_is_least_squares(unit, shift):
    Z = (X + shift) * unit
    model = without_warnings(MultivariateNormalRegressor((), alpha=0, tol=1e-9).fit, Z, Y)
    assert np.abs((model.predict(Z) - least_squares(X, Y)) / Y.std(axis=0)).max() < 1e-6


@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize("unit", UNITS)
def test_a_network_reaches_the_same_minimum(unit, shift):
    def fit(Z):
        model = MultivariateNormalRegressor((2,), alpha=0, tol=1e-9, random_state=0, early_stopping=False)
        return without_warnings(model.fit, Z, Y)

    model, expected = fit((X + shift) * unit), fit(X)
    assert model.converged_
    assert model.loss_ == pytest.approx(expected.loss_, abs=1e-8)
    assert np.abs((model.predict((X + shift) * unit) - expected.predict(X)) / Y.std(axis=0)).max() < 1e-6


@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize("unit", UNITS)
def test_a_classifier_reaches_the_same_minimum(unit, shift):
    def fit(Z):
        model = NoisyLabelClassifier((2,), epsilon=0.0, alpha=0, tol=1e-9, dtype="float64", random_state=0)
        return without_warnings(model.fit, Z, LABELS)

    Z = (POINTS + shift) * unit
    model, expected = fit(Z), fit(POINTS)
    assert model.converged_
    assert model.loss_ == pytest.approx(expected.loss_, abs=1e-8)
    assert np.abs(model.predict_proba(Z) - expected.predict_proba(POINTS)).max() < 1e-6


def test_the_minimum_is_found_if_inputs_are_of_order_1e_minus_6():
    """An earlier version "converged" after 0 iterations, with R^2 = 6e-7."""
    rng = np.random.default_rng(1)
    X = 1e-6 * rng.normal(size=(200, 2))
    Y = X @ [[1e6, 2e6], [0, 1e6]] + 0.1 * rng.normal(size=(200, 2))
    model = without_warnings(MultivariateNormalRegressor((), alpha=0).fit, X, Y)
    assert np.abs((model.predict(X) - least_squares(X, Y)) / Y.std(axis=0)).max() < 1e-4
    assert model.score(X, Y) > 0.98


def test_grunfelds_seemingly_unrelated_regressions():
    """Five firms of Y. Grunfeld's data (1958), as in W. H. Greene, *Econometric Analysis*; the maximum is -458.063."""
    data = pd.read_csv(Path(__file__).parent / "data" / "grunfeld.csv")
    of = [rows for _, rows in data.groupby("firm", sort=False)]
    X = np.column_stack([firm[name] for firm in of for name in ("value", "capital")])
    Y = np.column_stack([firm.invest for firm in of])
    mask = np.kron(np.eye(5), np.ones((2, 1)))
    model = without_warnings(MultivariateNormalRegressor((), alpha=0, mask=mask).fit, X, Y)
    residuals = Y - model.predict(X)
    likelihood = multivariate_normal(np.zeros(5), model.covariance_).logpdf(residuals).sum()
    assert likelihood == pytest.approx(-458.063, abs=5e-4)


@pytest.mark.parametrize("load_data", [load_iris, load_wine, load_breast_cancer])
def test_a_classifier_converges_on_raw_tables(load_data):
    X, y = load_data(return_X_y=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        model = NoisyLabelClassifier(random_state=0, epsilon=0.05, early_stopping=False).fit(X, y)
    assert model.converged_
    assert model.score(X, y) > 0.98


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_predictions_keep_an_offset(dtype):
    Z = X + 1e6
    tol = {"float32": 1e-5, "float64": 1e-9}[dtype]
    model = MultivariateNormalRegressor((), alpha=0, dtype=dtype, tol=tol).fit(Z, Y)
    expected = MultivariateNormalRegressor((), alpha=0, dtype=dtype, tol=tol).fit(X, Y)
    assert np.abs(model.predict(Z) - expected.predict(X)).max() < {"float32": 1e-4, "float64": 1e-8}[dtype]


def test_j_and_alpha_refer_to_weights_in_the_units_of_x():
    """With weight decay the same network has the same J in any coordinates of the minimizer."""
    model = MultivariateNormalRegressor((3,), alpha=1e-2, random_state=0, early_stopping=False).fit(10 * X, Y)
    scale = Y.std(axis=0)
    residuals = (model.predict(10 * X) - Y) / scale
    C = residuals.T @ residuals / len(Y)
    decay = sum(np.sum(np.square(coef)) for coef in (model.coefs_[0], model.coefs_[1] / scale))
    K = Y.shape[1]
    J = 0.5 * (K + np.linalg.slogdet(C)[1] + K * np.log(2 * np.pi)) + 0.5 * 1e-2 * decay
    assert model.loss_ == pytest.approx(J, rel=1e-10)
    assert model.terms_["weight_decay"] == pytest.approx(0.5 * 1e-2 * decay, rel=1e-10)


@pytest.mark.parametrize("Model", [MultivariateNormalRegressor, NoisyLabelClassifier])
def test_columns_in_odd_units_are_named_with_weight_decay(Model):
    Z = X * [1e-5, 1.0]
    y, options = (Y[:, 0] > 0, {"epsilon": 0.1}) if Model is NoisyLabelClassifier else (Y, {})
    with pytest.warns(UserWarning, match=r"0 \(standard deviation 1e-05\).*StandardScaler"):
        Model((2,), random_state=0, **options).fit(Z, y)


def test_skewed_columns_in_small_units_are_named_and_rare_pixels_are_not():
    rng = np.random.default_rng(0)
    skewed = rng.lognormal(-9, 1, size=(200, 2))  # parts per million: a deviation of 3e-4, outliers above 1e-3
    pixel = np.zeros((200, 1))
    pixel[0] = 8 / 255  # at the margin of images
    y = np.log(skewed[:, 0])
    with pytest.warns(UserWarning, match=r"some columns have very small or very large numbers") as caught:
        MultivariateNormalRegressor((), cv=None).fit(np.hstack([skewed, pixel]), y)
    [message] = [str(w.message) for w in caught if "very small" in str(w.message)]
    assert [f"{column} (standard deviation" in message for column in (0, 1, 2)] == [True, True, False]


def test_a_warm_start_begins_at_the_same_weights():
    Z = (X + 1e3) * [1e-3, 1e3]
    options = {"alpha": 1e-3, "tol": 1e-4, "random_state": 0, "early_stopping": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = MultivariateNormalRegressor((2,), **options).fit(Z, Y)
        cost = model.loss_
        model.set_params(warm_start=True).fit(Z, Y)
    assert model.n_iter_ == 0
    assert model.loss_ == pytest.approx(cost, abs=1e-9)


def test_streamed_fits_are_the_same():
    Z = (X + 1e6) * [1e-9, 1e9]
    in_memory = MultivariateNormalRegressor((), alpha=0, tol=1e-9).fit(Z, Y)
    chunks = [(Z[:100], Y[:100]), (Z[100:], Y[100:])]

    class Chunks:
        def __iter__(self):
            return iter(chunks)

    streamed = MultivariateNormalRegressor((), alpha=0, tol=1e-9).fit(Chunks())
    np.testing.assert_allclose(streamed.predict(Z), in_memory.predict(Z), atol=1e-7)


class TestAutoencoder:
    """With linear outputs the inputs may have any origin, but their units determine their weight."""

    DATA = rng.normal(size=(400, 2)) @ rng.normal(size=(2, 6)) + 0.1 * rng.normal(size=(400, 6))

    def fit(self, X, **options):
        return SparseAutoencoder(3, beta=0.0, output_activation="identity", random_state=0, **options).fit(X)

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    @pytest.mark.parametrize("shift", [-100.0, 1e6])
    def test_the_origin_of_the_inputs_makes_no_difference(self, dtype, shift):
        found, expected = self.fit(self.DATA + shift, dtype=dtype), self.fit(self.DATA, dtype=dtype)
        # Trainings on inputs that differ by rounding, |shift| eps, reach the same minimum along different paths.
        assert found.loss_ == pytest.approx(expected.loss_, rel=1e-3)
        assert found.score(self.DATA + shift) == pytest.approx(expected.score(self.DATA), rel=1e-2)
        assert found.transform(self.DATA + shift).dtype == dtype

    def test_offsets_are_kept_in_reconstructions_scores_costs_files_and_warm_starts(self, tmp_path):
        Z = self.DATA + 1e5
        model = self.fit(Z, dtype="float32")
        error = 0.5 * np.sum((model.predict(Z) - Z) ** 2, axis=1)
        np.testing.assert_allclose(-model.score_samples(Z), error, atol=0.2)  # outputs near 1e5 in float32
        assert model.cost(Z) == pytest.approx(model.loss_, rel=1e-4)
        save(model, tmp_path / "model.safetensors")
        loaded = load(tmp_path / "model.safetensors")
        np.testing.assert_array_equal(loaded.transform(Z), model.transform(Z))
        np.testing.assert_array_equal(loaded.score_samples(Z), model.score_samples(Z))
        z = model.transform(Z)
        np.testing.assert_allclose(model.inverse_transform(z), model.predict(Z), atol=0.02)
        cost = model.loss_
        assert model.set_params(warm_start=True).fit(Z).loss_ == pytest.approx(cost, rel=1e-5)
        assert model.n_iter_ <= 5

    def test_weights_refer_to_unscaled_inputs(self):
        Z = self.DATA + 3.0
        model = self.fit(Z, dtype="float64")
        hidden = 1 / (1 + np.exp(-(Z @ model.coefs_[0] + model.intercepts_[0])))
        np.testing.assert_allclose(model.transform(Z), hidden, atol=1e-12)
        np.testing.assert_allclose(model.predict(Z), hidden @ model.coefs_[1] + model.intercepts_[1], atol=1e-12)

    def test_few_columns_with_nearly_all_of_the_variance_are_named(self):
        with pytest.warns(UserWarning, match="1 of the 6 columns.*StandardScaler"):
            self.fit(self.DATA * [1, 1, 1, 1, 1, 1000], max_iter=2000)


@pytest.mark.slow
def test_raw_diabetes_which_weight_decay_suppresses_has_a_warning_and_standardized_has_none():
    X, y = load_diabetes(return_X_y=True)  # whose columns have deviations of 0.048
    with pytest.warns(UserWarning, match=r"Weight decay \(alpha = 0.03\) .* 0 \(standard deviation 0.048\)"):
        MultivariateNormalRegressor(random_state=0).fit(X, y)
    without_warnings(MultivariateNormalRegressor(random_state=0).fit, StandardScaler().fit_transform(X), y)
    without_warnings(MultivariateNormalRegressor(random_state=0).fit, MinMaxScaler().fit_transform(X), y)
