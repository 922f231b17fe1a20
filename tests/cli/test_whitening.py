"""Whitened patches: learned from, drawn, encoded and reported by the commands."""

import json
import re

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


@pytest.mark.parametrize("kind", ["mean", "max"])
def test_whole_images_are_encoded_and_pooled(run, learned, tmp_path, kind):
    rng = np.random.default_rng(0)
    sizes = [(8, 12), (7, 9), (8, 12)]
    (tmp_path / "pictures").mkdir()
    pictures = [rng.integers(0, 255, (*size, 3), dtype=np.uint8) for size in sizes]
    for k, picture in enumerate(pictures):
        Image.fromarray(picture).save(tmp_path / "pictures" / f"{k}.png")
    options = ("--pool", 2, "--pool-kind", kind)
    result = run("encode", learned, tmp_path / "pictures", *options, "-o", tmp_path / "features.csv")
    assert result.exit_code == 0, result.output
    assert "24 features of 3 images" in result.stderr
    table = pd.read_csv(tmp_path / "features.csv")
    assert [name[-5:] for name in table["image"]] == ["0.png", "1.png", "2.png"]
    encoder = make_pipeline(load(learned / "scaler.safetensors"), load(learned / "model.safetensors"))
    summary = np.mean if kind == "mean" else np.max
    for row, (picture, (height, width)) in enumerate(zip(pictures, sizes, strict=True)):
        windows = np.lib.stride_tricks.sliding_window_view(picture / 255, (4, 4), axis=(0, 1))
        patches = np.moveaxis(windows, 2, -1).reshape(-1, 48)
        codes = encoder.transform(patches).reshape(height - 3, width - 3, 6)
        middle, center = round((height - 3) / 2), round((width - 3) / 2)
        regions = [part for band in (codes[:middle], codes[middle:]) for part in (band[:, :center], band[:, center:])]
        expected = np.concatenate([summary(region, axis=(0, 1)) for region in regions])
        np.testing.assert_allclose(table.iloc[row, 1:].astype(float), expected, rtol=0, atol=1e-5)
    result = run("encode", learned, tmp_path / "pictures", *options, "-o", tmp_path / "features.npy")
    np.testing.assert_allclose(np.load(tmp_path / "features.npy"), table.iloc[:, 1:], rtol=1e-6)


def test_pooling_says_what_it_cannot_do(run, learned, tmp_path):
    picture = np.random.default_rng(0).integers(0, 255, (6, 9, 3), dtype=np.uint8)
    Image.fromarray(picture).save(tmp_path / "picture.png")
    np.save(tmp_path / "rows.npy", np.zeros((3, 48)))
    out = tmp_path / "features.csv"
    few = run("encode", learned, tmp_path / "picture.png", "--pool", 4, "-o", out)
    assert re.search(r"--pool 4: .*picture\.png has 3 x 6 positions of a patch", few.stderr)
    rows = run("encode", learned, tmp_path / "rows.npy", "--pool", 2, "-o", out)
    assert "--pool applies to images" in rows.stderr
    clipped = tmp_path / "clipped"
    assert run("learn", "--n-patches", 100, "--max-iter", 2, "--n-components", 3, "--out", clipped).exit_code == 0
    np.save(tmp_path / "images.npy", np.random.default_rng(0).random((2, 12, 12)))
    result = run("encode", clipped, tmp_path / "images.npy", "--pool", 2, "-o", out)
    assert "were clipped to three standard deviations" in result.stderr
    assert [few.exit_code, rows.exit_code, result.exit_code] == [1, 1, 1]
    assert not out.exists()
