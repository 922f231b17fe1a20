"""save and load: models come back to the bit; others are refused; files are written completely or not at all."""

import json
import os
import re
import subprocess
import sys
import textwrap

import numpy as np
import pandas as pd
import pytest
import safetensors
import skops.io
from sklearn import clone, config_context
from sklearn.cluster import KMeans
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from sparsam import SparseAutoencoder, load, save
from sparsam.preprocessing import PatchNormalizer, Whitening

KINDS = {
    "float32": {},
    "float64": {"dtype": "float64", "random_state": np.int64(3)},
    "tanh": {"hidden_activation": "tanh", "output_activation": "identity", "dtype": "float64", "time_budget": 60},
    "relu": {"hidden_activation": "relu", "output_activation": "identity", "beta": 0, "chunk_size": np.int64(64)},
    "stopped": {"max_iter": 3, "tol": 0.0, "warm_start": True},
    "stopped at once": {"callback": lambda progress: True},
}

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.usefixtures("without_factors"),
]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


def again(model, path):
    save(model, path)
    return load(path)


def assert_same(loaded, model, *, apart_from=()):
    """Assert that all parameters and attributes, private ones too, have the same type and equal bits."""
    assert type(loaded) is type(model)
    assert vars(loaded).keys() == vars(model).keys()
    for name, value in vars(model).items():
        if name not in apart_from:
            found = vars(loaded)[name]
            assert type(found) is (int if isinstance(value, np.integer) else type(value)), name
            np.testing.assert_equal(found, value, err_msg=name)
    for one, two in zip(arrays_of(loaded), arrays_of(model), strict=True):
        assert (one.dtype, one.shape, one.tobytes()) == (two.dtype, two.shape, two.tobytes())


def arrays_of(model):
    return [*model.coefs_, *model.intercepts_, model.mean_activation_]


# Round trip


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_everything_comes_back_to_the_bit(build, X, path, kind):
    model = build(**KINDS[kind]).fit(X)
    loaded = again(model, path)
    assert_same(loaded, model, apart_from=("callback",))
    pd.testing.assert_frame_equal(loaded.history_, model.history_, check_exact=True)
    for method in ("transform", "predict", "score_samples", "cost"):
        np.testing.assert_array_equal(getattr(loaded, method)(X), getattr(model, method)(X))


def test_feature_names_come_back(build, X, path):
    frame = pd.DataFrame(X, columns=["länge", "width", "a b", '"quoted"', "", "6"])
    model = build().fit(frame)
    loaded = again(model, path)
    assert_same(loaded, model)
    assert loaded.feature_names_in_.dtype == object
    np.testing.assert_array_equal(loaded.transform(frame), model.transform(frame))
    with pytest.raises(ValueError, match="feature names should match"):
        loaded.transform(frame[frame.columns[::-1]])
    assert loaded.set_output(transform="pandas").transform(frame).shape == (60, 3)


def test_what_json_cannot_hold_comes_back_as_none(build, X, path):
    model = build(random_state=np.random.RandomState(0), callback=lambda progress: None).fit(X)
    loaded = again(model, path)
    assert loaded.random_state is None
    assert loaded.callback is None
    assert_same(loaded, model, apart_from=("random_state", "callback"))
    assert model.callback is not None  # saving does not change the model


def test_numbers_of_numpy_come_back_as_numbers(build, X, path):
    loaded = again(build(rho=np.float32(0.2), alpha=np.float64(1e-3), n_components=np.int32(3)).fit(X), path)
    assert loaded.rho == float(np.float32(0.2))
    assert [type(value) for value in (loaded.rho, loaded.alpha, loaded.n_components)] == [float, float, int]


def test_a_loaded_model_goes_on(build, X, path):
    model = build(max_iter=10, tol=0.0, warm_start=True).fit(X)
    loaded = again(model, path)
    assert_same(loaded.fit(X), model.fit(X), apart_from=("_history",))


def test_saving_the_loaded_model_gives_the_same_file(path, tmp_path, model):
    save(again(model, path), tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()


def test_path_may_be_a_string_and_have_any_name(tmp_path, model):
    save(model, str(tmp_path / "Modell für Größe.bin"))
    assert_same(load(str(tmp_path / "Modell für Größe.bin")), model)


def test_the_file_is_plain_safetensors_that_other_programs_read(path, model):
    save(model, path)
    with safetensors.safe_open(path, framework="numpy") as file:
        np.testing.assert_array_equal(file.get_tensor("coefs_0"), model.coefs_[0])
        header = json.loads(file.metadata()["sparsam"])
    assert header["class"] == "SparseAutoencoder"
    assert header["parameters"]["rho"] == 0.2
    assert set(header["versions"]) == {"sparsam", "jax", "numpy"}


@pytest.mark.slow
def test_another_process_loads_the_same_model(path, model):
    save(model, path)
    program = """
        import sys
        import numpy as np
        from sparsam import load

        sys.stdout.buffer.write(load(sys.argv[1]).transform(np.full((2, 6), 0.25)).tobytes())
    """
    command = [sys.executable, "-c", textwrap.dedent(program), str(path)]
    output = subprocess.run(command, capture_output=True, check=True).stdout
    assert output == model.transform(np.full((2, 6), 0.25)).tobytes()


# Models that save refuses


def test_unfitted_models_are_not_saved(build, path):
    with pytest.raises(NotFittedError, match="not fitted yet"):
        save(build(), path)
    assert not path.exists()


class Derived(SparseAutoencoder):
    pass


@pytest.mark.parametrize(
    ("thing", "name"),
    [
        (KMeans(2), "KMeans"),
        (Derived(3, random_state=0), "Derived"),
        (type("SparseAutoencoder", (), {"coefs_": []})(), "SparseAutoencoder"),  # another class of that name
        (SparseAutoencoder, "type"),
        (None, "NoneType"),
        ({"coefs_": []}, "dict"),
    ],
    ids=["KMeans", "subclass", "namesake", "class", "None", "dict"],
)
def test_foreign_objects_are_not_saved(path, thing, name):
    with pytest.raises(TypeError, match=f"only SparseAutoencoder, .* can be saved, not {name}"):
        save(thing, path)
    assert not path.exists()


def test_what_load_would_refuse_is_not_saved(build, X, path):
    """Parameters or weights that were made invalid after the fit."""
    with pytest.raises(ValueError, match="rho must be in \\(0, 1\\), and at least"):
        save(build().fit(X).set_params(rho=2), path)
    broken = build().fit(X)
    broken.coefs_[0][0, 0] = np.nan
    with pytest.raises(ValueError, match="weights are not finite"):
        save(broken, path)
    broken.coefs_[0] = broken.coefs_[0][:-1]
    with pytest.raises(ValueError, match="arrays do not fit together"):
        save(broken, path)
    assert not path.exists()


def test_an_existing_file_is_kept_unless_overwriting_is_asked_for(path, model):
    path.write_bytes(b"precious")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        save(model, path)
    assert path.read_bytes() == b"precious"
    save(model, path, overwrite=True)
    assert_same(load(path), model)


def test_a_missing_folder_is_said(tmp_path, model):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        save(model, tmp_path / "nowhere" / "model.safetensors")


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_failing_write_leaves_what_was_there(path, model, monkeypatch, overwrite):
    if overwrite:
        path.write_bytes(b"the old model")

    def no_space(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OSError, match="No space left"):
        save(model, path, overwrite=overwrite)
    assert {file.name: file.read_bytes() for file in path.parent.iterdir()} == (
        {path.name: b"the old model"} if overwrite else {}
    )


# Settings that scikit-learn stores besides the hyperparameters


def test_the_container_of_results_is_kept(build, X, path):
    model = build().set_output(transform="pandas").fit(X)
    loaded = again(model, path)
    assert_same(loaded, model)
    pd.testing.assert_frame_equal(loaded.transform(X), model.transform(X))


def test_metadata_requests_are_kept(build, X, path):
    with config_context(enable_metadata_routing=True):
        model = build().set_fit_request(sample_weight=True).set_score_request(sample_weight="of_rows").fit(X)
        loaded = again(model, path)
        assert str(loaded.get_metadata_routing()) == str(model.get_metadata_routing())
        assert loaded.get_metadata_routing().fit.requests["sample_weight"] is True
    assert_same(loaded, model, apart_from=("_metadata_request",))


def test_an_attribute_that_the_file_has_no_place_for_is_named(build, X, path):
    model = build().fit(X)
    model.scaler_ = 3.0
    with pytest.raises(TypeError, match="neither fit nor scikit-learn sets the attribute 'scaler_'"):
        save(model, path)
    assert not path.exists()


@pytest.mark.parametrize(
    ("wrap", "part", "take"),
    [
        (lambda network: make_pipeline(MinMaxScaler(), network), "model[-1]", lambda model: model[-1]),
        (
            lambda network: GridSearchCV(network, {}, cv=2),
            "model.best_estimator_",
            lambda model: model.best_estimator_,
        ),
    ],
)
def test_a_wrapped_network_is_refused_with_the_ways_to_save_it(build, X, path, wrap, part, take):
    model = wrap(build()).fit(X)
    with pytest.raises(TypeError, match=rf"{re.escape(part)}, or all of it with skops\.io\.dump\(model, path\)"):
        save(model, path)
    assert not path.exists()
    save(take(model), path)  # the advice of the message works
    archive = path.with_suffix(".skops")
    skops.io.dump(model, archive)
    whole = skops.io.load(archive, trusted=skops.io.get_untrusted_types(file=archive))
    np.testing.assert_array_equal(whole.transform(X), model.transform(X))


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize(
    "scaler", [PatchNormalizer(), MinMaxScaler((0.1, 0.9), clip=True), Whitening(), Whitening("pca", n_components=2)]
)
def test_scalers_come_back(scaler, named, path):
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(30, 4)) * [1, 10, 0, 1e-9], columns=list("abcd"))
    rows = X if named else X.to_numpy()
    scaler = clone(scaler).set_output(transform="pandas" if named else None).fit(rows)
    loaded = again(scaler, path)
    assert vars(loaded).keys() == vars(scaler).keys()
    for name, value in vars(scaler).items():
        np.testing.assert_equal(vars(loaded)[name], value)
    np.testing.assert_array_equal(
        loaded.transform(X if named else X.to_numpy()), scaler.transform(X if named else X.to_numpy())
    )


def test_a_scaler_whose_scale_does_not_fit_is_refused(path):
    scaler = MinMaxScaler().fit(np.eye(3))
    scaler.scale_ = np.ones(2)
    with pytest.raises(ValueError, match="its scale is not finite, or not one number per feature"):
        save(scaler, path)
    whitening = Whitening().fit(np.eye(3))
    whitening.mean_ = np.ones(2)
    with pytest.raises(ValueError, match="its arrays do not fit together"):
        save(whitening, path)
    with pytest.raises(ValueError, match="epsilon must be at least 0"):
        save(Whitening().fit(np.eye(3)).set_params(epsilon=-1.0), path)
    normalizer = PatchNormalizer().fit(np.eye(3))
    normalizer.limit_ = np.inf
    with pytest.raises(ValueError, match="its scale is not finite"):
        save(normalizer, path)
    assert not path.exists()
