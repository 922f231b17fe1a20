"""Every kind of TIFF: its values are right, or it is refused with the reason."""

import contextlib
import itertools
import re
import struct
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from tifffile import TiffFile, TiffWriter, imwrite

from sparsam.images import load_images

RNG = np.random.default_rng(0)
H, W = 6, 9
LUMINANCE = np.array([0.2125, 0.7154, 0.0721])
UNSIGNED = ["uint8", "uint16"]
FLOATING = ["float16", "float32", "float64"]
REFUSED = ["int8", "int16", "int32", "int64", "uint32", "uint64", "complex64", "complex128"]
N_SAMPLES = {"minisblack": 1, "miniswhite": 1, "rgb": 3, "separated": 4}


def pixels(dtype, *shape):
    if np.dtype(dtype).kind in "ui":
        info = np.iinfo(dtype)
        return RNG.integers(info.min, info.max, shape, dtype, endpoint=True)
    return (100 * RNG.normal(size=shape)).astype(dtype)


def meaning(page, photometric):
    """Compute the color of a page (height, width, samples) by hand; None if it has none."""
    kind = page.dtype.kind
    if kind == "f" and photometric in ("minisblack", "rgb"):
        values = page.astype(float)
    elif page.dtype in UNSIGNED:
        values = page / np.iinfo(page.dtype).max
    else:
        return None
    if photometric == "separated":
        return (1 - values[:, :, :3]) * (1 - values[:, :, 3:])
    return np.broadcast_to(1 - values if photometric == "miniswhite" else values, (*page.shape[:2], 3))


def refused(path, cause):
    return pytest.raises(ValueError, match=rf"(?s){re.escape(str(path))}: cannot be read: .*{cause}")


def check(path, expected):
    images = load_images(path, as_gray=False)
    assert len(images) == len(expected)
    for image, color, gray in zip(images, expected, load_images(path), strict=True):
        assert image.dtype == gray.dtype == np.float64
        np.testing.assert_allclose(image, color, rtol=1e-14, atol=1e-15)
        np.testing.assert_allclose(gray, color @ LUMINANCE, rtol=1e-12, atol=1e-12)


# What the numbers mean --------------------------------------------------------


OF_IMAGEJ = {"uint8": ("minisblack", "rgb"), "uint16": ("minisblack",), "float32": ("minisblack",)}
KINDS_OF_PAGES = [
    kind
    for kind in itertools.product(
        [*UNSIGNED, *FLOATING, *REFUSED],
        N_SAMPLES,
        ["contig", "separate"],
        ["one", "several", "one directory", "ImageJ"],
    )
    if kind[3] != "ImageJ" or (kind[1] in OF_IMAGEJ.get(kind[0], ()) and kind[2] == "contig")
]


@pytest.mark.parametrize(("dtype", "photometric", "planar", "pages"), KINDS_OF_PAGES)
def test_every_type_by_photometric_by_layout_by_pages(tmp_path, dtype, photometric, planar, pages):
    n, n_samples = 1 if pages == "one" else 5, N_SAMPLES[photometric]
    stack = pixels(dtype, n, H, W, n_samples)
    data = stack if planar == "contig" else np.moveaxis(stack, 3, 1)
    data = np.squeeze(data, axis=3 if planar == "contig" else 1) if n_samples == 1 else data
    path = tmp_path / "image.tif"
    options = {"photometric": photometric, "planarconfig": planar if n_samples > 1 else None}
    if pages == "ImageJ":
        imwrite(path, data, imagej=True, truncate=True)
    elif pages == "one directory":
        imwrite(path, data, truncate=True, **options)
    else:
        with TiffWriter(path) as file:
            for page in data:
                file.write(page, **options)
    with TiffFile(path) as file:
        assert len(file.pages) == (5 if pages == "several" else 1)
    expected = [meaning(page, photometric) for page in stack]
    if expected[0] is None:
        with refused(path, "no fixed (white|black)"):
            load_images(path)
    else:
        check(path, expected)


def raw_tiff(tags, data, order="<"):
    """Make a TIFF of one page, uncompressed, in one strip; ``tags`` gives the values of each tag as a list."""
    tags = {258: [1], 259: [1], 277: [1], 278: [2**31], 273: [0], 279: [len(data)]} | tags
    start = 8 + 2 + 12 * len(tags) + 4
    entries, lists = b"", b""
    for tag in sorted(tags):
        listed = struct.pack(f"{order}{len(tags[tag])}I", *tags[tag])
        if tag == 273:
            entries += b"offset"
            continue
        if len(tags[tag]) > 1:
            lists, listed = lists + listed, struct.pack(f"{order}I", start + len(lists))
        entries += struct.pack(f"{order}HHI", tag, 4, len(tags[tag])) + listed
    entries = entries.replace(b"offset", struct.pack(f"{order}HHII", 273, 4, 1, start + len(lists)))
    signature = {"<": b"II*\0", ">": b"MM\0*"}[order]
    return signature + struct.pack(f"{order}IH", 8, len(tags)) + entries + bytes(4) + lists + data


def packed(values, bits):
    """Pack rows of values of a number of bits, the most significant first; each row begins at a byte."""
    digits = (values[..., np.newaxis] >> np.arange(bits - 1, -1, -1)) & 1
    return np.packbits(digits.astype(np.uint8).reshape(len(values), -1), axis=1).tobytes()


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite", "rgb", "separated", "palette"])
@pytest.mark.parametrize("bits", [*range(1, 17), 24, 32])
def test_every_number_of_bits(tmp_path, bits, photometric, order):
    n_samples = N_SAMPLES.get(photometric, 1)
    values = RNG.integers(0, 2**bits, (H, W, n_samples))
    data = packed(values, bits) if bits != 16 else values.astype(f"{order}u2").tobytes()
    code = {"miniswhite": 0, "minisblack": 1, "rgb": 2, "palette": 3, "separated": 5}[photometric]
    tags = {256: [W], 257: [H], 258: [bits] * n_samples, 262: [code], 277: [n_samples]}
    palette = RNG.integers(0, 256, (2 ** min(bits, 16), 3))
    if photometric == "palette":
        tags[320] = (257 * palette.T).ravel().tolist()
    path = tmp_path / "image.tif"
    path.write_bytes(raw_tiff(tags, data, order))
    if bits > 16:
        with refused(path, "no fixed white"):
            load_images(path)
        return
    values = values / (2**bits - 1) if photometric != "palette" else palette[values[:, :, 0]] / 255
    expected = {
        "minisblack": lambda: values,
        "miniswhite": lambda: 1 - values,
        "separated": lambda: (1 - values[:, :, :3]) * (1 - values[:, :, 3:]),
    }.get(photometric, lambda: values)()
    check(path, [np.broadcast_to(expected, (H, W, 3))])


@pytest.mark.parametrize("factor", [1, 256, 257])
def test_a_palette_of_8_bits_in_any_of_its_spellings(tmp_path, factor):
    palette = RNG.integers(0, 256, (256, 3))
    values = RNG.integers(0, 256, (H, W), np.uint8)
    tags = {256: [W], 257: [H], 258: [8], 262: [3], 320: (factor * palette.T).ravel().tolist()}
    path = tmp_path / "image.tif"
    path.write_bytes(raw_tiff(tags, values.tobytes()))
    check(path, [palette[values] / 255])


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("photometric", ["minisblack", "rgb", "miniswhite", "separated"])
@pytest.mark.parametrize("extra", ["unassalpha", "assocalpha", "unspecified"])
@pytest.mark.parametrize("dtype", [*UNSIGNED, "float32"])
def test_transparency_and_samples_without_a_meaning(tmp_path, dtype, photometric, extra, planar):
    values = pixels(dtype, H, W, N_SAMPLES[photometric] + 1)
    path = tmp_path / "image.tif"
    data = np.moveaxis(values, 2, 0) if planar == "separate" else values
    imwrite(path, data, photometric=photometric, planarconfig=planar, extrasamples=[extra])
    colors = meaning(values[:, :, :-1], photometric)
    alpha = values[:, :, -1:] / np.iinfo(dtype).max if dtype in UNSIGNED else None
    if extra == "unspecified":
        if photometric in ("minisblack", "miniswhite") or colors is None:
            with refused(path, "meaning is not specified|no fixed white"):
                load_images(path)
        else:
            check(path, [colors])
    elif photometric in ("miniswhite", "separated") or alpha is None:
        with refused(path, "transparent|no fixed white"):
            load_images(path)
    else:
        check(path, [(colors if extra == "assocalpha" else alpha * colors) + 1 - alpha])


@pytest.mark.parametrize(
    ("tags", "cause"),
    [
        ({262: [8]}, "CIELab"),
        ({262: [32803]}, "camera"),
        ({262: [77]}, "unknown photometric interpretation 77"),
        ({259: [33003]}, "unknown compression 33003"),
        ({258: [8, 16, 8], 277: [3], 262: [2]}, "differ in their type"),
        ({262: [2], 277: [2], 258: [8, 8]}, "RGB pixels of 2 samples"),
        ({32997: [2]}, "volume"),
        ({317: [7]}, "predictor 7"),
        ({262: [6], 277: [3], 258: [8, 8, 8]}, "YCbCr pixels with subsampled colors"),
        ({259: [7], 258: [16]}, "codec with 16 bits"),
        ({339: [9]}, "no fixed white"),
        ({339: [3], 258: [24]}, "floating point of 24 bits"),
        ({278: [0]}, "strips or tiles of 0"),
        ({256: [0]}, "0 x 6 pixels"),
        ({277: [60000], 258: [8]}, "60000 samples"),
        ({254: [1]}, "overviews"),
    ],
)
def test_unsupported_pages_are_refused_with_the_cause(tmp_path, tags, cause):
    path = tmp_path / "image.tif"
    path.write_bytes(raw_tiff({256: [W], 257: [H], 258: [8], 262: [1]} | tags, bytes(H * W * 4)))
    with refused(path, cause):
        load_images(path)


# Storage ----------------------------------------------------------------------


@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("tile", [None, (16, 32)])
@pytest.mark.parametrize("compression", [None, "zlib", "lzma"])
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_strips_and_tiles_of_every_compression(tmp_path, planar, compression, tile, byteorder, bigtiff):
    for dtype in ["uint8", "uint16", "float32", "float64"]:
        values = pixels(dtype, 37, 41, 3)
        path = tmp_path / "image.tif"
        imwrite(
            path,
            np.moveaxis(values, 2, 0) if planar == "separate" else values,
            photometric="rgb",
            planarconfig=planar,
            compression=compression,
            predictor=compression == "zlib" and dtype.startswith("u"),  # that of floats needs another package
            tile=tile,
            rowsperstrip=None if tile else 7,
            byteorder=byteorder,
            bigtiff=bigtiff,
        )
        check(path, [meaning(values, "rgb")])


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_deflate", "tiff_adobe_deflate", "packbits", "zstd"])
@pytest.mark.parametrize("mode", ["1", "L", "RGB", "I;16", "F", "RGBA", "CMYK", "P"])
def test_what_pillow_compresses(tmp_path, compression, mode):
    color = pixels("uint8", 90, 70, 3)
    special = {"I;16": pixels("uint16", 90, 70), "F": pixels("float32", 90, 70)}
    image = Image.fromarray(special[mode]) if mode in special else Image.fromarray(color).convert(mode)
    try:
        image.save(tmp_path / "packed.tif", compression=compression)
    except (OSError, KeyError) as error:
        pytest.skip(f"this LibTIFF cannot: {error}")
    image.save(tmp_path / "plain.tif")
    plain, packed = (load_images(tmp_path / f"{name}.tif", as_gray=False)[0] for name in ("plain", "packed"))
    np.testing.assert_array_equal(packed, plain)
    if mode in special:
        np.testing.assert_array_equal(plain[:, :, 0], special[mode] / (65535 if mode == "I;16" else 1))
    else:
        np.testing.assert_allclose(plain, np.asarray(image.convert("RGB")) / 255, atol=1.01 / 255)


def floating_differences(values):
    """Apply predictor 3 by its definition."""
    height, width, n = values.shape
    content = values.astype(f">f{values.itemsize}").view(np.uint8).reshape(height, width * n, values.itemsize)
    planes = content.swapaxes(1, 2).reshape(height, -1, n).astype(int)
    return np.diff(planes, axis=1, prepend=0).astype(np.uint8).tobytes()


@pytest.mark.parametrize("dtype", FLOATING)
@pytest.mark.parametrize("n_samples", [1, 3])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("predictor", [2, 3])
def test_predictors_of_floating_point(tmp_path, dtype, n_samples, order, predictor):
    values = pixels(dtype, H, W, n_samples)
    if predictor == 3:
        data = floating_differences(values)
    else:
        integers = values.view(f"u{values.itemsize}")
        data = np.diff(integers, axis=1, prepend=integers.dtype.type(0)).astype(f"{order}u{values.itemsize}").tobytes()
    bits = 8 * values.itemsize
    tags = {258: [bits] * n_samples, 262: [1 if n_samples == 1 else 2], 277: [n_samples], 317: [predictor]}
    path = tmp_path / "image.tif"
    path.write_bytes(raw_tiff(tags | {256: [W], 257: [H], 339: [3] * n_samples}, data, order))
    check(path, [np.broadcast_to(values.astype(float), (H, W, 3))])


def test_bits_from_the_other_end(tmp_path):
    values = RNG.integers(0, 16, (H, W))
    content = np.frombuffer(packed(values, 4), np.uint8)
    reverse = np.packbits(np.unpackbits(content[:, np.newaxis], axis=1)[:, ::-1], axis=1).tobytes()
    path = tmp_path / "image.tif"
    path.write_bytes(raw_tiff({256: [W], 257: [H], 258: [4], 262: [1], 266: [2]}, reverse))
    check(path, [np.repeat(values[:, :, np.newaxis] / 15, 3, axis=2)])


def test_jpeg_within_tiff_by_pages(tmp_path):
    rows, columns = np.indices((32, 48))
    smooth = np.stack([4 * rows, 5 * columns, 128 + rows - columns], axis=2).astype(np.uint8)
    pages = [Image.fromarray(page) for page in (smooth, smooth[::-1], smooth[:, :, 0])]
    path = tmp_path / "pages.tif"
    pages[0].save(path, save_all=True, append_images=pages[1:], compression="jpeg", quality=95)
    images = load_images(path, as_gray=False)
    assert len(images) == 3
    for image, page in zip(images, pages, strict=True):
        np.testing.assert_allclose(image, np.asarray(page.convert("RGB")) / 255, atol=0.04)


@pytest.mark.parametrize("compression", ["group3", "group4", "tiff_ccitt"])
def test_fax(tmp_path, compression):
    values = pixels("uint8", 40, 50) > 99
    Image.fromarray(values).save(tmp_path / "fax.tif", compression=compression)
    check(tmp_path / "fax.tif", [np.repeat(values[:, :, np.newaxis].astype(float), 3, axis=2)])


@pytest.mark.parametrize("compression", ["jpeg", "group3", "group4"])
def test_black_and_white_exchanged_where_pillow_decodes(tmp_path, compression):
    rows, columns = np.indices((32, 48))
    image = (4 * rows + 2 * columns).astype(np.uint8)
    path = tmp_path / "image.tif"
    Image.fromarray(image if compression == "jpeg" else image > 99).save(path, compression=compression)
    (before,) = load_images(path)
    content = bytearray(path.read_bytes())
    (place,) = struct.unpack_from("<I", content, 4)
    tag = content.index(struct.pack("<H", 262), place)
    content[tag + 8] ^= 1  # MinIsWhite for MinIsBlack, or the reverse
    path.write_bytes(content)
    (after,) = load_images(path)
    np.testing.assert_allclose(after, 1 - before, atol=1e-15)
    assert np.ptp(before) > 0.5


# Pages ------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["sub-directories", "chain"])
def test_overviews_of_a_pyramid_are_no_images(tmp_path, where):
    values = pixels("uint16", 2, 64, 64)
    path = tmp_path / "pyramid.tif"
    with TiffWriter(path) as file:
        for page in values:
            options = {"metadata": None, "photometric": "minisblack", "tile": (16, 16)}
            file.write(page, subifds=2 if where == "sub-directories" else None, **options)
            for step in (2, 4):
                file.write(page[::step, ::step], subfiletype=1, **options)
    check(path, [meaning(page[:, :, np.newaxis], "minisblack") for page in values])


def test_masks_are_no_images(tmp_path):
    values = pixels("uint8", 16, 16)
    with TiffWriter(tmp_path / "mask.tif") as file:
        file.write(values, metadata=None)
        file.write(values > 0, subfiletype=4, metadata=None)
    check(tmp_path / "mask.tif", [meaning(values[:, :, np.newaxis], "minisblack")])


def test_a_stack_that_is_described_and_not_there_is_refused(tmp_path):
    path = tmp_path / "stack.tif"
    imwrite(path, pixels("uint8", 5, H, W), imagej=True, truncate=True)
    path.write_bytes(path.read_bytes()[: -H * W])
    with refused(path, "beyond the end"):
        load_images(path)
    imwrite(path, pixels("uint8", H, W), compression="zlib", description="ImageJ=1.53t\nimages=5\n", metadata=None)
    with refused(path, "5 images are described"):
        load_images(path)


def test_directories_in_a_circle_are_refused(tmp_path):
    content = bytearray(raw_tiff({256: [W], 257: [H], 258: [8], 262: [1]}, bytes(H * W)))
    (n_entries,) = struct.unpack_from("<H", content, 8)
    struct.pack_into("<I", content, 10 + 12 * n_entries, 8)
    (tmp_path / "circle.tif").write_bytes(content)
    with refused(tmp_path / "circle.tif", "circle"):
        load_images(tmp_path / "circle.tif")


# Damage -----------------------------------------------------------------------


def test_decompression_is_limited_to_the_size_of_the_page(tmp_path):
    """A page of 54 pixels has a strip of 1 GB of zeros, compressed to 1 MB."""
    packer = zlib.compressobj()
    strip = b"".join(packer.compress(bytes(1 << 20)) for _ in range(1000)) + packer.flush()
    path = tmp_path / "bomb.tif"
    path.write_bytes(raw_tiff({256: [W], 257: [H], 258: [8], 259: [8], 262: [1]}, strip))
    resource = pytest.importorskip("resource")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with contextlib.suppress(ValueError):  # LibTIFF may complain that the strip does not end
        check(path, [np.zeros((H, W, 3))])
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # KiB


KINDS = ["tiles", "planes", "imagej", "float", "12 bits", "palette"]


@pytest.fixture(scope="module")
def contents(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "image.tif"
    writers = {
        "tiles": lambda: imwrite(path, pixels("uint16", 40, 40, 3), tile=(16, 16), compression="zlib", predictor=True),
        "planes": lambda: imwrite(path, pixels("uint8", 3, 20, 21), photometric="rgb", planarconfig="separate"),
        "imagej": lambda: imwrite(path, pixels("uint16", 5, 20, 21), imagej=True, truncate=True),
        "float": lambda: imwrite(path, pixels("float64", 20, 21), bigtiff=True, compression="lzma"),
        "12 bits": lambda: path.write_bytes(
            raw_tiff({256: [W], 257: [H], 258: [12], 262: [0]}, packed(RNG.integers(0, 4096, (H, W)), 12))
        ),
        "palette": lambda: Image.fromarray(pixels("uint8", 20, 21)).quantize(9).save(path, compression="tiff_lzw"),
    }
    found = {}
    for kind in KINDS:
        writers[kind]()
        load_images(path)
        found[kind] = path.read_bytes()
    return found


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kind=st.sampled_from(KINDS), data=st.data())
def test_any_damage_gives_finite_images_or_a_value_error(tmp_path, contents, kind, data):
    content = bytearray(contents[kind])
    place = st.one_of(st.integers(0, 200), st.integers(0, len(content) - 1))
    for position, byte in data.draw(st.lists(st.tuples(place, st.integers(0, 255)), min_size=1, max_size=6)):
        content[min(position, len(content) - 1)] = byte
    path = tmp_path / "image.tif"
    path.write_bytes(content[: data.draw(st.one_of(st.just(len(content)), place))])
    try:
        images = load_images(path)
    except ValueError as error:
        assert str(error).startswith(f"{path}: cannot be read: ")  # noqa: PT017
    else:
        assert all(np.isfinite(image).all() and image.ndim == 2 for image in images)
