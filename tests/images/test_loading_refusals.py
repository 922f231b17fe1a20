"""Hostile files, and files without images, raise ValueError that names the file and the cause."""

import io
import os
import pickle
import re
import struct
import sys
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from sparsam.images import load_images, loading

PIXELS = np.random.default_rng(0).integers(0, 256, (24, 36, 3), dtype=np.uint8)


def refused(path, cause):
    """Expect a ValueError that names the file, and then the cause."""
    return pytest.raises(ValueError, match=rf"(?s){re.escape(str(path))}.*{cause}")


def encoded(image_format, **options):
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, image_format, **options)
    return buffer.getvalue()


def png_header(width, height):
    """Make a PNG that consists of a header only."""
    chunks = [
        b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0),
        b"IDAT" + zlib.compress(bytes(99)),
    ]
    framed = [struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


# Sizes ------------------------------------------------------------------------


def test_ten_gigapixels_are_refused_by_the_header(tmp_path):
    path = tmp_path / "bomb.png"
    path.write_bytes(png_header(100_000, 100_000))
    with refused(path, "10000000000 pixels.*[Ss]cale the picture down"):
        load_images(path)


@pytest.mark.parametrize("pillow_limit", [60_000_000, 89_478_485, None])
def test_more_than_max_pixels_are_refused_whatever_the_limit_of_pillow(tmp_path, monkeypatch, pillow_limit):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", pillow_limit)
    path = tmp_path / "bomb.png"
    path.write_bytes(png_header(10_001, 10_000))
    with refused(path, "100,?010,?000 pixels.*[Ss]cale the picture down"), warnings.catch_warnings():
        warnings.simplefilter("error")
        load_images(path)
    assert pillow_limit == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize("pillow_limit", [863, 431])
def test_what_pillow_warns_of_or_refuses_is_refused(tmp_path, monkeypatch, pillow_limit):
    """Beyond twice its limit Pillow raises an error, beyond the limit only a warning."""
    path = tmp_path / "image.png"
    path.write_bytes(encoded("PNG"))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", pillow_limit)
    with refused(path, "864 pixels.*Scale the picture down"):
        load_images(path)


def test_the_limit_itself_is_allowed(tmp_path, monkeypatch):
    path = tmp_path / "image.png"
    path.write_bytes(encoded("PNG"))
    monkeypatch.setattr(loading, "MAX_PIXELS", 24 * 36)
    assert len(load_images(path)) == 1
    monkeypatch.setattr(loading, "MAX_PIXELS", 24 * 36 - 1)
    with refused(path, r"864 pixels \(36 x 24\) are more than 863"):
        load_images(path)


def test_the_pages_of_a_tiff_count_together(tmp_path, monkeypatch):
    path = tmp_path / "pages.tif"
    path.write_bytes(encoded("TIFF", save_all=True, append_images=[Image.fromarray(PIXELS)] * 4))
    monkeypatch.setattr(loading, "MAX_PIXELS", 24 * 36 * 5)
    assert len(load_images(path)) == 5
    monkeypatch.setattr(loading, "MAX_PIXELS", 24 * 36 * 5 - 1)
    with refused(path, "on the first 5 pages"):
        load_images(path)


def test_a_mat_variable_counts_by_its_header(tmp_path, monkeypatch):
    path = tmp_path / "zeros.mat"
    savemat(path, {"IMAGES": np.zeros((100, 100, 5))}, do_compression=True)
    monkeypatch.setattr(loading, "MAX_PIXELS", 49_999)
    with refused(path, "IMAGES has 50,000 pixels.*more than 49,999.*npy"):
        load_images(path)


@pytest.mark.parametrize("shape", ["(1000000, 1000000)", "(3, 4, 10)", "(10**9, 2)", "(-1, 4)", "(2, 2"])
def test_an_npy_header_that_lies_is_refused(tmp_path, shape):
    path = tmp_path / "lie.npy"
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (117 - len(header)) + b"\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(8 * 12))
    with refused(path, "cannot be read"):
        load_images(path)


# Code and objects -------------------------------------------------------------


class Exploit:
    def __reduce__(self):
        return os.mkdir, (os.environ["SPARSAM_TEST_EXPLOIT"],)


@pytest.fixture
def exploited(tmp_path, monkeypatch):
    """Return the path of a folder that appears if a pickle is executed."""
    path = tmp_path / "exploited"
    monkeypatch.setenv("SPARSAM_TEST_EXPLOIT", str(path))
    return path


@pytest.mark.parametrize("make", ["pickle", "object array", "zip"])
def test_nothing_is_unpickled(tmp_path, exploited, make):
    path = tmp_path / "image.npy"
    objects = np.array([[Exploit()]], object)
    with path.open("wb") as file:
        if make == "pickle":
            pickle.dump(Exploit(), file)
        elif make == "zip":
            np.savez(file, objects)
        else:
            np.save(file, objects, allow_pickle=True)
    with refused(path, "object" if make == "object array" else "magic"):
        load_images(path)
    assert not exploited.exists()
    exploit = pickle.dumps(Exploit())
    pickle.loads(exploit)  # noqa: S301 - the exploit works, so the assertion above can fail
    assert exploited.exists()


@pytest.mark.parametrize(
    ("variables", "cause"),
    [
        ({"cells": np.array([[np.eye(3), "text"]], object)}, r"cells \(cell 1 x 2\)"),
        ({"record": {"IMAGES": np.eye(3)}}, r"record \(struct 1 x 1\)"),
        ({"text": "word"}, r"text \(char"),
        ({"scalar": 3.0, "vector": [1, 2, 3]}, "0 variables are images"),
        (
            {"a": np.eye(3), "b": np.ones((2, 5, 6))},
            r"2 variables .*a \(double 3 x 3\), b \(double 2 x 5 x 6\)",
        ),
        ({"IMAGES": np.ones((2, 2, 2, 2))}, r"IMAGES \(double 2 x 2 x 2 x 2\)"),
        ({"IMAGES": np.eye(3) * 1j}, "complex"),
        ({"IMAGES": np.array([[1.0, np.nan], [1.0, 2.0]])}, "NaN"),
        ({}, "holds: nothing"),
    ],
)
def test_mat_files_without_images_list_what_they_hold(tmp_path, variables, cause):
    path = tmp_path / "data.mat"
    savemat(path, variables)
    with refused(path, cause):
        load_images(path)


@pytest.mark.parametrize("signature_at", [128, 512])
def test_mat_of_version_7_3_without_h5py_says_how_to_read_it(tmp_path, monkeypatch, signature_at):
    path = tmp_path / "data.mat"
    header = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM"
    path.write_bytes(header.ljust(signature_at, b"\0") + b"\x89HDF\r\n\x1a\n" + bytes(64))
    monkeypatch.setitem(sys.modules, "h5py", None)
    with refused(path, r"pip install 'sparsam\[matlab\]'.*-v7"):
        load_images(path)


@pytest.mark.parametrize(
    "start", [b"# Created by Octave 8.4.0, Mon Jan 01\n# name: IMAGES\n# type: matrix\n", b"Octave-1-L\0\0"]
)
def test_octaves_own_formats_say_how_to_save_them(tmp_path, start):
    path = tmp_path / "data.mat"
    path.write_bytes(start + bytes(600))
    with refused(path, "Octave.*save -v7"):
        load_images(path)


@pytest.mark.parametrize(
    ("array", "cause"),
    [
        (np.zeros(7), r"\(7,\)"),
        (np.zeros((2, 3, 4, 5)), r"\(2, 3, 4, 5\)"),
        (np.zeros((0, 4)), "."),
        (np.zeros((2, 2), complex), "complex"),
        (np.array([["a", "b"]]), "<U1"),
        (np.zeros((2, 2), "f4, i4"), "f4"),
        (np.array([[0.0, np.inf]]), "NaN or infinity"),
        (np.ones((8, 9, 3)) * [1, 1, np.nan], "image 3 of 3 contains NaN"),
    ],
)
def test_npy_of_other_things_than_images(tmp_path, array, cause):
    path = tmp_path / "array.npy"
    np.save(path, array)
    with refused(path, cause):
        load_images(path)
