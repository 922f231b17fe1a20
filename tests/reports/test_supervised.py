"""The pages of a regression and of a classification say what their models and data are."""

import numpy as np
import pytest
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline

import sparsam
from sparsam import MultivariateNormalRegressor, NoisyLabelClassifier
from sparsam.reports.classifier import _calibration
from sparsam.reports.regressor import _coverage
from sparsam.reports.rows import Rows

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:Not converged", "ignore:The noise covariance is degenerate"),
]


def test_residuals_of_the_model_s_own_noise_are_covered(pages, contents):
    text = contents(pages["regressor"]).text
    assert "as it should within chance" in text
    assert "rows that the training did not see" in text


def test_coverage_is_that_of_chi_squared_whatever_is_missing():
    rng = np.random.default_rng(0)
    C = np.array([[2.0, 1.0], [1.0, 1.0]])
    Y = rng.multivariate_normal([0, 0], C, size=20_000)
    Y[rng.random(20_000) < 0.3, 0] = np.nan
    expected, observed, band, n = _coverage(Y, np.zeros_like(Y), C)
    assert n == 20_000
    np.testing.assert_array_less(np.abs(observed - expected), 2.5 * band + 1e-3)
    _, too_small, _, _ = _coverage(Y, np.zeros_like(Y), C / 4)
    assert too_small[95] < 0.75


def test_a_covariance_that_promises_too_much_is_a_warning(regressor, measured, contents):
    X, Y = measured
    page = contents(sparsam.report(regressor, X, Y, test=(X, Y + 3)))
    assert "the covariance promises more than it keeps" in page.text


def test_a_degenerate_covariance_is_a_warning(measured, contents):
    X, Y = measured
    Y = np.column_stack([Y[:, 0], 2 * Y[:, 0]])
    model = MultivariateNormalRegressor((), max_iter=30, random_state=0).fit(X, Y)
    names = ["height", "twice the height"]
    assert (
        "the residuals of height, twice the height all but determine"
        in contents(sparsam.report(model, X, Y, names=names)).text
    )
    Y = np.column_stack([X[:, 0], Y[:, 0]])
    model = MultivariateNormalRegressor((), alpha=0.0, max_iter=200, random_state=0).fit(X, Y)
    assert "the network meets height all but exactly" in contents(sparsam.report(model, X, Y, names=names)).text


def test_a_covariance_far_from_degenerate_is_none(pages, contents):
    assert "degenerate" not in contents(pages["regressor"]).text


@pytest.mark.slow
@pytest.mark.parametrize("n_outputs", [1, 5])
def test_any_number_of_targets(n_outputs, contents):
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(100, 3)), rng.normal(size=(100, n_outputs))
    if n_outputs > 1:
        Y[:20, 0] = np.nan
    model = MultivariateNormalRegressor((), max_iter=20, random_state=0).fit(X, Y[:, 0] if n_outputs == 1 else Y)
    page = contents(sparsam.report(model, X, Y[:, 0] if n_outputs == 1 else Y))
    charts = {name for name in page.json["charts"] if name.startswith("residuals")}
    assert len(charts) == (1 if n_outputs == 1 else 6)
    assert ("correlations" in page.json["charts"]) == (n_outputs > 1)
    if n_outputs > 1:
        assert "Of 10 pairs the 6 most correlated" in page.text


def test_labels_that_were_flipped_are_shown_as_pictures(pages, contents):
    page = contents(pages["classifier"])
    rows = {int(a["alt"].split()[1].rstrip(",")) for a in page.all("img")}
    assert rows == set(range(10))
    assert "10 are more probably wrong than right" in page.text
    assert "profile" not in page.json["charts"]  # epsilon was given


def test_pictures_may_miss_pixels(labelled, contents):
    X, y = labelled
    X = np.where(np.arange(64) == 9, np.nan, X)
    model = make_pipeline(SimpleImputer(keep_empty_features=True), NoisyLabelClassifier((), epsilon=0.05, alpha=1e-2))
    page = contents(sparsam.report(model.fit(X, y), X, y))
    assert len(page.all("img")) == 10


def test_rows_that_are_no_pictures_are_a_table(contents):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 3))
    truth = np.where(X[:, 0] > 0, "a", "b")
    given = truth.copy()
    given[:40] = np.where(truth[:40] == "a", "b", "a")
    model = NoisyLabelClassifier((), random_state=0).fit(X, given)
    page = contents(sparsam.report(model, X, given))
    assert not page.all("img")
    assert "row given probably wrong with 0 1 2" in page.text
    assert "profile" in page.json["charts"]
    low, high = model.likelihood_profile_.interval
    assert f"95 % interval {low:.3f} to {high:.3f}" in page.text


def test_calibration_is_of_the_labels_as_given(classifier, labelled):
    X, y = labelled
    predicted, observed, _, counts = _calibration(classifier, Rows("training", X, X, y))
    p = classifier.predict_noisy_proba(X)
    assert counts.sum() == 200
    assert np.average(predicted, weights=counts) == pytest.approx(p.max(axis=1).mean())
    assert np.average(observed, weights=counts) == pytest.approx(np.mean(classifier.classes_[p.argmax(axis=1)] == y))


@pytest.mark.filterwarnings("ignore:A column-vector y")
def test_a_column_of_labels_is_as_good_as_a_row(classifier, labelled, contents):
    X, y = labelled
    row, column = (contents(sparsam.report(classifier, X, labels)) for labels in (y, y[:, np.newaxis]))
    assert column.text == row.text
    assert column.json["charts"]["calibration"] == row.json["charts"]["calibration"]
    assert [a["alt"] for a in column.all("img")] == [a["alt"] for a in row.all("img")]


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (["height / m", "width / m"], ["height", "width"]),
        (["speed / knots", "speed / m/s"], ["speed / knots", "speed / m/s"]),
        (["same", "same"], ["same (0)", "same (1)"]),
        ([0, 1], ["0", "1"]),
    ],
)
def test_every_target_has_cells_of_its_own(regressor, measured, contents, names, shown):
    page = contents(sparsam.report(regressor, *measured, names=names))
    (cells,) = page.json["charts"]["correlations"]["datasets"].values()
    assert [(cell["row"], cell["column"]) for cell in cells] == [(one, other) for one in shown for other in shown]
