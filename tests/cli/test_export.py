"""``sparsam export``: runs as ONNX graphs, which give what the models give, and as folders for SAELens."""

import numpy as np
import onnxruntime
import pandas as pd
import pytest

from sparsam import SparseAutoencoder, from_sae_folder, load, save
from sparsam.io.pipelines import load_pipeline

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("without_factors")]

FAST = ("--max-iter", 10, "--hidden-layer-sizes", 3)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    rng = np.random.default_rng(0)
    x, color = rng.normal(size=80), rng.choice(["red", "green"], 80)
    frame = pd.DataFrame({"x": x, "color": color, "mean": rng.normal(50, 3, 80), "height": x + (color == "red")})
    frame["kind"] = np.where(x > 0, "big", "small")
    frame.loc[3, "x"] = None
    path = tmp_path_factory.mktemp("table") / "table.csv"
    frame.to_csv(path, index=False)
    return path, frame


def outputs_of(path, feed):
    session = onnxruntime.InferenceSession(path)
    return dict(zip([output.name for output in session.get_outputs()], session.run(None, feed), strict=True))


def columns_of(frame, names):
    return {name: frame[[name]].to_numpy(object if frame[name].dtype.kind in "OU" else np.float32) for name in names}


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("regress", ("--target", "height", "--ignore", "kind", "--cv", 0, *FAST)),
        ("classify", ("--label", "kind", "--ignore", "height", "--epsilon", 0.1, *FAST)),
        ("anomalies", ("--ignore", "kind", "--ignore", "height")),
    ],
)
def test_runs_for_tables_take_a_column_for_each_input(run, table, tmp_path, command, options):
    path, frame = table
    assert run(command, path, *options, "--out", tmp_path / "run").exit_code == 0
    result = run("export", tmp_path / "run", "-o", tmp_path / "model.onnx")
    assert result.exit_code == 0, result.output
    assert "inputs x, mean, color" in result.stderr
    model = load_pipeline(tmp_path / "run" / "model.skops")
    inputs = frame.astype({"color": object})
    outputs = outputs_of(tmp_path / "model.onnx", columns_of(inputs, model.inputs))
    rows = model.take_inputs(frame)
    name, expected = {
        "regress": ("mean_output", lambda: model.pipeline.predict(rows).reshape(80, 1)),  # "mean" is a column
        "classify": ("probabilities", lambda: model.pipeline.predict_proba(rows)),
        "anomalies": ("score", lambda: model.pipeline.score_samples(rows)),
    }[command]
    np.testing.assert_allclose(outputs[name], expected(), rtol=1e-4, atol=1e-5)


def test_runs_of_learn_take_rows_in_the_units_of_the_training(run, tmp_path):
    rows = np.random.default_rng(0).uniform(0, 1000, size=(60, 4)).astype(np.float32)
    np.save(tmp_path / "rows.npy", rows)
    options = ("--rows", "--n-components", 2, "--rho", 0.3, "--max-iter", 5)
    assert run("learn", tmp_path / "rows.npy", *options, "--out", tmp_path / "run").exit_code == 0
    assert run("export", tmp_path / "run", "-o", tmp_path / "model.onnx").exit_code == 0
    model, scaler = (load(tmp_path / "run" / f"{name}.safetensors") for name in ("model", "scaler"))
    outputs = outputs_of(tmp_path / "model.onnx", {"X": rows})
    np.testing.assert_allclose(outputs["code"], model.transform(scaler.transform(rows)), rtol=1e-4, atol=1e-5)


def test_the_folder_of_a_run_takes_rows_in_the_units_of_the_training(run, tmp_path):
    rows = np.random.default_rng(0).uniform(0, 1000, size=(60, 4))
    np.save(tmp_path / "rows.npy", rows)
    relu = ("--sparsity", "l1", "--hidden-activation", "relu", "--output-activation", "identity")
    options = ("--rows", "--n-components", 3, "--max-iter", 5, *relu)
    assert run("learn", tmp_path / "rows.npy", *options, "--out", tmp_path / "run").exit_code == 0
    folder = ("--format", "saelens", "--dtype", "float64", "--out", tmp_path / "sae")
    assert run("export", tmp_path / "run", *folder).exit_code == 0
    model, scaler = (load(tmp_path / "run" / f"{name}.safetensors") for name in ("model", "scaler"))
    again = from_sae_folder(tmp_path / "sae")
    np.testing.assert_allclose(again.transform(rows), model.transform(scaler.transform(rows)), atol=1e-5)


def test_a_model_file_alone_is_exported_in_float64(run, model, model_file, rows, tmp_path):
    options = ("--dtype", "float64", "-o", tmp_path / "model.onnx")
    assert run("export", model_file, *options).exit_code == 0
    outputs = outputs_of(tmp_path / "model.onnx", {"X": rows})
    np.testing.assert_allclose(outputs["code"], model.transform(rows), rtol=1e-4, atol=1e-6)


def test_files_are_named_and_kept(run, model_file, tmp_path):
    assert "expected a name that ends with .onnx" in run("export", model_file, "-o", tmp_path / "model.txt").stderr
    assert "no such file" in run("export", tmp_path / "none", "-o", tmp_path / "model.onnx").stderr
    assert run("export", model_file, "-o", tmp_path / "model.onnx").exit_code == 0
    result = run("export", model_file, "-o", tmp_path / "model.onnx")
    assert "exists: name another file, or replace it with --overwrite" in result.stderr
    assert run("export", model_file, "-o", tmp_path / "model.onnx", "--overwrite").exit_code == 0


def test_an_autoencoder_with_relu_units_is_exported_for_sae_lens(run, run_json, model_file, rows, tmp_path):
    relu = {"sparsity": "l1", "hidden_activation": "relu", "output_activation": "identity", "random_state": 0}
    model = SparseAutoencoder(6, tol=1e-2, max_iter=500, **relu).fit(rows)
    save(model, tmp_path / "relu.safetensors")
    options = ("--format", "saelens", "--out", tmp_path / "sae")
    result = run("export", tmp_path / "relu.safetensors", *options)
    assert result.exit_code == 0, result.output
    again = from_sae_folder(tmp_path / "sae")
    np.testing.assert_allclose(again.transform(rows), model.transform(rows), atol=1e-5)
    assert "replace its files with --overwrite" in run("export", tmp_path / "relu.safetensors", *options).stderr
    assert run("export", tmp_path / "relu.safetensors", *options, "--overwrite").exit_code == 0
    refused = run("export", model_file, "--format", "saelens", "--out", tmp_path / "logistic")
    assert "needs hidden_activation='relu'" in refused.stderr
    save(again, tmp_path / "again.safetensors")
    assert run_json("show", tmp_path / "again.safetensors")["J"] is None  # not known
