"""A folder says the same as the model, in either convention of the biases, and appears completely or not at all."""

import json

import numpy as np
import pytest
import safetensors.numpy
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from sparsam import SparseAutoencoder, StackedAutoencoder, from_sae_folder, to_sae_folder
from sparsam.io.sae_lens import export

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

TOLERANCE = {"float32": 2e-6, "float64": 1e-13}


@pytest.mark.parametrize("applied", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_encoder_of_sae_lens_computes_the_same(models, X, sae_lens, tmp_path, dtype, applied):
    model = models[dtype]
    to_sae_folder(model, tmp_path / "sae", apply_b_dec_to_input=applied)
    code, reconstruction = sae_lens(tmp_path / "sae", X)
    assert_allclose(code, model.transform(X), atol=20 * TOLERANCE[dtype])
    assert_allclose(reconstruction, model.predict(X), atol=20 * TOLERANCE[dtype])


@pytest.mark.parametrize("applied", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_round_trip_keeps_the_model(models, X, tmp_path, dtype, applied):
    model = models[dtype]
    to_sae_folder(model, tmp_path / "sae", apply_b_dec_to_input=applied)
    again = from_sae_folder(tmp_path / "sae")
    for one, other in zip(model.coefs_, again.coefs_, strict=True):
        assert one.dtype == other.dtype
        assert_array_equal(one, other)
    exact = dtype == "float64" and not applied
    for one, other in zip(model.intercepts_, again.intercepts_, strict=True):
        assert_allclose(other, one, rtol=0, atol=0 if exact else TOLERANCE[dtype])
    assert_allclose(again.transform(X), model.transform(X), atol=TOLERANCE[dtype] * 5)
    assert_allclose(again.predict(X), model.predict(X), atol=TOLERANCE[dtype] * 5)
    assert again.cost(X) == pytest.approx(model.cost(X), rel=1e-5)
    for name in ("sparsity", "alpha", "tied", "hidden_activation", "output_activation", "dtype", "n_components"):
        assert getattr(again, name) == getattr(model, name)
    assert again.beta == again.beta_ == model.beta_


def test_a_second_round_trip_changes_no_bit(models, tmp_path):
    """Values of float32 and their sums in float64 are rounded once."""
    to_sae_folder(models["float32"], tmp_path / "one", apply_b_dec_to_input=False)
    to_sae_folder(from_sae_folder(tmp_path / "one"), tmp_path / "two", apply_b_dec_to_input=False)
    for name in ("cfg.json", "sae_weights.safetensors"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_the_biases_by_hand(tmp_path):
    model = SparseAutoencoder(1, sparsity="l1", hidden_activation="relu", output_activation="identity", max_iter=1)
    model.fit(np.eye(2))
    model.coefs_ = [np.array([[2.0], [3.0]]), np.array([[1.0, 4.0]])]
    model.intercepts_ = [np.array([0.5]), np.array([10.0, 20.0])]
    for applied, b_enc in ((True, 0.5 + 10 * 2 + 20 * 3), (False, 0.5)):
        to_sae_folder(model, tmp_path / str(applied), apply_b_dec_to_input=applied)
        tensors = safetensors.numpy.load_file(tmp_path / str(applied) / "sae_weights.safetensors")
        assert {name: tensor.tolist() for name, tensor in tensors.items()} == {
            "W_enc": [[2.0], [3.0]],
            "W_dec": [[1.0, 4.0]],
            "b_enc": [b_enc],
            "b_dec": [10.0, 20.0],
        }


def test_the_configuration_is_that_of_sae_lens(models, tmp_path):
    to_sae_folder(models["float32"], tmp_path / "sae", metadata={"model_name": "gpt2", "hook_name": "blocks.8.hook"})
    config = json.loads((tmp_path / "sae" / "cfg.json").read_bytes())
    assert config["architecture"] == "standard"
    assert (config["d_in"], config["d_sae"], config["dtype"]) == (5, 7, "float32")
    assert config["apply_b_dec_to_input"] is True
    assert config["normalize_activations"] == config["reshape_activations"] == "none"
    assert config["metadata"]["hook_name"] == "blocks.8.hook"
    assert int(config["metadata"]["sae_lens_version"].split(".")[0]) >= 6  # otherwise metadata are dropped


def test_a_model_in_float32_can_be_written_in_float64(models, X, tmp_path):
    to_sae_folder(models["float32"], tmp_path / "sae", dtype="float64", apply_b_dec_to_input=False)
    again = from_sae_folder(tmp_path / "sae")
    assert again.dtype == "float64"
    assert_array_equal(again.intercepts_[1], models["float32"].intercepts_[1])


def test_tied_weights_come_back_tied(X, tmp_path):
    model = SparseAutoencoder(
        4, sparsity="l1", hidden_activation="relu", output_activation="identity", tied=True, max_iter=5, random_state=0
    ).fit(X)
    to_sae_folder(model, tmp_path / "sae")
    again = from_sae_folder(tmp_path / "sae")
    assert again.tied
    assert again.cost(X) == pytest.approx(model.cost(X), rel=1e-5)


def test_a_relu_code_without_a_penalty_comes_back(X, tmp_path):
    model = SparseAutoencoder(
        4, beta=0.0, hidden_activation="relu", output_activation="identity", max_iter=5, random_state=0
    ).fit(X)
    to_sae_folder(model, tmp_path / "sae")
    again = from_sae_folder(tmp_path / "sae")
    assert (again.sparsity, again.beta) == ("kl", 0.0)


def test_a_search_stands_for_its_best_estimator(models, X, tmp_path):
    search = GridSearchCV(models["float64"], {"beta": [0.1]}, cv=2).fit(X)
    to_sae_folder(search, tmp_path / "sae")
    assert_array_equal(from_sae_folder(tmp_path / "sae").coefs_[0], search.best_estimator_.coefs_[0])


@pytest.mark.parametrize(
    "scaler",
    [MinMaxScaler((0.1, 0.9)), StandardScaler(), StandardScaler(with_mean=False), StandardScaler(with_std=False)],
    ids=lambda scaler: repr(scaler),
)
@pytest.mark.parametrize("applied", [True, False])
def test_behind_a_scaler_the_folder_takes_and_rebuilds_rows_that_are_not_scaled(X, tmp_path, scaler, applied):
    rows = 300 + X * [1.0, 10.0, 0.1, 1e3, 1e-2]
    model = SparseAutoencoder(
        6, sparsity="l1", hidden_activation="relu", output_activation="identity", random_state=0, dtype="float64"
    )
    pipeline = make_pipeline(scaler, model.set_params(max_iter=20)).fit(rows)
    to_sae_folder(pipeline, tmp_path / "sae", apply_b_dec_to_input=applied)
    again = from_sae_folder(tmp_path / "sae")
    assert_allclose(again.transform(rows), pipeline.transform(rows), atol=1e-8)
    rebuilt = scaler.inverse_transform(pipeline[-1].predict(scaler.transform(rows)))
    assert_allclose(again.predict(rows), rebuilt, rtol=1e-9, atol=1e-9)


def test_a_pipeline_of_one_step_is_that_step(models, tmp_path):
    model = models["float64"]
    to_sae_folder(make_pipeline("passthrough", model), tmp_path / "sae")
    assert_array_equal(from_sae_folder(tmp_path / "sae").coefs_[0], model.coefs_[0])


def test_nothing_is_overwritten_unasked(models, X, sae_lens, tmp_path):
    folder = tmp_path / "sae"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    to_sae_folder(models["float32"], folder)  # a folder that is there
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    with pytest.raises(FileExistsError, match="overwrite=True"):
        to_sae_folder(models["float64"], folder)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
    to_sae_folder(models["float64"], folder, overwrite=True)
    assert {file.name for file in folder.iterdir()} == {"notes.txt", "cfg.json", "sae_weights.safetensors"}
    assert (folder / "notes.txt").read_text() == "mine"
    assert from_sae_folder(folder).dtype == "float64"


@pytest.mark.parametrize("there", [True, False])
def test_a_write_that_fails_leaves_everything_as_it_was(models, tmp_path, monkeypatch, there):
    folder = tmp_path / "sae"
    if there:
        to_sae_folder(models["float32"], folder)
    before = {file: file.read_bytes() for file in folder.glob("*")}

    def fail(path, *, overwrite):
        if path.name == "sae_weights.safetensors":
            raise OSError("no space left on the device")
        return atomic_write(path, overwrite=overwrite)

    atomic_write = export.atomic_write
    monkeypatch.setattr(export, "atomic_write", fail)
    with pytest.raises(OSError, match="no space"):
        to_sae_folder(models["float64"], folder, overwrite=True)
    assert {file: file.read_bytes() for file in folder.glob("*")} == before
    assert list(tmp_path.iterdir()) == ([folder] if there else [])


def test_what_cannot_be_written_is_refused(models, X, tmp_path):
    folder = tmp_path / "sae"
    with pytest.raises(NotFittedError):
        to_sae_folder(SparseAutoencoder(), folder)
    with pytest.raises(ValueError, match="needs hidden_activation='relu'; this model has 'logistic'"):
        to_sae_folder(SparseAutoencoder(2, max_iter=2, output_activation="identity").fit(X), folder)
    relu = SparseAutoencoder(2, max_iter=2, beta=0.0, hidden_activation="relu")
    with pytest.raises(ValueError, match="needs output_activation='identity'"):
        to_sae_folder(relu.fit(np.eye(5)), folder)
    for step in (PCA(2), MinMaxScaler(clip=True)):
        with pytest.raises(TypeError, match=rf"not behind {type(step).__name__}: pass the last step"):
            to_sae_folder(make_pipeline(step, models["float32"]), folder)
    with pytest.raises(NotFittedError, match="StandardScaler"):
        to_sae_folder(make_pipeline(StandardScaler(), models["float32"]), folder)
    with pytest.raises(TypeError, match="not a StackedAutoencoder"):
        to_sae_folder(StackedAutoencoder(), folder)
    with pytest.raises(ValueError, match="dtype must be one of"):
        to_sae_folder(models["float32"], folder, dtype="float16")
    with pytest.raises(TypeError, match="JSON"):
        to_sae_folder(models["float32"], folder, metadata={"model": object()})
    with pytest.raises(ValueError, match="JSON"):
        to_sae_folder(models["float32"], folder, metadata={"loss": float("nan")})
    with pytest.raises(ValueError, match="must not have the key 'sparsam'"):
        to_sae_folder(models["float32"], folder, metadata={"sparsam": 1})
    with pytest.raises(FileNotFoundError):
        to_sae_folder(models["float32"], tmp_path / "none" / "sae")
    huge = from_copy(models["float64"], tmp_path)
    huge.coefs_[1] = huge.coefs_[1] * 1e200
    with pytest.raises(ValueError, match="W_dec has numbers beyond the range of float32: use dtype='float64'"):
        to_sae_folder(huge, folder, dtype="float32")
    assert not folder.exists()


def from_copy(model, tmp_path):
    to_sae_folder(model, tmp_path / "copy")
    return from_sae_folder(tmp_path / "copy")
