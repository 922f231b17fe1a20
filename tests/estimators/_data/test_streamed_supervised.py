"""Regression and classification of streamed rows: same results as in memory."""

import json
from functools import partial

import numpy as np
import pytest
from sklearn.base import clone

from sparsam import Checkpoint, MultivariateNormalRegressor, NoisyLabelClassifier
from sparsam.estimators._data import streamed as streamed_module
from sparsam.estimators._labels import noise_estimation
from sparsam.estimators._labels.encoding import class_numbers, encode_labels
from sparsam.estimators._training.supervised import split_seed

N = 160


class Chunks:
    """Yields tuples of parts of arrays, the same ones every time."""

    def __init__(self, *arrays, size=17):
        self.arrays, self.size = arrays, size

    def __iter__(self):
        for start in range(0, len(self.arrays[0]), self.size):
            yield tuple(array[start : start + self.size] for array in self.arrays)


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    """Use pieces of 50 rows, and read no stored array whole."""
    monkeypatch.setattr(streamed_module, "BATCH_BYTES", 50 * 3 * 4)
    monkeypatch.setattr("sparsam.engine.data.sources.HELD_BYTES", 0)


@pytest.fixture(scope="module")
def X():
    return np.random.default_rng(0).normal(size=(N, 3))


def targets_of(X):
    """Two outputs; only the last pieces have missing targets."""
    Y = np.column_stack([np.sin(X[:, 0]), X[:, 1] + X[:, 2]]) + 0.1 * np.random.default_rng(1).normal(size=(N, 2))
    Y[130::7, 0] = np.nan
    return 5 + 3 * Y


def labels_of(n_classes):
    """String labels; the first pieces have no label of the last class."""

    def labels(X):
        truth = np.digitize(X[:, 0] + X[:, 1], np.linspace(-1, 1, n_classes - 1) if n_classes > 2 else [0.0])
        truth[:60] = np.minimum(truth[:60], n_classes - 2 if n_classes > 2 else 1)
        given = np.where(np.random.default_rng(2).random(N) < 0.1, (truth + 1) % n_classes, truth)
        given[:60] = truth[:60]
        return np.array(["a", "bb", "ccc"])[given]

    return labels


def regressor(**parameters):
    standard = {"hidden_layer_sizes": (2,), "alpha": 0.5, "random_state": 0, "tol": 1e-4}
    standard |= {"early_stopping": False, "cv": None}
    return MultivariateNormalRegressor(**standard | parameters)


def classifier(**parameters):
    standard = {"hidden_layer_sizes": (4,), "alpha": 1e-2, "epsilon": 0.1, "random_state": 0, "tol": 1e-6}
    return NoisyLabelClassifier(**standard | {"dtype": "float64", "early_stopping": False} | parameters)


SLOW = pytest.mark.slow
CASES = {"regressor": (regressor, targets_of), "2": (classifier, labels_of(2)), "3": (classifier, labels_of(3))}


@pytest.fixture(
    params=[pytest.param("regressor", marks=SLOW), "2", pytest.param("3", marks=[SLOW, pytest.mark.exhaustive])]
)
def case(request, X):
    make, targets = CASES[request.param]
    return make, targets(X)


def mapped(X, folder):
    np.save(folder / "X.npy", X)
    return np.load(folder / "X.npy", mmap_mode="r")


def assert_same(streamed, held):
    first, expected = streamed.history_.iloc[0], held.history_.iloc[0]
    np.testing.assert_allclose(first.drop("seconds"), expected.drop("seconds"), rtol=1e-12)
    assert streamed.stop_reason_ == held.stop_reason_ == "converged"
    assert streamed.loss_ == pytest.approx(held.loss_, rel=1e-6)
    if hasattr(held, "covariance_"):
        np.testing.assert_allclose(streamed.covariance_, held.covariance_, rtol=1e-3)


def test_a_streamed_fit_equals_the_fit_in_memory(case, X, tmp_path):
    make, y = case
    held = make().fit(X, y)
    assert_same(make().fit(mapped(X, tmp_path), y), held)
    assert_same(make().fit(Chunks(X, y)), held)


@pytest.mark.slow
def test_weights_and_tangents_come_with_the_rows(case, X, tmp_path):
    make, y = case
    rng = np.random.default_rng(3)
    s, tangents = rng.uniform(size=N), rng.normal(size=(N, 2, 3))
    held = make(tangent_weight=0.1).fit(X, y, s, tangents)
    assert_same(make(tangent_weight=0.1).fit(mapped(X, tmp_path), y, s, tangents), held)
    assert_same(make(tangent_weight=0.1).fit(Chunks(X, y, s, tangents)), held)


@pytest.mark.parametrize("kind", [bool, np.uint8, np.int64, np.float16, ">f4", object])
def test_integers_are_read_as_floats(X, kind):
    """Otherwise class numbers would be booleans, and the factors of integer tangents would be truncated to 0."""
    y, s, tangents = labels_of(3)(X), np.full(N, 7, np.uint8), np.ones((N, 2, 3), np.int8)
    chunks = Chunks((X > 0).astype(kind), y, s, tangents)
    dataset = streamed_module.load_dataset(classifier(), chunks, None, others={"targets": None, "tangents": None})
    first = next(dataset.map(partial(encode_labels, np.unique(y))).batches())
    assert dataset.total_weight == 7 * N
    assert {first.inputs.dtype, first.tangents.dtype} <= {np.dtype(np.float32), np.dtype(np.float64)}
    assert first.weights.dtype == np.float64
    assert np.array_equal(np.unique(y)[class_numbers(first)], y[: first.n_rows])


@pytest.mark.slow
def test_tangents_are_computed_from_rows_as_they_are_read(case, X, tmp_path):
    make, y = case

    def function(X):
        return np.stack([X[:, [1, 2, 0]], X**2], axis=1)

    model = make(tangent_weight=0.1, tangents=function, tol=1e-6)
    held = clone(model).fit(X, y)
    assert_same(clone(model).fit(mapped(X, tmp_path), y), held)


@pytest.mark.slow
def test_the_same_rows_are_held_out_in_every_pass(case, X, tmp_path):
    make, y = case
    model = make(early_stopping=True, validation_fraction=0.3, n_iter_no_change=10).fit(mapped(X, tmp_path), y)
    again = make(early_stopping=True, validation_fraction=0.3, n_iter_no_change=10).fit(Chunks(X, y, size=31))
    np.testing.assert_allclose(model.validation_scores_, again.validation_scores_, rtol=1e-12)
    assert model.validation_iterations_ == again.validation_iterations_
    assert model.n_iter_ == model.validation_iterations_[np.argmax(model.validation_scores_)]
    # The held-out rows themselves: each row is drawn on its own, from the seed.
    seed = split_seed(0)
    held_out = np.random.default_rng(seed).random(N) < 0.3
    assert 0.15 * N < held_out.sum() < 0.45 * N
    assert model.mean_log_likelihood(X[held_out], y[held_out]) == pytest.approx(max(model.validation_scores_), abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("epsilon", ["estimate", "estimate_matrix"])
def test_noise_is_estimated_from_streamed_rows(epsilon, X, tmp_path, monkeypatch):
    rng = np.random.default_rng(4)
    X = rng.normal(size=(3000, 3))
    truth = (X @ [1.0, 2.0, -1.0] > 0).astype(int)
    given = np.where(rng.random(3000) < 0.2, 1 - truth, truth)
    monkeypatch.setattr(streamed_module, "BATCH_BYTES", 1000 * 3 * 4)
    monkeypatch.setattr(noise_estimation, "MAX_PREDICTED", 2000)  # of the 3000 held-out rows
    model = classifier(hidden_layer_sizes=(), epsilon=epsilon, alpha=1e-4, dtype="float32", tol=1e-4)
    model.fit(mapped(X, tmp_path), given)
    assert model.epsilon_ == pytest.approx(0.2, abs=0.05)
    assert np.mean(model.predict(X) == truth) > 0.97


def test_predictions_are_written_into_out(case, X, tmp_path):
    make, y = case
    model, stored = make(max_iter=5, tol=1.0).fit(X, y), mapped(X, tmp_path)
    for method in ("predict", "predict_proba"):
        if hasattr(model, method):
            expected = getattr(model, method)(X)
            out = np.empty_like(expected)
            assert getattr(model, method)(stored, out=out) is out
            for answer in (out, getattr(model, method)(stored), getattr(model, method)(Chunks(X, y))):
                np.testing.assert_array_equal(answer, expected)
            with pytest.raises(ValueError, match="out must have the shape"):
                getattr(model, method)(stored, out=np.empty((N, 7)))
    assert model.score(stored, y) == model.score(X, y)
    assert model.mean_log_likelihood(stored, y) == model.mean_log_likelihood(X, y)


def test_unusable_input_is_named(X, tmp_path):
    stored, Y = mapped(X, tmp_path), targets_of(X)
    Y[77] = np.nan
    with pytest.raises(ValueError, match="first in row 77: samples without a target"):
        regressor().fit(stored, Y)
    s, tangents = np.where(np.arange(N) == 77, -1.0, 1.0), np.ones((N, 1, 3))
    with pytest.raises(ValueError, match="sample_weight must not be negative, got -1 in row 77"):
        regressor().fit(stored, Y, s)
    tangents[77, 0, 2] = np.inf
    with pytest.raises(ValueError, match="Input tangents contains infinity: first in row 77"):
        regressor().fit(stored, Y, tangents=tangents)
    Y[:, 1] = np.nan
    Y[:, 0] = 1.0
    with pytest.raises(ValueError, match="output 1 of y contains only NaN"):
        regressor().fit(stored, Y)
    with pytest.raises(ValueError, match="the target y is None"):
        regressor().fit(stored)
    with pytest.raises(ValueError, match="the target y is None"):
        classifier().fit(Chunks(X))
    with pytest.raises(ValueError, match="only 1 class, 'a'"):
        classifier().fit(stored, np.full(N, "a"))
    with pytest.raises(ValueError, match="let X yield tuples \\(X, y, sample_weight, tangents\\)"):
        classifier().fit(Chunks(X, labels_of(2)(X)), labels_of(2)(X))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        classifier().fit(stored, labels_of(2)(X)[:-1])
    few = np.array(["a"] * (N - 2) + ["b"] * 2)
    with pytest.raises(ValueError, match="the label 'b' has fewer"):
        classifier(epsilon="estimate_matrix").fit(stored, few)
    with pytest.raises(ValueError, match="gives 0 samples to hold out"):
        classifier(early_stopping=True, validation_fraction=1e-6).fit(stored, labels_of(2)(X))


def test_labels_that_change_raise_an_error(X, tmp_path):
    y, readings = labels_of(2)(X), []

    class Changing:
        def __iter__(self):
            readings.append(1)
            labels = y.copy()
            if len(readings) > 4:
                labels[0] = "bb" if y[0] == "a" else "a"
            return iter(Chunks(X, labels))

    with pytest.raises(ValueError, match="rows 0 to 49 of X have changed since they were read before"):
        classifier().fit(Changing())


@pytest.mark.parametrize(
    "more", [{}, pytest.param({"early_stopping": True, "validation_fraction": 0.5}, marks=SLOW)], ids=["", "held out"]
)
def test_a_checkpoint_detects_changed_targets_of_streamed_rows(X, tmp_path, more):
    (tmp_path / "checkpoints").mkdir()
    y = labels_of(2)(X)
    options = {"checkpoint": Checkpoint(tmp_path / "checkpoints", resume=True)} | more
    first = classifier(max_iter=3, **options).fit(Chunks(X, y))
    for row in (98, 100):  # the second row is held out, if any is
        other = np.where(np.arange(N) == row, np.where(y == "a", "bb", "a"), y)
        with pytest.raises(ValueError, match="data"):
            classifier(max_iter=3, **options).fit(Chunks(X, other))
    resumed = classifier(max_iter=3, **options).fit(Chunks(X, y))
    assert json.dumps(resumed.loss_curve_) == json.dumps(first.loss_curve_)
