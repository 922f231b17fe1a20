"""load trusts nothing: a file that is not just what save wrote gives one ValueError that names it, and runs nothing."""

import json
import os
import pickle
import re

import numpy as np
import pytest
import safetensors
import safetensors.numpy
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sparsam import SparseAutoencoder, load, persistence, save

X = np.random.default_rng(0).uniform(size=(60, 2)) @ np.random.default_rng(1).uniform(0.0, 0.5, size=(2, 6))

many = settings(max_examples=300, deadline=None)


@pytest.fixture(scope="module")
def model():
    return SparseAutoencoder(3, rho=0.2, beta=0.1, random_state=0).fit(X)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("damage") / "model.safetensors"


@pytest.fixture(scope="module")
def good(model, path):
    """The bytes of a good file."""
    save(model, path)
    return path.read_bytes()


def assert_refused(content, path, message=""):
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"^cannot load {re.escape(str(path))}: .*{message}"):
        load(path)


def assert_refused_or_harmless(content, path, model):
    path.write_bytes(content)
    try:
        loaded = load(path)
    except ValueError as error:
        assert str(error).startswith(f"cannot load {path}: ")  # noqa: PT017 (either is right)
        return
    assert vars(loaded).keys() == vars(model).keys()
    for name, value in vars(model).items():
        np.testing.assert_equal(vars(loaded)[name], value)


# Damage


def test_every_truncated_file_is_refused(good, path):
    for length in range(len(good)):
        assert_refused(good[:length], path, "it is no safetensors file, or a truncated one")


@pytest.mark.parametrize("mask", [0x01, *(pytest.param(1 << bit, marks=pytest.mark.slow) for bit in range(1, 8))])
def test_no_flipped_bit_goes_unnoticed(good, path, model, mask):
    for position in range(len(good)):
        damaged = bytearray(good)
        damaged[position] ^= mask
        assert_refused_or_harmless(damaged, path, model)


def test_every_changed_byte_of_the_arrays_is_refused(good, path):
    start = 8 + int.from_bytes(good[:8], "little")
    for position in range(start, len(good)):
        damaged = bytearray(good)
        damaged[position] ^= 1 + position % 255
        assert_refused(damaged, path, "edited or damaged")


@many
@given(data=st.data())
def test_any_other_byte_anywhere_is_refused_or_harmless(good, path, model, data):
    position = data.draw(st.integers(0, len(good) - 1), "position")
    damaged = bytearray(good)
    damaged[position] = data.draw(st.integers(0, 255), "byte")
    assert_refused_or_harmless(damaged, path, model)


@many
@given(data=st.data())
def test_cut_out_doubled_and_swapped_pieces_are_refused_or_harmless(good, path, model, data):
    a, b, c = sorted(data.draw(st.tuples(*[st.integers(0, len(good))] * 3), "places"))
    damaged = data.draw(
        st.sampled_from([good[:a] + good[b:], good[:b] + good[a:], good[:a] + good[b:c] + good[a:b] + good[c:]])
    )
    assert_refused_or_harmless(damaged, path, model)


@given(rest=st.binary(min_size=1, max_size=64))
def test_anything_after_the_end_is_refused(good, path, rest):
    assert_refused(good + rest, path, "no safetensors file")


# Other files


@many
@given(content=st.binary(max_size=256))
@example(b"")
@example(b"rho = 0.01\n")
@example(b"\x93NUMPY\x01\x00v\x00")
@example((2**63).to_bytes(8, "little") + b"{}")
@example((2).to_bytes(8, "little") + b"{}")
@example((4).to_bytes(8, "little") + b"null")
def test_other_content_is_refused(path, content):
    assert_refused(content, path)


def test_foreign_safetensors_are_named_as_such(path):
    for metadata in (None, {"format": "pt"}):
        content = safetensors.numpy.save({"weight": np.ones((2, 2))}, metadata=metadata)
        assert_refused(content, path, "it is a safetensors file, but sparsam did not write it")


class Bomb:
    def __reduce__(self):
        return os.mkdir, (self.target,)


def test_a_pickle_is_refused_and_not_run(path, tmp_path):
    bomb = Bomb()
    bomb.target = str(tmp_path / "exploded")
    content = pickle.dumps(bomb)
    assert_refused(content, path, "no safetensors file")
    assert not (tmp_path / "exploded").exists()
    pickle.loads(content)  # noqa: S301 (it is a live one)
    assert (tmp_path / "exploded").exists()


def test_missing_files_and_folders_are_not_found(tmp_path):
    for missing in (tmp_path / "missing.safetensors", tmp_path):
        with pytest.raises(FileNotFoundError, match=re.escape(f"no model file at {missing}")):
            load(missing)


# Forgeries: edited, and the digest made right again


@pytest.fixture
def forge(good, path):
    def forge(edit):
        path.write_bytes(good)
        with safetensors.safe_open(path, framework="numpy") as file:
            header = json.loads(file.metadata()["sparsam"])
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
        del header["digest"]
        edit(header, arrays)
        header["digest"] = persistence._digest(header, arrays)
        return safetensors.numpy.save(arrays, metadata={"sparsam": json.dumps(header)})

    return forge


def test_a_forgery_without_an_edit_is_the_model(forge, path, model):
    """Else the tests below would show nothing."""
    path.write_bytes(forge(lambda header, arrays: None))
    np.testing.assert_array_equal(load(path).transform(X), model.transform(X))


def test_an_edit_without_a_new_digest_is_noticed(good, path):
    assert good.count(b'\\"rho\\": 0.2') == 1
    assert_refused(good.replace(b'\\"rho\\": 0.2', b'\\"rho\\": 0.3'), path, "it was edited or damaged")


PARAMETERS = {
    "n_components": [0, -1, 3.0, "3", None, True, [3]],
    "rho": [0, 1, "x", None, float("nan"), float("inf"), 10**400],
    "beta": [-1, "x", float("inf")],
    "alpha": [-1, None, []],
    "hidden_activation": ["sigmoid", "identity", None, ["logistic"], 3],
    "output_activation": ["softmax", {}],
    "max_iter": [0, 1e3, 10**40],
    "tol": [-1, "small"],
    "time_budget": [0, "1 h"],
    "chunk_size": [0, 1.5],
    "dtype": ["float16", "object", None],
    "warm_start": ["no", 1, None],
    "random_state": ["x", 1.5, -1, [1], {}],
    "callback": ["print", 3],
    "verbose": ["yes", 1.5, None],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in PARAMETERS for value in PARAMETERS[name]])
def test_forged_parameters_are_refused(forge, path, name, value):
    assert_refused(forge(lambda header, arrays: header["parameters"].update({name: value})), path)


RESULTS = {
    "cost_": ["x", None, 1],
    "n_iter_": [1.0, True, "3", 10**6],
    "n_evaluations_": [None],
    "gradient_norm_": [0],
    "converged_": [1, None, "yes"],
    "stop_reason_": [3, None],
    "n_features_in_": [5, -1, 6.0, None],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in RESULTS for value in RESULTS[name]])
def test_forged_results_are_refused(forge, path, name, value):
    assert_refused(forge(lambda header, arrays: header["results"].update({name: value})), path)


@pytest.mark.parametrize("name", RESULTS)
def test_missing_results_are_refused(forge, path, name):
    assert_refused(forge(lambda header, arrays: header["results"].pop(name)), path)


@pytest.mark.parametrize("entry", ["format", "class", "parameters", "results", "history", "feature_names"])
@pytest.mark.parametrize("value", [..., None, 3, "x", {}, ["x"], [["x"]]], ids=str)
def test_forged_header_entries_are_refused(forge, path, entry, value):
    def edit(header, arrays):
        header[entry] = value
        if value is ...:
            del header[entry]

    assert_refused(forge(edit), path)


def test_newer_formats_ask_for_an_update(forge, path):
    newer = forge(lambda header, arrays: header.update(format=persistence.FORMAT + 1))
    assert_refused(newer, path, "its format is 2, this version of sparsam reads 1: update sparsam")


def test_unknown_classes_are_named(forge, path):
    for name in ("DeepAutoencoder", "os.system", "__class__"):
        content = forge(lambda header, arrays, name=name: header.update({"class": name}))
        assert_refused(content, path, f"it holds a '{name}', which this version of sparsam does not know")


@pytest.mark.parametrize(
    "edit", [lambda p: p.pop("rho"), lambda p: p.update(lambda_=1), dict.clear], ids=["missing", "additional", "none"]
)
def test_missing_and_additional_parameters_are_refused(forge, path, edit):
    content = forge(lambda header, arrays: edit(header["parameters"]))
    assert_refused(content, path, "its parameters are not those of this version's class")


def test_a_header_that_is_no_object_is_refused(path):
    for header in ("[]", "3", "null", '"x"', "", "{", "[" * 100_000):
        content = safetensors.numpy.save({"coefs_0": np.ones((6, 3))}, metadata={"sparsam": header})
        assert_refused(content, path, "header is not a JSON object|edited or damaged")


@pytest.mark.parametrize("names", [["a"], ["a"] * 7, [1, 2, 3, 4, 5, 6], ["a", "b", "c", "d", "e", None], "abcdef"])
def test_forged_feature_names_are_refused(forge, path, names):
    assert_refused(forge(lambda header, arrays: header.update(feature_names=names)), path, "its feature names do not")


ARRAYS = {
    "missing": None,
    "shorter": lambda array: array[:-1],
    "empty": lambda array: array[:0],
    "a number": lambda array: array.ravel()[:1].reshape(()),
    "deeper": lambda array: array[None],
    "NaN": lambda array: np.full_like(array, np.nan),
    "one infinity": lambda array: np.where(np.arange(array.size).reshape(array.shape) == 1, np.inf, array),
    "truth values": lambda array: array > 0,
}
WEIGHTS = ["coefs_0", "coefs_1", "intercepts_0", "intercepts_1", "mean_activation_"]


@pytest.mark.parametrize("name", [*WEIGHTS, "history.J", "history.seconds"])
@pytest.mark.parametrize("change", ARRAYS)
def test_forged_arrays_are_refused(forge, path, name, change):
    def edit(header, arrays):
        array = arrays.pop(name)
        if ARRAYS[change]:
            arrays[name] = np.ascontiguousarray(ARRAYS[change](array))
            if array.ndim and change == "a number":
                arrays[name] = arrays[name].reshape(())  # ascontiguousarray makes it 1-D

    assert_refused(forge(edit), path)


@pytest.mark.parametrize("name", WEIGHTS)
@pytest.mark.parametrize("kind", [np.int32, np.float16])
def test_weights_of_other_types_are_refused(forge, path, name, kind):
    content = forge(lambda header, arrays: arrays.update({name: arrays[name].astype(kind)}))
    assert_refused(content, path, "its weights are not finite numbers of type float32 or float64")


def test_a_third_layer_is_refused(forge, path):
    assert_refused(forge(lambda header, arrays: arrays.update(coefs_2=np.ones((6, 6)))), path, "do not fit together")
