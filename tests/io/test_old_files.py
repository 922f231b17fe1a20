"""Files that older versions wrote load with the same attributes, to the bit, and the same predictions up to rounding.

Each folder of ``data`` is a version, or a commit between two; ``make.py`` made its files.
"""

import dataclasses
import gzip
import io
import json
import re
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io

from sparsam import Checkpoint, SparseAutoencoder, load, save
from sparsam._utils.checksummed_file import checksummed, read_checksummed
from sparsam.io import pipelines, schemas
from sparsam.io.pipelines import FORMAT, load_pipeline, save_pipeline

pytestmark = [
    pytest.mark.filterwarnings("ignore:X does not have valid feature names"),
    pytest.mark.usefixtures("without_factors"),
]

DATA = Path(__file__).parent / "data"
FOLDER = DATA / "0.1.0"
MODELS = sorted(str(path.relative_to(DATA).with_suffix("")) for path in DATA.glob("*/*.safetensors"))
PIPELINES = sorted(str(path.relative_to(DATA)).removesuffix(".skops.gz") for path in DATA.glob("*/*.skops.gz"))
RTOL = {"float32": 1e-5, "float64": 1e-12}
"""Tolerances of predictions: another processor adds the terms of matrix products in another order."""


OTHER_POINTS = tuple(f"likelihood_profile_.{name}" for name in ("epsilon", "held_out", "training", "near"))
"""A profile of 0.1.0 was a parabola through some points; it is loaded as the parabola's values at other points."""
OF_PARABOLA = ("likelihood_profile_.best", "likelihood_profile_.interval")


def sample(name):
    """Return the results of the version that wrote a sample, under the names by which the loaded model has them."""
    with np.load(DATA / f"{name}.npz") as file:
        return {key: file[key] for key in file.files}


def found(model, name, inputs):
    """Evaluate a name of a sample on a model: a method of its inputs, or an attribute of an attribute."""
    method = re.fullmatch(r"(\w+)\((\w+)\)", name)
    if method:
        argument = inputs[method[2]]
        return getattr(model, method[1])(model.transform(argument) if method[1] == "inverse_transform" else argument)
    if name == "validation_scores_":  # which were pairs
        return list(zip(model.validation_iterations_, model.validation_scores_, strict=True))
    for part in schemas.RENAMED.get(name, name).split("."):
        model = model[int(part)] if part.isdigit() else getattr(model, part) if hasattr(model, part) else model[part]
    return model


def assert_as_saved(model, name, inputs):
    """Compare with the results of the version that wrote the sample."""
    expected = sample(name)
    parameters = json.loads(json.dumps(model.get_params(deep=False), default=lambda array: array.tolist()))
    was = json.loads(str(expected.pop("parameters")))
    assert was.keys() - parameters.keys() == (schemas.REMOVED.keys() if name.startswith("0.1.0") else set())
    was = {name: value for name, value in was.items() if name in parameters}
    assert {name: parameters[name] for name in was} == was  # this version may have new ones
    rtol = RTOL[model.dtype]
    others = {"X", "inputs", "targets", *(OTHER_POINTS if "likelihood_profile_.near" in expected else ())}
    for key, value in expected.items():
        if key in others or key.endswith("(table)"):
            continue
        now = np.asarray(found(model, key, inputs))
        if now.dtype == object:
            now = now.astype(str)
        assert now.dtype.kind == value.dtype.kind, key
        if key in OF_PARABOLA:
            np.testing.assert_allclose(now, value, rtol=1e-12, atol=1e-12, err_msg=key)
        elif key.endswith(")") and value.dtype.kind == "f":
            assert now.dtype == value.dtype
            np.testing.assert_allclose(now, value, rtol=rtol, atol=rtol, err_msg=key)
        else:
            np.testing.assert_array_equal(now, value, err_msg=key)


@pytest.mark.parametrize("name", MODELS)
def test_models_load_as_they_were_and_are_so_when_saved_again(name, tmp_path):
    inputs = {"X": sample(name)["X"]}
    model = load(DATA / f"{name}.safetensors")
    assert_as_saved(model, name, inputs)
    save(model, tmp_path / "again.safetensors")
    assert_as_saved(load(tmp_path / "again.safetensors"), name, inputs)


@pytest.fixture
def unpacked(tmp_path):
    """Return a function that unpacks a file that an older version wrote."""

    def unpacked(name):
        path = tmp_path / f"{Path(name).name}.skops"
        path.write_bytes(gzip.decompress((DATA / f"{name}.skops.gz").read_bytes()))
        return path

    return unpacked


def assert_table_model_as_saved(fitted, name):
    expected, table = sample(name), pd.read_csv(FOLDER / "table.csv")
    model, rtol = fitted.pipeline[-1], RTOL[fitted.pipeline[-1].dtype]
    assert_as_saved(model, name, {})
    assert fitted.inputs == expected["inputs"].tolist()
    assert fitted.targets == expected["targets"].tolist()
    X = fitted.pipeline[:-1].transform(fitted.take_inputs(table))
    np.testing.assert_allclose(X, expected["transform(table)"], rtol=1e-12)
    if name.endswith("regress"):
        np.testing.assert_allclose(fitted.predict(table), expected["predict(table)"], rtol=rtol, atol=rtol)
    else:
        np.testing.assert_array_equal(fitted.predict(table), expected["predict(table)"])
        probabilities = fitted.pipeline.predict_proba(fitted.take_inputs(table))
        np.testing.assert_allclose(probabilities, expected["predict_proba(table)"], rtol=rtol, atol=rtol)


@pytest.mark.parametrize("name", PIPELINES)
def test_pipelines_load_as_they_were_and_are_so_when_saved_again(name, unpacked, tmp_path):
    fitted = load_pipeline(unpacked(name))
    assert_table_model_as_saved(fitted, name)
    save_pipeline(fitted, tmp_path / "again.skops")
    assert_table_model_as_saved(load_pipeline(tmp_path / "again.skops"), name)


def test_there_is_a_sample_of_every_class_and_of_what_has_moved(unpacked):
    for version in ("0.1.0", "eb5902b"):
        samples = {name.removeprefix(f"{version}/") for name in MODELS if name.startswith(version)}
        assert {name.split("-")[0] for name in samples} == {"autoencoder", "regressor", "classifier"}
    assert PIPELINES == ["0.1.0/classify", "0.1.0/regress", "eb5902b/regress"]
    with zipfile.ZipFile(unpacked("0.1.0/classify")) as archive:
        schema = archive.read("schema.json").decode()
    for old, new in schemas.MOVED.items():
        assert f'"__module__": "{old.rpartition(".")[0]}"' in schema
        assert new in pipelines.TRUSTED


# Hyperparameters that change


def older(name, edit, path):
    """Write a sample with other hyperparameters, as another version might have had."""
    header, arrays = read_checksummed(FOLDER / f"{name}.safetensors", "sparsam", 1, if_older="")
    edit(header["parameters"])
    path.write_bytes(checksummed("sparsam", header, arrays))
    return path


@pytest.fixture
def changed(monkeypatch):
    """Enter changes since 0.1.0 in the layout of a class."""

    def changed(name, added=None, **changes):
        if added is not None:
            changes["added"] = {**schemas.LAYOUTS[name].added, **added}
        monkeypatch.setitem(schemas.LAYOUTS, name, dataclasses.replace(schemas.LAYOUTS[name], **changes))

    return changed


def test_hyperparameters_added_since_have_the_value_of_the_old_behavior(tmp_path, changed):
    path = older("autoencoder-float32", lambda parameters: parameters.pop("polish"), tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="its parameters are not those that the class has in this version"):
        load(path)
    changed("SparseAutoencoder", added={"polish": True})
    assert load(path).polish is True
    assert load(FOLDER / "autoencoder-float32.safetensors").polish is False  # the file has this parameter


def test_renamed_hyperparameters_keep_their_value(tmp_path, changed):
    path = older(
        "autoencoder-float32",
        lambda parameters: parameters.update(sparsity=parameters.pop("rho")),
        tmp_path / "model.safetensors",
    )
    with pytest.raises(ValueError, match="its parameters are not those that the class has in this version"):
        load(path)
    changed("SparseAutoencoder", renamed={"sparsity": "rho"})
    assert load(path).rho == 0.1
    assert load(FOLDER / "autoencoder-float32.safetensors").rho == 0.1


def test_hyperparameters_of_pipelines_are_brought_up_to_date(unpacked, tmp_path, changed):
    fitted = load_pipeline(unpacked("0.1.0/regress"))
    attributes = vars(fitted.pipeline[-1])
    del attributes["polish"]
    attributes["weight_decay"] = attributes.pop("alpha")
    content = {"format": FORMAT, "pipeline": fitted.pipeline, "inputs": fitted.inputs, "targets": fitted.targets}
    (tmp_path / "older.skops").write_bytes(skops.io.dumps(content))  # `save_pipeline` would refuse it
    with pytest.raises(ValueError, match="its content is not what sparsam writes"):
        load_pipeline(tmp_path / "older.skops")
    changed("MultivariateNormalRegressor", added={"polish": False}, renamed={"weight_decay": "alpha"})
    assert_table_model_as_saved(load_pipeline(tmp_path / "older.skops"), "0.1.0/regress")


# Files that are refused


def test_names_that_have_moved_are_trusted_no_more_than_others(unpacked, monkeypatch):
    path = unpacked("0.1.0/classify")
    monkeypatch.setitem(schemas.MOVED, "sparsam.estimators.noise_rate.LikelihoodProfile", "os.system")
    with pytest.raises(ValueError, match=r"it holds types that no sparsam model has .*os\.system"):
        load_pipeline(path)


def packed(members, compression=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (packed({"schema.json": b" " * 10**7}, zipfile.ZIP_DEFLATED), "it is compressed"),
        (packed({"schema.json": b"[" * 10**5}), "RecursionError"),
        (packed({"schema.json": b"[]"}), "it is damaged or not a model file"),
        (packed({"schema.json": b"{}"}), "it is damaged or not a model file"),
        (packed({"other.json": b"{}"}), "it is damaged or not a model file"),
        (packed({"schema.json": b"{}"}).replace(b"\x02\x00\x00\x00" * 2, b"\xff\xff\xff\x0f" * 2), "larger than"),
        (b"", "it is damaged or not a model file"),
    ],
    ids=["bomb", "deep", "list", "empty", "without a schema", "too large", "nothing"],
)
def test_archives_that_are_none_of_ours_are_refused(tmp_path, content, why):
    (tmp_path / "model.skops").write_bytes(content)
    with pytest.raises(ValueError, match=f"^cannot load .*{why}"):
        load_pipeline(tmp_path / "model.skops")


@pytest.mark.parametrize(
    "content",
    [
        {"pipeline": None, "inputs": [], "targets": []},
        {"pipeline": {}, "inputs": [], "targets": []},
        {"inputs": [], "targets": []},
    ],
    ids=["none", "no pipeline", "missing"],
)
def test_content_that_is_no_pipeline_is_refused(tmp_path, content):
    import skops.io

    (tmp_path / "model.skops").write_bytes(skops.io.dumps({"format": pipelines.FORMAT, **content}))
    with pytest.raises(ValueError, match="its content is not what sparsam writes"):
        load_pipeline(tmp_path / "model.skops")


def test_checkpoints_of_an_older_version_are_refused_with_a_word(tmp_path):
    shutil.copytree(FOLDER / "checkpoints", tmp_path / "run")
    X = np.random.default_rng(0).uniform(0.1, 0.9, (30, 4))
    model = SparseAutoencoder(2, max_iter=5, random_state=0, checkpoint=Checkpoint(tmp_path / "run", resume=True))
    with pytest.raises(
        ValueError,
        match=r"an older version of sparsam wrote it \(its format is 1, this version reads 4\): finish that run with "
        "the version that wrote it, or start again in another folder",
    ):
        model.fit(X)
    assert len(list((tmp_path / "run").iterdir())) == 2  # no file is lost
