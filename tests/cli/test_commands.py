"""``sparsam check``, ``show``, ``encode``, and the common behavior of all commands."""

import subprocess
import sys
from functools import partial
from itertools import islice

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import sparsam.verification.certificate
from sparsam import MultivariateNormalRegressor, save
from sparsam.verification.certificate import Comparison

pytestmark = pytest.mark.usefixtures("without_factors")

COMMANDS = ("learn", "check", "show", "encode", "sweep", "report")


def test_help_names_every_command_and_each_has_an_example(run):
    overview = run("--help").output
    for command in COMMANDS:
        assert command in overview
        page = run(command, "--help")
        assert page.exit_code == 0
        assert f"sparsam {command}" in page.output.split("Example:")[1]


def test_paragraphs_of_help_are_wrapped_to_the_terminal(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    assert "minimizes squared error + weight" in run("learn", "--help").output
    assert "decay + KL sparsity (CS294A) until the gradient vanishes" in run("learn", "--help").output


def test_version_is_the_installed_one(run):
    from importlib.metadata import version

    assert run("--version").output.strip() == f"sparsam {version('sparsam')}"


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from sparsam.cli.app import app; "
        "print([name for name in ('jax', 'numpy', 'sklearn', 'matplotlib', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("command", ["unknown", "learn --unknown", "learn --rho high", "encode model.safetensors"])
def test_wrong_usage_exits_with_2(run, command):
    assert run(*command.split()).exit_code == 2


SMALL_CHECK = ("check", "--n-components", 2, "--n-patches", 10, "--patch-size", 3)


@pytest.mark.slow
def test_check_prints_the_certificate(run):
    result = run(*SMALL_CHECK)
    assert result.exit_code == 0, result.output
    assert "2.1452e-12" in result.stdout
    assert "sparsity" in result.stdout
    assert "FAILED" not in result.stdout


@pytest.mark.slow
def test_check_gives_the_figures_as_json(run_json, monkeypatch):
    first = partial(islice, sparsam.verification.certificate.certify(np.full((5, 4), 0.5), n_components=2), 3)
    monkeypatch.setattr(sparsam.verification.certificate, "certify", lambda *_, **__: first())
    content = run_json(*SMALL_CHECK)
    assert content["comparisons"][0]["notes_step"] == pytest.approx(2.1452e-12, rel=1e-4)
    for comparison in content["comparisons"][1:]:
        assert comparison["autodiff_hand"] <= content["bounds"]["autodiff_hand"]


def test_check_fails_where_a_bound_is_exceeded(run, monkeypatch):
    broken = Comparison("broken", autodiff_hand=1.0)
    monkeypatch.setattr(sparsam.verification.certificate, "certify", lambda *_, **__: iter([broken]))
    result = run("check")
    assert result.exit_code == 1
    assert "FAILED" in result.stdout


def test_show_prints_what_the_model_is(run, run_json, model, model_file):
    assert "n_components" in run("show", model_file).stdout
    figures = run_json("show", model_file)
    assert figures["n_components"] == 4
    assert figures["J"] == model.loss_


@pytest.mark.parametrize("library", ["matplotlib", "PIL"])
def test_show_writes_the_filters(run, model_file, tmp_path, library):
    picture = tmp_path / "filters.png"
    options = ("--save", picture, "--n-columns", 4, "--image-width", 8, "--cmap", "viridis", "--border-color", "red")
    result = run("show", model_file, *options, "--library", library)
    assert result.exit_code == 0, result.output
    with Image.open(picture) as image:
        assert image.width > 4 * image.height
        assert image.convert("RGB").getpixel((0, 0)) == (255, 0, 0)
    assert run("show", model_file, "--save", picture).exit_code == 1
    assert run("show", model_file, "--save", picture, "--overwrite").exit_code == 0


@pytest.mark.filterwarnings("ignore:Not converged")
@pytest.mark.parametrize("command", ["show {0}", "encode {0} rows.npy -o codes.npy", "learn --warm-start {0}"])
def test_what_is_about_autoencoders_refuses_other_models(run, rows, tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    model = MultivariateNormalRegressor((25,), cv=None, max_iter=1).fit(rows, rows)
    save(model, tmp_path / "model.safetensors")
    np.save("rows.npy", rows)
    result = run(*command.format("model.safetensors").split())
    assert result.exit_code == 1
    assert "holds a MultivariateNormalRegressor" in result.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"model.safetensors", "rows.npy"}


def test_show_refuses_what_is_no_model(run, tmp_path):
    (tmp_path / "text.safetensors").write_text("no model")
    result = run("show", tmp_path / "text.safetensors")
    assert result.exit_code == 1
    assert "text.safetensors" in result.stderr


@pytest.mark.parametrize("suffix", [".npy", ".csv"])
def test_encode_writes_what_transform_gives(run, model, model_file, rows, tmp_path, suffix):
    data, codes = tmp_path / f"rows{suffix}", tmp_path / f"codes{suffix}"
    names = [f"pixel {i}" for i in range(rows.shape[1])]
    np.save(data, rows) if suffix == ".npy" else pd.DataFrame(rows, columns=names).to_csv(data, index=False)
    result = run("encode", model_file, data, "-o", codes)
    assert result.exit_code == 0, result.output
    written = np.load(codes) if suffix == ".npy" else pd.read_csv(codes)
    assert written.shape == (60, 4)
    np.testing.assert_allclose(np.asarray(written), model.transform(rows), rtol=1e-6)
    if suffix == ".csv":
        assert list(written.columns) == list(model.get_feature_names_out())


def test_encode_in_pieces_is_encode_whole(run, model_file, rows, tmp_path, monkeypatch):
    np.save(tmp_path / "rows.npy", rows)
    for name in ("whole", "pieces"):
        if name == "pieces":
            monkeypatch.setattr("sparsam.cli.encode.ROWS_AT_ONCE", 7)
        assert run("encode", model_file, tmp_path / "rows.npy", "-o", tmp_path / f"{name}.npy").exit_code == 0
    np.testing.assert_allclose(np.load(tmp_path / "whole.npy"), np.load(tmp_path / "pieces.npy"), rtol=1e-6)


def test_encode_overwrites_only_when_asked(run, model_file, rows, tmp_path):
    np.save(tmp_path / "rows.npy", rows)
    (tmp_path / "codes.npy").write_text("mine")
    arguments = ("encode", model_file, tmp_path / "rows.npy", "-o", tmp_path / "codes.npy")
    assert run(*arguments).exit_code == 1
    assert (tmp_path / "codes.npy").read_text() == "mine"
    assert run(*arguments, "--overwrite").exit_code == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (np.zeros((5, 3)), "rows have 3 numbers, but the model takes"),
        (np.zeros(5), "got shape (5,)"),
        (np.full((5, 16), np.nan), "NaN"),
        (np.array([[object()]]), "Python objects"),
        (np.zeros((0, 16)), "at least one row, got shape (0, 16)"),
        (np.zeros((5, 16), complex), "real numbers"),
    ],
)
def test_encode_refuses_bad_rows_and_writes_nothing(run, model_file, tmp_path, content, message):
    np.save(tmp_path / "rows.npy", content, allow_pickle=True)
    result = run("encode", model_file, tmp_path / "rows.npy", "-o", tmp_path / "codes.npy")
    assert result.exit_code == 1
    assert message in result.stderr
    assert not (tmp_path / "codes.npy").exists()
    assert not list(tmp_path.glob(".codes*"))
