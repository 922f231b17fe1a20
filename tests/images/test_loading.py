"""Well-formed files are read correctly, in the right orientation and scale."""

import os
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from sparsam.images import load_images, sample_patches

RNG = np.random.default_rng(0)
GRAY = RNG.integers(0, 256, (6, 9), dtype=np.uint8)
COLOR = RNG.integers(0, 256, (6, 9, 3), dtype=np.uint8)
DEEP = RNG.integers(0, 65536, (6, 9), dtype=np.uint16)
LUMINANCE = np.array([0.2125, 0.7154, 0.0721])
ORIENTATION = 274  # tag of EXIF and TIFF


@pytest.fixture
def save(tmp_path):
    """Save an array or a Pillow image under a name, and return the path."""

    def save(name, image, **options):
        path = tmp_path / name
        image = image if isinstance(image, Image.Image) else Image.fromarray(image)
        image.save(path, **options)
        return path

    return save


def load_one(path, **options):
    (image,) = load_images(path, **options)
    assert image.dtype == np.float64
    return image


@pytest.mark.parametrize("suffix", ["png", "tif", "TIFF", "PNG"])
@pytest.mark.parametrize(("pixels", "white"), [(GRAY, 255), (DEEP, 65535)])
def test_gray(save, suffix, pixels, white):
    path = save(f"image.{suffix}", pixels)
    np.testing.assert_array_equal(load_one(path), pixels / white)
    color = load_one(path, as_gray=False)
    np.testing.assert_array_equal(color, np.repeat(pixels[:, :, None] / white, 3, axis=2))


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_color(save, suffix):
    path = save(f"image.{suffix}", COLOR)
    np.testing.assert_array_equal(load_one(path, as_gray=False), COLOR / 255)
    np.testing.assert_allclose(load_one(path), COLOR / 255 @ LUMINANCE, atol=1e-12)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_jpeg(save, mode):
    rows, columns = np.indices((32, 48))
    smooth = np.stack([4 * rows, 5 * columns, 128 + rows - columns], axis=2).astype(np.uint8)
    path = save("image.jpg", Image.fromarray(smooth).convert(mode), quality=98, subsampling=0)
    expected = smooth / 255
    if mode == "L":
        expected = np.repeat((expected @ [0.299, 0.587, 0.114])[:, :, None], 3, axis=2)
    np.testing.assert_allclose(load_one(path, as_gray=False), expected, atol=0.04)


def test_palette(save):
    palette = Image.fromarray(COLOR).quantize(64, dither=Image.Dither.NONE)
    expected = np.asarray(palette.convert("RGB")) / 255
    np.testing.assert_array_equal(load_one(save("image.png", palette), as_gray=False), expected)


def test_two_colors_of_one_bit(save):
    np.testing.assert_array_equal(load_one(save("image.png", GRAY > 99)), GRAY > 99)


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("opaque", [True, False])
def test_transparency_is_blended_onto_white(save, suffix, opaque):
    alpha = np.full((6, 9, 1), 255, np.uint8) if opaque else RNG.integers(0, 256, (6, 9, 1), dtype=np.uint8)
    path = save(f"image.{suffix}", np.concatenate([COLOR, alpha], axis=2))
    a = alpha / 255
    np.testing.assert_allclose(load_one(path, as_gray=False), a * COLOR / 255 + 1 - a, atol=1e-12)
    gray = save(f"gray.{suffix}", Image.merge("LA", [Image.fromarray(GRAY), Image.fromarray(alpha[:, :, 0])]))
    np.testing.assert_allclose(load_one(gray), a[:, :, 0] * GRAY / 255 + 1 - a[:, :, 0], atol=1e-12)


def test_a_transparent_palette_color_is_white(save):
    palette = Image.fromarray(np.array([[0, 1], [1, 0]], np.uint8), "P")
    palette.putpalette([0, 0, 0, 255, 0, 0])
    image = load_one(save("image.png", palette, transparency=0), as_gray=False)
    np.testing.assert_array_equal(image, [[[1, 1, 1], [1, 0, 0]], [[1, 0, 0], [1, 1, 1]]])


def test_white_is_1_and_black_0_in_gray(save):
    black_and_white = np.array([[[0, 0, 0], [255, 255, 255]]], np.uint8)
    np.testing.assert_allclose(load_one(save("image.png", black_and_white)), [[0, 1]], rtol=0, atol=1e-15)


def test_floating_tiff_keeps_its_values(save):
    values = RNG.normal(scale=100, size=(6, 9)).astype(np.float32)
    np.testing.assert_array_equal(load_one(save("image.tif", values)), values)


def test_tiff_of_12_bits(tmp_path):
    """Two pixels, 0 and 4095, packed into three bytes; Pillow cannot write that."""
    entries = [
        (256, 3, 2),
        (257, 3, 1),
        (258, 3, 12),
        (259, 3, 1),
        (262, 3, 1),
        (273, 4, 8),
        (278, 3, 1),
        (279, 4, 3),
    ]
    fields = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    content = b"II*\0" + struct.pack("<I", 12) + b"\x00\x0f\xff\0" + struct.pack("<H", 8) + fields + bytes(4)
    (tmp_path / "image.tif").write_bytes(content)
    np.testing.assert_array_equal(load_one(tmp_path / "image.tif"), [[0, 1]])


def test_each_page_of_a_tiff_is_an_image(save):
    pages = [Image.fromarray(GRAY), Image.fromarray(COLOR[:4]), Image.fromarray(DEEP)]
    images = load_images(save("pages.tif", pages[0], save_all=True, append_images=pages[1:]))
    assert [image.shape for image in images] == [(6, 9), (4, 9), (6, 9)]
    np.testing.assert_array_equal(images[0], GRAY / 255)
    np.testing.assert_allclose(images[1], COLOR[:4] / 255 @ LUMINANCE, atol=1e-12)
    np.testing.assert_array_equal(images[2], DEEP / 65535)


def test_an_animation_and_its_like_are_one_image(save):
    frames = [Image.fromarray(GRAY), Image.fromarray(255 - GRAY)]
    path = save("animation.png", frames[0], save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(load_one(path), GRAY / 255)
    path = save("camera.jpg", frames[0], format="MPO", save_all=True, append_images=frames[1:])
    assert load_one(path).shape == GRAY.shape


UPRIGHT = {
    1: lambda image: image,
    2: lambda image: image[:, ::-1],
    3: lambda image: image[::-1, ::-1],
    4: lambda image: image[::-1],
    5: lambda image: image.swapaxes(0, 1),
    6: lambda image: image[::-1].swapaxes(0, 1),
    7: lambda image: image[::-1, ::-1].swapaxes(0, 1),
    8: lambda image: image.swapaxes(0, 1)[::-1],
}


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize(("pixels", "white"), [(GRAY, 255), (DEEP, 65535)])
def test_pictures_are_turned_upright(save, orientation, suffix, pixels, white):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    path = save(f"image.{suffix}", pixels, exif=exif)
    np.testing.assert_array_equal(load_one(path), UPRIGHT[orientation](pixels) / white)


def test_jpeg_and_every_page_of_tiff_are_turned_upright(save):
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    bright_top = np.zeros((16, 32), np.uint8)
    bright_top[:8] = 255
    upright = load_one(save("image.jpg", bright_top, exif=exif, quality=95))
    np.testing.assert_allclose(upright, UPRIGHT[6](bright_top) / 255, atol=0.05)
    pages = [Image.fromarray(bright_top), Image.fromarray(GRAY)]
    images = load_images(save("pages.tif", pages[0], save_all=True, append_images=pages[1:], exif=exif))
    np.testing.assert_array_equal(images[0], UPRIGHT[6](bright_top) / 255)
    assert images[1].shape == GRAY.T.shape


# Arrays -----------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float64", "float32", "<i2", ">i2", "uint8", "bool"])
@pytest.mark.parametrize("kind", ["npy", "mat"])
@pytest.mark.parametrize("layout", ["one", "first", "last"])
def test_arrays_keep_their_values(tmp_path, dtype, kind, layout):
    stack = (RNG.normal(scale=9, size=(2, 6, 9))).astype(dtype)
    array = {"one": stack[0], "first": stack, "last": np.moveaxis(stack, 0, -1)}[layout]
    path = tmp_path / f"array.{kind}"
    if kind == "npy":
        np.save(path, array)
    else:
        savemat(path, {"pictures": array, "n_pictures": 2, "sizes": [6, 9], "note": "text"})
    for as_gray in (True, False):
        images = load_images(path, as_gray=as_gray)
        assert all(image.dtype == np.float64 and type(image) is np.ndarray for image in images)
        np.testing.assert_array_equal(images, stack[:1] if layout == "one" else stack)


@pytest.mark.parametrize("options", [{"do_compression": True}, {"format": "4"}])
def test_images_is_preferred_in_mat(tmp_path, options):
    path = tmp_path / "IMAGES.mat"
    savemat(path, {"IMAGESr": np.zeros((6, 9)), "IMAGES": GRAY.astype(float), "A": np.ones((3, 4))}, **options)
    np.testing.assert_array_equal(load_one(path), GRAY)


def test_the_file_is_not_changed_or_shared(tmp_path):
    np.save(tmp_path / "array.npy", GRAY.astype(np.float64))
    load_one(tmp_path / "array.npy")[:] = -1
    np.testing.assert_array_equal(np.load(tmp_path / "array.npy"), GRAY)


# Paths ------------------------------------------------------------------------


def test_a_folder_gives_its_images_by_name(save, tmp_path):
    for name, value in [("b.png", 10), ("a.TIF", 20), ("B.jpeg", 30), ("c 1.png", 40)]:
        save(name, np.full((8, 8), value, np.uint8))
    np.save(tmp_path / "aa.npy", np.full((8, 8), 50 / 255))
    (tmp_path / "notes.txt").write_text("not an image")
    (tmp_path / "._b.png").write_text("what macOS leaves on other systems' disks")
    (tmp_path / "folder.png").mkdir()
    values = [round(image.mean() * 255) for image in load_images(tmp_path)]
    assert values == [30, 20, 50, 10, 40]


def test_paths_are_strings_or_paths_one_or_several(save, tmp_path):
    a = save("a.png", GRAY)
    b = save("b.png", DEEP)
    np.testing.assert_array_equal(load_images(str(a)), [GRAY / 255])
    for paths in ([b, str(a)], (str(b), a), iter([b, a])):
        np.testing.assert_array_equal(load_images(paths), [DEEP / 65535, GRAY / 255])
    assert len(load_images([tmp_path, a])) == 3


def test_the_notes_images_give_patches():
    folder = os.environ.get("SPARSAM_DATA")
    path = Path(folder or "", "olshausen_images.npy")
    if not folder or not path.is_file():
        pytest.skip("needs olshausen_images.npy in the folder that SPARSAM_DATA names")
    images = load_images(path)
    assert [image.shape for image in images] == [(512, 512)] * 10
    assert sample_patches(images, 100, random_state=0, border=2).shape == (100, 64)
