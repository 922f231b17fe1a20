"""Coherence of units, and the rows on which they are strongest."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsam.inspection import coherence as module
from sparsam.inspection.coherence import coherence, coherence_of_random_rows
from sparsam.inspection.strongest_rows import StrongestRows


def expected_coherence(X, z, n):
    rows = [row for row in np.argsort(-z, kind="stable")[:n] if z[row] > 0]
    U = X[rows] - X.mean(axis=0)
    U = U / np.linalg.norm(U, axis=1, keepdims=True)
    pairs = [U[i] @ U[k] for i in range(len(U)) for k in range(i)]
    return np.mean(pairs) if pairs else np.nan


@pytest.mark.parametrize("n_strongest", [2, 5, 10, 100])
@pytest.mark.parametrize("values", [8_000_000, 50])
def test_it_is_the_mean_cosine_of_all_pairs(n_strongest, values, monkeypatch):
    monkeypatch.setattr(module, "CHUNK_VALUES", values)
    rng = np.random.default_rng(0)
    X, Z = rng.normal(size=(60, 4)), np.maximum(rng.normal(-0.5, 1, size=(60, 7)), 0)
    Z[:, 2], Z[:, 3], Z[5, 3] = 0, 0, 1
    expected = [expected_coherence(X, z, n_strongest) for z in Z.T]
    np.testing.assert_allclose(coherence(X, Z, n_strongest), expected, atol=1e-12)
    assert np.isnan(coherence(X, Z)[[2, 3]]).all()


def test_neither_shift_nor_scale_of_the_rows_matters():
    rng = np.random.default_rng(0)
    X, Z = rng.normal(size=(60, 4)), rng.uniform(size=(60, 3))
    np.testing.assert_allclose(coherence(7 * X + 3, Z), coherence(X, Z), atol=1e-12)


def test_float32_gives_the_same():
    rng = np.random.default_rng(0)
    X, Z = rng.normal(size=(60, 4)), rng.uniform(size=(60, 3))
    np.testing.assert_allclose(coherence(X.astype("f4"), Z.astype("f4")), coherence(X, Z), atol=1e-5)


def test_random_rows_are_compared_by_all_pairs():
    X = np.random.default_rng(0).normal(size=(30, 3)) ** 3
    assert coherence_of_random_rows(X) == pytest.approx(expected_coherence(X, np.ones(30), 30), abs=1e-12)
    assert np.isnan(coherence_of_random_rows(X[:1]))


def test_a_row_at_the_mean_has_no_direction():
    X = np.array([[1.0, 0], [-1, 0], [0, 0]])
    assert coherence(X, np.array([[1.0], [0], [1]])).tolist() == [0.0]


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="same number of rows"):
        coherence(np.zeros((3, 2)), np.zeros((4, 2)))
    with pytest.raises(ValueError, match="at least 2"):
        coherence(np.zeros((3, 2)), np.zeros((3, 2)), 1)


@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(1, 40))
def test_chunks_give_the_strongest_rows_of_all(seed, n_kept, size):
    values = np.random.default_rng(seed).integers(0, 6, size=(50, 3)).astype(float)  # with ties, and rows at 0
    strongest = StrongestRows(3, n_kept)
    for start in range(0, 50, size):
        strongest.update(values[start : start + size])
    for unit in range(3):
        order = [row for row in np.argsort(-values[:, unit], kind="stable")[:n_kept] if values[row, unit] > 0]
        assert strongest.rows[unit].tolist() == order + [-1] * (n_kept - len(order))
        assert strongest.values[unit, : len(order)].tolist() == values[order, unit].tolist()
