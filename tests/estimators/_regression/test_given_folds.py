"""The user's folds: a splitter, or row numbers, instead of a number."""

import copy

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GroupKFold, KFold, ShuffleSplit

from sparsam import Checkpoint, MultivariateNormalRegressor, save
from sparsam.engine.data.batch import Batch
from sparsam.estimators._data.dataset import InMemoryDataset
from sparsam.estimators._data.deduplicate import merged_into
from sparsam.estimators._data.splits import folds_of_rows
from sparsam.estimators._training.supervised import split_seed

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

N = 40


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, 2))
    return X, np.stack([np.sin(X[:, 0]), X[:, 1]], axis=1) + 0.3 * rng.normal(size=(N, 2))


def fit(cv, X, y, sample_weight=None, **options):
    model = MultivariateNormalRegressor((3,), cv=cv, max_iter=12, random_state=0, **options)
    return model.fit(X, y, sample_weight=sample_weight)


def assert_same(one, other):
    np.testing.assert_array_equal(one.predictive_covariance_, other.predictive_covariance_)
    assert one.validation_scores_ == other.validation_scores_ != []
    for coef, expected in zip(one.coefs_, other.coefs_, strict=True):
        np.testing.assert_array_equal(coef, expected)


@pytest.mark.slow
def test_drawn_folds_give_the_same_result_when_passed_explicitly(data):
    X, y = data
    dataset = InMemoryDataset(Batch(X, y)).merge_repeated()
    row_of = merged_into(Batch(X, y))
    given = []
    for split in folds_of_rows(3, dataset, split_seed(0)):
        merged = (dataset.batch.inputs[:, None] == split.held_out.batch.inputs[None]).all(axis=2).any(axis=1)
        given.append((np.flatnonzero(~merged[row_of]), merged[row_of]))  # row numbers, or a mask
    assert_same(fit(given, X, y), fit(3, X, y))


@pytest.mark.slow
@pytest.mark.parametrize("splitter", [KFold(3), ShuffleSplit(2, random_state=0)], ids=["partition", "random parts"])
def test_a_splitter_gives_the_result_of_its_splits_in_any_order_of_rows(splitter, data):
    X, y = data
    model = fit(splitter, X, y)
    splits = list(splitter.split(X))
    assert_same(fit(splits, X, y), model)
    assert_same(fit(iter(splits), X, y), model)
    order = np.random.default_rng(1).permutation(N)
    place = np.argsort(order)
    assert_same(fit([(place[train], place[test]) for train, test in splits], X[order], y[order]), model)


@pytest.mark.slow
@pytest.mark.parametrize("across", [False, True], ids=["within a fold", "on both sides"])
def test_weights_are_repetitions(across, data):
    """Also if a fold trains on some copies of a row and holds out others; rows of weight 0 are in no fold."""
    X, y = data
    X, y = (np.vstack([part, part[:10]]) for part in (X, y))  # ten rows twice
    weights = np.random.default_rng(0).integers(0, 4, N + 10)
    groups = np.arange(N + 10) % 3 if across else np.append(np.arange(N), np.arange(10)) % 3
    copies = np.repeat(np.arange(N + 10), weights)

    def splits(groups):
        return list(GroupKFold(3).split(groups, groups=groups))

    shuffled = np.random.default_rng(1).permutation(copies)
    weighted = fit(splits(groups), X, y, weights.astype(float))
    assert_same(fit([_at(fold, groups, shuffled) for fold in splits(groups)], X[shuffled], y[shuffled]), weighted)


def _at(fold, groups, rows):
    """Make a fold that holds out the rows of the given groups."""
    held_out = np.isin(groups[rows], groups[fold[1]])
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)


@pytest.mark.slow
def test_rows_that_belong_together_are_held_out_together(data):
    """Ten measurements of each of eight patients, whose deviations are independent: variance 1 + 0.01.

    With folds of rows the network learns a patient's deviation from the other rows of the patient: X is the patient.
    """
    rng = np.random.default_rng(0)
    patients = np.repeat(np.arange(8), 10)
    X = rng.normal(size=(8, 4))[patients]
    y = rng.normal(size=8)[patients] + 0.1 * rng.normal(size=80)
    by_rows = fit(KFold(5, shuffle=True, random_state=0), X, y, alpha=0.0)
    by_patients = fit(list(GroupKFold(4).split(X, groups=patients)), X, y, alpha=0.0)
    assert by_rows.predictive_covariance_ < 0.5 * by_patients.predictive_covariance_


BAD = [
    ("five", TypeError, "cv must be a number of folds, a splitter such as .* got 'five'"),
    (2.5, TypeError, "cv must be a number of folds"),
    (1, ValueError, "cv must be finite and at least 2, got 1"),
    ([], ValueError, "cv yields no split"),
    ([3], ValueError, "cv does not split the rows into pairs"),
    (KFold(50), ValueError, "cv does not split the rows .* n_splits=50 greater than"),
    ([(np.arange(20), np.arange(20, 41))], ValueError, "fold 1 of cv has row numbers that are not in X: index 40"),
    ([(np.arange(20), np.arange(0))], ValueError, "fold 1 of cv has no rows to hold out"),
    ([(np.arange(20), np.arange(20, 40)), (np.arange(20), np.arange(19, 30))], ValueError, "fold 2 .* such as row 19"),
]


@pytest.mark.parametrize(("cv", "error", "match"), BAD, ids=[match[:30] for _, _, match in BAD])
def test_invalid_folds_are_refused(cv, error, match, data):
    with pytest.raises(error, match=match):
        fit(cv, *data)


@pytest.mark.parametrize(
    ("y", "weights"),
    [
        (lambda y: np.where(np.arange(N)[:, None] < [30, N], y, np.nan), None),
        (lambda y: y, np.repeat([1.0, 0.0], [30, 10])),
    ],
    ids=["without a target", "without a weight"],
)
def test_folds_without_samples_or_outputs_are_refused(y, weights, data):
    rows = np.arange(N)
    second = (rows[30:], rows[:30]) if weights is None else (rows[:30], rows[30:])
    with pytest.raises(ValueError, match="fold 2 of cv must hold out a sample with a positive weight, and train on"):
        fit([(rows[10:], rows[:10]), second], data[0], y(data[1]), weights)


class Chunks:
    def __init__(self, *arrays):
        self.arrays = arrays

    def __iter__(self):
        yield self.arrays


def test_rows_that_are_streamed_are_refused(data):
    with pytest.raises(
        ValueError, match="since X is streamed, or divided among processes, set cv to a number of folds"
    ):
        MultivariateNormalRegressor((3,), cv=KFold(3)).fit(Chunks(*data))


def test_a_splitter_is_cloned_and_not_saved(data, tmp_path):
    model = fit(KFold(3), *data)
    assert clone(model).cv.n_splits == 3
    with pytest.raises(TypeError, match=r"cv is a splitter or row numbers.*set_params\(cv=5\) before saving"):
        save(model, tmp_path / "model.safetensors")
    save(copy.copy(model).set_params(cv=5), tmp_path / "model.safetensors")


@pytest.mark.slow
def test_a_resumed_fit_must_hold_out_the_same_rows(data, tmp_path):
    fit(KFold(3), *data, checkpoint=tmp_path)
    resume = Checkpoint(tmp_path, resume=True)
    assert_same(fit(KFold(3), *data, checkpoint=resume), fit(KFold(3), *data))
    with pytest.raises(ValueError, match="another run, which differs in: rows held out"):
        fit(KFold(4), *data, checkpoint=resume)


@pytest.mark.parametrize("covariance", ["full", "diag", "input"])
def test_folds_that_never_hold_out_a_target_of_an_output_are_refused(covariance, data):
    """Its variance about the predictions would be NaN."""
    X, y = data
    gaps = np.where(np.arange(N)[:, None] < [0, 20], np.nan, y)
    folds = [(np.arange(10, N), np.arange(10))]
    with pytest.raises(ValueError, match="cv holds out no sample with a target of output 1"):
        fit(folds, X, gaps, covariance=covariance)
