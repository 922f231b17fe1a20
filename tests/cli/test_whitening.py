"""Whitened patches: learned from, drawn, encoded and reported by the commands."""

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.pipeline import make_pipeline

from sparsam import FilterDisplay, load
from sparsam.images import natural_photographs, sample_patches
from sparsam.preprocessing import Whitening
from sparsam.reports.embedded_images import filter_picture

OPTIONS = ("--output-activation", "identity", "--n-patches", 1500, "--n-components", 6, "--patch-size", 4)


@pytest.fixture(scope="module", params=["zca", "pca"])
def learned(run, tmp_path_factory, request):
    out = tmp_path_factory.mktemp("whitened") / "run"
    options = ("--color", "--whitening", request.param, "--rho", 0.05, "--max-iter", 10)
    result = run("learn", *OPTIONS, *options, "--out", out)
    assert result.exit_code == 0, result.output
    return out


def test_patches_of_the_built_in_color_photographs_are_whitened(learned):
    model, scaler = load(learned / "model.safetensors"), load(learned / "scaler.safetensors")
    patches = sample_patches(natural_photographs(color=True), 1500, 4, 0)
    own = Whitening(scaler.kind).fit(patches)
    np.testing.assert_allclose(scaler.whitening_, own.whitening_, rtol=1e-10)
    assert model.n_features_in_ == len(own.get_feature_names_out())
    data = json.loads((learned / "metrics.json").read_text())["data"]
    assert data["images"] == "built in"
    assert (data["color"], data["border"], data["n_whitened"], data["image_shape"]) == (True, 0, 0, [4, 4, 3])


def test_filters_are_drawn_as_those_of_the_pixels(run, learned, tmp_path):
    model, scaler = load(learned / "model.safetensors"), load(learned / "scaler.safetensors")
    FilterDisplay.from_estimator(make_pipeline(scaler, model), image_shape=(4, 4, 3)).figure_.clf()
    with Image.open(learned / "filters.png") as image:
        assert np.ptp(np.asarray(image.convert("RGB")).astype(int), axis=2).max() > 30  # in color
    shown = run("show", learned, "--save", tmp_path / "filters.png")
    assert shown.exit_code == 0, shown.output
    assert (tmp_path / "filters.png").read_bytes() == (learned / "filters.png").read_bytes()


def test_images_and_rows_are_encoded_as_in_training(run, learned, tmp_path):
    picture = np.random.default_rng(0).integers(0, 255, (8, 12, 3), dtype=np.uint8)
    Image.fromarray(picture).save(tmp_path / "picture.png")
    result = run("encode", learned, tmp_path / "picture.png", "-o", tmp_path / "codes.csv")
    assert result.exit_code == 0, result.output
    codes = pd.read_csv(tmp_path / "codes.csv")
    model, scaler = load(learned / "model.safetensors"), load(learned / "scaler.safetensors")
    patch = picture[4:8, 8:12].reshape(1, -1) / 255
    np.testing.assert_allclose(codes.iloc[-1, 3:].astype(float), model.transform(scaler.transform(patch))[0], rtol=1e-4)
    np.save(tmp_path / "rows.npy", patch)
    assert run("encode", learned, tmp_path / "rows.npy", "-o", tmp_path / "codes.npy").exit_code == 0
    np.testing.assert_allclose(np.load(tmp_path / "codes.npy")[0], codes.iloc[-1, 3:].astype(float), rtol=1e-4)


def test_a_report_shows_pictures_of_pixels(run, learned, tmp_path):
    result = run("report", learned, "-o", tmp_path / "page.html")
    assert result.exit_code == 0, result.output
    page = (tmp_path / "page.html").read_text()
    assert "The rows of this page differ" not in page
    model, scaler = load(learned / "model.safetensors"), load(learned / "scaler.safetensors")
    filters = scaler.input_filters(model.components_.astype(float))
    assert all(filter_picture(weights, (4, 4, 3)) in page for weights in filters)


def test_built_in_photographs_can_be_taken_as_they_are(run, tmp_path):
    options = ("--no-whiten", "--n-patches", 300, "--n-components", 4, "--max-iter", 2)
    assert run("learn", *options, "--out", tmp_path).exit_code == 0
    data = json.loads((tmp_path / "metrics.json").read_text())["data"]
    assert (data["n_images"], data["n_whitened"], data["whiten"], data["color"]) == (9, 0, False, False)
