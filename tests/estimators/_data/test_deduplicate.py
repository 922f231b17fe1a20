"""Canonical form of rows: a fit has the same bits for any order and for repeated rows, and weights are repetitions."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sparsam.estimators._data import deduplicate as rows_module
from sparsam.estimators._data.deduplicate import merge_repeated_rows

whole_numbers = st.integers(0, 5).map(float)
fractions = st.sampled_from([0.0, 0.1, 0.2, 0.3, 1 / 3, 1e-17, 1e3])


@st.composite
def weighted_rows(draw, weights=whole_numbers):
    """Draw rows of few different numbers, so that many are repeated, and weights (some of them 0, but not all)."""
    n_samples, n_features = draw(st.integers(1, 12)), draw(st.integers(1, 3))
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    X = draw(arrays(dtype, (n_samples, n_features), elements=st.sampled_from([0.0, 0.1, 1.0, 1e-30, -2.5])))
    return X, draw(arrays(np.float64, n_samples, elements=weights).filter(np.any))


def weight_of_each(X, weights):
    total = Counter()
    for row, weight in zip(X.tolist(), weights.tolist(), strict=True):
        total[tuple(row)] += weight
    return {row: weight for row, weight in total.items() if weight > 0}


def as_bytes(merged):
    return [array.tobytes() for array in merged]


@given(weighted_rows())
def test_each_distinct_row_is_there_once_with_its_total_weight(data):
    rows, weights = merge_repeated_rows(*data)
    assert len({tuple(row) for row in rows.tolist()}) == len(rows)
    total = data[1].sum()
    scale = total / weights.sum()
    assert scale == 2.0 ** round(np.log2(scale))  # exact, and does not influence J
    assert weight_of_each(rows, scale * weights) == weight_of_each(*data)
    assert 1 <= weights.max() < 2
    assert (weights > 0).all()
    assert (rows.dtype, weights.dtype) == (data[0].dtype, np.float64)


@given(weighted_rows(whole_numbers) | weighted_rows(fractions), st.randoms(use_true_random=False))
def test_order_does_not_matter(data, random):
    """Fractions are used too, whose sum depends on the order of addition."""
    X, weights = data
    order = list(range(len(X)))
    random.shuffle(order)
    assert as_bytes(merge_repeated_rows(X[order], weights[order])) == as_bytes(merge_repeated_rows(X, weights))


@given(weighted_rows())
def test_integer_weights_are_repetitions(data):
    X, weights = data
    repeated = np.repeat(X, weights.astype(int), axis=0)
    assert as_bytes(merge_repeated_rows(repeated, None)) == as_bytes(merge_repeated_rows(X, weights))


@given(weighted_rows())
def test_weights_of_one_are_no_weights(data):
    X, _ = data
    assert as_bytes(merge_repeated_rows(X, np.ones(len(X)))) == as_bytes(merge_repeated_rows(X, None))


@given(weighted_rows())
def test_rows_of_weight_zero_are_removed_rows(data):
    X, weights = data
    kept = weights > 0
    assert as_bytes(merge_repeated_rows(X[kept], weights[kept])) == as_bytes(merge_repeated_rows(X, weights))


@given(weighted_rows())
def test_different_rows_with_the_same_hash_are_not_merged(data):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows_module, "_hash_rows", lambda X: np.zeros(len(X), dtype=np.uint64))
        rows, weights = merge_repeated_rows(*data)
    assert weight_of_each(rows, data[1].sum() / weights.sum() * weights) == weight_of_each(*data)


def test_a_zero_has_no_sign():
    X = np.array([[0.0, 1.0], [-0.0, 1.0]])
    assert as_bytes(merge_repeated_rows(X, None)) == as_bytes(merge_repeated_rows(abs(X), None))


def test_hash_distinguishes_rows_of_zeros_and_ones():
    """The words of such rows have 20 to 30 low bits of 0, which a product alone would preserve."""
    for one in (1.0, 2.0):
        X = one * (np.arange(2**15)[:, None] >> np.arange(15) & 1)
        assert len(np.unique(rows_module._hash_rows(X) & np.uint64(2**32 - 1))) > 0.99 * len(X)


def test_hash_depends_on_all_columns_in_all_pieces():
    """3000 rows that differ in one column each; the hash works on 1024 at a time."""
    X = np.zeros((3000, 4))
    X[np.arange(3000), np.arange(3000) % 4] = np.arange(1, 3001)
    assert len(np.unique(rows_module._hash_rows(X))) == 3000
    assert len(merge_repeated_rows(np.vstack([X, X[::-1]]), None)[0]) == 3000


def test_data_without_repetitions_keep_their_size(X):
    rows, weights = merge_repeated_rows(X, None)
    assert sorted(rows.tolist()) == sorted(X.tolist())
    assert (weights == 1).all()


# The same properties of a fit


@pytest.fixture(params=["float32", "float64"])
def fit(request, build):
    return lambda X, sample_weight=None: build(dtype=request.param).fit(X, sample_weight=sample_weight)


@pytest.fixture
def order():
    return np.random.default_rng(5).permutation(60)


@pytest.fixture
def counts():
    return np.random.default_rng(6).integers(0, 4, size=60)


@pytest.mark.slow
def test_fit_does_not_depend_on_the_order_of_the_rows(fit, X, sample_weight, order, same_bits):
    assert same_bits(fit(X[order]), fit(X))
    assert same_bits(fit(X[order], sample_weight[order]), fit(X, sample_weight))


def test_fit_to_repeated_rows_is_the_fit_to_weighted_rows(fit, X, counts, order, same_bits):
    weighted = fit(X, counts)
    assert same_bits(fit(np.repeat(X, counts, axis=0)), weighted)
    assert same_bits(fit(np.repeat(X[order], counts[order], axis=0)[::-1]), weighted)


def test_fit_to_rows_of_weight_zero_is_the_fit_without_them(fit, X, sample_weight, same_bits):
    some = np.where(np.arange(60) % 3 == 0, 0.0, sample_weight)
    kept = some > 0
    assert same_bits(fit(X[kept], some[kept]), fit(X, some))


def test_fit_with_equal_weights_is_the_fit_without(fit, X, same_bits):
    assert same_bits(fit(X, np.ones(60)), fit(X))
    assert same_bits(fit(X, np.ones(60, dtype=int).tolist()), fit(X))


def test_fit_depends_on_the_weights(fit, X, sample_weight):
    """The tests above would also pass if weights were ignored."""
    assert fit(X, sample_weight).loss_ != pytest.approx(fit(X).loss_, rel=1e-3)


def test_fit_does_not_depend_on_the_scale_of_the_weights(fit, X, sample_weight):
    one, other = fit(X, sample_weight), fit(X, 1e6 * sample_weight)
    assert other.loss_curve_[0] == pytest.approx(one.loss_curve_[0], rel=1e-6)
    assert other.loss_ == pytest.approx(one.loss_, rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("score", ["score", "cost"])
def test_scores_take_weights_as_repetitions(model, X, counts, score):
    method = getattr(model, score)
    assert method(X, sample_weight=counts) == pytest.approx(method(np.repeat(X, counts, axis=0)), rel=1e-12)


@pytest.mark.parametrize("kind", ["uniform", "sorted", "integers", "one-hot", "one column"])
def test_the_order_has_nothing_to_do_with_the_values(kind):
    """The first rows are a sample, on which a training may begin."""
    rng = np.random.default_rng(0)
    n = 4096
    X = {
        "uniform": rng.uniform(size=(n, 5)),
        "sorted": np.sort(rng.normal(size=(n, 1)), axis=0) * np.ones((1, 5)),
        "integers": rng.integers(0, 8, (n, 5)).astype(float),
        "one-hot": np.column_stack([np.eye(8)[rng.integers(0, 8, n)], np.arange(n)]),
        "one column": np.arange(float(n))[:, None],
    }[kind]
    rows, _ = merge_repeated_rows(X.astype(np.float32), None)
    for share in (1 / 16, 1 / 8, 1 / 2):
        k = round(share * len(rows))
        error = rows[:k].mean(axis=0) - rows.mean(axis=0)
        expected = rows.std(axis=0) * np.sqrt((1 - share) / k)  # drawn without replacement
        assert np.all(np.abs(error) < 4.5 * expected + 1e-6)
