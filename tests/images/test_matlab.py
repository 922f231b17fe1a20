import importlib.util
import struct
import tracemalloc
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.io import loadmat, savemat, whosmat
from scipy.sparse import issparse

from sparsam.images.matlab import NUMERIC_CLASSES, list_variables

TYPES = ["f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "?"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    array=st.sampled_from(TYPES).flatmap(lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=2, max_side=5))),
    name=st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,30}", fullmatch=True).filter(
        lambda name: name not in ("before", "after")
    ),
    compressed=st.booleans(),
)
def test_files_of_scipy_are_read(tmp_path, array, name, compressed):
    path = tmp_path / "data.mat"
    savemat(path, {"before": "text", name: array, "after": {"field": 1}}, do_compression=compressed)
    variables = {variable.name: variable for variable in list_variables(path)}
    assert list(variables) == ["before", name, "after"]
    assert (name, variables[name].shape, variables[name].kind) in whosmat(path)
    assert variables[name].is_real
    np.testing.assert_array_equal(variables[name].read(), array)


SCIPY = importlib.util.find_spec("scipy")
CORPUS = sorted(Path(SCIPY.origin).parent.glob("io/matlab/tests/data/*.mat")) if SCIPY and SCIPY.origin else []


@pytest.mark.skipif(not CORPUS, reason="this SciPy comes without its tests' files")
def test_files_of_all_versions_of_matlab():
    """SciPy's own examples: 4.2c to 8, both byte orders, and damaged ones."""
    n_read = 0
    for path in CORPUS:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                expected = loadmat(path)
                headers = whosmat(path)
            except Exception:  # damaged, or version 7.3
                continue
        real = {variable.name: variable for variable in list_variables(path) if variable.is_real}
        for name, shape, kind in headers:
            is_number = kind in (*NUMERIC_CLASSES, "logical") and not issparse(expected[name])
            if name in real:
                assert (real[name].shape, real[name].kind) == (shape, kind)
                np.testing.assert_array_equal(real[name].read(), expected[name])
                n_read += 1
            else:
                assert not is_number or name.startswith("__") or np.iscomplexobj(expected[name])
    assert n_read > 20


@pytest.mark.parametrize("code", [0, 8, 10, 14, 19, 20, 255, 65535])
def test_an_unknown_type_of_numbers_is_an_error(tmp_path, code):
    """SciPy 1.17 crashes with a segmentation fault here."""
    path = tmp_path / "data.mat"
    savemat(path, {"IMAGES": np.ones((2, 3))})
    content = bytearray(path.read_bytes())
    tag = content.rindex(struct.pack("=II", 9, 6 * 8))
    content[tag : tag + 4] = struct.pack("=I", code)
    path.write_bytes(content)
    (variable,) = list_variables(path)
    with pytest.raises(ValueError, match=f"unknown type {code}"):
        variable.read()


def test_a_variable_longer_than_its_shape_is_not_decompressed_completely(tmp_path):
    """The shape is 2 x 2, but the data are 32 MB of zeros in 32 KB."""
    path = tmp_path / "data.mat"
    savemat(path, {"IMAGES": np.zeros((2000, 2000))})
    content = bytearray(path.read_bytes())
    place = content.index(struct.pack("=ii", 2000, 2000))
    content[place : place + 8] = struct.pack("=ii", 2, 2)
    compressed = zlib.compress(bytes(content[128:]))
    path.write_bytes(bytes(content[:128]) + struct.pack("=II", 15, len(compressed)) + compressed)
    tracemalloc.start()
    (variable,) = list_variables(path)
    np.testing.assert_array_equal(variable.read(), np.zeros((2, 2)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000
