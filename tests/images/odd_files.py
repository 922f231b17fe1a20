"""Two hundred odd files of pictures and arrays, each with its expected images or its expected error message.

Run as ``python odd_files.py FOLDER`` to look at them. The expected images are computed here by hand.
"""

import gzip
import os
import runpy
import struct
import sys
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat
from tifffile import TiffWriter, imwrite

RNG = np.random.default_rng(0)
H, W = 14, 16
LUMINANCE = np.array([0.2125, 0.7154, 0.0721])
EXACT, ROUNDED, LOSSY = 1e-12, 1.01 / 255, 0.06
"""Tolerances for sums in another order, for conversion to 8 bits, and for lossy compression."""

save_hdf5 = runpy.run_path(str(Path(__file__).with_name("matlab_files.py")))["save_hdf5"]


@dataclass
class Odd:
    """Expected result of a file: its images, gray, within a tolerance; or a pattern for the error message."""

    images: list = field(default_factory=list)
    tolerance: float = EXACT
    refusal: str | None = None


def means(*images, tolerance=EXACT):
    return Odd([np.asarray(image, float) for image in images], tolerance)


def is_refused(words):
    return Odd(refusal=words)


def pixels(dtype, *shape):
    if np.dtype(dtype).kind in "ui":
        info = np.iinfo(dtype)
        native = np.dtype(dtype).newbyteorder("=")
        return RNG.integers(info.min, info.max, shape, native, endpoint=True).astype(dtype)
    return (9 * RNG.normal(size=shape)).astype(dtype)


GRAY, COLOR, DEEP, ALPHA = (
    pixels("uint8", H, W),
    pixels("uint8", H, W, 3),
    pixels("uint16", H, W),
    pixels("uint8", H, W, 1),
)
ROWS, COLUMNS = np.indices((H, W))
SMOOTH = np.stack([8 * ROWS, 9 * COLUMNS, 128 + ROWS - COLUMNS], axis=2).astype(np.uint8)


def gray(color):
    return color / 255 @ LUMINANCE


def blended(image, alpha):
    return alpha / 255 * image + 1 - alpha / 255


def png(width, height, bits, color, content):
    """Make a PNG by hand."""
    header = struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, 0)
    chunks = [b"IHDR" + header, b"IDAT" + zlib.compress(content), b"IEND"]
    framed = [struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


def png_files(folder):
    def save(name, image, **options):
        image = image if isinstance(image, Image.Image) else Image.fromarray(image)
        image.save(folder / name, **options)

    save("gray.png", GRAY)
    yield "gray.png", means(GRAY / 255)
    save("CAPITALS.PNG", GRAY)
    yield "CAPITALS.PNG", means(GRAY / 255)
    save("two colors.png", GRAY > 99)
    yield "two colors.png", means(GRAY > 99)
    save("color.png", COLOR)
    yield "color.png", means(gray(COLOR))
    save("deep.png", DEEP)
    yield "deep.png", means(DEEP / 65535)
    save("deep-transparent.png", DEEP, transparency=int(DEEP[0, 0]))
    yield "deep-transparent.png", means(np.where(DEEP == DEEP[0, 0], 1, DEEP / 65535))
    save("rgba.png", np.concatenate([COLOR, ALPHA], axis=2))
    yield "rgba.png", means(blended(gray(COLOR), ALPHA[:, :, 0]))
    save("la.png", Image.merge("LA", [Image.fromarray(GRAY), Image.fromarray(ALPHA[:, :, 0])]))
    yield "la.png", means(blended(GRAY / 255, ALPHA[:, :, 0]))
    palette = Image.fromarray(COLOR).quantize(64, dither=Image.Dither.NONE)
    in_colors = np.asarray(palette.convert("RGB"))
    save("palette.png", palette)
    yield "palette.png", means(gray(in_colors))
    save("palette-transparent.png", palette, transparency=3)
    clear = np.asarray(palette)[:, :, np.newaxis] == 3
    yield "palette-transparent.png", means(gray(np.where(clear, 255, in_colors)))
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in np.repeat(DEEP[:, :, None], 3, axis=2))
    (folder / "deep-color.png").write_bytes(png(W, H, 16, 2, rows))
    yield "deep-color.png", means(DEEP / 65535, tolerance=ROUNDED)
    save("animation.png", GRAY, save_all=True, append_images=[Image.fromarray(255 - GRAY)])
    yield "animation.png", means(GRAY / 255)
    save("a tiff in truth.png", GRAY, format="TIFF")
    yield "a tiff in truth.png", means(GRAY / 255)
    (folder / "bomb.png").write_bytes(png(100_000, 100_000, 8, 0, bytes(99)))
    yield "bomb.png", is_refused("10000000000 pixels")


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


def turned_files(folder):
    for orientation, turn in UPRIGHT.items():
        exif = Image.Exif()
        exif[274] = orientation
        for suffix, image, white in (("png", GRAY, 255), ("tif", DEEP, 65535)):
            name = f"turned-{orientation}.{suffix}"
            Image.fromarray(image).save(folder / name, exif=exif)
            yield name, means(turn(image) / white)


def other_pictures(folder):
    for mode, suffix, options in (
        ("RGB", "jpg", {"quality": 95, "subsampling": 0}),
        ("RGB", "JPEG", {"quality": 95, "progressive": True}),
        ("L", "jpg", {"quality": 95}),
        ("CMYK", "jpg", {"quality": 95}),
        ("RGB", "bmp", {}),
        ("L", "bmp", {}),
        ("P", "bmp", {}),
        ("1", "bmp", {}),
        ("RGB", "webp", {"lossless": True}),
        ("RGBA", "webp", {"lossless": True}),
        ("RGB", "WEBP", {"quality": 95}),
        ("L", "gif", {}),
        ("P", "gif", {}),
        ("P", "GIF", {"interlace": True}),
    ):
        image = Image.fromarray(SMOOTH).convert(mode)
        name = f"{mode}-{'-'.join(options) or 'plain'}.{suffix}"
        image.save(folder / name, **options)
        expected = image.convert("L") if mode == "L" else image.convert("RGB")
        lossy = suffix in ("jpg", "JPEG", "WEBP")
        expected = np.asarray(expected) / 255 if mode == "L" else gray(np.asarray(expected))
        yield name, means(expected, tolerance=LOSSY if lossy else EXACT)
    frames = [Image.fromarray(GRAY), Image.fromarray(255 - GRAY)]
    for name in ("animation.gif", "animation.webp"):
        frames[0].save(folder / name, save_all=True, append_images=frames[1:], lossless=True)
        yield name, means(GRAY / 255)
    Image.fromarray(SMOOTH[:, :, 0]).save(folder / "camera.jpg", "MPO", save_all=True, append_images=frames[:1])
    yield "camera.jpg", means(SMOOTH[:, :, 0] / 255, tolerance=LOSSY)
    palette = Image.fromarray(SMOOTH).quantize(32, dither=Image.Dither.NONE)
    palette.save(folder / "transparent.gif", transparency=3)
    clear = np.asarray(palette)[:, :, np.newaxis] == 3
    yield "transparent.gif", means(gray(np.where(clear, 255, np.asarray(palette.convert("RGB")))))
    for image_format in ("PPM", "TGA", "ICO", "PDF"):
        Image.fromarray(COLOR).save(folder / f"{image_format}-in-truth.bmp", image_format)
        yield f"{image_format}-in-truth.bmp", is_refused("not a PNG, JPEG, TIFF, GIF, BMP or WebP")


def tiff_files(folder):
    samples = {"minisblack": 1, "miniswhite": 1, "rgb": 3}
    for dtype in ("uint8", "uint16", "float16", "float32", "float64", "int8", "int16", "uint32", "int64", "complex64"):
        for photometric, n_samples in samples.items():
            name = f"{photometric}-{dtype}.tif"
            values = pixels(dtype, H, W, n_samples)
            imwrite(folder / name, values[:, :, 0] if n_samples == 1 else values, photometric=photometric)
            white = 1 if values.dtype.kind == "f" else 2.0 ** (8 * values.itemsize) - 1
            defined = dtype in ("uint8", "uint16") or (values.dtype.kind == "f" and photometric != "miniswhite")
            if defined:
                shown = values @ LUMINANCE / white if n_samples == 3 else values[:, :, 0] / white
                yield name, means(1 - shown if photometric == "miniswhite" else shown)
            else:
                yield name, is_refused("no fixed white")
    color = pixels("uint16", H, W, 3)
    expected = means(color / 65535 @ LUMINANCE)
    for k, options in enumerate(
        (
            {"compression": "zlib"},
            {"compression": "zlib", "predictor": True},
            {"compression": "lzma"},
            {"tile": (16, 16)},
            {"tile": (16, 16), "compression": "zlib"},
            {"rowsperstrip": 5},
            {"bigtiff": True},
            {"byteorder": ">"},
            {"byteorder": ">", "bigtiff": True, "rowsperstrip": 3, "compression": "zlib"},
        )
    ):
        imwrite(folder / f"stored-{k}.tif", color, photometric="rgb", **options)
        yield f"stored-{k}.tif", expected
        planes = np.moveaxis(color, 2, 0)
        imwrite(folder / f"planes-{k}.TIFF", planes, photometric="rgb", planarconfig="separate", **options)
        yield f"planes-{k}.TIFF", expected
    for mode, compression in (
        ("L", "tiff_lzw"),
        ("RGB", "tiff_lzw"),
        ("RGB", "packbits"),
        ("P", "tiff_lzw"),
        ("1", "group4"),
        ("1", "group3"),
        ("RGB", "jpeg"),
        ("L", "jpeg"),
        ("CMYK", "tiff_lzw"),
        ("RGBA", "tiff_deflate"),
    ):
        image = Image.fromarray(SMOOTH).convert(mode)
        image.save(folder / f"{mode}-{compression}.tif", compression=compression)
        shown = np.asarray(image) / 255 if mode == "L" else gray(np.asarray(image.convert("RGB")))
        tolerance = {"jpeg": LOSSY}.get(compression, ROUNDED)
        yield f"{mode}-{compression}.tif", means(shown, tolerance=tolerance)


def tiff_pages(folder):
    stack = pixels("uint16", 5, H, W)
    expected = means(*stack / 65535)
    imwrite(folder / "imagej.tif", stack, imagej=True, truncate=True)
    yield "imagej.tif", expected
    imwrite(folder / "imagej-pages.tif", stack, imagej=True)
    yield "imagej-pages.tif", expected
    imwrite(folder / "one-directory.tif", stack, photometric="minisblack", truncate=True)
    yield "one-directory.tif", expected
    imwrite(folder / "pages.tif", stack, photometric="minisblack")
    yield "pages.tif", expected
    imwrite(folder / "ome.ome.tif", stack, photometric="minisblack", ome=True)
    yield "ome.ome.tif", expected
    options = {"metadata": None, "photometric": "minisblack"}
    with TiffWriter(folder / "pyramid.tif") as file:
        file.write(stack[0], subifds=1, **options)
        file.write(stack[0, ::2, ::2], subfiletype=1, **options)
        file.write(stack[1], **options)
        file.write(stack[1, ::2, ::2], subfiletype=1, **options)
        file.write(stack[1] > 99, subfiletype=4, **options)
    yield "pyramid.tif", means(*stack[:2] / 65535)
    pages = [Image.fromarray(GRAY), Image.fromarray(COLOR), Image.fromarray(DEEP)]
    pages[0].save(folder / "mixed.tif", save_all=True, append_images=pages[1:])
    yield "mixed.tif", means(GRAY / 255, gray(COLOR), DEEP / 65535)
    imwrite(folder / "samples.tif", pixels("uint8", H, W, 5), photometric="minisblack", planarconfig="contig")
    yield "samples.tif", is_refused("pixels of 5 samples.*page")
    alpha = {"photometric": "rgb", "extrasamples": ["unassalpha"]}
    imwrite(folder / "alpha.tif", np.concatenate([COLOR, ALPHA], axis=2), **alpha)
    yield "alpha.tif", means(blended(gray(COLOR), ALPHA[:, :, 0]))
    imwrite(folder / "nan.tif", np.where(DEEP > 9999, np.nan, DEEP), photometric="minisblack")
    yield "nan.tif", is_refused("NaN or infinity")
    inks = pixels("uint8", H, W, 4)
    imwrite(folder / "inks.tif", inks, photometric="separated")
    yield "inks.tif", means((1 - inks[:, :, :3] / 255) * (1 - inks[:, :, 3:] / 255) @ LUMINANCE)


def arrays(folder):
    for dtype in ("float64", "float32", "float16", "int8", "<i2", ">i4", "uint8", "uint16", "uint64", "bool"):
        stack = pixels(dtype, 3, H, W) if dtype != "bool" else pixels("uint8", 3, H, W) > 99
        name = np.dtype(dtype).name
        np.save(folder / f"{name}-image.npy", stack[0])
        yield f"{name}-image.npy", means(stack[0])
        np.save(folder / f"{name}-first.npy", stack)
        yield f"{name}-first.npy", means(*stack)
        np.save(folder / f"{name}-last.npy", np.moveaxis(stack, 0, 2))
        yield f"{name}-last.npy", means(*stack)
        if name not in ("float16", "bool"):
            savemat(folder / f"{name}.mat", {"pictures": stack, "n": 3, "note": "text"}, do_compression=name < "i")
            yield f"{name}.mat", means(*stack)
    colors = pixels("uint8", 4, H, W, 3)
    expected = means(*colors @ LUMINANCE)
    for save, suffix in ((np.save, "npy"), (np.savez, "npz"), (lambda p, a: savemat(p, {"X": a}), "mat")):
        save(folder / f"colors-first.{suffix}", colors)
        yield f"colors-first.{suffix}", expected
        save(folder / f"colors-last.{suffix}", np.moveaxis(colors, 0, 3))
        yield f"colors-last.{suffix}", expected
        save(folder / f"gray-last.{suffix}", np.moveaxis(colors[..., :1], 0, 3))
        yield f"gray-last.{suffix}", means(*colors[..., 0])
    for name, array, words in (
        ("vector", np.zeros(9), r"\(9,\)"),
        ("five", np.zeros((2, 2, 2, 2, 2)), "2 to 4 dimensions"),
        ("four", np.zeros((4, 5, 6, 7)), r"\(height, width, 3, n\)"),
        ("empty", np.zeros((0, 9)), r"\(0, 9\)"),
        ("complex", np.ones((9, 9), complex), "complex"),
        ("words", np.array([["a", "b"]]), "<U1"),
        ("objects", np.array([[{}]]), "[Oo]bject"),
        ("infinite", np.full((9, 9), np.inf), "NaN or infinity"),
    ):
        np.save(folder / f"{name}.npy", array, allow_pickle=True)
        yield f"{name}.npy", is_refused(words)
    np.savez(folder / "one.npz", pictures=GRAY, labels=np.arange(9))
    yield "one.npz", means(GRAY)
    np.savez_compressed(folder / "preferred.npz", other=GRAY, IMAGES=DEEP)
    yield "preferred.npz", means(DEEP)
    np.savez(folder / "several.npz", x_train=GRAY, x_test=GRAY)
    yield "several.npz", is_refused(r"2 variables .* x_train \(uint8 14 x 16\).*numpy.save")
    np.savez(folder / "labels.npz", labels=np.arange(9))
    yield "labels.npz", is_refused("0 variables")


def idx_files(folder):
    stack = pixels("uint8", 3, H, W)
    content = struct.pack(">HBB3I", 0, 8, 3, 3, H, W) + stack.tobytes()
    for name in ("train-images-idx3-ubyte", "train-images.idx3-ubyte", "digits.idx"):
        (folder / name).write_bytes(content)
        yield name, means(*stack)
        (folder / f"{name}.gz").write_bytes(gzip.compress(content))
        yield f"{name}.gz", means(*stack)
    (folder / "doubles.idx").write_bytes(struct.pack(">HBB2I", 0, 0x0E, 2, H, W) + (DEEP / 7).astype(">f8").tobytes())
    yield "doubles.idx", means(DEEP / 7)
    (folder / "labels.idx").write_bytes(struct.pack(">HBBI", 0, 8, 1, 9) + bytes(9))
    yield "labels.idx", is_refused("holds labels")
    (folder / "long.idx.gz").write_bytes(gzip.compress(struct.pack(">HBB3I", 0, 8, 3, 10**5, 10**4, 10**4)))
    yield "long.idx.gz", is_refused("pixels .*gunzip")
    (folder / "short.idx").write_bytes(content[:99])
    yield "short.idx", is_refused("greater than file size")


def matlab(folder):
    cells = np.empty((1, 2), object)
    cells[0] = [GRAY, COLOR]
    for name, options in (("cells", {}), ("cells-packed", {"do_compression": True})):
        savemat(folder / f"{name}.mat", {"cells": cells}, **options)
        yield f"{name}.mat", means(GRAY, COLOR @ LUMINANCE)
    savemat(folder / "cells-text.mat", {"cells": np.array([["a", "b"]], object)})
    yield "cells-text.mat", is_refused("cell 1 is char")
    savemat(folder / "four.mat", {"IMAGES": GRAY.astype(float)}, format="4")
    yield "four.mat", means(GRAY)
    savemat(folder / "structure.mat", {"record": {"IMAGES": GRAY}})
    yield "structure.mat", is_refused(r"record \(struct")
    savemat(folder / "several.mat", {"a": GRAY, "b": GRAY})
    yield "several.mat", is_refused(r"2 variables.*-v7")
    save_hdf5(folder / "seven.mat", {"pictures": np.moveaxis(np.stack([GRAY, 255 - GRAY]), 0, 2), "note": "text"})
    yield "seven.mat", means(GRAY, 255 - GRAY)
    save_hdf5(folder / "seven-packed.mat", {"IMAGES": DEEP, "other": GRAY}, compression="gzip")
    yield "seven-packed.mat", means(DEEP)
    save_hdf5(folder / "seven-cells.mat", {"cells": [GRAY, COLOR]})
    yield "seven-cells.mat", means(GRAY, COLOR @ LUMINANCE)
    save_hdf5(folder / "seven-text.mat", {"note": "text"})
    yield "seven-text.mat", is_refused(r"note \(char")
    for name, start in (("octave", b"# Created by Octave 8.4.0\n# name: A\n"), ("octave-binary", b"Octave-1-L\0")):
        (folder / f"{name}.mat").write_bytes(start + bytes(99))
        yield f"{name}.mat", is_refused("Octave.*save -v7")


def damaged(folder):
    """Write truncated copies of the files above, empty files, text, and things that are not files."""
    for name in ("color.png", "RGB-quality-subsampling.jpg", "RGB-plain.bmp", "RGB-lossless.webp", "P-plain.gif"):
        for share in (0.1, 0.6):
            cut(folder, name, share)
            yield f"cut-{share}-{name}", is_refused("cannot be read: ..")
    for name in ("rgb-uint16.tif", "stored-1.tif", "stored-4.tif", "imagej.tif", "RGB-tiff_lzw.tif", "RGB-jpeg.tif"):
        for share in (0.01, 0.5):
            cut(folder, name, share)
            yield f"cut-{share}-{name}", is_refused("cannot be read: ..")
    for name in ("float64-first.npy", "one.npz", "digits.idx.gz", "float64.mat", "cells.mat", "seven.mat", "four.mat"):
        for share in (0.1, 0.5):
            cut(folder, name, share)
            yield f"cut-{share}-{name}", is_refused("cannot be read: ..")
    for suffix in ("png", "jpg", "tif", "gif", "bmp", "webp", "npy", "npz", "mat", "idx", "idx.gz"):
        (folder / f"nothing.{suffix}").write_bytes(b"")
        yield f"nothing.{suffix}", is_refused("cannot be read: ..")
        (folder / f"text.{suffix}").write_bytes(b"This is text, whatever its name says.\n" * 9)
        yield f"text.{suffix}", is_refused("cannot be read: ..")
    if hasattr(os, "mkfifo"):
        (folder / "dangling.png").symlink_to(folder / "gone.png")
        yield "dangling.png", is_refused("no such file|does not exist")
        os.mkfifo(folder / "pipe.png")
        yield "pipe.png", is_refused("neither a file nor a folder")


def cut(folder, name, share):
    content = (folder / name).read_bytes()
    (folder / f"cut-{share}-{name}").write_bytes(content[: int(share * len(content))])


def make(folder):
    """Write all files, some of them into subfolders; return the expected result of each by its path."""
    outcomes = {}
    parts = (png_files, turned_files, other_pictures, tiff_files, tiff_pages, arrays, idx_files, matlab, damaged)
    for part in parts:
        for name, outcome in part(folder):
            assert name not in outcomes, name
            outcomes[name] = outcome
    return {sort_into_subfolders(folder, k, name): outcome for k, (name, outcome) in enumerate(outcomes.items())}


def sort_into_subfolders(folder, k, name):
    """Move every third file into a subfolder, every sixth deeper."""
    if k % 3:
        return Path(name)
    place = Path("deep", "deeper", name) if k % 6 else Path("deep", name)
    (folder / place).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).rename(folder / place)
    return place


if __name__ == "__main__":
    for path, outcome in make(Path(sys.argv[1])).items():
        print(f"{path}: {outcome.refusal or f'{len(outcome.images)} images'}")
