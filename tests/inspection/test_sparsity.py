"""The report of a code is computed by hand on a small case, and does not depend on batches, order, origin or scale."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sparsam import SparseAutoencoder, StackedAutoencoder, sparsity_report

RELU = {"hidden_activation": "relu", "output_activation": "identity"}

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def directions_and_rows(n_rows, seed=0):
    """Return orthogonal directions, and rows that are sums of few of them."""
    rng = np.random.default_rng(seed)
    directions = np.linalg.qr(rng.normal(size=(12, 12)))[0]
    return directions, (rng.random((n_rows, 12)) < 0.1) * rng.uniform(1, 2, (n_rows, 12)) @ directions


X = directions_and_rows(700)[1]
UNSEEN = X[500:]


@pytest.fixture(scope="module")
def model():
    return SparseAutoencoder(14, sparsity="l1", beta=0.05, random_state=0, dtype="float64", **RELU).fit(X[:500])


class Fake(BaseEstimator):
    """A model with given codes and reconstructions of the rows 0, 1, 2, ... of one feature or more."""

    hidden_activation = "relu"

    def __init__(self, X, Z, Y):
        self.X, self.Z, self.Y = np.asarray(X, float), np.asarray(Z, float), np.asarray(Y, float)
        self.n_features_in_, self.mean_activation_ = self.X.shape[1], self.Z.mean(axis=0)

    def fit(self):
        """Make it an estimator for scikit-learn."""

    def __sklearn_is_fitted__(self):
        return True

    def transform(self, X):
        return self.Z[[int(np.flatnonzero((self.X == x).all(axis=1))[0]) for x in X]]

    def predict(self, X):
        return self.Y[[int(np.flatnonzero((self.X == x).all(axis=1))[0]) for x in X]]

    inverse_transform = None


def test_numbers_worked_out_by_hand():
    rows = [[3.0, 0.0], [-1.0, 0.0], [0.0, 2.0], [-2.0, -2.0]]  # the mean is 0
    codes = [[1.0, 0.0, 0.0], [2.0, 0.5, 0.0], [3.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    reconstructed = [[1.5, 0.0], [-1.0, 1.0], [0.0, 2.0], [0.0, 0.0]]
    report = sparsity_report(Fake(rows, codes, reconstructed), np.array(rows), n_strongest=2)
    assert report.active == 1.0  # 4 active units on 4 rows
    assert report.density.tolist() == [0.75, 0.25, 0.0]
    assert report.dead.tolist() == [False, False, True]
    assert report.dead_share == pytest.approx(1 / 3)
    assert report.explained_variance == pytest.approx(1 - (1.5**2 + 1 + 0 + 8) / (9 + 1 + 4 + 8))
    assert report.cosine == pytest.approx((1 + 1 / np.sqrt(2) + 1 + 0) / 4)
    assert report.norm_ratio == pytest.approx((0.5 + np.sqrt(2) + 1 + 0) / 4)
    assert report.strongest_rows.tolist() == [[2, 1], [1, -1], [-1, -1]]
    assert_allclose(report.coherence, [0.0, np.nan, np.nan], atol=1e-15)
    unit = np.array(rows) / np.linalg.norm(rows, axis=1, keepdims=True)
    pairs = (unit @ unit.T)[~np.eye(4, dtype=bool)]
    assert report.coherence_of_random_rows == pytest.approx(pairs.mean())


def test_strongest_rows_and_their_coherence_are_those_of_a_direct_computation(model):
    report = sparsity_report(model, UNSEEN, n_strongest=5)
    Z, about = model.transform(UNSEEN), UNSEEN - UNSEEN.mean(axis=0)
    unit = about / np.linalg.norm(about, axis=1, keepdims=True)
    for j in range(Z.shape[1]):
        order = [row for row in np.argsort(-Z[:, j], kind="stable") if Z[row, j] > 0][:5]
        assert report.strongest_rows[j].tolist() == order + [-1] * (5 - len(order))
        if len(order) > 1:
            cosines = unit[order] @ unit[order].T
            expected = cosines[~np.eye(len(order), dtype=bool)].mean()
            assert report.coherence[j] == pytest.approx(expected)


def test_units_of_planted_directions_are_coherent_and_random_rows_are_not(model):
    report = sparsity_report(model, UNSEEN)
    assert report.explained_variance > 0.9
    assert report.active == pytest.approx(1.2, abs=0.6)  # 12 directions, each on a tenth of the rows
    assert np.nanmedian(report.coherence) > 0.4
    assert abs(report.coherence_of_random_rows) < 0.05


class Stream:
    def __init__(self, X, sizes):
        self.X, self.cuts = X, np.cumsum([0, *sizes, len(X)])

    def __iter__(self):
        for start, stop in zip(self.cuts[:-1], self.cuts[1:], strict=True):
            yield self.X[start:stop]


def assert_same(one, other):
    for name, value in vars(one).items():
        assert_allclose(getattr(other, name), value, rtol=1e-9, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("sizes", [[1], [0, 63, 64], [7, 100]])
def test_batches_amount_to_the_whole(model, sizes, monkeypatch):
    whole = sparsity_report(model, UNSEEN)
    assert_same(whole, sparsity_report(model, Stream(UNSEEN, [size for size in sizes if size])))
    monkeypatch.setattr("sparsam.inspection.row_batches.BATCH_BYTES", 8 * 26 * 33)
    assert_same(whole, sparsity_report(model, UNSEEN))
    assert_same(whole, sparsity_report(model, [UNSEEN[:50], UNSEEN[50:]]))


def test_the_order_of_the_rows_has_no_influence(model):
    order = np.random.default_rng(0).permutation(len(UNSEEN))
    one, other = sparsity_report(model, UNSEEN), sparsity_report(model, UNSEEN[order])
    for name in ("active", "density", "explained_variance", "cosine", "norm_ratio", "coherence"):
        assert_allclose(getattr(other, name), getattr(one, name), rtol=1e-9, err_msg=name)
    assert_array_equal(
        order[other.strongest_rows[other.strongest_rows >= 0]], one.strongest_rows[one.strongest_rows >= 0]
    )


def test_the_origin_of_the_rows_has_no_influence():
    """Rows with linear outputs have no origin: also not those of 1e4, whose plain cosines are all 1."""
    options = {"sparsity": "l1", "beta": 0.05, "random_state": 0, "dtype": "float64", "max_iter": 30}
    reports = [
        sparsity_report(SparseAutoencoder(6, **options, **RELU).fit(X[:500] + shift), UNSEEN + shift)
        for shift in (0.0, 1e4)
    ]
    for name in ("active", "explained_variance", "cosine", "norm_ratio", "coherence_of_random_rows"):
        assert getattr(reports[1], name) == pytest.approx(getattr(reports[0], name), rel=1e-4, abs=1e-6)


def test_explained_variance_is_that_of_the_fit_on_the_training_rows():
    model = SparseAutoencoder(5, sparsity="l1", beta=0.1, random_state=0, dtype="float64", **RELU).fit(X)
    assert sparsity_report(model, X).explained_variance == pytest.approx(model.explained_variance_ratio_, abs=1e-9)


def test_a_heavier_penalty_leaves_fewer_active_units_and_shrinks_more():
    # Without noise, any penalty finds the planted directions, and as many units are active whatever beta.
    noisy = X + 0.1 * np.random.default_rng(1).normal(size=X.shape)
    reports = [
        sparsity_report(
            SparseAutoencoder(12, sparsity="l1", beta=beta, random_state=0, **RELU).fit(noisy[:500]), noisy[500:]
        )
        for beta in (0.02, 0.3)
    ]
    assert reports[1].active < reports[0].active
    assert reports[1].norm_ratio < reports[0].norm_ratio < 1.05
    assert reports[1].explained_variance < reports[0].explained_variance


@pytest.mark.parametrize(("activation", "threshold"), [("logistic", 0.01), ("tanh", -0.98)])
def test_units_that_are_never_zero_are_active_above_the_end_of_their_range(activation, threshold):
    model = SparseAutoencoder(
        3, beta=0.0, hidden_activation=activation, output_activation="identity", max_iter=5, random_state=0
    ).fit(X)
    report = sparsity_report(model, UNSEEN)
    assert report.threshold == pytest.approx(threshold)
    assert report.density.tolist() == (model.transform(UNSEEN) > threshold).mean(axis=0).tolist()
    assert sparsity_report(model, UNSEEN, threshold=2.0).dead_share == 1.0


def test_of_a_stack_the_innermost_code_counts():
    layers = [SparseAutoencoder(n, beta=0.0, **RELU, max_iter=5, random_state=0) for n in (6, 3)]
    stack = StackedAutoencoder(layers, max_iter=5).fit(X[:500])
    report = sparsity_report(stack, UNSEEN)
    assert report.density.tolist() == (stack.transform(UNSEEN) > 0).mean(axis=0).tolist()


def test_rows_that_are_all_the_same_have_no_variance(model):
    report = sparsity_report(model, np.repeat(UNSEEN[:1], 5, axis=0))
    assert np.isnan([report.explained_variance, report.cosine, report.norm_ratio]).all()
    assert np.isnan(report.coherence_of_random_rows)


def test_the_summary_and_the_table(model):
    report = sparsity_report(model, UNSEEN)
    assert "active units of a row (L0)" in repr(report)
    assert f"{report.explained_variance:.4f}" in report.summary
    table = report.to_frame()
    assert isinstance(table, pd.DataFrame)
    assert table.index.name == "unit"
    assert_array_equal(table.density, report.density)
    without = sparsity_report(model, UNSEEN, n_strongest=0)
    assert "coherence" not in without.summary
    assert without.active == report.active


def test_a_frame_keeps_its_names_for_the_model():
    frame = pd.DataFrame(X, columns=[f"x{k}" for k in range(12)])
    model = SparseAutoencoder(3, beta=0.0, max_iter=3, random_state=0, **RELU).fit(frame)
    assert sparsity_report(model, frame).active == sparsity_report(model, frame, n_strongest=0).active


def test_what_cannot_be_used_is_refused(model):
    with pytest.raises(TypeError, match="read several times"):
        sparsity_report(model, (part for part in [UNSEEN]))
    with pytest.raises(TypeError, match="takes a fitted autoencoder, got SimpleNamespace"):
        sparsity_report(SimpleNamespace(), UNSEEN)
    with pytest.raises(TypeError, match=r"pass pipe\[-1\]"):
        sparsity_report(make_pipeline(StandardScaler(), model), UNSEEN)
    with pytest.raises(NotFittedError):
        sparsity_report(SparseAutoencoder(), UNSEEN)
    with pytest.raises(ValueError, match="X has no rows"):
        sparsity_report(model, UNSEEN[:0])
    with pytest.raises(ValueError, match="NaN or infinity"):
        sparsity_report(model, np.where(UNSEEN == UNSEEN[3, 3], np.nan, UNSEEN))
    with pytest.raises(ValueError, match="12 features"):
        sparsity_report(model, UNSEEN[:, :5])
    with pytest.raises(ValueError, match="got one of shape"):
        sparsity_report(model, UNSEEN[0])
    with pytest.raises(ValueError, match="n_strongest"):
        sparsity_report(model, UNSEEN, n_strongest=-1)
    with pytest.raises(ValueError, match="threshold"):
        sparsity_report(model, UNSEEN, threshold=float("nan"))
