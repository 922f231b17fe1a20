"""`AutoencoderOutlierDetector`: scores, thresholds, reasons; better than detectors that ignore what columns share."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.neighbors import LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sparsam import AutoencoderOutlierDetector, SparseAutoencoder, StackedAutoencoder
from sparsam.inspection.contributions import contributions
from sparsam.inspection.gross_values import has_gross_value

RNG = np.random.default_rng(0)
CORRELATED = RNG.normal(size=(200, 2)) @ RNG.normal(size=(2, 6)) + 0.1 * RNG.normal(size=(200, 6))


def detector(**options):
    return AutoencoderOutlierDetector(random_state=0, **options)


def small(**options):
    return SparseAutoencoder(4, beta=0.0, alpha=0.01, output_activation="identity", random_state=0, tol=1e-3, **options)


@pytest.mark.parametrize("estimator", [small(), StackedAutoencoder([small(), small()], random_state=0, tol=1e-3)])
def test_errors_of_features_sum_to_minus_the_score_and_are_those_of_predict(estimator):
    model = estimator.fit(CORRELATED)
    errors = model.reconstruction_errors(CORRELATED)
    assert errors.shape == CORRELATED.shape
    np.testing.assert_allclose(errors.sum(axis=1), -model.score_samples(CORRELATED), rtol=1e-5)
    np.testing.assert_allclose(errors, (model.predict(CORRELATED) - CORRELATED) ** 2 / 2, rtol=1e-3, atol=1e-5)
    out = np.empty(CORRELATED.shape)
    assert model.reconstruction_errors(CORRELATED, out=out) is out
    np.testing.assert_array_equal(out, errors)


def test_scores_are_those_of_the_autoencoder_and_the_decision_is_relative_to_the_offset():
    model = detector().fit(CORRELATED)
    scores = model.score_samples(CORRELATED)
    np.testing.assert_array_equal(scores, model.autoencoder_.score_samples(CORRELATED))
    np.testing.assert_array_equal(model.decision_function(CORRELATED), scores - model.offset_)
    np.testing.assert_array_equal(model.predict(CORRELATED), np.where(scores < model.offset_, -1, 1))
    np.testing.assert_allclose(model.reconstruction_errors(CORRELATED).sum(axis=1), -scores, rtol=1e-5)


def test_the_automatic_threshold_is_tukeys_fence_of_log_errors():
    changed = CORRELATED.copy()
    changed[np.arange(10), np.arange(10) % 6] += 2
    model = detector().fit(changed)
    logarithm = np.log(-model.score_samples(changed))
    lower, upper = np.quantile(logarithm, [0.25, 0.75])
    assert np.log(-model.offset_) == pytest.approx(upper + 1.5 * (upper - lower), rel=1e-9)
    assert np.mean(model.predict(changed)[:10] == -1) > 0.5


def test_at_least_one_row_in_a_hundred_is_an_outlier_automatically():
    rows = np.random.default_rng(0).uniform(size=(200, 2))
    assert 1 <= np.sum(detector().fit_predict(rows) == -1) <= 3


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
def test_units_and_origins_of_columns_do_not_matter(unit):
    model = detector(contamination=0.1).fit(CORRELATED)
    scaled = CORRELATED * unit * np.geomspace(1, 1000, 6) + 5 * unit
    other = detector(contamination=0.1).fit(scaled)
    np.testing.assert_allclose(other.score_samples(scaled), model.score_samples(CORRELATED), rtol=1e-2)
    assert (other.predict(scaled) == model.predict(CORRELATED)).mean() > 0.99


def test_a_threshold_of_held_out_rows_calls_the_given_share_of_new_rows_outliers():
    # Of 200 new rows the share of outliers has a deviation of sqrt(0.1 * 0.9 * (1/60 + 1/200)) = 0.044.
    new = RNG.normal(size=(200, 10))
    rows = RNG.normal(size=(200, 10))
    options = {"contamination": 0.1}
    held_out = detector(validation_fraction=0.3, **options).fit(rows)
    assert abs(np.mean(held_out.predict(new) == -1) - 0.1) < 3 * 0.044
    of_training = detector(**options).fit(rows)
    assert np.mean(of_training.predict(rows) == -1) == pytest.approx(0.1)
    assert of_training.offset_ > held_out.offset_


def test_a_frozen_autoencoder_is_used_as_it_is_and_copied():
    fitted = make_pipeline(StandardScaler(), small()).fit(CORRELATED)
    model = AutoencoderOutlierDetector(FrozenEstimator(fitted), contamination=0.2).fit(CORRELATED[:50])
    expected = fitted.score_samples(CORRELATED)
    np.testing.assert_array_equal(model.score_samples(CORRELATED), expected)
    fitted.fit(CORRELATED[:20])
    np.testing.assert_array_equal(model.score_samples(CORRELATED), expected)


def test_it_works_in_searches_with_nested_parameters():
    label = np.where(np.arange(200) < 10, -1, 1)
    rows = CORRELATED.copy()
    rows[:10, 0] += 5
    search = GridSearchCV(
        AutoencoderOutlierDetector(make_pipeline(StandardScaler(), small())),
        {"autoencoder__sparseautoencoder__alpha": [1e-3, 1e-2]},
        scoring="roc_auc",
        cv=StratifiedKFold(2),
    )
    assert search.fit(rows, label).best_score_ > 0.9


# Reasons


def test_a_changed_value_is_named_first_with_what_was_there():
    frame = pd.DataFrame(CORRELATED, columns=list("abcdef"), index=[f"row {k}" for k in range(200)])
    model = detector().fit(frame)
    changed = frame.iloc[:20].copy()
    columns = RNG.integers(6, size=20)
    for k, column in enumerate(columns):
        changed.iloc[k, column] += 3 * frame.iloc[:, column].std()
    reasons = model.explain(changed, n_features=2)
    assert list(reasons) == ["row", "feature", "value", "expected", "contribution"]
    assert list(reasons["row"]) == [f"row {k}" for k in range(20) for _ in range(2)]
    first = reasons.iloc[::2]
    named = first["feature"].to_numpy() == frame.columns[columns]
    assert named.mean() >= 0.9
    true = frame.to_numpy()[np.arange(20), columns]
    error = np.abs(first["expected"].to_numpy() - true) / frame.std().to_numpy()[columns]
    assert np.median(error[named]) < 0.3
    np.testing.assert_allclose(
        first["value"], [changed.loc[row, name] for row, name in zip(first["row"], first["feature"], strict=True)]
    )
    assert (np.diff(reasons["contribution"].to_numpy().reshape(20, 2)) <= 0).all()


@pytest.mark.parametrize("factor", [10, 1000])
@pytest.mark.parametrize("seed", range(4))
def test_a_slipped_decimal_point_is_first_and_its_true_value_is_expected(seed, factor):
    rng = np.random.default_rng(seed)
    rows = 100 + 10 * rng.normal(size=(60, 2)) @ rng.normal(size=(2, 5)) + rng.normal(size=(60, 5))
    true = rows[20, 1]
    rows[20, 1] *= factor
    model = detector().fit(rows)
    assert np.argmin(model.score_samples(rows)) == 20
    assert model.predict(rows)[20] == -1
    reason = model.explain(rows[[20]]).iloc[0]
    assert reason["feature"] == 1
    assert abs(reason["expected"] - true) < 12  # the column's deviation is at least 10 in most seeds


def test_rows_with_values_far_off_are_found_unless_they_are_many():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(200, 3))
    rows[5, 1], rows[9, 2] = 1e6, np.nan
    rows[:40, 0] = 1000.0  # a fifth of the column
    assert np.flatnonzero(has_gross_value(rows)).tolist() == [5]
    assert not has_gross_value(np.ones((10, 2))).any()


def test_a_threshold_of_few_rows_is_warned_of():
    with pytest.warns(UserWarning, match="The threshold is based on only 6 rows"):
        detector().fit(CORRELATED[:6])
    with pytest.warns(UserWarning, match="The threshold is based on only 10 rows"):
        detector(validation_fraction=0.2).fit(CORRELATED[:50])


@pytest.mark.parametrize("seed", range(4))
def test_rows_that_are_the_same_are_no_outliers(seed):
    """The quartiles of their errors are equal, and rounding must not put the fence between them."""
    rng = np.random.default_rng(seed)
    X, others = np.zeros((300, 6)), rng.choice(300, 50, replace=False)
    X[others] = rng.poisson(1, size=(50, 6))
    with pytest.warns(UserWarning, match=r"At least half of the rows have nearly the same .* calls (49|50) of 300"):
        detector = AutoencoderOutlierDetector(random_state=seed).fit(X)
    for rows in (X, X[::-1], np.zeros((7, 6))):
        assert (detector.predict(rows)[~rows.any(axis=1)] == 1).all()
    assert (detector.predict(X)[X.any(axis=1)] == -1).mean() > 0.9
    X = np.zeros((300, 6))
    X[0, 0] = 1
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="At least half")
        detector = AutoencoderOutlierDetector(random_state=seed).fit(X)
    assert np.flatnonzero(detector.predict(X) == -1).tolist() == [0]


@pytest.mark.parametrize("seed", range(5))
def test_a_rare_indicator_is_named_with_its_usual_value(seed):
    """Near its usual value, 0, the reconstruction has a slope above 1, and a fixed point between 0 and 1."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(300, 5)) @ rng.normal(size=(5, 12)) + 0.3 * rng.normal(size=(300, 12))
    X = np.c_[X, np.r_[np.zeros(299), 1]]
    detector = AutoencoderOutlierDetector(random_state=seed).fit(X)
    assert np.argmin(detector.score_samples(X)) == 299
    [reason] = detector.explain(X[[299]], 1).to_dict("records")
    assert reason["feature"] == 12
    assert reason["expected"] < 0.1
    assert reason["contribution"] > 0.9


def test_missing_values_and_text_are_named():
    X = np.ones((30, 3))
    X[4, 1] = np.nan
    with pytest.raises(ValueError, match=r"NaN: first in row 4, column 1; 1 of 30 rows"):
        AutoencoderOutlierDetector().fit(X)
    frame = pd.DataFrame({"size": [1.0, 2.0], "color": ["red", "blue"]})
    with pytest.raises(ValueError, match="columns that are not numbers: 'color'"):
        AutoencoderOutlierDetector().fit(frame)


def test_no_rows_and_rows_without_an_error_have_no_reasons():
    model = detector(contamination=0.1).fit(CORRELATED)
    assert model.explain(CORRELATED[:0]).empty
    constant = np.ones((20, 3))
    reasons = detector().fit(constant).explain(constant[:2])
    assert (reasons["contribution"] == 0).all()


def test_features_of_several_columns_are_replaced_together():
    rows = np.array([[0.0, 1.0, 0.0, 5.0]])

    def reconstruct(rows):
        return np.column_stack([rows[:, 3] > 1, rows[:, 3] <= 1, 0 * rows[:, 2], rows[:, 3]]).astype(float)

    found = contributions(rows, reconstruct, 1, groups=[[0, 1], [2], [3]])
    assert found.features.tolist() == [[0]]
    np.testing.assert_allclose(found.replaced[0, 0], [1, 0, 0, 5])
    np.testing.assert_allclose(found.shares, 1)


def test_reasons_of_a_pipeline_that_mixes_columns_are_about_its_inputs():
    from sklearn.decomposition import PCA

    model = AutoencoderOutlierDetector(make_pipeline(PCA(3), small())).fit(CORRELATED)
    assert set(model.explain(CORRELATED[:5])["feature"]) <= {"pca0", "pca1", "pca2"}
    with pytest.raises(ValueError, match=r"n_features must be in \[1, 3\]"):
        model.explain(CORRELATED[:5], 4)
    rotated = AutoencoderOutlierDetector(make_pipeline(PCA(6), small())).fit(CORRELATED)
    assert all(str(name).startswith("pca") for name in rotated.explain(CORRELATED[:5])["feature"])


def test_reasons_of_sorted_columns_have_their_own_names():
    frame = pd.DataFrame(CORRELATED, columns=list("abcdef"))
    sorted_anew = ColumnTransformer([("last", StandardScaler(), ["f", "e"]), ("first", StandardScaler(), list("abcd"))])
    model = AutoencoderOutlierDetector(make_pipeline(sorted_anew, small())).fit(frame)
    changed = frame.head(10).copy()
    changed["a"] += 5 * frame["a"].std()
    first = model.explain(changed, 1)
    assert (first["feature"] == "first__a").mean() > 0.7


# Beside other detectors


def planted(table, seed):
    """Replace one value in a tenth of the rows by that of another row; every column keeps its distribution."""
    rng = np.random.default_rng(seed)
    changed = table.copy()
    rows = rng.choice(len(table), len(table) // 10, replace=False)
    columns = rng.integers(table.shape[1], size=len(rows))
    changed[rows, columns] = table[rng.integers(len(table), size=len(rows)), columns]
    return changed, rows, columns


def areas(train, test, is_normal, seed, *, same_rows):
    """Return the area under ROC of ours, and the better of two of scikit-learn."""
    scaler = StandardScaler().fit(train)
    neighbors = LocalOutlierFactor(novelty=not same_rows).fit(scaler.transform(train))
    others = {
        "forest": IsolationForest(random_state=seed).fit(train).score_samples(test),
        "neighbors": neighbors.negative_outlier_factor_
        if same_rows
        else neighbors.score_samples(scaler.transform(test)),
    }
    model = AutoencoderOutlierDetector(contamination=0.1, random_state=seed).fit(train)
    ours = roc_auc_score(is_normal, model.score_samples(test))
    return model, ours, max(roc_auc_score(is_normal, scores) for scores in others.values())


@pytest.mark.slow
@pytest.mark.parametrize("data", ["breast cancer", "digits"])
def test_one_class_is_known_as_well_as_by_forests_and_neighbors(data):
    differences = []
    for seed in range(3):
        X, y = load_breast_cancer(return_X_y=True) if data == "breast cancer" else load_digits(return_X_y=True)
        normal = 1 if data == "breast cancer" else seed
        known = np.random.default_rng(seed).permutation(np.flatnonzero(y == normal))[::2]
        test = np.setdiff1d(np.arange(len(X)), known)
        _, ours, others = areas(X[known], X[test], y[test] == normal, seed, same_rows=False)
        differences.append(ours - others)
    assert np.mean(differences) > -0.01


@pytest.mark.slow
def test_a_permuted_value_is_found_and_named():
    table = load_breast_cancer().data
    differences, named = [], []
    for seed in range(3):
        changed, rows, columns = planted(table, seed)
        is_normal = ~np.isin(np.arange(len(table)), rows)
        model, ours, others = areas(changed, changed, is_normal, seed, same_rows=True)
        differences.append(ours - others)
        found = np.flatnonzero(model.predict(changed[rows]) == -1)
        reasons = model.explain(changed[rows[found]], 3)["feature"].to_numpy().reshape(-1, 3)
        named += [columns[k] in features for k, features in zip(found, reasons, strict=True)]
    assert np.mean(differences) > 0.05
    assert np.mean(named) >= 0.8


# Invalid input


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"contamination": "some"}, TypeError, "contamination must be 'auto' or a number; got 'some'"),
        ({"contamination": 0.0}, ValueError, r"contamination must be 'auto' or in \(0, 0.5\]; got 0.0"),
        ({"contamination": 0.7}, ValueError, "got 0.7"),
        ({"validation_fraction": 1.5}, ValueError, "validation_fraction must be"),
        ({"validation_fraction": 0.0}, ValueError, r"validation_fraction must be None or in \(0, 1\); got 0.0"),
        ({"validation_fraction": 0.999}, ValueError, "leaves no rows for the training"),
        ({"autoencoder": StandardScaler()}, TypeError, "autoencoder must be a SparseAutoencoder.*got StandardScaler"),
        ({"autoencoder": FrozenEstimator(SparseAutoencoder())}, NotFittedError, "not fitted"),
    ],
)
def test_bad_parameters_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        AutoencoderOutlierDetector(**options).fit(CORRELATED)
