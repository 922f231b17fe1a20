"""Rows that are not in memory: read in order, completely and repeatedly; errors name the chunk and the rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from sparsam.engine.data import sources
from sparsam.engine.data.sources import is_stored, source_of


class Chunks:
    """Yields chunks of given lengths; at some chunks it fails several times before it succeeds."""

    def __init__(self, *arrays, lengths, failures=()):
        self.arrays, self.lengths, self.failures = arrays, lengths, dict(failures)

    def __iter__(self):
        start = 0
        for k, length in enumerate(self.lengths):
            if self.failures.get(k, 0):
                self.failures[k] -= 1
                raise RuntimeError("the wire is cut")
            parts = tuple(array[start : start + length] for array in self.arrays)
            yield parts if len(parts) > 1 else parts[0]
            start += length


class Failing:
    """An array on a disk that fails several times at one row."""

    __module__ = "h5py.test"
    dtype = np.dtype("float32")

    def __init__(self, array, row, times):
        self.array, self.row, self.times, self.shape = array, row, times, array.shape

    def __len__(self):
        return len(self.array)

    def __getitem__(self, rows):
        if rows.start <= self.row < rows.stop and self.times:
            self.times -= 1
            raise OSError("bad sector")
        return self.array[rows]


class Several:
    """Yields given chunks."""

    def __init__(self, chunks):
        self.chunks = chunks

    def __iter__(self):
        return iter(self.chunks)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(sources, "PAUSES", (0.0, 0.0))


X = np.arange(60.0).reshape(20, 3)


@settings(deadline=None)
@given(size=st.integers(1, 25), lengths=st.lists(st.integers(0, 7), min_size=1, max_size=9))
def test_batches_are_the_rows_in_order_whatever_the_chunks(size, lengths):
    n_rows = min(sum(lengths), len(X))
    source = source_of(Chunks(X, lengths=lengths), None)
    for _ in range(2):
        pieces = [x for x, weights in source.batches(size)]
        assert all(len(piece) == size for piece in pieces[:-1])
        assert all(0 < len(piece) <= size for piece in pieces)
        np.testing.assert_array_equal(np.concatenate([X[:0], *pieces]), X[:n_rows])


@given(size=st.integers(1, 25))
def test_targets_and_weights_stay_beside_their_rows(size):
    y, weights = np.arange(20), np.linspace(0, 1, 20)
    for source in (
        source_of(np.asarray(X).view(np.memmap), y, weights),
        source_of(Chunks(X, y, weights, lengths=[6, 6, 8]), None, None),
    ):
        got = list(source.batches(size))
        for k, whole in enumerate((X, y, weights)):
            np.testing.assert_array_equal(np.concatenate([parts[k] for parts in got]), whole)


@pytest.mark.parametrize("blocks", [None, 3, 7, 50])
def test_blocks_of_a_stored_array_are_read_at_once(blocks, monkeypatch):
    monkeypatch.setattr(sources, "READ_BYTES", 10 * X[0].nbytes)
    read = []

    class Blocks(Failing):
        chunks = None if blocks is None else (blocks, 3)

        def __getitem__(self, rows):
            read.append((rows.start, rows.stop))
            return super().__getitem__(rows)

    Blocks.dtype = X.dtype
    pieces = [x for (x,) in source_of(Blocks(X, 0, 0)).batches(4)]
    np.testing.assert_array_equal(np.concatenate(pieces), X)
    at_once = {None: 10, 3: 9, 7: 7, 50: 50}[blocks]
    assert read == [(start, min(start + at_once, 20)) for start in range(0, 20, at_once)]


def test_what_is_stored_and_what_is_not(tmp_path):
    file = tmp_path / "X.npy"
    np.save(file, X)
    mapped = np.load(file, mmap_mode="r")
    assert is_stored(mapped)
    assert is_stored(mapped[3:])
    assert not is_stored(mapped[[0, 2]])  # a copy in memory
    assert is_stored(Chunks(X, lengths=[20]))
    for held in (X, X.tolist(), tuple(map(tuple, X)), "text", {0: 1}, {1.0}, None, 3.0):
        assert not is_stored(held)


def test_a_read_that_fails_is_tried_again():
    source = source_of(Failing(X, 7, times=2))
    np.testing.assert_array_equal(np.concatenate([x for (x,) in source.batches(6)]), X)
    source = source_of(Chunks(X, lengths=[6, 6, 8], failures={1: 2}))
    np.testing.assert_array_equal(np.concatenate([x for (x,) in source.batches(6)]), X)


def test_a_read_that_fails_for_good_is_named_by_chunk_and_row(monkeypatch):
    monkeypatch.setattr(sources, "READ_BYTES", 4 * 3 * 4)
    with pytest.raises(OSError, match=r"chunk 1 of X \(rows 4 to 7\) cannot be read, tried 3 times: bad sector"):
        list(source_of(Failing(X.astype("float32"), 7, times=3)).batches(4))
    with pytest.raises(
        OSError, match=r"chunk 2 of X \(from row 12 on\) cannot be read, tried 3 times: the wire is cut"
    ):
        list(source_of(Chunks(X, lengths=[6, 6, 8], failures={2: 3})).batches(4))


def test_bad_sources_are_refused():
    with pytest.raises(ValueError, match="yields its chunks only once"):
        source_of(iter(Chunks(X, lengths=[20])))
    with pytest.raises(ValueError, match=r"y cannot be passed separately: let X yield tuples \(X, y\)"):
        source_of(Chunks(X, lengths=[20]), np.ones(20))
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[19, 20\]"):
        source_of(Failing(X, 0, 0), np.ones(19))
    with pytest.raises(ValueError, match=r"0 sample\(s\)"):
        source_of(Failing(X[:0], 0, 0))
    with pytest.raises(ValueError, match="X yields tuples of 2 parts; at most 1 are allowed here"):
        list(source_of(Chunks(X, X, lengths=[20])).batches(5))
    with pytest.raises(ValueError, match="parts of different lengths"):
        list(source_of(Chunks(X, X[:9], lengths=[20]), None).batches(5))
    for chunk, kind in (((X, None, X), "NoneType"), (csr_matrix(X), "csr_matrix")):
        with pytest.raises(ValueError, match=f"chunk 0 of X .* has a {kind} where an array of rows is needed"):
            list(source_of(Several([chunk]), None, None).batches(5))
    for second in (X[:, :2], (X, X[:, 0])):
        with pytest.raises(ValueError, match=r"chunk 1 of X \(from row 20 on\) has rows of shapes"):
            list(source_of(Several([X, second]), None).batches(5))
    with pytest.raises(ValueError, match="an entry for each row, not a single number"):
        source_of(Failing(X, 0, 0), 1.0)
    assert len(list(source_of(Failing(X, 0, 0), [1.0] * 20).batches(5))) == 4
