"""Folders with subfolders, with damaged files, with results of an earlier run; and names in messages."""

import json
import os
import re
import warnings

import numpy as np
import pytest
from PIL import Image

from sparsam.images import load_images, sample_patches, whiten
from sparsam.images.folders import RUN_PICTURES, find_images

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 10), dtype=np.uint8)


def save(path, pixels=PIXELS):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def test_subfolders_are_walked_in_the_order_of_names(tmp_path):
    names = ["a.png", "b/a.png", "b/c/a.tif", "b/d.bmp", "c.gif"]
    for value, name in enumerate(names):
        save(tmp_path / name, np.full((3, 4), value, np.uint8))
    save(tmp_path / ".hidden" / "a.png")
    save(tmp_path / "b" / ".hidden.png")
    assert [image[0, 0] * 255 for image in load_images(tmp_path)] == list(range(5))


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="needs links")
def test_links_to_folders_are_followed_once(tmp_path):
    folder, elsewhere = tmp_path / "folder", tmp_path / "elsewhere"
    save(folder / "a.png")
    save(elsewhere / "b.png")
    (folder / "up").symlink_to(folder)
    (folder / "out").symlink_to(elsewhere)
    (elsewhere / "back").symlink_to(folder)
    assert len(load_images(folder)) == 2


@pytest.mark.parametrize("how", ["text", "truncated", "NaN", "dangling", "pipe", "signed"])
def test_files_of_a_folder_that_cannot_be_read_are_skipped_by_name(tmp_path, how):
    folder = tmp_path / "folder"
    save(folder / "good.png")
    bad = folder / "deep" / {"NaN": "bad.npy", "signed": "bad.tif"}.get(how, "bad.png")
    save(bad.with_suffix(".png"))
    if bad.suffix != ".png":
        bad.with_suffix(".png").unlink()
    match how:
        case "text":
            bad.write_text("no picture")
        case "truncated":
            bad.write_bytes(bad.read_bytes()[:60])
        case "NaN":
            np.save(bad, [[1.0, np.nan]])
        case "dangling":
            bad.unlink()
            bad.symlink_to(tmp_path / "gone.png")
        case "pipe":
            bad.unlink()
            os.mkfifo(bad)
        case "signed":
            from tifffile import imwrite

            imwrite(bad, PIXELS.astype(np.int8))
    with pytest.warns(UserWarning, match=rf"skipped {re.escape(str(bad))}: cannot be read: ..") as caught:
        images = load_images(folder)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    np.testing.assert_array_equal(images, [PIXELS / 255])
    if how != "dangling":
        with pytest.raises(ValueError, match=re.escape(str(bad))):
            load_images([folder / "good.png", bad])
    else:
        with pytest.raises(FileNotFoundError, match=re.escape(str(bad))):
            load_images(bad)


def test_a_folder_in_which_nothing_can_be_read_is_an_error(tmp_path):
    good, bad = save(tmp_path / "good" / "a.png"), tmp_path / "bad" / "b.png"
    bad.parent.mkdir()
    bad.write_text("no picture")
    for paths in ([bad.parent], [good.parent, bad.parent]):
        cause = rf"{re.escape(str(bad.parent))}: none of the images"
        with pytest.warns(UserWarning, match=r"b\.png"), pytest.raises(ValueError, match=cause):
            load_images(paths)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may read everything")
def test_a_folder_that_may_not_be_listed_is_skipped_by_name(tmp_path):
    save(tmp_path / "a.png")
    save(tmp_path / "locked" / "b.png")
    (tmp_path / "locked").chmod(0)
    try:
        with pytest.warns(UserWarning, match="locked: skipped"):
            assert len(load_images(tmp_path)) == 1
    finally:
        (tmp_path / "locked").chmod(0o700)


def test_no_depth_of_folders_is_too_deep(tmp_path):
    deepest = tmp_path.joinpath(*["d"] * 1500)
    nested = [deepest, *deepest.parents][:1500]
    for folder in reversed(nested):
        folder.mkdir()
    save(nested[-1] / "a.png")
    try:
        assert len(load_images(tmp_path)) == 1
    finally:  # otherwise pytest cannot remove it
        (nested[-1] / "a.png").unlink()
        for folder in nested:
            folder.rmdir()


# Our own results --------------------------------------------------------------


@pytest.mark.parametrize(
    "files", [["metrics.json", "model.safetensors"], ["metrics.json", "model.skops"], ["study.json"]]
)
@pytest.mark.parametrize("place", ["", "out"])
def test_pictures_of_a_run_are_left_out_aloud(tmp_path, files, place):
    save(tmp_path / "photo.png")
    run = tmp_path / place
    save(run / "mine.png")
    for name in ("filters.png", "cost.png"):
        save(run / name)
    assert len(load_images(tmp_path)) == 4
    for name in files:
        (run / name).write_text("{}")
    with pytest.warns(UserWarning, match=rf"{re.escape(str(run))}: left out cost\.png, filters\.png") as caught:
        assert len(load_images(tmp_path)) == 2
    assert len(caught) == 1
    assert len(load_images(run / "cost.png")) == 1  # named by the user


def test_a_folder_of_a_run_alone_says_how_to_read_it(tmp_path):
    for name in RUN_PICTURES:
        save(tmp_path / name)
    (tmp_path / "study.json").write_text("{}")
    with pytest.warns(UserWarning, match="left out"), pytest.raises(ValueError, match="name these files themselves"):
        load_images(tmp_path)


def test_every_picture_that_commands_write_is_known():
    from sparsam.cli import classify, learn, regress, sweep

    written = {*learn.FILES, *regress.PICTURES, classify.PROFILE, classify.COST, *sweep.PAGES}
    assert {name for name in written if name.endswith("png")} == RUN_PICTURES


@pytest.mark.slow
def test_the_next_run_does_not_learn_from_the_last_one(run, tmp_path):
    save(tmp_path / "photo.png", np.random.default_rng(0).integers(0, 256, (40, 50), dtype=np.uint8))
    small = ("--n-patches", 100, "--n-components", 4, "--max-iter", 2)
    for out in ("one", "two"):
        result = run("learn", tmp_path, *small, "--out", tmp_path / out)
        assert result.exit_code == 0, result.output
        assert ("left out" in result.stderr) == (out == "two")
        data = json.loads((tmp_path / out / "metrics.json").read_text())["data"]
        assert data["n_images"] == 1
    assert f"{tmp_path / 'one'}: left out cost.png, filters.png" in result.stderr


# Names in messages ------------------------------------------------------------


def test_images_by_name_are_blamed_by_name():
    images = {"a.png": PIXELS / 255, "b.png": PIXELS[:3] / 255, "c.png": np.ones((12, 10))}
    with pytest.raises(ValueError, match=r"does not fit into b\.png of 3 x 10"):
        sample_patches(images, patch_size=8)
    with pytest.raises(ValueError, match=r"c\.png is constant"):
        whiten(images)
    with pytest.raises(ValueError, match=r"mixed: a\.png .* d\.png"):
        sample_patches({"a.png": PIXELS, "d.png": np.ones((12, 10, 3))}, patch_size=2)
    del images["c.png"]
    for whitened, image in zip(whiten(images), images.values(), strict=True):
        np.testing.assert_array_equal(whitened, whiten([image])[0])
    listed = sample_patches(list(images.values()), 20, 3, random_state=0)
    np.testing.assert_array_equal(sample_patches(images, 20, 3, random_state=0), listed)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("bad", "message"), [(PIXELS[:5], "does not fit into {}"), (np.full((12, 10), 7, np.uint8), "{} is constant")]
)
def test_commands_name_the_file(run, tmp_path, bad, message):
    save(tmp_path / "a.png")
    np.save(tmp_path / "c.npy", np.stack([PIXELS, PIXELS[::-1]]))
    path = save(tmp_path / "b.png", bad)
    result = run("learn", tmp_path, "--n-patches", 10, "--max-iter", 1, "--border", 0, "--out", tmp_path / "run")
    assert result.exit_code == 1
    assert message.format(path) in result.stderr
    assert "images[" not in result.stderr


@pytest.mark.slow
def test_commands_name_the_image_of_a_file_of_several(run, tmp_path):
    np.save(tmp_path / "stack.npy", [PIXELS, np.full((12, 10), 7)])
    result = run("learn", tmp_path / "stack.npy", "--n-patches", 10, "--border", 0, "--out", tmp_path / "run")
    assert f"{tmp_path / 'stack.npy'} (image 2 of 2) is constant" in result.stderr


def test_a_file_that_is_named_twice_is_read_twice(tmp_path):
    path = save(tmp_path / "a.png")
    assert len(load_images([path, path, tmp_path])) == 3


def test_finding_warns_of_nothing_that_is_no_image(tmp_path):
    save(tmp_path / "a.png")
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "metrics.json").write_text("{}")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert find_images(tmp_path, warnings.warn) == [tmp_path / "a.png"]
