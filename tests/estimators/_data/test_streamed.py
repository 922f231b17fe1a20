"""Fits of streamed rows: same results as in memory, bounded memory, and changed or bad rows are detected."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from sparsam import SparseAutoencoder
from sparsam.estimators._data import streamed as streamed_module
from sparsam.estimators._data.stream_sample import SAMPLE_BYTES


class Chunks:
    """Yields chunks of rows, the same ones every time."""

    def __init__(self, *arrays, size=17):
        self.arrays, self.size = arrays, size

    def __iter__(self):
        for start in range(0, len(self.arrays[0]), self.size):
            parts = tuple(array[start : start + self.size] for array in self.arrays)
            yield parts if len(parts) > 1 else parts[0]


def mapped(X, folder):
    np.save(folder / "X.npy", X)
    return np.load(folder / "X.npy", mmap_mode="r")


def hdf5(X, folder):
    h5py = pytest.importorskip("h5py")
    return h5py.File(folder / "X.h5", "w").create_dataset("X", data=X, chunks=(11, 6), compression="gzip")


def zarr(X, folder):
    array = pytest.importorskip("zarr").create_array(folder / "X.zarr", shape=X.shape, chunks=(13, 4), dtype=X.dtype)
    array[:] = X
    return array


def dask(X, folder):
    return pytest.importorskip("dask.array").from_array(X, chunks=(19, 6))


def chunks(X, folder):
    return Chunks(X)


KINDS = [mapped, *(pytest.param(kind, marks=pytest.mark.slow) for kind in (hdf5, zarr, dask, chunks))]


@pytest.fixture
def small_batches(monkeypatch):
    """Use pieces of 25 rows, and read no stored array whole."""
    monkeypatch.setattr(streamed_module, "BATCH_BYTES", 25 * 6 * 4)
    monkeypatch.setattr("sparsam.engine.data.sources.HELD_BYTES", 0)


@pytest.fixture(scope="module")
def rows():
    """80 distinct rows: a stream keeps their order, and memory does not."""
    return np.random.default_rng(0).uniform(0.1, 0.9, (80, 6))


def build(dtype="float64", **parameters):
    standard = {"n_components": 3, "rho": 0.2, "beta": 0.5, "random_state": 0, "tol": 1e-6, "max_iter": 500}
    return SparseAutoencoder(dtype=dtype, **(standard | parameters))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_streamed_fit_equals_the_fit_in_memory(kind, rows, tmp_path, small_batches):
    held = build().fit(rows)
    streamed = build().fit(kind(rows, tmp_path))
    first, expected = streamed.history_.iloc[0], held.history_.iloc[0]
    np.testing.assert_allclose(first[["J", "gradient_norm"]], expected[["J", "gradient_norm"]], rtol=1e-12)
    assert streamed.stop_reason_ == held.stop_reason_ == "converged"
    assert streamed.loss_ == pytest.approx(held.loss_, rel=1e-9)
    np.testing.assert_allclose(streamed.mean_activation_, held.mean_activation_, rtol=1e-4)


@pytest.mark.slow
def test_a_streamed_fit_equals_the_fit_in_memory_in_float32(rows, tmp_path, small_batches):
    held, streamed = build("float32", tol=1e-4).fit(rows), build("float32", tol=1e-4).fit(mapped(rows, tmp_path))
    assert streamed.loss_curve_[0] == pytest.approx(held.loss_curve_[0], rel=1e-5)
    assert streamed.loss_ == pytest.approx(held.loss_, rel=1e-3)


@pytest.mark.slow
def test_weights_come_with_the_rows(rows, tmp_path, small_batches):
    weights = np.random.default_rng(1).uniform(size=len(rows))
    held = build().fit(rows, sample_weight=weights)
    for streamed in (
        build().fit(mapped(rows, tmp_path), sample_weight=weights),
        build().fit(Chunks(rows, weights)),
    ):
        assert streamed.loss_curve_[0] == pytest.approx(held.loss_curve_[0], rel=1e-12)
        assert streamed.loss_ == pytest.approx(held.loss_, rel=1e-9)


@pytest.mark.parametrize("unit", [2.0**-200, 2.0**200])
def test_weights_may_be_too_large_for_float32(rows, small_batches, unit):
    weights = np.random.default_rng(1).uniform(size=len(rows))

    def stream(unit):
        data = streamed_module.load_dataset(build(), Chunks(rows, weights * unit), None)
        return data.to_devices("float32", (6, 3, 6), None)

    one, other = stream(1.0), stream(unit)
    assert 0.5 <= one.total_weight < 1
    assert other.total_weight == one.total_weight
    for these, those in zip(one.batches(), other.batches(), strict=True):
        np.testing.assert_array_equal(these.sample_weight, those.sample_weight)


@pytest.mark.slow
def test_scores_take_the_weights_that_come_with_the_rows(rows, small_batches):
    weights = np.random.default_rng(1).uniform(size=len(rows))
    model = build(max_iter=5, tol=1.0).fit(rows)
    assert model.score(Chunks(rows, weights)) == pytest.approx(model.score(rows, sample_weight=weights), rel=1e-12)


@pytest.mark.slow
def test_chunks_may_come_in_one_buffer(rows, small_batches):
    class OneBuffer:
        def __iter__(self):
            buffer = np.empty((10, 6))
            for start in range(0, len(rows), 10):
                buffer[:] = rows[start : start + 10]
                yield buffer

    model = build(max_iter=5, tol=1.0).fit(rows)
    np.testing.assert_allclose(model.transform(OneBuffer()), model.transform(rows), rtol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_results_for_stored_rows_equal_those_in_memory(kind, rows, tmp_path, small_batches):
    model, stored = build(max_iter=5, tol=1.0).fit(rows), kind(rows, tmp_path)
    for method in ("transform", "predict", "score_samples"):
        np.testing.assert_allclose(getattr(model, method)(stored), getattr(model, method)(rows), rtol=1e-12)
    assert model.cost(stored) == pytest.approx(model.cost(rows), rel=1e-13)
    assert model.score(stored) == pytest.approx(model.score(rows), rel=1e-13)


@pytest.mark.parametrize("kind", KINDS[:4])
def test_results_are_written_into_out(kind, rows, tmp_path, small_batches):
    if kind is dask:
        pytest.skip("a Dask array is not written to")
    model = build(max_iter=5, tol=1.0).fit(rows)
    (tmp_path / "out").mkdir()
    out = (
        np.lib.format.open_memmap(tmp_path / "out.npy", "w+", "float64", (80, 6))
        if kind is mapped
        else kind(0 * rows, tmp_path / "out")
    )
    assert model.predict(mapped(rows, tmp_path), out=out) is out
    np.testing.assert_allclose(out[:], model.predict(rows), rtol=1e-12)
    with pytest.raises(ValueError, match=r"out must have the shape \(80, 3\), got an array of shape \(80, 6\)"):
        model.transform(rows, out=np.empty((80, 6)))


def test_small_stored_arrays_are_read_once_and_held(rows, tmp_path):
    stored, held = build(max_iter=5, tol=1.0).fit(mapped(rows, tmp_path)), build(max_iter=5, tol=1.0).fit(rows)
    np.testing.assert_array_equal(stored.coefs_[0], held.coefs_[0])


class Changing:
    """Rows that change, or end, in the third pass."""

    def __init__(self, rows, change):
        self.rows, self.change, self.readings = rows, change, 0

    def __iter__(self):
        self.readings += 1
        rows = self.change(self.rows.copy()) if self.readings > 3 else self.rows
        return iter(np.array_split(rows, 4))


def one_bit(rows):
    rows[61, 3] = np.nextafter(rows[61, 3], 1)
    return rows


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (one_bit, "rows 50 to 74 of X have changed since they were read before"),
        (lambda rows: rows[np.random.default_rng(0).permutation(80)], "have changed since they were read before"),
        (lambda rows: 1 - rows, "have changed since they were read before"),
        (lambda rows: rows[:, ::-1], "have changed since they were read before"),
        (lambda rows: rows[:50], "X ended after 50 rows, but had 80"),
        (lambda rows: np.vstack([rows, rows[:3]]), "have changed since they were read before"),
    ],
    ids=["one bit", "shuffled", "other values", "other columns", "shorter", "longer"],
)
def test_rows_that_change_raise_an_error(rows, small_batches, change, message):
    with pytest.raises(ValueError, match=message):
        build().fit(Changing(rows, change))


@pytest.mark.parametrize(
    ("row", "value", "message"),
    [
        (70, np.nan, "Input X contains NaN: first in row 70, column 2"),
        (33, 1.5, "first outside \\[0, 1\\] in row 33"),
    ],
)
def test_bad_rows_are_named(rows, tmp_path, small_batches, row, value, message):
    bad = rows.copy()
    bad[row, 2] = value
    with pytest.raises(ValueError, match=message):
        build().fit(mapped(bad, tmp_path))


def test_other_bad_data_are_refused(rows, tmp_path, small_batches):
    stored = mapped(rows, tmp_path)
    with pytest.raises(ValueError, match="must not be negative"):
        build().fit(stored, sample_weight=-np.ones(80))
    with pytest.raises(ValueError, match="zero for every sample"):
        build().fit(stored, sample_weight=np.zeros(80))
    with pytest.raises(ValueError, match="yields its chunks only once"):
        build().fit(iter(Chunks(rows)))
    model = build(max_iter=2, tol=1.0).fit(stored)
    assert model.n_features_in_ == 6
    with pytest.raises(ValueError, match="X has 4 features, but SparseAutoencoder is expecting 6"):
        model.transform(Chunks(rows[:, :4]))


@pytest.mark.slow
def test_rows_of_unknown_number_are_refused(rows):
    array = pytest.importorskip("dask.array").from_array(rows, chunks=(19, 6))
    with pytest.raises(ValueError, match="compute_chunk_sizes"):
        build().fit(array[array[:, 0] > 0.2])


def anonymous_bytes():
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="measures memory as Linux tells it")
@pytest.mark.parametrize("begins_on_sample", [False, pytest.param(True, marks=pytest.mark.exhaustive)])
def test_memory_depends_on_the_batch_size_and_not_on_the_number_of_rows(tmp_path, monkeypatch, begins_on_sample):
    monkeypatch.setattr("sparsam.engine.data.sources.HELD_BYTES", 0)
    monkeypatch.setattr(streamed_module, "BATCH_BYTES", 2**21)
    X = np.lib.format.open_memmap(tmp_path / "X.npy", "w+", "float32", (600_000, 64))
    for start in range(0, len(X), 50_000):
        X[start : start + 50_000] = np.random.default_rng(start).uniform(0.1, 0.9, (50_000, 64))
    X.flush()
    stored, most = np.load(tmp_path / "X.npy", mmap_mode="r"), []
    short = {"max_iter": 1, "tol": 1.0, "start_on_sample": begins_on_sample}
    build("float32", **short).fit(stored if begins_on_sample else stored[:30_000])  # compiles
    before, done = anonymous_bytes(), threading.Event()

    def watch():
        while not done.is_set():
            most.append(anonymous_bytes())
            time.sleep(0.01)

    watcher = threading.Thread(target=watch)
    watcher.start()
    build("float32", **short).fit(stored)
    done.set()
    watcher.join()
    sample = 3 * SAMPLE_BYTES if begins_on_sample else 0  # as read, in chunks, and on the device
    assert max(most) - before < stored.nbytes / 3 + sample
