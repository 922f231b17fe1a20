"""``sparsam learn``, on small jobs."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from sparsam import load

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("without_factors")]

PICTURES = {"filters.png", "patches.png", "reconstructions.png", "cost.png"}
FILES = PICTURES | {"model.safetensors", "scaler.safetensors", "metrics.json"}
SMALL = ("--n-patches", 500, "--n-components", 9, "--max-iter", 5)


@pytest.fixture(scope="module")
def learned(run, tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "deep" / "run"
    return run("learn", *SMALL, "--out", out), out


def test_it_writes_its_files_and_nothing_else(learned):
    result, out = learned
    assert result.exit_code == 0, result.output
    assert {path.name for path in out.iterdir()} == FILES
    for picture in out.glob("*.png"):
        with Image.open(picture) as image:
            assert image.convert("L").getextrema()[0] < image.convert("L").getextrema()[1]


def test_it_shows_progress_and_says_why_it_stopped(learned):
    result, _ = learned
    assert "iteration     0   J " in result.stderr
    assert "gradient" in result.stderr
    assert "Stopped: max_iter iterations are done (iteration 5" in result.stderr
    assert "Not converged: increase --max-iter" in result.stderr


def test_metrics_are_those_of_the_saved_model(learned):
    _, out = learned
    metrics, model = json.loads((out / "metrics.json").read_text()), load(out / "model.safetensors")
    assert model.components_.shape == (9, 64)
    assert metrics["J"] == model.loss_ == pytest.approx(metrics["J_float64"], rel=1e-5)
    assert metrics["n_iter"] == 5
    assert metrics["stop_reason"] == "max_iter"
    assert metrics["J"] == pytest.approx(sum(metrics["terms"].values()))


def test_a_network_that_explains_nothing_is_named_with_what_to_change(run, tmp_path):
    """The filters look plausible, but all reconstructions are equal."""
    result = run("learn", "--n-patches", 500, "--n-components", 9, "--alpha", 1e-3, "--out", tmp_path)
    assert result.exit_code == 0, result.output
    model = load(tmp_path / "model.safetensors")
    assert model.stop_reason_ == "converged"
    assert "Warning: The network explains under 1 % of the variance of its inputs" in result.stderr
    assert "Lower alpha to 0.0001 and beta to 0.3; or stretch the contrast of the data" in result.stderr
    share = json.loads((tmp_path / "metrics.json").read_text())["explained_variance_ratio"]
    assert share == model.explained_variance_ratio_ < 0.01


@pytest.fixture(scope="module")
def colored(run, tmp_path_factory):
    """Run on an image whose channels differ only in strength."""
    folder = tmp_path_factory.mktemp("colored")
    gray = np.random.default_rng(0).uniform(size=(40, 40, 1))
    Image.fromarray(np.rint(255 * gray * [1.0, 0.5, 0.1]).astype(np.uint8)).save(folder / "picture.png")
    out = folder / "run"
    options = ("--color", "--no-whiten", "--patch-size", 4, "--n-patches", 200, "--n-components", 4, "--max-iter", 5)
    result = run("learn", folder / "picture.png", *options, "--out", out)
    assert result.exit_code == 0, result.output
    return out


def colors_of(path):
    with Image.open(path) as image:
        return np.ptp(np.asarray(image.convert("RGB")).astype(int), axis=2)


def test_pictures_are_learned_from_in_color_if_asked(colored):
    assert load(colored / "model.safetensors").n_features_in_ == 48
    assert json.loads((colored / "metrics.json").read_text())["data"]["color"] is True
    for name in ("filters.png", "patches.png", "reconstructions.png"):
        assert np.mean(colors_of(colored / name) > 0) > 0.3, name


def test_a_model_in_color_is_shown_and_reported_in_color(run, colored, tmp_path):
    shown = run("show", colored / "model.safetensors", "--image-shape", "4,4,3", "--save", tmp_path / "filters.png")
    assert shown.exit_code == 0, shown.output
    assert (tmp_path / "filters.png").read_bytes() == (colored / "filters.png").read_bytes()
    wrong = run("show", colored / "model.safetensors", "--image-shape", "8,8", "--save", tmp_path / "other.png")
    assert wrong.exit_code == 1
    assert "image_shape = (8, 8) does not fit rows of 48 features" in wrong.stderr
    result = run("report", colored, "-o", tmp_path / "page.html")
    assert result.exit_code == 0, result.output
    html = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "rows of this page differ" not in html
    assert "red, green and blue are brighter than gray" in html


def test_built_in_photographs_in_color_are_whitened(run, tmp_path):
    assert run("learn", "--color", *SMALL, "--out", tmp_path).exit_code == 0
    data = json.loads((tmp_path / "metrics.json").read_text())["data"]
    assert (data["n_images"], data["n_whitened"], data["border"], data["color"]) == (5, 5, 2, True)


def test_another_run_is_not_overwritten_unasked(learned, run):
    _, out = learned
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    result = run("learn", *SMALL, "--out", out)
    assert result.exit_code == 1
    assert "--overwrite" in result.stderr
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_overwrite_replaces_the_run_and_keeps_other_files(run, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    for seed in (0, 1):
        result = run("learn", *SMALL, "--random-state", seed, "--out", tmp_path, "--overwrite")
        assert result.exit_code == 0, result.output
    assert load(tmp_path / "model.safetensors").random_state == 1
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_the_same_seed_gives_the_same_model(learned, run, tmp_path):
    _, out = learned
    assert run("learn", *SMALL, "--out", tmp_path).exit_code == 0
    one, other = (load(folder / "model.safetensors") for folder in (out, tmp_path))
    assert np.array_equal(one.components_, other.components_)


def test_every_hyperparameter_reaches_the_model(run, tmp_path):
    options = {
        "n_components": 3,
        "rho": 0.2,
        "beta": 0.5,
        "alpha": 1e-3,
        "hidden_activation": "tanh",
        "output_activation": "identity",
        "max_iter": 2,
        "tol": 1e-3,
        "time_budget": 100.0,
        "chunk_size": 64,
        "dtype": "float64",
        "random_state": 7,
    }
    flags = [text for name, value in options.items() for text in (f"--{name.replace('_', '-')}", value)]
    result = run("learn", "--n-patches", 100, *flags, "--out", tmp_path, "--verbose", 0)
    assert result.exit_code == 0, result.output
    assert "iteration     " not in result.stderr
    parameters = load(tmp_path / "model.safetensors").get_params()
    assert {name: parameters[name] for name in options} == options


def test_warm_start_goes_on_from_a_model(learned, run, tmp_path):
    _, out = learned
    first = load(out / "model.safetensors")
    result = run("learn", *SMALL, "--warm-start", out / "model.safetensors", "--out", tmp_path)
    assert result.exit_code == 0, result.output
    second = load(tmp_path / "model.safetensors")
    assert second.loss_curve_[0] == first.loss_curve_[-1]
    assert second.loss_ < first.loss_


def test_warm_start_from_a_model_of_another_size_says_which(learned, run, tmp_path):
    _, out = learned
    result = run("learn", "--n-components", 4, "--warm-start", out / "model.safetensors", "--out", tmp_path / "run")
    assert result.exit_code == 1
    assert "--n-components 9" in result.stderr


def test_json_is_the_only_thing_on_standard_output(run_json, tmp_path):
    assert run_json("learn", *SMALL, "--out", tmp_path)["n_iter"] == 5


def test_raw_pictures_are_whitened_and_whitened_stacks_are_not(run, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, size=(40, 50), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "raw.png")
    np.save(tmp_path / "white.npy", np.random.default_rng(0).normal(size=(40, 50, 3)))
    raw = run("learn", tmp_path / "raw.png", *SMALL, "--out", tmp_path / "one")
    white = run("learn", tmp_path / "white.npy", *SMALL, "--out", tmp_path / "two")
    assert raw.exit_code == white.exit_code == 0
    assert "Whitening 1 of 1 images" in raw.stderr
    assert "Whitening 0 of 3 images" in white.stderr
    both = run("learn", tmp_path / "raw.png", tmp_path / "white.npy", *SMALL, "--out", tmp_path / "three")
    assert "Whitening 1 of 4 images" in both.stderr
    data = json.loads((tmp_path / "three" / "metrics.json").read_text())["data"]
    assert (data["n_images"], data["n_whitened"], data["border"]) == (4, 1, 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--rho", 1.5), "rho"),
        (("--beta", -1), "beta"),
        (("--hidden-activation", "relu"), "beta=0"),
        (("--patch-size", 1000), "--patch-size 1000 does not fit into built-in image 0 of"),
        (("missing.png",), "missing.png"),
        (("--whitening", "zca"), "--output-activation identity"),
        (("--rows", "--whitening", "zca"), "--whitening applies to images"),
        (("--n-patches", 10**12), "not enough memory"),
        (("--warm-start", "missing.safetensors"), "missing.safetensors"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing_behind(run, tmp_path, arguments, message):
    result = run("learn", *arguments, "--out", tmp_path / "run")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1].startswith("Error: ")
    assert message in result.stderr
    assert "Traceback" not in result.output
    assert not (tmp_path / "run").exists()


def test_out_may_not_be_a_file(run, tmp_path):
    (tmp_path / "file").write_text("mine")
    result = run("learn", *SMALL, "--out", tmp_path / "file")
    assert result.exit_code == 1
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.slow
def test_ctrl_c_keeps_the_model_so_far(tmp_path):
    out = tmp_path / "run"
    command = [sys.executable, "-m", "sparsam", "learn", "--tol", "0", "--max-iter", "1000000", "--out", str(out)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    for line in process.stderr:
        if line.startswith("iteration"):
            break
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    rest = process.communicate(timeout=120)[1]
    assert process.returncode == 130
    assert "Stopped: interrupted" in rest
    assert "Traceback" not in rest
    assert {path.name for path in out.iterdir()} == FILES
    assert load(out / "model.safetensors").stop_reason_ == "interrupted"


@pytest.mark.parametrize(
    ("folder", "message"),
    [
        ("used", "holds the checkpoint of another run: continue that run with --resume"),
        ("file", "is a file: name a folder"),
    ],
)
def test_a_checkpoint_folder_that_cannot_serve_is_refused_before_the_whitening(run, tmp_path, folder, message):
    pixels = np.random.default_rng(0).integers(0, 256, size=(40, 50), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "raw.png")
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "checkpoint-0000-00000001.safetensors").write_bytes(b"")
    (tmp_path / "file").write_bytes(b"")
    checkpoint = ("--checkpoint", tmp_path / folder)
    result = run("learn", tmp_path / "raw.png", *SMALL, *checkpoint, "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert message in result.stderr
    assert "Whitening" not in result.stderr
