"""Coherence of units, and the rows on which they are strongest."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsam.inspection import coherence as module
from sparsam.inspection.coherence import coherence_of_rows
from sparsam.inspection.strongest_rows import StrongestRows


def expected_coherence(X, z, n):
    rows = [row for row in np.argsort(-z, kind="stable")[:n] if z[row] > 0]
    U = X[rows] - X.mean(axis=0)
    U = U / np.linalg.norm(U, axis=1, keepdims=True)
    pairs = [U[i] @ U[k] for i in range(len(U)) for k in range(i)]
    return np.mean(pairs) if pairs else np.nan


def strongest_rows(Z, n):
    strongest = StrongestRows(Z.shape[1], n)
    strongest.update(np.where(Z > 0, Z, -np.inf))
    return strongest.rows


@pytest.mark.parametrize("n_strongest", [2, 5, 10, 100])
@pytest.mark.parametrize("rows_at_once", [4096, 7])
def test_it_is_the_mean_cosine_of_all_pairs(n_strongest, rows_at_once, monkeypatch):
    monkeypatch.setattr(module, "ROWS_AT_ONCE", rows_at_once)
    rng = np.random.default_rng(0)
    X, Z = rng.normal(size=(60, 4)) + 2, np.maximum(rng.normal(-0.5, 1, size=(60, 7)), 0)
    Z[:, 2], Z[:, 3], Z[5, 3] = 0, 0, 1
    coherence, at_random = coherence_of_rows(X, strongest_rows(Z, n_strongest))
    np.testing.assert_allclose(coherence, [expected_coherence(X, z, n_strongest) for z in Z.T], atol=1e-12)
    assert at_random == pytest.approx(expected_coherence(X, np.ones(60), 60), abs=1e-12)
    assert np.isnan(coherence[[2, 3]]).all()


def test_a_row_at_the_mean_has_no_direction():
    X = np.array([[1.0, 0], [-1, 0], [0, 1e-300], [0, 0]])
    X[2, 1] = 0
    coherence, _ = coherence_of_rows(X, np.array([[0, 2, -1], [0, 1, 2]]))
    assert np.isnan(coherence[0])
    assert coherence[1] == -1


@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(1, 40))
def test_chunks_give_the_strongest_rows_of_all(seed, n_kept, size):
    values = np.random.default_rng(seed).integers(0, 6, size=(50, 3)).astype(float)  # with ties, and rows at 0
    strongest = StrongestRows(3, n_kept)
    for start in range(0, 50, size):
        chunk = values[start : start + size]
        strongest.update(np.where(chunk > 0, chunk, -np.inf))
    for unit in range(3):
        order = [row for row in np.argsort(-values[:, unit], kind="stable")[:n_kept] if values[row, unit] > 0]
        assert strongest.rows[unit].tolist() == order + [-1] * (n_kept - len(order))
        assert strongest.values[unit, : len(order)].tolist() == values[order, unit].tolist()
