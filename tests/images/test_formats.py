"""GIF, BMP, WebP, idx, npz, cell arrays and MATLAB 7.3 are read correctly, or the message says what to do."""

import gzip
import re
import struct
import zipfile

import numpy as np
import pytest
from PIL import Image, features
from scipy.io import savemat

from sparsam.images import load_images

RNG = np.random.default_rng(0)
GRAY = RNG.integers(0, 256, (6, 9), dtype=np.uint8)
COLOR = RNG.integers(0, 256, (6, 9, 3), dtype=np.uint8)
LUMINANCE = np.array([0.2125, 0.7154, 0.0721])


def refused(path, cause):
    return pytest.raises(ValueError, match=rf"(?s){re.escape(str(path))}: cannot be read: .*{cause}")


# Pictures ---------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["gif", "bmp", "webp"])
@pytest.mark.parametrize("pixels", [GRAY, COLOR])
def test_pictures_without_loss(tmp_path, suffix, pixels):
    if suffix == "webp" and not features.check("webp"):
        pytest.skip("this Pillow reads no WebP")
    image = Image.fromarray(pixels)
    if suffix == "gif" and pixels.ndim == 3:
        image = image.quantize(64, dither=Image.Dither.NONE)
    image.save(tmp_path / f"image.{suffix}", **({"lossless": True} if suffix == "webp" else {}))
    expected = np.asarray(image.convert("RGB")) / 255
    (read,) = load_images(tmp_path / f"image.{suffix}", as_gray=False)
    np.testing.assert_array_equal(read, expected)
    (gray,) = load_images(tmp_path / f"image.{suffix}")
    np.testing.assert_allclose(gray, expected @ LUMINANCE, atol=1e-12)


def test_of_an_animation_the_first_picture_is_taken(tmp_path):
    frames = [Image.fromarray(GRAY), Image.fromarray(255 - GRAY)]
    for suffix in ("gif", *(["webp"] if features.check("webp") else [])):
        frames[0].save(tmp_path / f"a.{suffix}", save_all=True, append_images=frames[1:], lossless=True)
        np.testing.assert_allclose(load_images(tmp_path / f"a.{suffix}"), [GRAY / 255], atol=1e-12)


def test_a_transparent_shade_of_16_bits_is_white(tmp_path):
    deep = RNG.integers(0, 65536, (6, 9), dtype=np.uint16)
    Image.fromarray(deep).save(tmp_path / "a.png", transparency=int(deep[2, 3]))
    np.testing.assert_array_equal(load_images(tmp_path / "a.png"), [np.where(deep == deep[2, 3], 1, deep / 65535)])


def test_color_png_of_16_bits_is_read_to_a_step_of_8(tmp_path):
    """Pillow cannot write such a PNG, so it is made by hand."""
    import zlib

    deep = RNG.integers(0, 65536, (6, 9, 3), dtype=np.uint16)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in deep)
    chunks = [b"IHDR" + struct.pack(">IIBBBBB", 9, 6, 16, 2, 0, 0, 0), b"IDAT" + zlib.compress(rows), b"IEND"]
    framed = [struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in chunks]
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(framed))
    np.testing.assert_allclose(load_images(tmp_path / "a.png", as_gray=False), [deep / 65535], atol=1 / 255)


# Stacks of four dimensions ----------------------------------------------------


@pytest.mark.parametrize("kind", ["npy", "npz", "mat", "idx4-ubyte"])
@pytest.mark.parametrize("layout", ["n first", "n last"])
@pytest.mark.parametrize("channels", [1, 3])
def test_color_stacks(tmp_path, kind, layout, channels):
    stack = RNG.integers(0, 256, (5, 6, 9, channels), dtype=np.uint8)
    array = stack if layout == "n first" else np.moveaxis(stack, 0, 3)
    path = tmp_path / f"stack.{kind}"
    write = {"npy": np.save, "npz": lambda p, a: np.savez(p, a), "mat": lambda p, a: savemat(p, {"X": a})}
    write.get(kind, save_idx)(path, array)
    gray = stack[..., 0] if channels == 1 else stack @ LUMINANCE
    np.testing.assert_allclose(load_images(path), gray, rtol=1e-12)
    np.testing.assert_array_equal(load_images(path, as_gray=False), stack[..., 0] if channels == 1 else stack)


# idx --------------------------------------------------------------------------


IDX = {"uint8": 0x08, "int8": 0x09, ">i2": 0x0B, ">i4": 0x0C, ">f4": 0x0D, ">f8": 0x0E}


def save_idx(path, array):
    code = next(code for dtype, code in IDX.items() if np.dtype(dtype) == array.dtype)
    content = struct.pack(f">HBB{array.ndim}I", 0, code, array.ndim, *array.shape) + array.tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


@pytest.mark.parametrize("dtype", IDX)
@pytest.mark.parametrize(
    "name", ["train-images-idx3-ubyte", "train-images.idx3-ubyte", "t10k-images-idx3-ubyte.gz", "a.idx"]
)
def test_idx_keeps_its_values(tmp_path, name, dtype):
    stack = RNG.normal(scale=50, size=(4, 6, 9)).astype(dtype)
    save_idx(tmp_path / name, stack)
    np.testing.assert_array_equal(load_images(tmp_path / name), stack)
    np.testing.assert_array_equal(load_images(tmp_path), stack)


def test_labels_are_not_images(tmp_path):
    save_idx(tmp_path / "train-labels-idx1-ubyte", GRAY[0])
    with refused(tmp_path / "train-labels-idx1-ubyte", "holds labels"):
        load_images(tmp_path / "train-labels-idx1-ubyte")
    save_idx(tmp_path / "train-images-idx3-ubyte.gz", GRAY[None])
    np.testing.assert_array_equal(load_images(tmp_path), [GRAY])


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_idx_that_lies_about_its_size(tmp_path, suffix):
    path = tmp_path / f"images-idx3-ubyte{suffix}"
    content = struct.pack(">HBB3I", 0, 8, 3, 10_000, 10_000, 10_000) + bytes(999)
    path.write_bytes(gzip.compress(content) if suffix else content)
    with refused(path, "gunzip" if suffix else "greater than file size"):
        load_images(path)


def test_gz_of_something_else_is_refused(tmp_path):
    (tmp_path / "a.npy.gz").write_bytes(gzip.compress(b"\x93NUMPY" + bytes(99)))
    with refused(tmp_path / "a.npy.gz", "not an idx file"):
        load_images(tmp_path / "a.npy.gz")


# npz --------------------------------------------------------------------------


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz(tmp_path, save):
    path = tmp_path / "a.npz"
    save(path, pictures=GRAY, labels=np.arange(5), note=np.array("text"))
    np.testing.assert_array_equal(load_images(path), [GRAY])
    save(path, pictures=GRAY, IMAGES=GRAY.T)
    np.testing.assert_array_equal(load_images(path), [GRAY.T])
    save(path, x_train=GRAY, x_test=GRAY, y_train=np.arange(5))
    with refused(path, r"x_train \(uint8 6 x 9\).*y_train \(int64 5\).*numpy\.save\(.*\['NAME'\]\)"):
        load_images(path)


def test_npz_with_headers_of_any_length_takes_no_memory(tmp_path):
    resource = pytest.importorskip("resource")
    path = tmp_path / "a.npz"
    length = 1 << 30
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("a.npy", "w") as member:
        member.write(b"\x93NUMPY\x02\x00" + struct.pack("<I", length))
        for _ in range(length >> 20):
            member.write(b" " * (1 << 20))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with refused(path, "header"):
        load_images(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB


def test_npz_objects_are_not_unpickled(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.array([[{}]], object), b=GRAY)
    np.testing.assert_array_equal(load_images(tmp_path / "a.npz"), [GRAY])
    np.savez(tmp_path / "a.npz", a=np.array([[{}]], object))
    with refused(tmp_path / "a.npz", r"a \(object 1 x 1\)"):
        load_images(tmp_path / "a.npz")


# MATLAB -----------------------------------------------------------------------


def cells_of(arrays):
    cells = np.empty((1, len(arrays)), object)
    cells[0] = arrays
    return cells


@pytest.fixture(params=["6", "7", "7.3"])
def save_cells(request):
    """Save a cell array, uncompressed, compressed, or as HDF5."""

    def save(path, arrays):
        if request.param == "7.3":
            request.getfixturevalue("save_hdf5")(path, {"cells": list(arrays)})
        else:
            savemat(path, {"cells": cells_of(arrays)}, do_compression=request.param == "7")

    return save


def test_cells_of_images(tmp_path, save_cells):
    path = tmp_path / "cells.mat"
    arrays = [GRAY, RNG.normal(size=(4, 5)), COLOR, RNG.integers(-9, 9, (3, 4), dtype=np.int16), GRAY > 99]
    save_cells(path, arrays)
    images = load_images(path, as_gray=False)
    assert len(images) == 5
    for image, array in zip(images, arrays, strict=True):
        np.testing.assert_array_equal(image, array)
    np.testing.assert_allclose(load_images(path)[2], COLOR @ LUMINANCE, rtol=1e-12)


@pytest.mark.parametrize(
    ("other", "cause"),
    [
        ("text", "cell 2 is char"),
        (np.zeros((0, 0)), "cell 2 is double"),
        (np.ones((2, 3, 4)), "cell 2 is double 2 x 3 x 4"),
        (GRAY * 1j, "cell 2 is complex double"),
    ],
)
def test_cells_of_other_things(tmp_path, save_cells, other, cause):
    path = tmp_path / "cells.mat"
    save_cells(path, [GRAY, other])
    with refused(path, cause):
        load_images(path)


def test_cells_count_together(tmp_path, save_cells, monkeypatch):
    save_cells(tmp_path / "cells.mat", [GRAY, GRAY])
    monkeypatch.setattr("sparsam.images.loading.MAX_PIXELS", 107)
    with refused(tmp_path / "cells.mat", "108 pixels, more than 107"):
        load_images(tmp_path / "cells.mat")


@pytest.mark.parametrize("dtype", ["f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "?"])
@pytest.mark.parametrize("options", [{}, {"chunks": True, "compression": "gzip", "shuffle": True, "fletcher32": True}])
def test_mat_of_version_7_3(tmp_path, save_hdf5, dtype, options):
    stack = RNG.normal(scale=50, size=(6, 9, 4)).astype(dtype)
    others = {"note": "text", "record": {"IMAGES": stack}, "cells": [stack[0], "text"], "none": np.zeros((0, 3))}
    save_hdf5(tmp_path / "a.mat", {"pictures": stack} | others, **options)
    np.testing.assert_array_equal(load_images(tmp_path / "a.mat"), np.moveaxis(stack, 2, 0))
    save_hdf5(tmp_path / "a.mat", {"one": stack, "other": stack} | others, **options)
    with refused(tmp_path / "a.mat", r"other \(\w+ 6 x 9 x 4\).*record \(struct scalar\).*'-v7'"):
        load_images(tmp_path / "a.mat")


@pytest.mark.parametrize("way", ["external", "virtual", "external link", "large chunk", "filter", "complex", "plain"])
def test_mat_of_version_7_3_that_is_not_as_matlab_writes_it(tmp_path, way):
    h5py = pytest.importorskip("h5py")
    path, secret = tmp_path / "a.mat", tmp_path / "secret"
    secret.write_bytes(b"password" * 99)
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["IMAGES"] = np.ones((8, 8))
        other["IMAGES"].attrs["MATLAB_class"] = np.bytes_("double")
    with h5py.File(path, "w") as file:
        create = file.create_dataset
        match way:
            case "external":
                create("IMAGES", (8, 8), "f8", external=[(str(secret), 0, 512)])
            case "virtual":
                layout = h5py.VirtualLayout((8, 8), "f8")
                layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "IMAGES", (8, 8))
                file.create_virtual_dataset("IMAGES", layout)
            case "external link":
                file["IMAGES"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "IMAGES")
            case "large chunk":
                create("IMAGES", (8, 8), "f8", chunks=(8192, 8192), maxshape=(None, None), compression="gzip")
            case "filter":
                create("IMAGES", (8, 8), "f8", chunks=(8, 8), compression="lzf")
            case "complex":
                create("IMAGES", data=np.ones((8, 8), [("real", "f8"), ("imag", "f8")]))
            case "plain":
                create("IMAGES", data=np.ones((8, 8)))
        if way not in ("external link", "plain"):
            file["IMAGES"].attrs["MATLAB_class"] = np.bytes_("double")
    cause = {
        "external": "another file",
        "virtual": "another file",
        "external link": "holds: nothing",
        "large chunk": "chunks",
        "filter": "filters",
        "complex": "complex double",
        "plain": r"IMAGES \(\?",
    }[way]
    with refused(path, cause):
        load_images(path)


def test_mat_of_version_7_3_counts_by_its_header(tmp_path, save_hdf5):
    path = save_hdf5(tmp_path / "a.mat", {"IMAGES": np.zeros((9, 9))})
    import h5py

    with h5py.File(path, "r+") as file:
        del file["IMAGES"]
        file.create_dataset("IMAGES", (10**6, 10**6), "f8", chunks=(100, 100), compression="gzip")
        file["IMAGES"].attrs["MATLAB_class"] = np.bytes_("double")
    with refused(path, r"IMAGES has 1,000,000,000,000 pixels"):
        load_images(path)
