"""Samples: every row is in exactly one chunk, whatever the chunk size."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sparsam.engine.data.devices import all_devices
from sparsam.engine.data.samples import Samples, choose_chunk_size
from sparsam.engine.jax_settings import precision

sizes = st.integers(1, 70)
few = settings(max_examples=30, deadline=None)


def rows(n_samples, n_columns=2):
    return np.arange(1.0, 1 + n_samples * n_columns).reshape(n_samples, n_columns)


def read_back(samples):
    """Return inputs, targets and weights of all chunks that contain data, samples in rows."""
    n_chunks = int(samples.n_chunks[0])
    targets = samples.inputs if samples.targets is None else samples.targets
    buffers = (samples.inputs, targets, samples.sample_weight)
    return [np.concatenate(np.moveaxis(np.asarray(buffer)[:n_chunks], -1, 1)) for buffer in buffers]


@few
@given(n_samples=sizes, chunk_size=sizes)
@example(n_samples=8, chunk_size=8)
@example(n_samples=3, chunk_size=8)
@example(n_samples=9, chunk_size=8)
def test_chunks_contain_every_row_once_and_padding_has_weight_zero(n_samples, chunk_size):
    inputs, targets, weight = rows(n_samples), -rows(n_samples, 3), rows(n_samples, 1).ravel()
    samples = Samples.from_arrays(inputs, targets, weight, chunk_size=chunk_size, dtype="float32")
    got_inputs, got_targets, got_weight = read_back(samples)
    np.testing.assert_array_equal(got_inputs[:n_samples], inputs)
    np.testing.assert_array_equal(got_targets[:n_samples], targets)
    np.testing.assert_array_equal(got_weight[:n_samples], weight)
    assert not np.any(got_weight[n_samples:])
    assert n_samples <= len(got_weight) < n_samples + chunk_size
    assert np.asarray(samples.sample_weight).sum() == float(samples.total_weight) == weight.sum()


@few
@given(n_samples=st.integers(1, 3000), chunk_size=st.integers(1, 5))
def test_buffer_is_at_most_a_quarter_longer_than_needed_and_of_few_lengths(n_samples, chunk_size):
    samples = Samples.from_arrays(np.ones((n_samples, 1)), chunk_size=chunk_size, dtype="float32")
    n_chunks, n_buffered = -(-n_samples // chunk_size), len(samples.inputs)
    assert samples.n_chunks.tolist() == [n_chunks]
    assert n_chunks <= n_buffered <= 1.25 * n_chunks
    assert n_buffered % 2 ** max(n_buffered.bit_length() - 3, 0) == 0  # three significant bits


def test_each_sample_weighs_one_by_default(dtype):
    with precision(dtype):
        samples = Samples.from_arrays(rows(5), chunk_size=4, dtype=dtype)
    assert float(samples.total_weight) == 5
    np.testing.assert_array_equal(samples.sample_weight, [[1, 1, 1, 1], [1, 0, 0, 0]])


def test_everything_has_the_precision_asked_for(dtype):
    with precision(dtype):
        samples = Samples.from_arrays(rows(5), rows(5), [1] * 5, np.ones((5, 3, 2)), chunk_size=4, dtype=dtype)
        chunk = samples.chunk(1)
    buffers = (samples.inputs, samples.targets, samples.sample_weight, samples.total_weight, samples.tangents)
    for array in (*buffers, *chunk):
        assert array.dtype == dtype


def test_tangents_go_with_their_samples():
    tangents = np.arange(30.0).reshape(5, 3, 2)
    samples = Samples.from_arrays(rows(5), tangents=tangents, chunk_size=4, dtype="float32")
    assert samples.tangents.shape == (2, 2, 3, 4)
    np.testing.assert_array_equal(samples.chunk(1).tangents[..., 0], tangents[4].T)
    np.testing.assert_array_equal(samples.chunk(1).tangents[..., 1:], 0)


def test_inputs_are_their_own_targets_without_a_copy():
    samples = Samples.from_arrays(rows(5), chunk_size=4, dtype="float32")
    assert samples.targets is None
    chunk = samples.chunk(1)
    assert chunk.targets is chunk.inputs
    np.testing.assert_array_equal(chunk.inputs.T, [rows(5)[4], [0, 0], [0, 0], [0, 0]])


def test_arrays_of_the_caller_are_copied():
    inputs = rows(4).astype(np.float32)
    samples = Samples.from_arrays(inputs, chunk_size=4, dtype="float32")
    inputs[:] = -1
    np.testing.assert_array_equal(samples.inputs[0].T, rows(4))


@pytest.mark.parametrize("n_samples", [1, 4, 21])
def test_sum_over_chunks_is_the_sum_over_the_rows(n_samples):
    samples = Samples.from_arrays(rows(n_samples), 2 * rows(n_samples, 3), chunk_size=4, dtype="float32")
    sums = samples.sum_over_chunks(
        lambda chunk: {"s": chunk.sample_weight.sum(), "both": (chunk.inputs.sum(axis=1), chunk.targets.sum(axis=1))}
    )
    assert sums["s"] == n_samples
    np.testing.assert_array_equal(sums["both"][0], rows(n_samples).sum(axis=0))
    np.testing.assert_array_equal(sums["both"][1], 2 * rows(n_samples, 3).sum(axis=0))


@pytest.mark.parametrize("n_samples", [1, 8, 21])
def test_sum_over_parts_takes_the_first_parts_of_every_chunk(n_samples):
    X = rows(n_samples, 3)
    samples = Samples.from_arrays(X, chunk_size=8, dtype="float32")
    place = np.arange(n_samples) % 8
    for n_parts in (1, 3, jnp.int32(4)):
        weight, total = samples.sum_over_parts(
            lambda chunk: (chunk.sample_weight.sum(), chunk.inputs.sum(axis=1)), n_parts, of=4
        )
        taken = X[place < 2 * n_parts]
        assert weight == len(taken)
        np.testing.assert_array_equal(total, taken.sum(axis=0))


def test_sum_over_chunks_may_be_differentiated_inside_the_loop():
    samples = Samples.from_arrays(rows(5), chunk_size=4, dtype="float32")
    slope = samples.sum_over_chunks(lambda chunk: jax.grad(lambda w: jnp.sum(w * chunk.inputs))(jnp.float32(3)))
    assert slope == rows(5).sum()


@pytest.mark.parametrize(
    ("n_samples", "chunk_size", "large"), [(100, 8, False), (1500, 1500, False), (1500, 512, True)]
)
def test_only_much_data_in_several_chunks_wait_for_the_compiler(n_samples, chunk_size, large):
    for mesh in (None, all_devices()):
        samples = Samples.from_arrays(rows(n_samples), chunk_size=chunk_size, dtype="float32", mesh=mesh)
        assert samples.is_large == large


layers = st.lists(st.integers(1, 10**4), min_size=2, max_size=5)


@pytest.mark.usefixtures("as_shipped")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(n_samples=st.integers(1, 10**7), layer_sizes=layers)
@example(n_samples=10_000, layer_sizes=[192, 400, 192])
@example(n_samples=1, layer_sizes=[1, 1])
@example(n_samples=64, layer_sizes=[64, 25, 64])
def test_chunk_fits_the_memory_meant_for_it_and_the_data(n_samples, layer_sizes):
    size = choose_chunk_size(n_samples, tuple(layer_sizes))
    assert 64 <= size <= max(1024, 1.13 * 2**24 / (4 * sum(layer_sizes)))
    assert size < max(2 * n_samples, 65)
    if n_samples <= 1024:
        assert size >= n_samples  # small data are one chunk


@given(n_samples=st.integers(1, 10**7), layer_sizes=layers)
def test_chunk_sizes_are_few(n_samples, layer_sizes):
    """Data of several chunks all have the same size; a single chunk has a power of two, or four significant bits."""
    size = choose_chunk_size(n_samples, tuple(layer_sizes))
    if size < n_samples:
        assert size == choose_chunk_size(10**9, tuple(layer_sizes))
        assert size.bit_count() == 1
    else:
        assert size % 2 ** (size.bit_length() - 4) == 0
        assert size.bit_count() == 1 or 1024 < size < 1.13 * n_samples


@pytest.mark.usefixtures("as_shipped")
def test_chunk_size_stays_where_the_cache_ends():
    assert choose_chunk_size(10**6, (192, 400, 192)) == 1024
    assert choose_chunk_size(10**6, (64, 25, 64)) == 4096
    assert choose_chunk_size(10_000, (64, 25, 64)) == 10_240
    assert choose_chunk_size(10_000, (64, 200, 64)) == 10_240
    assert choose_chunk_size(10_000, (64, 400, 64)) == 1024
    assert choose_chunk_size(60, (64, 25, 64)) == 64
