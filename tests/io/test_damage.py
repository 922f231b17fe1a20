"""load refuses any file that save did not write, with a ValueError that names it, and executes nothing."""

import os
import pickle
import re

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sparsam import load

pytestmark = pytest.mark.slow

many = settings(max_examples=300)

# Damage


def test_every_truncated_file_is_refused(good, assert_refused):
    for length in range(len(good)):
        assert_refused(good[:length], "it is not a safetensors file, or it is truncated")


@pytest.mark.parametrize("mask", [0x01, *(pytest.param(1 << bit, marks=pytest.mark.slow) for bit in range(1, 8))])
def test_no_flipped_bit_goes_unnoticed(good, mask, assert_refused, assert_refused_or_harmless, reduction):
    """Some changes of the header are harmless: those of padding, for example."""
    start_of_arrays = 8 + int.from_bytes(good[:8], "little")
    for position in range(0, len(good), reduction):
        damaged = bytearray(good)
        damaged[position] ^= mask
        if position < start_of_arrays:
            assert_refused_or_harmless(damaged)
        else:
            assert_refused(damaged, "edited or damaged")


@many
@given(data=st.data())
def test_any_other_byte_anywhere_is_refused_or_harmless(good, data, assert_refused_or_harmless):
    position = data.draw(st.integers(0, len(good) - 1), "position")
    damaged = bytearray(good)
    damaged[position] = data.draw(st.integers(0, 255), "byte")
    assert_refused_or_harmless(damaged)


@many
@given(data=st.data())
def test_cut_out_doubled_and_swapped_pieces_are_refused_or_harmless(good, data, assert_refused_or_harmless):
    a, b, c = sorted(data.draw(st.tuples(*[st.integers(0, len(good))] * 3), "places"))
    damaged = data.draw(
        st.sampled_from([good[:a] + good[b:], good[:b] + good[a:], good[:a] + good[b:c] + good[a:b] + good[c:]])
    )
    assert_refused_or_harmless(damaged)


@given(rest=st.binary(min_size=1, max_size=64))
def test_anything_after_the_end_is_refused(good, rest, assert_refused):
    assert_refused(good + rest, "not a safetensors file")


# Other files


@many
@given(content=st.binary(max_size=256))
@example(content=b"")
@example(content=b"rho = 0.01\n")
@example(content=b"\x93NUMPY\x01\x00v\x00")
@example(content=(2**63).to_bytes(8, "little") + b"{}")
@example(content=(2).to_bytes(8, "little") + b"{}")
@example(content=(4).to_bytes(8, "little") + b"null")
def test_other_content_is_refused(content, assert_refused):
    assert_refused(content)


def test_foreign_safetensors_are_named_as_such(assert_refused):
    for metadata in (None, {"format": "pt"}):
        content = safetensors.numpy.save({"weight": np.ones((2, 2))}, metadata=metadata)
        assert_refused(content, "it is a safetensors file, but sparsam did not write it")


class Bomb:
    def __reduce__(self):
        return os.mkdir, (self.target,)


def test_a_pickle_is_refused_and_not_run(tmp_path, assert_refused):
    bomb = Bomb()
    bomb.target = str(tmp_path / "exploded")
    content = pickle.dumps(bomb)
    assert_refused(content, "not a safetensors file")
    assert not (tmp_path / "exploded").exists()
    pickle.loads(content)  # noqa: S301 (shows that the pickle would run)
    assert (tmp_path / "exploded").exists()


def test_missing_files_and_folders_are_not_found(tmp_path):
    for missing in (tmp_path / "missing.safetensors", tmp_path):
        with pytest.raises(FileNotFoundError, match=re.escape(f"no model file at {missing}")):
            load(missing)
