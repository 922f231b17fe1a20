"""Damaged files and odd paths raise only FileNotFoundError and ValueError, which name the file and the cause."""

import contextlib
import io
import os
import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.io import savemat

from sparsam.images import load_images

pytestmark = pytest.mark.slow

PIXELS = np.random.default_rng(0).integers(0, 256, (24, 36, 3), dtype=np.uint8)


def refused(path, cause):
    """Expect a ValueError that names the file, and then the cause."""
    return pytest.raises(ValueError, match=rf"(?s){re.escape(str(path))}.*{cause}")


def encoded(image_format, **options):
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, image_format, **options)
    return buffer.getvalue()


# Damage -----------------------------------------------------------------------


@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "TIFF", "GIF", "BMP", "WEBP"])
@pytest.mark.parametrize("kept", [0.05, 0.5, 0.9])
@pytest.mark.filterwarnings("error")
def test_truncated_pictures(tmp_path, image_format, kept):
    path = tmp_path / f"image.{image_format.lower()}"
    content = encoded(image_format)
    path.write_bytes(content[: int(kept * len(content))])
    with refused(path, "cannot be read: .+"):
        load_images(path)


@pytest.mark.parametrize("name", ["image.png", "image.jpg", "image.tif", "image.npy", "image.mat", "image", "i.txt"])
@pytest.mark.parametrize("content", [b"", b"This is text, whatever its name says.\n" * 9])
def test_files_of_another_kind(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    with refused(path, "cannot be read: .+"):
        load_images(path)


@pytest.mark.parametrize("image_format", ["PPM", "TGA", "PDF", "ICO"])
def test_other_formats_are_refused_by_their_content(tmp_path, image_format):
    path = tmp_path / "image.png"
    path.write_bytes(encoded(image_format))
    with refused(path, "not a PNG, JPEG, TIFF, GIF, BMP or WebP"):
        load_images(path)


def test_the_suffix_does_not_matter_to_pictures(tmp_path):
    for name in ("image.jpg", "image"):
        (tmp_path / name).write_bytes(encoded("PNG"))
        np.testing.assert_array_equal(load_images(tmp_path / name, as_gray=False), [PIXELS / 255])


@pytest.mark.parametrize("dtype", [np.int32, np.int16])
def test_integers_without_a_fixed_white_are_refused(tmp_path, dtype):
    path = tmp_path / "image.tif"
    pixels = np.arange(12, dtype=dtype).reshape(3, 4)
    Image.fromarray(pixels.astype(np.int32)).save(path)
    if dtype == np.int16:
        from tifffile import imwrite

        imwrite(path, pixels)
    with refused(path, "white"):
        load_images(path)


def test_a_float_picture_with_nan_is_refused(tmp_path):
    path = tmp_path / "image.tif"
    Image.fromarray(np.array([[0.0, np.nan]], np.float32)).save(path)
    with refused(path, "NaN"):
        load_images(path)


SEEDS = {
    "image.png": encoded("PNG"),
    "image.jpg": encoded("JPEG"),
    "image.tif": encoded("TIFF", compression="tiff_lzw"),
}


def array_bytes(name):
    buffer = io.BytesIO()
    if name.endswith("npy"):
        np.save(buffer, PIXELS[:, :, 0])
    else:
        savemat(buffer, {"IMAGES": PIXELS[:8, :9, 0], "cells": np.array([[1, "a"]], object)})
    return buffer.getvalue()


SEEDS |= {name: array_bytes(name) for name in ("image.npy", "image.mat")}


@pytest.mark.filterwarnings("ignore")  # decoders warn of damage before they give up
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(sorted(SEEDS)), data=st.data())
def test_any_damage_gives_finite_images_or_a_value_error(tmp_path, name, data):
    content = bytearray(SEEDS[name])
    # Put most of the damage into the headers, where it has most effect.
    place = st.one_of(st.integers(0, min(300, len(content) - 1)), st.integers(0, len(content) - 1))
    for position, byte in data.draw(st.lists(st.tuples(place, st.integers(0, 255)), min_size=1, max_size=6)):
        content[position] = byte
    path = tmp_path / name
    path.write_bytes(content[: data.draw(st.one_of(st.just(len(content)), place))])
    with contextlib.suppress(ValueError):
        images = load_images(path)
        assert all(np.isfinite(image).all() and image.ndim == 2 for image in images)


def test_warnings_of_a_decoder_name_the_file(tmp_path):
    """The image is read all the same, since only the description of the camera is damaged."""
    exif = Image.Exif()
    exif[271] = "A maker of cameras"
    path = tmp_path / "image.jpg"
    content = bytearray(encoded("JPEG", exif=exif))
    place = content.index(b"Exif\0\0MM\0*") + 6 + 8 + 2 + 4  # the number of letters
    content[place : place + 4] = b"\0\0\xff\xff"
    path.write_bytes(content)
    with pytest.warns(UserWarning, match=re.escape(f"{path}: ")):
        assert len(load_images(path)) == 1


# Paths ------------------------------------------------------------------------


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=re.escape(str(tmp_path / "missing.png"))):
        load_images([tmp_path / "missing.png"])


def test_a_folder_without_images_and_no_paths_at_all_are_errors(tmp_path):
    (tmp_path / "readme.txt").write_text("nothing here")
    with refused(tmp_path, "no images in this folder.*png"):
        load_images(tmp_path)
    with pytest.raises(ValueError, match="paths is empty"):
        load_images([])


def test_odd_paths(tmp_path):
    with pytest.raises((FileNotFoundError, ValueError), match=r"x{5000}"):
        load_images("x" * 5000)
    with pytest.raises((FileNotFoundError, ValueError), match=r"a.b"):
        load_images("a\0b")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.png")
        with refused(tmp_path / "pipe.png", "neither a file nor a folder"):
            load_images(tmp_path / "pipe.png")
