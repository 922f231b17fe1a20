"""Rows without a label: they serve the pretraining alone."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import KFold

from sparsam import (
    Checkpoint,
    NoisyLabelClassifier,
    SparseAutoencoder,
    StackedAutoencoder,
    TangentPipeline,
    load,
    save,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.usefixtures("without_factors"),
]

RNG = np.random.default_rng(0)
X = RNG.uniform(0.1, 0.9, size=(90, 4))
TRUTH = np.where(X[:, 0] + X[:, 1] > 1, 2, 1)
LABELED = RNG.random(90) < 0.6
WEIGHTS = RNG.integers(1, 4, size=90)
WITH_NAN = np.where(LABELED, TRUTH, np.nan)
AUTOENCODER = SparseAutoencoder(3, beta=0.0, random_state=1, max_iter=20)
LINEAR = clone(AUTOENCODER).set_params(output_activation="identity")
STACK = StackedAutoencoder([AUTOENCODER, SparseAutoencoder(2, beta=0.0, max_iter=20)], max_iter=20, random_state=2)

ignore_unused = pytest.mark.filterwarnings("ignore:.* not used")


def classifier(**options):
    fixed = {"epsilon": 0.1, "dtype": "float64", "max_iter": 30, "random_state": 0}
    return NoisyLabelClassifier((), **fixed | options)


def with_text(missing):
    """Return names of the classes, with the value in place of those that are missing."""
    return np.where(LABELED, np.array(["one", "two"], object)[TRUTH - 1], missing)


def assert_same_fit(one, other):
    for name in ("coefs_", "intercepts_"):
        for a, b in zip(getattr(one, name), getattr(other, name), strict=True):
            np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(one.transition_matrix_, other.transition_matrix_)
    assert one.classes_.tolist() == other.classes_.tolist()
    assert one.loss_curve_ == other.loss_curve_
    assert one.validation_scores_ == other.validation_scores_


@pytest.mark.parametrize(
    ("y", "options"),
    [
        (WITH_NAN, {}),
        (WITH_NAN.tolist(), {}),
        (np.where(LABELED, TRUTH.astype(object), None), {}),
        (pd.Series(np.where(LABELED, TRUTH.astype(object), pd.NA), dtype="Int64"), {}),
        (pd.Series(np.where(LABELED, TRUTH.astype(object), pd.NA)), {}),
        (with_text(None), {}),
        (with_text(np.nan).tolist(), {}),
        (pd.Series(with_text(None), dtype="string"), {}),
        (pd.Categorical(with_text(None)), {}),
        (np.where(LABELED, TRUTH, -1), {"unlabeled": -1}),
        (with_text("?").astype(str), {"unlabeled": "?"}),
        (np.where(LABELED, TRUTH, np.where(X[:, 2] > 0.5, -1, np.nan)), {"unlabeled": -1}),
        (WITH_NAN, {"unlabeled": "none"}),
    ],
    ids=[
        *("floats", "list", "None", "Int64", "NA", "text", "list of text", "string", "categorical"),
        *("-1", "?", "both", "another type"),
    ],
)
def test_without_pretraining_they_have_no_influence_and_the_fit_says_so(y, options):
    text = any(isinstance(label, str) for label in y)
    labels = (np.array(["one", "two"])[TRUTH - 1] if text else TRUTH)[LABELED]
    n = 90 - LABELED.sum()
    with pytest.warns(UserWarning, match=rf"{n} of 90 rows have no label and are not used: set pretraining=\.\.\."):
        model = classifier(**options).fit(X, y, sample_weight=WEIGHTS)
    assert_same_fit(model, classifier().fit(X[LABELED], labels, sample_weight=WEIGHTS[LABELED]))
    assert not pd.isna(model.classes_).any()


@pytest.mark.slow
@ignore_unused
@pytest.mark.filterwarnings("ignore:The share of wrong labels")
@pytest.mark.parametrize(
    "options",
    [
        {"epsilon": "estimate"},
        {"epsilon": "estimate_matrix"},
        {"alpha": (1e-3, 1e-1)},
        {"early_stopping": True},
    ],
    ids=str,
)
def test_they_are_in_no_fold_and_not_held_out(options):
    model = classifier(**options).fit(X, WITH_NAN)
    assert_same_fit(model, classifier(**options).fit(X[LABELED], TRUTH[LABELED]))


@ignore_unused
def test_their_tangents_are_left_out():
    tangents = np.random.default_rng(1).normal(size=(90, 2, 4))
    model = classifier(tangent_weight=0.1).fit(X, WITH_NAN, tangents=tangents)
    assert_same_fit(model, classifier(tangent_weight=0.1).fit(X[LABELED], TRUTH[LABELED], tangents=tangents[LABELED]))


@pytest.mark.parametrize("autoencoder", [AUTOENCODER, LINEAR, STACK], ids=["logistic", "linear", "stack"])
def test_the_pretraining_learns_from_all_rows(autoencoder):
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "rows have no label")
        model = classifier(pretraining=autoencoder).fit(X, WITH_NAN, sample_weight=WEIGHTS)
    by_hand = clone(autoencoder).set_params(dtype="float64").fit(X, sample_weight=WEIGHTS)
    frozen = classifier(pretraining=FrozenEstimator(by_hand))
    assert_same_fit(model, frozen.fit(X[LABELED], TRUTH[LABELED], sample_weight=WEIGHTS[LABELED]))
    np.testing.assert_array_equal(model.pretraining_.coefs_[0], by_hand.coefs_[0])
    fewer = clone(autoencoder).set_params(dtype="float64").fit(X[LABELED], sample_weight=WEIGHTS[LABELED])
    assert np.abs(fewer.coefs_[0] - by_hand.coefs_[0]).max() > 1e-3


def test_a_pretraining_that_does_not_learn_from_them_is_named():
    frozen = FrozenEstimator(clone(AUTOENCODER).fit(X))
    with pytest.warns(UserWarning, match="not used: the autoencoder in pretraining is not fitted again, since it is f"):
        classifier(pretraining=frozen).fit(X, WITH_NAN)
    model = classifier(pretraining=AUTOENCODER, warm_start=True).fit(X, WITH_NAN)
    with pytest.warns(UserWarning, match="not used: the autoencoder in pretraining is not fitted again"):
        model.fit(X, WITH_NAN)


@ignore_unused
def test_a_verbose_fit_counts_them(capsys):
    n = 90 - LABELED.sum()
    classifier(verbose=1).fit(X, WITH_NAN)
    assert f"{n} of 90 rows have no label\n" in capsys.readouterr().out
    classifier(verbose=1, pretraining=AUTOENCODER).fit(X, WITH_NAN)
    assert f"{n} of 90 rows have no label\n" in capsys.readouterr().out
    classifier(verbose=1).fit(X, TRUTH)
    assert "no label" not in capsys.readouterr().out
    classifier().fit(X, WITH_NAN)
    assert capsys.readouterr().out == ""


def test_minus_one_is_a_label_unless_it_is_said_not_to_be():
    y = np.where(LABELED, TRUTH, -1)
    assert classifier().fit(X, y).classes_.tolist() == [-1, 1, 2]
    with pytest.warns(UserWarning, match="not used"):
        assert classifier(unlabeled=-1).fit(X, y).classes_.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("y", "options", "error", "message"),
    [
        (np.full(90, np.nan), {}, ValueError, "y has no label"),
        ([None] * 90, {"pretraining": AUTOENCODER}, ValueError, "y has no label"),
        (np.full(90, -1), {"unlabeled": -1}, ValueError, "y has no label"),
        (np.where(LABELED, 1, np.nan), {}, ValueError, "y contains only 1 class"),
        (np.where(LABELED, X[:, 0], np.nan), {}, ValueError, "Unknown label type"),
        (TRUTH, {"unlabeled": [1]}, TypeError, "unlabeled must be None, or the number or text"),
        (TRUTH, {"unlabeled": 2, "classes": [1, 2]}, ValueError, "unlabeled = 2 is one of the classes"),
        (TRUTH, {"classes": [1.0, np.nan]}, ValueError, "classes has a missing label"),
    ],
)
def test_what_cannot_be_used_is_refused(y, options, error, message):
    with pytest.raises(error, match=message):
        classifier(**options).fit(X, y)


def test_some_label_must_have_a_weight():
    with pytest.raises(ValueError, match="the weight of every row with a label is zero"):
        classifier().fit(X, WITH_NAN, sample_weight=np.where(LABELED, 0.0, 1.0))


# Streams


class Chunks:
    """Chunks of rows, some of them without any label, from the first one on."""

    def __init__(self, *arrays):
        self.arrays = arrays

    def __iter__(self):
        return iter(zip(*(np.array_split(array, 6) for array in self.arrays), strict=True))


FIRST_WITHOUT = np.where(np.arange(90) < 20, np.nan, WITH_NAN)


@ignore_unused
@pytest.mark.parametrize(
    ("y", "options"),
    [
        (FIRST_WITHOUT, {}),
        (np.where(np.isnan(FIRST_WITHOUT), None, TRUTH.astype(object)), {}),
        (np.where(np.isnan(FIRST_WITHOUT), -1, TRUTH), {"unlabeled": -1}),
    ],
    ids=["floats", "objects", "-1"],
)
@pytest.mark.parametrize("pretraining", [None, AUTOENCODER], ids=["alone", "pretrained"])
def test_streams_are_as_rows_in_memory(y, options, pretraining):
    options = options | {"pretraining": pretraining, "tol": 1e-9, "max_iter": 200, "early_stopping": False}
    held = classifier(**options).fit(X, y, sample_weight=WEIGHTS)
    streamed = classifier(**options).fit(Chunks(X, y, WEIGHTS))
    assert streamed.classes_.tolist() == [1, 2]
    assert streamed.loss_ == pytest.approx(held.loss_, rel=1e-6 if pretraining else 1e-9)
    if pretraining is None:
        np.testing.assert_allclose(streamed.coefs_[0], held.coefs_[0], rtol=1e-5)
    else:
        assert streamed.pretraining_.loss_ == pytest.approx(held.pretraining_.loss_, rel=1e-6)


@ignore_unused
@pytest.mark.filterwarnings("ignore:The share of wrong labels")
def test_folds_of_a_stream_draw_from_its_labeled_rows():
    labeled = ~np.isnan(FIRST_WITHOUT)
    whole = classifier(alpha=(1e-3, 1.0), early_stopping=True).fit(Chunks(X, FIRST_WITHOUT))
    alone = classifier(alpha=(1e-3, 1.0), early_stopping=True).fit(Chunks(X[labeled], TRUTH[labeled]))
    np.testing.assert_allclose(whole.validation_scores_, alone.validation_scores_, rtol=1e-7)


# Methods


@pytest.fixture(scope="module")
def fitted():
    return classifier(pretraining=AUTOENCODER, unlabeled=-1, early_stopping=False).fit(X, WITH_NAN)


def test_they_are_never_suspects(fitted):
    of_all = fitted.label_error_proba(X, WITH_NAN)
    assert np.isnan(of_all[~LABELED]).all()
    np.testing.assert_array_equal(of_all[LABELED], fitted.label_error_proba(X[LABELED], TRUTH[LABELED]))
    every = fitted.find_label_errors(X, np.where(LABELED, TRUTH, -1), threshold=0)
    assert sorted(every) == np.flatnonzero(LABELED).tolist()
    assert np.isnan(fitted.label_error_proba(X, np.full(90, np.nan))).all()
    assert len(fitted.find_label_errors(X, np.full(90, np.nan), threshold=0)) == 0


@pytest.mark.parametrize("cv", [3, KFold(3, shuffle=True, random_state=0)], ids=["number", "splitter"])
def test_folds_pretrain_on_them_and_judge_the_others(fitted, cv):
    judged = fitted.label_error_proba(X, WITH_NAN, cv=cv)
    np.testing.assert_array_equal(np.isnan(judged), ~LABELED)
    folds = list(KFold(2).split(X))
    judged = fitted.label_error_proba(X, WITH_NAN, cv=folds)
    for training, held_out in folds:
        rows = np.union1d(training[LABELED[training]], np.flatnonzero(~LABELED))
        own = clone(fitted).fit(X[rows], WITH_NAN[rows])
        np.testing.assert_allclose(judged[held_out], own.label_error_proba(X[held_out], WITH_NAN[held_out]), rtol=1e-9)


def test_folds_do_not_warn_of_them_again():
    with pytest.warns(UserWarning, match="not used"):
        model = classifier().fit(X, WITH_NAN)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.filterwarnings("ignore", "Not converged")
        judged = model.label_error_proba(X, WITH_NAN, cv=3)
    alone = model.label_error_proba(X[LABELED], TRUTH[LABELED], cv=3)
    np.testing.assert_allclose(judged[LABELED], alone, rtol=1e-9)


def test_scores_are_those_of_the_labeled_rows(fitted):
    given = np.where(np.arange(90) < 20, 3 - TRUTH, TRUTH)  # which are not all predicted
    with_nan = np.where(LABELED, given, np.nan)
    for score in (fitted.score, fitted.mean_log_likelihood):
        for s in (None, WEIGHTS.astype(float)):
            labeled = None if s is None else s[LABELED]
            expected = score(X[LABELED], given[LABELED], sample_weight=labeled)
            assert score(X, with_nan, sample_weight=s) == expected
        with pytest.raises(ValueError, match="none of the 90 rows has a label in y: there is nothing to score"):
            score(X, np.full(90, -1))
    assert 0.5 < fitted.score(X, with_nan) < 0.9
    behind = TangentPipeline(FrozenEstimator(clone(LINEAR).fit(X)), classifier(unlabeled=-1))
    with pytest.warns(UserWarning, match="not used"):
        behind.fit(X, np.where(LABELED, TRUTH, -1))
    assert behind.score(X, np.where(LABELED, TRUTH, -1)) > 0.5


# Files and checkpoints


def test_a_file_keeps_the_value(fitted, tmp_path):
    save(fitted, tmp_path / "model.safetensors")
    loaded = load(tmp_path / "model.safetensors")
    assert loaded.unlabeled == -1
    assert_same_fit(loaded, fitted)


def test_a_resumed_fit_does_not_take_the_encoder_of_other_rows(tmp_path):
    other = np.where(LABELED[:, None], X, X[::-1])
    classifier(pretraining=AUTOENCODER, checkpoint=tmp_path).fit(X, WITH_NAN)
    cold = classifier(pretraining=AUTOENCODER).fit(other, WITH_NAN)
    resumed = classifier(pretraining=AUTOENCODER, checkpoint=Checkpoint(tmp_path, resume=True)).fit(other, WITH_NAN)
    assert_same_fit(resumed, cold)
