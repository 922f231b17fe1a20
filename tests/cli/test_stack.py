"""Stacks of autoencoders: learned, shown, encoded and reported by the commands."""

import json

import numpy as np
import pytest

from sparsam import StackedAutoencoder, load

OPTIONS = ("--n-patches", 400, "--n-components", 9, "--rho", 0.1, "--beta", 0.1, "--max-iter", 20, "--stack", "6,4")


@pytest.fixture(scope="module")
def learned(run, tmp_path_factory):
    out = tmp_path_factory.mktemp("stack") / "run"
    result = run("learn", *OPTIONS, "--out", out)
    assert result.exit_code == 0, result.output
    return out


def test_a_stack_is_learned_with_the_options_of_one_autoencoder(learned):
    model = load(learned / "model.safetensors")
    assert isinstance(model, StackedAutoencoder)
    assert [part.n_components for part in model.autoencoders] == [9, 6, 4]
    assert {(part.rho, part.beta, part.output_activation) for part in model.autoencoders} == {(0.1, 0.1, "logistic")}
    parameters = json.loads((learned / "metrics.json").read_text())["parameters"]
    assert (parameters["max_iter"], parameters["random_state"], parameters["autoencoder3__n_components"]) == (20, 0, 4)
    assert (learned / "filters.png").stat().st_size > 0


def test_it_is_shown_encoded_and_reported(run, learned, tmp_path):
    shown = run("show", learned, "--json", "--save", tmp_path / "filters.png")
    assert shown.exit_code == 0, shown.output
    assert json.loads(shown.stdout)["autoencoder2__n_components"] == 6
    model = load(learned / "model.safetensors")
    rows = np.random.default_rng(0).normal(size=(5, 64))
    np.save(tmp_path / "rows.npy", rows)
    assert run("encode", learned, tmp_path / "rows.npy", "-o", tmp_path / "codes.npy").exit_code == 0
    scaled = load(learned / "scaler.safetensors").transform(rows)
    np.testing.assert_allclose(np.load(tmp_path / "codes.npy"), model.transform(scaled), rtol=1e-6)
    result = run("report", learned, "-o", tmp_path / "page.html")
    assert result.exit_code == 0, result.output
    page = (tmp_path / "page.html").read_text()
    assert "A stack of 3 autoencoders" in page
    assert "The rows of this page differ" not in page


def test_units_that_are_not_bounded_are_reconstructed_by_linear_outputs(run, tmp_path):
    options = ("--hidden-activation", "tanh", "--n-patches", 200, "--n-components", 5, "--max-iter", 3, "--stack", 3)
    assert run("learn", *options, "--out", tmp_path).exit_code == 0
    model = load(tmp_path / "model.safetensors")
    assert [part.output_activation for part in model.autoencoders] == ["logistic", "identity"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--stack", "a"), "--stack a: expected comma-separated integers, such as 50,20"),
        (("--stack", "0"), "autoencoder 2: n_components must be"),
        (("--stack", "5", "--warm-start", "model.safetensors"), "--warm-start starts a single autoencoder"),
    ],
)
def test_bad_stacks_are_refused(run, tmp_path, options, message):
    result = run("learn", *options, "--out", tmp_path / "run")
    assert result.exit_code == 1
    assert message in result.stderr


def test_a_single_autoencoder_does_not_start_from_a_stack(run, learned, tmp_path):
    start = ("--n-components", 9, "--warm-start", learned / "model.safetensors")
    result = run("learn", *start, "--n-patches", 100, "--out", tmp_path / "run")
    assert result.exit_code == 1
    assert "holds a stack of autoencoders" in result.stderr
