"""The pages of regressions and classifications describe their models and data correctly."""

import numpy as np
import pytest
from scipy.stats import binom
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline

import sparsam
from sparsam import MultivariateNormalRegressor, NoisyLabelClassifier
from sparsam.estimators._progress.reporter import FitReporter
from sparsam.reports.classifier import _calibration
from sparsam.reports.coverage import SHARES_TESTED, Coverage, diagnose_coverage
from sparsam.reports.rows import Rows

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:Not converged", "ignore:The noise covariance is degenerate"),
    pytest.mark.usefixtures("without_factors"),
]


@pytest.mark.parametrize("kind", ["regressor", "classifier"])
def test_the_time_of_a_fit_counts_the_trainings_before_the_last(kind, measured, monkeypatch, contents):
    """The test replaces the clock by fixed numbers."""
    X, Y = measured
    spent = iter(100.0 * np.arange(1, 1000))
    monkeypatch.setattr(FitReporter, "seconds", lambda self: next(spent))
    if kind == "regressor":
        model = MultivariateNormalRegressor((2,), cv=2, max_iter=3, random_state=0).fit(X, Y)
    else:
        model, Y = NoisyLabelClassifier((), max_iter=3, random_state=0).fit(X, Y[:, 0] > 0), Y[:, 0] > 0
    before_the_last = next(spent) - 100
    assert before_the_last > 100  # there were trainings before
    assert before_the_last <= model.history_["seconds"].iloc[0] <= model.history_["seconds"].iloc[-1]
    assert (
        f"time to these weights {model.history_['seconds'].iloc[-1]:.1f} s"
        in contents(sparsam.report(model, X, Y)).text
    )


def test_residuals_of_the_model_s_own_noise_are_covered(pages, contents):
    text = contents(pages["regressor"]).text
    assert "no exact binomial test rejects them" in text
    assert "The residuals below are those of the 200 held-out rows" in text


def test_coverage_is_that_of_chi_squared_whatever_is_missing():
    rng = np.random.default_rng(0)
    C = np.array([[2.0, 1.0], [1.0, 1.0]])
    Y = rng.multivariate_normal([0, 0], C, size=20_000)
    Y[rng.random(20_000) < 0.3, 0] = np.nan
    coverage = Coverage.of(Y, np.zeros_like(Y), C)
    expected, observed, band = coverage.curve()
    assert coverage.n == 20_000
    np.testing.assert_array_less(np.abs(observed - expected), 2.5 * band + 1e-3)
    assert not coverage.rejected()
    _, too_small, _ = Coverage.of(Y, np.zeros_like(Y), C / 4).curve()
    assert too_small[95] < 0.75


def of_shares(n, inside):
    """Make a coverage with given numbers of rows inside the region of each tested share."""
    edges, counts = (0.0, *SHARES_TESTED, 1.0), np.diff([0, *inside, n])
    return Coverage(np.repeat((np.add(edges[:-1], edges[1:])) / 2, counts))


@pytest.mark.parametrize(
    ("inside", "kind", "said"),
    [
        ((500, 800, 900, 950, 990), "good", "no exact binomial test rejects them"),
        ((500, 800, 900, 925, 990), "warning", "the covariance is too small"),  # p = 0.0006, within 4 deviations
        ((500, 800, 900, 972, 990), "warning", "the covariance is too large"),  # p = 0.0008
        ((500, 800, 900, 950, 974), "warning", "the covariance is too small"),  # in the tail alone
        ((446, 800, 900, 950, 990), "warning", "the covariance is too small"),  # in the middle alone
        ((554, 800, 900, 950, 970), "warning", "one covariance does not fit all rows. Residuals have heavier tails"),
        ((384, 848, 965, 1000, 1000), "warning", "residuals have lighter tails than a normal distribution"),  # uniform
    ],
)
def test_coverage_is_judged_at_every_share_in_both_directions(inside, kind, said):
    coverage = of_shares(1000, inside)
    assert [round(1000 * found) for _, found, _ in coverage.table()] == list(inside)
    finding = diagnose_coverage(coverage, "held-out")
    assert finding.kind == kind
    assert said in finding.text


def test_the_p_value_of_the_coverage_is_the_binomial_one():
    coverage = of_shares(1000, (500, 800, 900, 925, 990))
    probabilities = binom.pmf(np.arange(1001), 1000, 0.95)
    expected = probabilities[probabilities <= probabilities[925] * (1 + 1e-7)].sum()
    assert coverage.p_value(0.95) == pytest.approx(expected)
    assert 5e-4 < expected < 7e-4


def test_a_right_covariance_is_rejected_in_one_report_of_a_hundred_at_most():
    """u is uniform under a correct model; B(1000, 1 %) rejections exceed the limit with a probability of 1e-4."""
    rng = np.random.default_rng(0)
    rejections = sum(bool(Coverage(np.sort(rng.random(200))).rejected()) for _ in range(1000))
    assert rejections <= binom.isf(1e-4, 1000, 0.01)


def test_a_covariance_that_promises_too_much_is_a_warning(regressor, measured, contents):
    X, Y = measured
    page = contents(sparsam.report(regressor, X, Y, test=(X, Y + 3)))
    assert "the covariance is too small" in page.text


def test_a_covariance_of_the_input_has_rows_of_their_own(contents):
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (300, 1))
    Y = np.exp(X) * rng.normal(size=(300, 2))
    model = MultivariateNormalRegressor((), covariance="input", covariance_alpha=1e-3, cv=2, random_state=0).fit(X, Y)
    text = contents(sparsam.report(model, X, Y)).text
    assert "The covariance depends on the input" in text
    assert "no exact binomial test rejects them" in text
    low, high = np.quantile(model.predict(X, return_std=True)[1][:, 0], (0.05, 0.95))
    assert f"{low:.3g} to {high:.3g}" in text
    constant = MultivariateNormalRegressor((), random_state=0).fit(X, Y)
    assert "which covariance='input' can fit" in contents(sparsam.report(constant, X, Y)).text


def test_a_degenerate_covariance_is_a_warning(measured, contents):
    X, Y = measured
    Y = np.column_stack([Y[:, 0], 2 * Y[:, 0]])
    model = MultivariateNormalRegressor((), max_iter=30, random_state=0).fit(X, Y)
    names = ["height", "twice the height"]
    assert (
        "the residuals of height, twice the height almost determine"
        in contents(sparsam.report(model, X, Y, names=names)).text
    )
    Y = np.column_stack([X[:, 0], Y[:, 0]])
    model = MultivariateNormalRegressor((), alpha=0.0, max_iter=200, random_state=0).fit(X, Y)
    assert "the network fits height almost exactly" in contents(sparsam.report(model, X, Y, names=names)).text


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
        assert "The 6 most correlated of 10 pairs" in page.text


def test_labels_that_were_flipped_are_shown_as_pictures(pages, contents):
    page = contents(pages["classifier"])
    rows = {int(a["alt"].split()[1].rstrip(",")) for a in page.all("img")}
    assert rows == set(range(10))
    assert "10 of 200 labels are more probably wrong than right" in page.text
    assert "profile" not in page.json["charts"]  # epsilon was given


def test_pictures_and_curves_may_miss_pixels(labelled, contents):
    X, y = labelled
    X = np.where(np.arange(64) == 9, np.nan, X)
    model = make_pipeline(SimpleImputer(keep_empty_features=True), NoisyLabelClassifier((), epsilon=0.05, alpha=1e-2))
    for image_shape in ((8, 8), None):  # pictures, curves
        page = contents(sparsam.report(model.fit(X, y), X, y, image_shape=image_shape))
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
    assert "row given label probable label P(wrong) 0 1 2" in page.text
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


def test_rows_without_a_label_are_neither_counted_nor_suspected(classifier, labelled, contents):
    X, y = labelled
    some = np.where(np.arange(200) < 5, None, y.astype(object))  # the first ten labels are wrong
    page = contents(sparsam.report(classifier, X, some))
    assert "5 of 195 labels are more probably wrong than right" in page.text
    assert len(page.all("img")) == 5
    assert _calibration(classifier, Rows("training", X, X, some))[3].sum() == 195


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
