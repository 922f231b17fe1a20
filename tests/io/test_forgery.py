"""Edited files, most with a corrected digest: load checks each entry."""

import json

import numpy as np
import pytest
import safetensors

from sparsam import load
from sparsam._utils.checksummed_file import checksummed
from sparsam.io import persistence

pytestmark = pytest.mark.slow


@pytest.fixture
def forge(good, tmp_path):
    """Return a function that edits the header and arrays of a file and gives it a correct digest."""

    def forge(edit):
        path = tmp_path / "good.safetensors"
        path.write_bytes(good)
        with safetensors.safe_open(path, framework="numpy") as file:
            header = json.loads(file.metadata()["sparsam"])
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
        del header["digest"]
        edit(header, arrays)
        return checksummed("sparsam", header, arrays)

    return forge


def test_a_forgery_without_an_edit_is_the_model(forge, tmp_path, model, X):
    """Otherwise the tests below would prove nothing."""
    (tmp_path / "forged.safetensors").write_bytes(forge(lambda header, arrays: None))
    np.testing.assert_array_equal(load(tmp_path / "forged.safetensors").transform(X), model.transform(X))


def without_weights(header, arrays):
    for name in [name for name in arrays if name.startswith("coefs_")]:
        del arrays[name]


def without_axes(header, arrays):
    arrays["coefs_0"] = arrays["coefs_0"].ravel()[0]


def with_one_axis(header, arrays):
    arrays["coefs_0"] = arrays["coefs_0"].ravel()


@pytest.mark.parametrize("edit", [without_weights, without_axes, with_one_axis])
def test_weights_that_are_no_matrices_are_refused(forge, assert_refused, edit):
    assert_refused(forge(edit), "its arrays do not fit together")


EDITS = {
    "a parameter": [(b'\\"rho\\": 0.2', b'\\"rho\\": 0.3')],
    "a shape": [(b'"shape":[6,3]', b'"shape":[3,6]')],
    "a type": [(b'"dtype":"F32"', b'"dtype":"I32"')],
    "two names": [
        (b"history.squared_error", b"?"),
        (b"history.weight_decay", b"history.squared_error"),
        (b"?", b"history.weight_decay"),
    ],
}


@pytest.mark.parametrize("what", EDITS)
def test_an_edit_without_a_new_digest_is_noticed(good, what, assert_refused):
    content = good
    for old, new in EDITS[what]:
        assert content.count(old) >= 1
        content = content.replace(old, new, 1)
    assert_refused(content, r"it was edited or damaged after it was saved \(the digest does not match\)")


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
def test_forged_parameters_are_refused(forge, name, value, assert_refused):
    assert_refused(forge(lambda header, arrays: header["parameters"].update({name: value})))


RESULTS = {
    "loss_": ["x", None, 1],
    "n_iter_": [1.0, True, "3", 10**6],
    "n_evaluations_": [None],
    "gradient_norm_": [0],
    "converged_": [1, None, "yes"],
    "stop_reason_": [3, None],
    "n_features_in_": [5, -1, 6.0, None],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in RESULTS for value in RESULTS[name]])
def test_forged_results_are_refused(forge, name, value, assert_refused):
    assert_refused(forge(lambda header, arrays: header["results"].update({name: value})))


@pytest.mark.parametrize("name", RESULTS)
def test_missing_results_are_refused(forge, name, assert_refused):
    assert_refused(forge(lambda header, arrays: header["results"].pop(name)))


@pytest.mark.parametrize("entry", ["format", "class", "parameters", "results", "history", "feature_names"])
@pytest.mark.parametrize("value", [..., None, 3, "x", {}, ["x"], [["x"]]], ids=str)
def test_forged_header_entries_are_refused(forge, entry, value, assert_refused):
    def edit(header, arrays):
        header[entry] = value
        if value is ...:
            del header[entry]

    assert_refused(forge(edit))


def test_newer_formats_ask_for_an_update(forge, assert_refused):
    known = persistence.FORMAT
    newer = forge(lambda header, arrays: header.update(format=known + 1))
    assert_refused(newer, f"its format is {known + 1}, but this version of sparsam reads {known}: update sparsam")


def test_unknown_classes_are_named(forge, assert_refused):
    for name in ("DeepAutoencoder", "os.system", "__class__"):
        content = forge(lambda header, arrays, name=name: header.update({"class": name}))
        assert_refused(content, f"it holds a '{name}', which this version of sparsam does not know")


@pytest.mark.parametrize(
    "edit", [lambda p: p.pop("rho"), lambda p: p.update(lambda_=1), dict.clear], ids=["missing", "additional", "none"]
)
def test_missing_and_additional_parameters_are_refused(forge, edit, assert_refused):
    content = forge(lambda header, arrays: edit(header["parameters"]))
    assert_refused(content, "its parameters are not those that the class has in this version")


def test_a_header_that_is_no_object_is_refused(assert_refused):
    for header in ("[]", "3", "null", '"x"', "", "{", "[" * 100_000):
        content = safetensors.numpy.save({"coefs_0": np.ones((6, 3))}, metadata={"sparsam": header})
        assert_refused(content, "header is not a JSON object|edited or damaged")


@pytest.mark.parametrize("names", [["a"], ["a"] * 7, [1, 2, 3, 4, 5, 6], ["a", "b", "c", "d", "e", None], "abcdef"])
def test_forged_feature_names_are_refused(forge, names, assert_refused):
    assert_refused(
        forge(lambda header, arrays: header.update(feature_names=names)),
        "its feature names are not one string per feature",
    )


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
def test_forged_arrays_are_refused(forge, name, change, assert_refused):
    def edit(header, arrays):
        array = arrays.pop(name)
        if ARRAYS[change]:
            arrays[name] = np.array(ARRAYS[change](array), order="C")

    assert_refused(forge(edit))


@pytest.mark.parametrize("name", WEIGHTS)
@pytest.mark.parametrize("kind", [np.int32, np.float16])
def test_weights_of_other_types_are_refused(forge, name, kind, assert_refused):
    content = forge(lambda header, arrays: arrays.update({name: arrays[name].astype(kind)}))
    assert_refused(content, "its weights are not finite numbers of type float32 or float64")


def test_a_third_layer_is_refused(forge, assert_refused):
    assert_refused(forge(lambda header, arrays: arrays.update(coefs_2=np.ones((6, 6)))), "do not fit together")


SETTINGS = [
    "pandas",
    {"output": "pandas"},
    {"output": {"transform": "excel"}},
    {"output": {"transform": ["pandas"]}},
    {"output": {"fit": "pandas"}},
    {"requests": {"fit": {"nothing": True}}},
    {"requests": {"fit": {"sample_weight": 3}}},
    {"requests": {"fly": {"sample_weight": True}}},
    {"requests": [["fit", {"sample_weight": True}]]},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_settings_that_scikit_learn_does_not_know_are_refused(forge, assert_refused, settings):
    def edit(header, arrays):
        header["settings"] = settings

    assert_refused(forge(edit))
