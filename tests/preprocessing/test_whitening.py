"""Whitening: the formula, streams, weights, units, few rows, and what it does to filters."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from sparsam import SparseAutoencoder
from sparsam.preprocessing import Whitening
from sparsam.preprocessing import whitening as module

KINDS = ("zca", "pca")


def draw(n_rows=200, n_features=6, seed=0, mean=3.0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n_rows, n_features)) @ rng.normal(size=(n_features, n_features)) + mean


def plainly(X, kind, epsilon, s=None):
    """Whiten by an eigendecomposition of the covariance."""
    s = np.ones(len(X)) if s is None else s
    mean = s @ X / s.sum()
    C = (s[:, None] * (X - mean)).T @ (X - mean) / s.sum()
    values, U = np.linalg.eigh(C)
    W = U / np.sqrt(values + epsilon)
    return (X - mean) @ (W @ U.T if kind == "zca" else W[:, ::-1])


@parametrize_with_checks([Whitening(kind) for kind in KINDS])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("epsilon", [1e-3, 0.1, 10.0])
def test_zca_is_that_of_a_plain_eigendecomposition(epsilon):
    X = draw()
    np.testing.assert_allclose(Whitening(epsilon=epsilon).fit_transform(X), plainly(X, "zca", epsilon), atol=1e-10)


@pytest.mark.parametrize("epsilon", [0, 0.1])
def test_pca_is_that_of_a_plain_eigendecomposition_and_of_scikit_learn(epsilon):
    X = draw()
    white = Whitening("pca", epsilon=epsilon).fit_transform(X)
    np.testing.assert_allclose(np.abs(white), np.abs(plainly(X, "pca", epsilon)), atol=1e-10)
    if epsilon == 0:
        theirs = PCA(whiten=True).fit_transform(X) * np.sqrt(len(X) / (len(X) - 1))  # it divides by N - 1
        np.testing.assert_allclose(np.abs(white), np.abs(theirs), atol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
@given(seed=st.integers(0, 1000), epsilon=st.sampled_from([1e-6, 0.1, 3.0]))
@settings(max_examples=20, deadline=None)
def test_the_covariance_becomes_lambda_over_lambda_plus_epsilon(kind, seed, epsilon):
    X = draw(seed=seed)
    whitening = Whitening(kind, epsilon=epsilon).fit(X)
    values, U = whitening.explained_variance_, whitening.components_.T
    left = np.diag(values / (values + epsilon))
    expected = left if kind == "pca" else U @ left @ U.T
    np.testing.assert_allclose(np.cov(whitening.transform(X).T, bias=True), expected, atol=1e-9)
    assert np.all(np.diff(values) <= 0)


@pytest.mark.parametrize("kind", KINDS)
@given(n_rows=st.integers(1, 12), seed=st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_few_rows_are_exact(kind, n_rows, seed):
    """With at most as many rows as features, axes without variance have exactly none, however small epsilon is."""
    X = 100 * draw(n_rows, 12, seed)
    whitening = Whitening(kind, epsilon=1e-12).fit(X)
    rank = n_rows - 1
    np.testing.assert_allclose(whitening.explained_variance_[rank:], 0, atol=1e-20)
    assert kind == "zca" or len(whitening.explained_variance_) == max(rank, 1)
    white = whitening.transform(X)
    deviations = X - X.mean(axis=0)
    # The Gram matrix of exactly whitened rows is N times the projection orthogonal to the constant.
    expected = n_rows * (np.eye(n_rows) - 1 / n_rows)
    np.testing.assert_allclose(white @ white.T, expected, atol=1e-5 * n_rows)
    np.testing.assert_allclose(whitening.inverse_transform(white) - X.mean(axis=0), deviations, rtol=1e-6, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_the_inverse_undoes_it(kind):
    X = draw()
    whitening = Whitening(kind).fit(X)
    np.testing.assert_allclose(whitening.inverse_transform(whitening.transform(X)), X, atol=1e-10)
    some = Whitening(kind, n_components=2).fit(X)
    axes = some.components_
    projected = (X - X.mean(axis=0)) @ axes.T @ axes + X.mean(axis=0)
    np.testing.assert_allclose(some.inverse_transform(some.transform(X)), projected, atol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_are_repetitions_and_rows_of_weight_0_are_none(kind):
    X, weights = draw(), np.random.default_rng(1).integers(0, 4, 200)
    weighted = Whitening(kind).fit(X, sample_weight=weights)
    repeated = Whitening(kind).fit(np.repeat(X, weights, axis=0))
    np.testing.assert_allclose(weighted.whitening_, repeated.whitening_, atol=1e-12)
    np.testing.assert_allclose(weighted.mean_, repeated.mean_, atol=1e-12)
    with pytest.raises(ValueError, match=r"at least one non-zero number|no row with a positive weight"):
        Whitening(kind).fit(X, sample_weight=np.zeros(200))


class Chunks:
    def __init__(self, X, size):
        self.X, self.size = X, size

    def __iter__(self):
        for start in range(0, len(self.X), self.size):
            yield self.X[start : start + self.size]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n_rows", [4, 6, 7, 200])
def test_a_stream_in_one_pass_is_like_rows_in_memory(kind, n_rows, monkeypatch):
    X = draw(n_rows, mean=1e6)  # which would cancel ten digits of sums of squares
    expected = Whitening(kind).fit(X)
    monkeypatch.setattr(module, "BATCH_ROWS", 3)
    for rows in (Chunks(X, 5), X):
        found = Whitening(kind).fit(rows)
        np.testing.assert_allclose(found.whitening_, expected.whitening_, atol=1e-8)
        np.testing.assert_allclose(found.mean_, expected.mean_, rtol=1e-15)


@given(exponent=st.integers(-20, 20))
def test_in_other_units_epsilon_is_in_squared_units(exponent):
    X, unit = draw(), 2.0**exponent
    expected = Whitening(epsilon=0.5).fit_transform(X)
    found = Whitening(epsilon=0.5 * unit**2).fit_transform(unit * X)
    np.testing.assert_allclose(found, expected, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_filters_of_whitened_rows_act_on_the_rows_themselves(kind):
    X = draw()
    whitening = Whitening(kind, n_components=3).fit(X)
    filters = np.random.default_rng(2).normal(size=(4, whitening.whitening_.shape[0]))
    of_rows = whitening.input_filters(filters)
    assert of_rows.shape == (4, 6)
    np.testing.assert_allclose(whitening.transform(X) @ filters.T, (X - whitening.mean_) @ of_rows.T, atol=1e-10)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_precision_of_rows_is_kept(dtype):
    X = draw().astype(dtype)
    whitening = Whitening().fit(X)
    white = whitening.transform(X)
    assert white.dtype == whitening.inverse_transform(white).dtype == dtype
    np.testing.assert_allclose(white, plainly(X.astype(float), "zca", 0.1), atol=1e-10 if dtype == np.float64 else 1e-5)


def test_names_of_features():
    pd = pytest.importorskip("pandas")
    X = pd.DataFrame(draw(), columns=list("abcdef"))
    assert list(Whitening().set_output(transform="pandas").fit_transform(X)) == list("abcdef")
    names = list(Whitening("pca", n_components=2).set_output(transform="pandas").fit_transform(X))
    assert names == ["whitening0", "whitening1"]


def test_an_axis_without_variance_needs_epsilon():
    X = np.column_stack([draw(), np.ones(200)])
    with pytest.raises(ValueError, match="epsilon = 0 needs variance along all 7 axes, but X has it along 6 only"):
        Whitening(epsilon=0).fit(X)
    white = Whitening(epsilon=0, n_components=6).fit_transform(X)
    np.testing.assert_allclose(np.linalg.eigvalsh(np.cov(white.T, bias=True))[1:], 1, atol=1e-10)


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"kind": "ZCA"}, ValueError, "kind must be one of 'zca', 'pca'; got 'ZCA'"),
        ({"epsilon": -1.0}, ValueError, "epsilon must be at least 0 and finite; got -1.0"),
        ({"epsilon": np.nan}, ValueError, "epsilon must be at least 0 and finite; got nan"),
        ({"epsilon": "0.1"}, TypeError, "epsilon must be a number; got '0.1'"),
        ({"n_components": 0}, ValueError, "n_components must be at least 1; got 0"),
        ({"n_components": 2.5}, TypeError, "n_components must be an integer or None; got 2.5"),
        ({"n_components": 7}, ValueError, "n_components = 7 is more than the 6 features of X"),
    ],
)
def test_bad_parameters_are_named(parameters, error, message):
    with pytest.raises(error, match=message):
        Whitening(**parameters).fit(draw())


def test_a_stream_without_rows_is_an_error():
    with pytest.raises(ValueError, match="X has no row with a positive weight"):
        Whitening().fit(Chunks(draw()[:0], 50))


def test_a_stream_has_no_separate_weights():
    with pytest.raises(ValueError, match="sample_weight is for rows in memory"):
        Whitening().fit(Chunks(draw(), 50), sample_weight=np.ones(200))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_it_stands_in_a_pipeline_before_a_linear_decoder():
    X = draw()
    pipe = make_pipeline(Whitening(), SparseAutoencoder(3, output_activation="identity", random_state=0, max_iter=20))
    codes = pipe.fit_transform(X)
    whitening, model = pipe[0], pipe[1]
    a = (X - whitening.mean_) @ whitening.input_filters(model.components_).T + model.intercepts_[0]
    np.testing.assert_allclose(codes, 1 / (1 + np.exp(-a)), atol=1e-5)
