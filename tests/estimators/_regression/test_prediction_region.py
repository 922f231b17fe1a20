"""Prediction regions: geometry, ranks of calibration rows, missing targets, files, refusals."""

import copy
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2
from sklearn.model_selection import KFold

import sparsam
from sparsam import MultivariateNormalRegressor
from sparsam.estimators._regression.prediction_region import Calibration

linear = {"hidden_layer_sizes": (), "random_state": 0}


def draw(n, seed=0, n_outputs=2):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 2))
    noise = rng.multivariate_normal([0, 0], [[1, 0.8], [0.8, 2]], n)
    return X, (X + noise)[:, :n_outputs]


@pytest.fixture(scope="module")
def model():
    return MultivariateNormalRegressor(**linear).fit(*draw(200))


@pytest.fixture(scope="module")
def calibrated():
    return MultivariateNormalRegressor(**linear, calibration_fraction=0.3).fit(*draw(200))


def test_without_calibration_the_radius_is_that_of_the_normal_distribution(model):
    X, Y = draw(50, 1)
    region = model.predict_region(X, 0.8)
    r, C = Y - model.predict(X), model.predictive_covariance_
    distances = np.einsum("ni,ij,nj->n", r, np.linalg.inv(C), r)
    np.testing.assert_array_equal(region.contains(Y), distances <= chi2.ppf(0.8, 2))
    assert region.radius**2 == pytest.approx(chi2.ppf(0.8, 2))
    assert region.calibration == "normal"


def test_bounds_touch_the_ellipsoid(model):
    """The point of the ellipsoid with the largest k-th target is y + radius C e_k / sqrt(C_kk)."""
    X, _ = draw(5)
    region = model.predict_region(X, 0.9)
    C = model.predictive_covariance_
    for k in range(2):
        highest = model.predict(X) + region.radius * C[k] / np.sqrt(C[k, k])
        np.testing.assert_allclose(highest[:, k], region.upper[:, k])
        inside = model.predict(X) + (1 - 1e-9) * (highest - model.predict(X))
        assert region.contains(inside).all()
        assert not region.contains(model.predict(X) + (1 + 1e-9) * (highest - model.predict(X))).any()
    np.testing.assert_allclose(region.upper + region.lower, 2 * model.predict(X))


def test_one_target_has_the_interval_of_the_normal_distribution():
    X, y = draw(200, n_outputs=1)
    model = MultivariateNormalRegressor(**linear).fit(X, y[:, 0])
    region, (mean, std) = model.predict_region(X, 0.95), model.predict(X, return_std=True)
    np.testing.assert_allclose(region.upper, mean + 1.959963984540054 * std)
    np.testing.assert_array_equal(region.contains(y[:, 0]), (region.lower <= y[:, 0]) & (y[:, 0] <= region.upper))


@given(
    distances=st.lists(st.floats(0, 100), min_size=40, max_size=60, unique=True),
    coverage=st.sampled_from([0.1, 0.5, 0.8, 0.9, 0.95]),
)
def test_the_radius_is_the_order_statistic_of_split_conformal_prediction(distances, coverage):
    calibration = Calibration(np.sort(distances), np.ones(len(distances)))
    rank = int(np.ceil((len(distances) + 1) * coverage - 1e-9))
    assert calibration.squared_radius(coverage) == np.sort(distances)[rank - 1]


def test_a_weight_counts_as_so_many_rows():
    weighted = Calibration(np.arange(30.0), np.full(30, 3.0))
    repeated = Calibration(np.repeat(np.arange(30.0), 3), np.ones(90))
    assert [weighted.squared_radius(p) for p in (0.3, 0.5, 0.9)] == [
        repeated.squared_radius(p) for p in (0.3, 0.5, 0.9)
    ]


def test_calibration_rows_do_not_enter_the_fit(calibrated):
    """Other targets in these rows change only the distances."""
    X, Y = draw(200)
    assert len(calibrated.calibration_distances_) == 60
    one = MultivariateNormalRegressor(**linear).fit(X, Y)
    assert np.abs(one.coefs_[0] - calibrated.coefs_[0]).max() > 1e-3
    assert np.all(np.diff(calibrated.calibration_distances_) >= 0)


def test_calibrated_regions_of_constant_noise_scale_with_the_quantile(calibrated):
    X, Y = draw(50, 1)
    narrow, wide = (calibrated.predict_region(X, p) for p in (0.5, 0.9))
    assert narrow.calibration == "held-out"
    assert np.all(narrow.upper < wide.upper)
    assert np.all(wide.contains(Y) >= narrow.contains(Y))


def test_missing_targets_are_judged_by_the_others(model):
    X, Y = draw(50, 1)
    region = model.predict_region(X, 0.9)
    Y[:, 0] = np.nan
    r = Y[:, 1] - model.predict(X)[:, 1]
    np.testing.assert_array_equal(
        region.contains(Y), r**2 / model.predictive_covariance_[1, 1] <= chi2.ppf(0.9, 1) * (1 + 1e-12)
    )
    Y[:] = np.nan
    assert region.contains(Y).all()


def test_rows_with_missing_targets_calibrate_too():
    """Their distances are converted to those of the same probability: for normal noise the coverage holds."""
    X, Y = draw(3000)
    Y[::2, 0] = np.nan
    model = MultivariateNormalRegressor(**linear, calibration_fraction=0.5).fit(X, Y)
    X, Y = draw(4000, 1)
    # The share has the deviation sqrt(0.09/1500) from the calibration, and sqrt(0.09/4000) from the test.
    assert abs(model.predict_region(X, 0.9).contains(Y).mean() - 0.9) < 5 * np.sqrt(0.09 * (1 / 1500 + 1 / 4000))


@pytest.mark.parametrize(
    "options",
    [
        {"hidden_layer_sizes": ()},
        {"hidden_layer_sizes": (3,), "max_iter": 30},
        {"hidden_layer_sizes": (), "covariance": "input", "covariance_alpha": 1.0},
        {"hidden_layer_sizes": (), "cv": KFold(3)},
        {"hidden_layer_sizes": (3,), "covariance": np.array([[1.0, 0.8], [0.8, 2.0]]), "early_stopping": True},
    ],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_all_rows_can_calibrate_by_networks_that_have_not_seen_them(options):
    X, Y = draw(150)
    model = MultivariateNormalRegressor(**options, calibration_fraction="cross-fitted", random_state=0).fit(X, Y)
    assert len(model.calibration_distances_) == 150
    in_sample = MultivariateNormalRegressor(**options, random_state=0).fit(X, Y)
    np.testing.assert_array_equal(model.predict(X), in_sample.predict(X))  # the fit itself is the same
    X, Y = draw(4000, 1)
    region = model.predict_region(X, 0.9)
    assert region.calibration == "cross-fitted"
    # As from 150 rows left out: the share has the deviation sqrt(0.09/150).
    assert abs(region.contains(Y).mean() - 0.9) < 4 * np.sqrt(0.09 * (1 / 150 + 1 / 4000))


def test_all_rows_cannot_calibrate_without_folds():
    """Of the second output there is one target, so that no two folds can train on it."""
    X, Y = draw(60)
    Y[1:, 1] = np.nan
    with pytest.raises(ValueError, match="some output has fewer than two targets"):
        MultivariateNormalRegressor(**linear, covariance=np.eye(2), calibration_fraction="cross-fitted").fit(X, Y)


def test_regions_of_a_covariance_of_the_input_differ_in_size():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (400, 1))
    y = np.exp(X[:, 0]) * rng.normal(size=400)
    model = MultivariateNormalRegressor(**linear, covariance="input", calibration_fraction=0.25).fit(X, y)
    region = model.predict_region([[-0.9], [0.9]])
    widths = region.upper - region.lower
    assert widths[1] > 3 * widths[0]


def test_determined_targets_have_regions_of_the_others():
    X, Y = draw(200)
    Y = np.column_stack([Y, Y.sum(axis=1)])
    with pytest.warns(sparsam.DegenerateCovarianceWarning):
        model = MultivariateNormalRegressor(**linear, calibration_fraction=0.3).fit(X, Y)
    region = model.predict_region(X[:10], 0.9)
    two = sparsam.PredictionRegion(
        region.mean[:, :2], region.covariance[:2, :2], region.radius, region.coverage, region.calibration
    )
    np.testing.assert_array_equal(region.contains(Y[:10]), two.contains(Y[:10, :2]))


def test_a_saved_model_has_the_same_regions(calibrated, tmp_path):
    sparsam.save(calibrated, tmp_path / "model.safetensors")
    loaded = sparsam.load(tmp_path / "model.safetensors")
    X, _ = draw(5)
    np.testing.assert_array_equal(loaded.predict_region(X).upper, calibrated.predict_region(X).upper)
    broken = copy.copy(calibrated)
    broken.calibration_distances_ = calibrated.calibration_distances_[::-1]
    with pytest.raises(ValueError, match="calibration"):
        broken.check_fitted()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"calibration_fraction": 0.1}, r"calibration_fraction=0\.1 of 200 samples leaves out fewer than 40"),
        ({"calibration_fraction": 1.0}, r"calibration_fraction must be in \(0, 1\)"),
        ({"calibration_fraction": 0.3, "cv": KFold(3)}, "cv must then be a number"),
        ({"calibration_fraction": "crossed"}, "calibration_fraction must be one of 'cross-fitted'"),
        ({"calibration_fraction": "cross-fitted", "cv": None}, "needs folds"),
    ],
)
def test_what_cannot_be_calibrated_is_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        MultivariateNormalRegressor(**linear | parameters).fit(*draw(200))


@pytest.mark.parametrize("coverage", [0.3, 0.5, 0.8, 0.9, 0.95, 0.99])
def test_the_number_of_rows_that_an_error_asks_for_is_the_least_that_suffices(coverage):
    with pytest.raises(ValueError, match="needs at least") as caught:
        Calibration(np.zeros(0), np.zeros(0)).squared_radius(coverage)
    least = int(re.search(r"at least (\d+)", str(caught.value)).group(1))
    Calibration(np.arange(least), np.ones(least)).squared_radius(coverage)
    with pytest.raises(ValueError, match="needs at least"):
        Calibration(np.arange(least - 1), np.ones(least - 1)).squared_radius(coverage)


def test_unusable_arguments_are_refused(model, calibrated):
    X, Y = draw(5)
    with pytest.raises(ValueError, match=r"coverage must be in \(0, 1\)"):
        model.predict_region(X, 1.0)
    with pytest.raises(
        ValueError, match=r"60 calibration rows do not suffice for coverage=0\.99, which needs at least 99"
    ):
        calibrated.predict_region(X, 0.99)
    with pytest.raises(ValueError, match="shape"):
        model.predict_region(X).contains(Y[:, :1])
