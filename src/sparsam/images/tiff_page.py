"""Read the description of a TIFF page's pixels, and check that they can be read.

Source: Adobe, "TIFF Revision 6.0" (1992); Technical Note 3 (2005) for floating point.
"""

from dataclasses import dataclass

from sparsam.images.tiff_directory import Directory

MIN_IS_WHITE, MIN_IS_BLACK, RGB, PALETTE, TRANSPARENCY, CMYK, YCBCR = range(7)
PHOTOMETRICS = {
    MIN_IS_WHITE: "MinIsWhite",
    MIN_IS_BLACK: "MinIsBlack",
    RGB: "RGB",
    PALETTE: "palette",
    TRANSPARENCY: "a transparency mask",
    CMYK: "CMYK",
    YCBCR: "YCbCr",
    8: "CIELab",
    9: "ICCLab",
    10: "ITULab",
    32803: "raw data of a camera (CFA)",
    32844: "LogL",
    32845: "LogLuv",
    34892: "raw data of a camera (LinearRaw)",
}
COLORS = {MIN_IS_WHITE: 1, MIN_IS_BLACK: 1, RGB: 3, PALETTE: 1, CMYK: 4, YCBCR: 3}
"""Samples per pixel that the photometric interpretation defines; ExtraSamples describes further ones."""

UNCOMPRESSED = 1
LOSSLESS = (5, 8, 32773, 32946, 34925, 50000)
"""LZW, deflate, PackBits, deflate by its old code, LZMA, Zstandard: they compress any bytes."""
PICTURE_CODECS = (2, 3, 4, 6, 7, 50001)
"""Fax, JPEG and WebP: they compress pictures of 1 or 8 bits."""

UNSIGNED, SIGNED, FLOAT, UNDEFINED = 1, 2, 3, 4
UNSPECIFIED, PREMULTIPLIED, ALPHA = 0, 1, 2
OVERVIEW, MASK = 1, 4
"""Bits of NewSubfileType."""


@dataclass(frozen=True)
class Page:
    """Shape, types and layout of a page's pixels."""

    width: int
    height: int
    photometric: int
    compression: int
    bits: int
    kind: int
    """TIFF's code for unsigned, signed or floating."""
    n_samples: int
    extras: tuple[int, ...]
    """Meaning of each sample beyond the colors: opacity, or unspecified."""
    separate: bool
    """Whether each sample has its own plane; otherwise the samples of a pixel are stored together."""
    predictor: int
    reversed_bits: bool
    orientation: int
    segment: tuple[int, int]
    """Height and width of a strip or tile."""
    tiled: bool

    @property
    def n_colors(self) -> int:
        """Number of color samples, without opacity and unspecified ones."""
        return self.n_samples - len(self.extras)

    @property
    def needs_pillow(self) -> bool:
        """Whether Pillow must decode it: its compression is a picture codec, or its colors are YCbCr."""
        return self.compression in PICTURE_CODECS or self.photometric == YCBCR


def is_image(directory: Directory) -> bool:
    """Return whether a page is an image, rather than an overview or a mask of another."""
    old = {2: OVERVIEW}.get(directory.number(255, 0), 0)
    return not directory.number(254, old) & (OVERVIEW | MASK) and directory.number(262, 0) != TRANSPARENCY


def describe_page(directory: Directory) -> Page:
    """Read a page's description from its directory; raise ValueError if its pixels cannot be interpreted."""
    width, height = directory.number(256), directory.number(257)
    n_samples = directory.number(277, 1)
    photometric = directory.number(262)
    if photometric not in COLORS:
        raise ValueError(f"the pixels are {_name(photometric)}; convert the picture to gray or RGB first")
    if min(width, height, n_samples) < 1:
        raise ValueError(f"a page has {width} x {height} pixels of {n_samples} samples: the file is damaged")
    tiled = 322 in directory.entries
    segment = (
        (directory.number(323), directory.number(322)) if tiled else (min(directory.number(278, height), height), width)
    )
    if min(segment) < 1:
        raise ValueError(f"the page has strips or tiles of {segment[0]} x {segment[1]} pixels: the file is damaged")
    n_extras = n_samples - COLORS[photometric]
    page = Page(
        width=width,
        height=height,
        photometric=photometric,
        compression=directory.number(259, UNCOMPRESSED),
        bits=_common(directory, 258, n_samples, 1),
        kind=_common(directory, 339, n_samples, UNSIGNED),
        n_samples=n_samples,
        extras=_extras(directory, max(n_extras, 0)),
        separate=directory.number(284, 1) == 2 and n_samples > 1,
        predictor=directory.number(317, 1),
        reversed_bits=directory.number(266, 1) == 2,
        orientation=directory.number(274, 1),
        segment=segment,
        tiled=tiled,
    )
    if n_extras < 0:
        raise ValueError(f"{_name(photometric)} pixels of {n_samples} samples, too few: the file is damaged")
    if directory.number(32997, 1) != 1:
        raise ValueError("the page is a volume (ImageDepth); save each of its planes as a page")
    _refuse_pixels(page)
    if page.needs_pillow:
        _refuse_coding(page, directory)
    return page


def _common(directory: Directory, tag: int, n_samples: int, default: int) -> int:
    """Read a tag whose value must be the same for all samples."""
    found = set(directory.numbers(tag, min(n_samples, 1000), (default,)).tolist())
    if len(found) != 1:
        raise ValueError(f"the samples of a pixel differ in their type (tag {tag}: {sorted(found)})")
    return int(found.pop())


def _extras(directory: Directory, n: int) -> tuple[int, ...]:
    """Read the meaning of the samples beyond the colors; unspecified if the tag is missing or too short."""
    found = directory.numbers(338, min(n, 1000)).tolist()
    return (*found, *[UNSPECIFIED] * (min(n, 1000) - len(found)))


def _name(photometric: int) -> str:
    return PHOTOMETRICS.get(photometric, f"of the unknown photometric interpretation {photometric}")


def _refuse_pixels(page: Page) -> None:
    """Raise ValueError for values without a fixed black and white, and for samples without a meaning."""
    opacity = [extra for extra in page.extras if extra != UNSPECIFIED]
    if page.n_samples > 1000 or (page.n_colors == 1 and len(page.extras) > len(opacity)):
        raise ValueError(
            f"pixels of {page.n_samples} samples whose meaning is not specified; save each of them as a page"
        )
    if page.photometric == PALETTE and page.extras:
        raise ValueError("the palette has extra samples; convert the picture to RGB first")
    if len(opacity) > 1 or not set(opacity) <= {PREMULTIPLIED, ALPHA}:
        raise ValueError(f"extra samples have the types {list(page.extras)}; save the picture without them")
    if page.photometric in (MIN_IS_WHITE, PALETTE, CMYK) and opacity:
        raise ValueError(
            f"transparent {_name(page.photometric)} pixels are not supported; convert the picture to RGB first"
        )
    if page.kind == FLOAT:
        if page.bits not in (16, 32, 64):
            raise ValueError(f"floating point of {page.bits} bits is not supported; save 16, 32 or 64 bits, or .npy")
        if page.photometric not in (MIN_IS_BLACK, RGB) or opacity:
            raise ValueError(
                "floating point has no fixed white, which MinIsWhite, palettes, CMYK and transparency need; "
                "save MinIsBlack or RGB, or .npy"
            )
    elif page.kind not in (UNSIGNED, UNDEFINED):
        what = "signed integers have" if page.kind == SIGNED else "complex numbers (SampleFormat) have"
        raise ValueError(f"{what} no fixed white; save unsigned integers of 8 or 16 bits, floating point, or .npy")
    elif not 1 <= page.bits <= 16:
        raise ValueError(
            f"integers of {page.bits} bits have no fixed white; save 8 or 16 bits, floating point, or .npy"
        )


def _refuse_coding(page: Page, directory: Directory) -> None:
    """Raise ValueError for codings that Pillow would misread."""
    if page.kind == FLOAT or page.bits not in (1, 8):
        raise ValueError(
            f"a picture codec with {page.bits} bits per sample is not supported; save it without compression, or with "
            "8 bits"
        )
    subsampled = directory.numbers(530, 2, (2, 2)).tolist() != [1, 1]
    if page.photometric == YCBCR and page.compression == UNCOMPRESSED and subsampled:
        raise ValueError(
            "uncompressed YCbCr pixels with subsampled colors are not supported; convert the picture to RGB first"
        )
    if page.compression not in (UNCOMPRESSED, *LOSSLESS, *PICTURE_CODECS):
        raise ValueError(f"unknown compression {page.compression}; save it without compression, or with deflate")
