"""``learn --rows``, and the scale of a run in ``encode``, ``show`` and ``report``."""

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from sparsam import load
from sparsam.images import load_images, normalize_patches, sample_patches, tile_patches, whiten
from sparsam.preprocessing import PatchNormalizer

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("without_factors")]

SMALL = ("--n-components", 4, "--max-iter", 20)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Write a table with very different units, a missing value and text; digits as an array; an image."""
    folder = tmp_path_factory.mktemp("rows")
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(120, 2))
    numbers = hidden @ rng.normal(size=(2, 5)) * [1, 10, 100, 1e-3, 1e6] + [0, 5, 1000, 0, -1e6]
    table = pd.DataFrame(numbers, columns=["age", "height", "weight", "dose", "debt"])
    table.insert(2, "name", [f"n{k}" for k in range(120)])
    table.loc[7, "weight"] = np.nan
    table.to_csv(folder / "table.csv", index=False)
    pixels = rng.integers(0, 256, size=(150, 16)).astype(np.uint8)
    np.save(folder / "pixels.npy", pixels)
    np.savetxt(folder / "pixels.csv", pixels, delimiter=",", fmt="%d")
    shades = np.cumsum(rng.normal(size=(40, 61)), axis=1)
    Image.fromarray((255 * (shades - shades.min()) / np.ptp(shades)).astype(np.uint8)).save(folder / "picture.png")
    return folder


@pytest.fixture(scope="module")
def of_table(run, folder):
    result = run("learn", folder / "table.csv", "--rows", *SMALL, "--out", folder / "of_table")
    return result, folder / "of_table"


@pytest.fixture(scope="module")
def of_picture(run, folder):
    options = ("--n-patches", 300, "--patch-size", 6)
    result = run("learn", folder / "picture.png", *options, *SMALL, "--out", folder / "of_picture")
    return result, folder / "of_picture"


def test_rows_of_a_table_are_scaled_column_by_column(of_table, folder):
    result, out = of_table
    assert result.exit_code == 0, result.output
    assert "  name: dropped; text" in result.stderr
    assert "Left out: 1 rows with missing or infinite values" in result.stderr
    assert "119 rows of 5 numbers; compiling" in result.stderr
    written = {path.name for path in out.iterdir()}
    assert written == {"filters.png", "cost.png", "model.safetensors", "scaler.safetensors", "metrics.json"}
    model, scaler = load(out / "model.safetensors"), load(out / "scaler.safetensors")
    assert model.feature_names_in_.tolist() == ["age", "height", "weight", "dose", "debt"]
    scaled = scaler.transform(pd.read_csv(folder / "table.csv")[model.feature_names_in_].dropna())
    np.testing.assert_allclose([scaled.min(), scaled.max()], [[0.1] * 5, [0.9] * 5])
    metrics = json.loads((out / "metrics.json").read_text())
    assert model.cost(scaled) == pytest.approx(metrics["J_float64"], rel=1e-12)
    assert metrics["data"]["n_rows"] == 119


def test_encode_scales_as_the_training_did(run, of_table, folder, tmp_path):
    _, out = of_table
    table = pd.read_csv(folder / "table.csv").dropna()
    few = table.iloc[:3][["debt", "name", "age", "height", "weight", "dose"]]
    few.to_csv(tmp_path / "few.csv", index=False)
    result = run("encode", out, tmp_path / "few.csv", "-o", tmp_path / "codes.csv")
    assert result.exit_code == 0, result.output
    model, scaler = load(out / "model.safetensors"), load(out / "scaler.safetensors")
    expected = model.transform(scaler.transform(table.iloc[:3][model.feature_names_in_]))
    np.testing.assert_allclose(pd.read_csv(tmp_path / "codes.csv"), expected, rtol=1e-6)
    assert "Warning" not in result.stderr


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dose": lambda table: 1000 * table.dose}, r"of the rows lie outside the range of the training data"),
        ({"dose": "much"}, "the column 'dose' is missing or does not hold numbers"),
        ({"dose": lambda table: table.dose.where(table.index != 1)}, "the column 'dose' has no value in row 1"),
    ],
)
def test_rows_that_do_not_fit_are_named(run, of_table, folder, tmp_path, change, message):
    table = pd.read_csv(folder / "table.csv").dropna().reset_index(drop=True)
    table.assign(**change).to_csv(tmp_path / "odd.csv", index=False)
    result = run("encode", of_table[1], tmp_path / "odd.csv", "-o", tmp_path / "codes.npy")
    assert message in result.stderr
    assert result.exit_code == (0 if "range" in message else 1)


def test_a_table_without_a_header_loses_no_row(run, folder, tmp_path):
    """The same holds for an array: each row has a row of codes."""
    for name in ("pixels.csv", "pixels.npy"):
        out = tmp_path / name
        shape = ("--image-shape", "4,4") if name == "pixels.npy" else ()
        assert run("learn", folder / name, "--rows", *shape, *SMALL, "--out", out).exit_code == 0
        assert (out / "patches.png").exists() == bool(shape)
        result = run("encode", out, folder / name, "-o", tmp_path / f"{name}.codes.npy")
        assert result.exit_code == 0, result.output
    codes = [np.load(tmp_path / f"{name}.codes.npy") for name in ("pixels.csv", "pixels.npy")]
    assert codes[0].shape == (150, 4)
    np.testing.assert_allclose(*codes, atol=1e-6)


def test_what_an_array_was_taken_for_is_said(run, folder, tmp_path):
    result = run("learn", folder / "pixels.npy", "--n-patches", 50, *SMALL, "--out", tmp_path)
    assert "1 image of 150 x 16 pixels; if its rows are samples, use --rows" in result.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--rows", "--patch-size", 4), "--patch-size applies to images, not to --rows"),
        (("--sep", ";"), "--sep applies to rows: add --rows"),
        (("--rows", "--image-shape", "3,3"), "--image-shape 3,3 does not fit rows of 16 numbers"),
        (("--patch-size", 15), "--patch-size 15 does not fit into"),
        (("--n-patches", 0), "--n-patches"),
    ],
)
def test_options_that_do_not_fit_are_refused_before_the_whitening(run, folder, tmp_path, options, message):
    result = run("learn", folder / "pixels.npy", *options, "--out", tmp_path / "out")
    assert result.exit_code != 0
    assert message in result.stderr
    assert "Whitening" not in result.stderr
    assert not (tmp_path / "out").exists()


def test_columns_are_ignored_by_name_and_by_the_report_too(run, folder, tmp_path):
    options = ("--rows", "--ignore", "debt", "--ignore", "dose", *SMALL, "--out", tmp_path / "run")
    assert run("learn", folder / "table.csv", *options).exit_code == 0
    assert load(tmp_path / "run" / "model.safetensors").feature_names_in_.tolist() == ["age", "height", "weight"]
    pd.read_csv(folder / "table.csv").dropna().to_csv(tmp_path / "whole.csv", index=False)
    assert run("encode", tmp_path / "run", tmp_path / "whole.csv", "-o", tmp_path / "codes.csv").exit_code == 0
    assert len(pd.read_csv(tmp_path / "codes.csv")) == 119
    result = run("report", tmp_path / "run")
    assert result.exit_code == 0, result.output
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "The rows of this page differ" not in page
    for names, message in (("nobody", "no column 'nobody'"), ("debt", "--ignore applies to rows: add --rows")):
        options = ("--ignore", names, "--out", tmp_path / "other", *(["--rows"] if names == "nobody" else []))
        result = run("learn", folder / "table.csv", *options)
        assert result.exit_code == 1
        assert message in result.stderr
    result = run("learn", folder / "pixels.npy", "--rows", "--ignore", "a", "--out", tmp_path / "other")
    assert "--ignore names columns of a table" in result.stderr


def test_columns_without_names_are_ignored_by_number_in_encode_too(run, folder, tmp_path):
    options = ("--rows", "--ignore", "0", "--ignore", "15", *SMALL, "--out", tmp_path / "run")
    assert run("learn", folder / "pixels.csv", *options).exit_code == 0
    result = run("encode", tmp_path / "run", folder / "pixels.csv", "-o", tmp_path / "codes.npy")
    assert result.exit_code == 0, result.output
    scaled = load(tmp_path / "run" / "scaler.safetensors").transform(np.load(folder / "pixels.npy")[:, 1:15])
    expected = load(tmp_path / "run" / "model.safetensors").transform(scaled)
    np.testing.assert_allclose(np.load(tmp_path / "codes.npy"), expected, atol=1e-5)


def test_a_table_without_rows_is_named_as_such(run, of_table, folder, tmp_path):
    for command in ("learn", "sweep"):
        result = run(command, folder / "table.csv", "--out", tmp_path / "out")
        assert result.exit_code == 1
        assert "table.csv is a table, not an image: add --rows" in result.stderr
    result = run("predict", of_table[1], folder / "table.csv", "-o", tmp_path / "p.csv")
    assert "is an autoencoder of `sparsam learn`: use `sparsam encode " in result.stderr.replace("\n", " ")


def test_the_width_of_rows_is_checked_before_their_values(run, of_picture, folder, tmp_path):
    result = run("encode", of_picture[1], folder / "table.csv", "-o", tmp_path / "codes.csv")
    assert result.exit_code == 1
    assert "table.csv: rows have 5 numbers, but the model takes 36" in result.stderr


def test_rows_are_one_file(run, folder, tmp_path):
    for paths in ([], [folder / "pixels.npy", folder / "pixels.csv"]):
        result = run("learn", *paths, "--rows", "--out", tmp_path / "out")
        assert f"--rows needs one table or array, got {len(paths)}" in result.stderr


def test_pictures_are_encoded_patch_by_patch(run, of_picture, folder, tmp_path):
    result, out = of_picture
    assert result.exit_code == 0, result.output
    result = run("encode", out, folder / "picture.png", "-o", tmp_path / "codes.csv")
    assert result.exit_code == 0, result.output
    codes = pd.read_csv(tmp_path / "codes.csv")
    white = whiten(load_images(folder / "picture.png"))[0]
    patches, positions = tile_patches(white, 6, border=2)
    assert codes[["row", "column"]].to_numpy().tolist() == positions.tolist()
    assert codes.image.str.endswith("picture.png").all()
    training = sample_patches([white], 300, 6, 0, border=2)
    scaled = PatchNormalizer().fit(training).transform(patches)
    expected = load(out / "model.safetensors").transform(scaled)
    np.testing.assert_allclose(codes.filter(like="sparseautoencoder"), expected, rtol=1e-5)


def test_patches_of_a_run_are_encoded_in_the_units_of_its_pictures(run, of_picture, folder, tmp_path):
    """The result does not depend on the other patches; --no-scale takes patches that are scaled already."""
    out = of_picture[1]
    white = whiten(load_images(folder / "picture.png"))[0]
    patches = sample_patches([white], 300, 6, 0, border=2)
    model = load(out / "model.safetensors")
    expected = model.transform(normalize_patches(patches))[:50]
    for rows, options in ((patches[:50], ()), (normalize_patches(patches)[:50], ("--no-scale",))):
        np.save(tmp_path / "rows.npy", rows)
        result = run("encode", out, tmp_path / "rows.npy", *options, "-o", tmp_path / "codes.npy", "--overwrite")
        assert result.exit_code == 0, result.output
        np.testing.assert_array_equal(np.load(tmp_path / "codes.npy"), expected)
    np.save(tmp_path / "rows.npy", 100 * patches)
    result = run("encode", out, tmp_path / "rows.npy", "-o", tmp_path / "codes.npy", "--overwrite")
    assert "of the patches reach far beyond the range of those in the fit" in result.stderr


def test_a_model_of_rows_encodes_no_pictures(run, of_table, folder, tmp_path):
    result = run("encode", of_table[1], folder / "picture.png", "-o", tmp_path / "codes.npy")
    assert result.exit_code == 1
    assert "the model cannot encode images, since it was trained on rows: use rows of 5 numbers" in result.stderr


@pytest.mark.parametrize("name", ["", "model.safetensors"])
@pytest.mark.parametrize("of", ["of_table", "of_picture"])
def test_show_and_report_take_a_run_or_its_model(run, request, of, name, tmp_path):
    out = request.getfixturevalue(of)[1]
    result = run("show", out / name, *(("--save", tmp_path / "f.png") if of == "of_picture" else ()))
    assert result.exit_code == 0, result.output
    assert "Scaler" in result.stdout or "PatchNormalizer" in result.stdout
    result = run("report", out / name, "-o", tmp_path / "page.html")
    assert result.exit_code == 0, result.output
    page = (tmp_path / "page.html").read_text()
    assert "differ from those of the training" not in page
    assert ("weight" in page and "height" in page) == (of == "of_table") or of == "of_picture"


def test_a_run_of_rows_is_reported_from_where_they_have_moved(run, of_table, folder, tmp_path):
    (folder / "table.csv").rename(tmp_path / "moved.csv")
    try:
        result = run("report", of_table[1], "-o", tmp_path / "page.html")
        assert "If they have moved, name them with --data" in result.stderr
        result = run("report", of_table[1], "--data", tmp_path / "moved.csv", "-o", tmp_path / "page.html")
        assert result.exit_code == 0, result.output
    finally:
        (tmp_path / "moved.csv").rename(folder / "table.csv")


def test_show_refuses_a_folder_without_an_autoencoder(run, tmp_path):
    assert f"the folder {tmp_path} holds no model.safetensors" in run("show", tmp_path).stderr.replace("\n", "")
    (tmp_path / "model.skops").write_bytes(b"")
    assert "holds a run of another command, for tables" in run("show", tmp_path).stderr
