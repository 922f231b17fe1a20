"""Mosaics, pixel by pixel: every value at its place, everything else border."""

import subprocess
import sys
import warnings

import matplotlib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import ListedColormap, to_rgba
from numpy.testing import assert_array_equal

from sparsam.display import filter_mosaic
from sparsam.display.mosaic import square_columns

RAW = {"normalize_each": False, "normalize_all": False}
TOGETHER = {"normalize_each": False}
BLUE = (0, 0, 255)
MIDDLE = 128  # the color of 1/2, in "gray" as in color

grids = st.fixed_dictionaries(
    {
        "n_filters": st.integers(1, 13),
        "height": st.integers(1, 6),
        "width": st.integers(1, 6),
        "border_width": st.integers(0, 3),
        "n_columns": st.none() | st.integers(1, 6),
        "seed": st.integers(0, 2**32 - 1),
    }
)


def bytes_and_values(shape, seed):
    """Return random colors, and the values that the raw scale shows as these colors."""
    colors = np.random.default_rng(seed).integers(0, 256, shape)
    return colors, colors / 255


def take_apart(mosaic, n_filters, height, width, border_width):
    """Find the tiles by the documented rule; return them and all pixels outside them."""
    n_columns = (mosaic.shape[1] - border_width) // (width + border_width)
    outside = np.ones(mosaic.shape[:2], bool)
    tiles = []
    for k in range(n_filters):
        top = border_width + (k // n_columns) * (height + border_width)
        left = border_width + (k % n_columns) * (width + border_width)
        tiles.append(mosaic[top : top + height, left : left + width])
        outside[top : top + height, left : left + width] = False
    return np.array(tiles), mosaic[outside]


def check_size(mosaic, n_filters, height, width, border_width, n_columns):
    if n_columns is None:
        n_columns = square_columns(n_filters, height, width, border_width)
    n_rows = -(-n_filters // n_columns)
    assert mosaic.dtype == np.uint8
    assert mosaic.shape == (
        border_width + n_rows * (height + border_width),
        border_width + n_columns * (width + border_width),
        3,
    )


@settings(deadline=None)
@given(grids)
def test_gray_patches_stand_in_their_places(grid):
    seed, n_columns = grid.pop("seed"), grid.pop("n_columns")
    colors, values = bytes_and_values((grid["n_filters"], grid["height"], grid["width"]), seed)
    mosaic = filter_mosaic(values, n_columns=n_columns, border_width=grid["border_width"], **RAW)
    check_size(mosaic, **grid, n_columns=n_columns)
    tiles, outside = take_apart(mosaic, **grid)
    assert_array_equal(tiles, np.repeat(colors[..., np.newaxis], 3, axis=3))
    assert_array_equal(outside, np.broadcast_to(BLUE, outside.shape))


@settings(deadline=None)
@given(grids)
def test_color_patches_stand_in_their_places(grid):
    seed, n_columns = grid.pop("seed"), grid.pop("n_columns")
    colors, values = bytes_and_values((grid["n_filters"], grid["height"], grid["width"], 3), seed)
    mosaic = filter_mosaic(
        values,
        n_columns=n_columns,
        border_width=grid["border_width"],
        cmap="viridis",
        border_color="red",
        **RAW,
    )
    check_size(mosaic, **grid, n_columns=n_columns)
    tiles, outside = take_apart(mosaic, **grid)
    assert_array_equal(tiles, colors)
    assert_array_equal(outside, np.broadcast_to((255, 0, 0), outside.shape))


@settings(deadline=None)
@given(grids, st.integers(1, 30), st.data())
def test_rows_of_features_fill_patches_line_by_line(grid, n_features, data):
    image_width = data.draw(st.none() | st.integers(1, n_features))
    width = image_width or next(w for w in range(1, 31) if w * w >= n_features)
    height = next(h for h in range(1, 31) if h * width >= n_features)
    colors, values = bytes_and_values((grid["n_filters"], n_features), grid["seed"])
    mosaic = filter_mosaic(values, image_width=image_width, border_width=grid["border_width"], **RAW)
    grid |= {"height": height, "width": width}
    del grid["seed"]
    check_size(mosaic, **(grid | {"n_columns": None}))
    del grid["n_columns"]
    tiles, outside = take_apart(mosaic, **grid)
    lines = tiles.reshape(grid["n_filters"], height * width, 3)
    assert_array_equal(lines[:, :n_features], np.repeat(colors[..., np.newaxis], 3, axis=2))
    assert_array_equal(lines[:, n_features:], np.broadcast_to(BLUE, lines[:, n_features:].shape))
    assert_array_equal(outside, np.broadcast_to(BLUE, outside.shape))


@pytest.mark.parametrize(
    ("n_filters", "height", "width", "columns"),
    [
        (1, 8, 8, 1),
        (2, 8, 8, 2),
        (5, 8, 8, 3),
        (7, 8, 8, 3),
        (12, 8, 8, 4),
        (25, 8, 8, 5),
        (9, 4, 16, 2),
        (4, 9, 1, 4),
    ],
)
def test_default_columns_of_known_cases(n_filters, height, width, columns):
    mosaic = filter_mosaic(np.zeros((n_filters, height, width)))
    assert mosaic.shape[1] == 1 + columns * (width + 1)


@settings(deadline=None)
@given(st.integers(1, 60), st.integers(1, 12), st.integers(1, 12), st.integers(0, 3))
def test_default_columns_are_nearest_to_a_square(n_filters, height, width, border_width):
    def excess(columns):
        rows = -(-n_filters // columns)
        sides = (
            border_width + rows * (height + border_width),
            border_width + columns * (width + border_width),
        )
        return max(sides) / min(sides)

    columns = square_columns(n_filters, height, width, border_width)
    assert 1 <= columns <= n_filters
    assert excess(columns) == min(map(excess, range(1, n_filters + 1)))


def test_more_columns_than_filters_leave_border():
    mosaic = filter_mosaic(np.ones((2, 4)), n_columns=3, **RAW)
    assert mosaic.shape == (4, 10, 3)
    assert_array_equal(mosaic[:, 7:], np.broadcast_to(BLUE, (4, 3, 3)))


shapes = st.sampled_from([(1, 7), (6, 10), (4, 3, 5), (3, 2, 4, 3)])


@settings(deadline=None)
@given(shapes, st.booleans(), st.integers(0, 2**32 - 1))
def test_normalization_follows_its_formula(shape, each, seed):
    A = np.random.default_rng(seed).normal(1.0, 2.0, shape)
    expected = np.empty(shape)
    for part in [(k,) for k in range(len(A))] if each else [...]:
        centered = A[part] - np.mean(A[part])
        expected[part] = (1 + centered / np.max(np.abs(centered))) / 2
    actual = filter_mosaic(A, normalize_each=each)
    raw = filter_mosaic(expected, **RAW)
    # A value halfway between two gray levels may be rounded to either.
    assert np.abs(actual.astype(int) - raw).max() <= 1
    assert np.mean(actual != raw) < 0.05


@settings(deadline=None)
@given(shapes, st.booleans(), st.integers(0, 2**32 - 1), st.floats(1e-3, 1e3), st.floats(-10, 10))
def test_normalization_depends_on_neither_scale_nor_offset(shape, each, seed, scale, offset):
    A = np.random.default_rng(seed).normal(size=shape)
    moved = filter_mosaic(scale * A + offset, normalize_each=each)
    assert np.abs(moved.astype(int) - filter_mosaic(A, normalize_each=each)).max() <= 1


def test_each_filter_by_itself_uses_the_whole_scale():
    A = np.array([[0.0, 1.0, 2.0, 3.0], [1000.0, 1001.0, 1002.0, 1003.0], [0.0, 0.1, 0.2, 0.3]])
    tiles, _ = take_apart(filter_mosaic(A), 3, 2, 2, 1)
    assert_array_equal(tiles[..., 0].reshape(3, 4), [[0, 85, 170, 255]] * 3)


def test_all_filters_together_keep_their_proportions():
    A = np.array([[-1.0, 1.0, 0.0, 0.0], [-0.25, 0.25, 0.0, 0.0]])
    tiles, _ = take_apart(filter_mosaic(A, **TOGETHER), 2, 2, 2, 1)
    assert_array_equal(tiles[..., 0].reshape(2, 4), [[0, 255, 128, 128], [96, 160, 128, 128]])


def test_normalize_each_wins():
    A = np.random.default_rng(0).normal(size=(5, 9)) * np.arange(1, 6)[:, np.newaxis]
    both = filter_mosaic(A, normalize_each=True, normalize_all=True)
    assert_array_equal(both, filter_mosaic(A, normalize_each=True, normalize_all=False))
    assert (both != filter_mosaic(A, **TOGETHER)).any()


def test_without_normalization_values_are_clipped():
    tiles, _ = take_apart(filter_mosaic([[-5.0, 0.0, 1.0, 7.0]], **RAW), 1, 2, 2, 1)
    assert_array_equal(tiles[0, ..., 0], [[0, 0], [255, 255]])


@pytest.mark.parametrize("constant", [0.0, 0.1, -3.7, 1e308, -1e308, 5e-324, 1e16])
@pytest.mark.parametrize("options", [{}, TOGETHER])
@pytest.mark.parametrize("shape", [(3, 63), (3, 4, 5), (3, 4, 5, 3)])
def test_constant_filters_are_mid_gray_without_a_warning(constant, options, shape):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mosaic = filter_mosaic(np.full(shape, constant), n_columns=3, border_width=0, **options)
    inside = (mosaic == MIDDLE).all(axis=2)
    assert inside.sum() == 3 * np.prod(shape[1:3])
    assert_array_equal(mosaic[~inside], np.broadcast_to(BLUE, mosaic[~inside].shape))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_rounding_is_not_enlarged(dtype):
    almost = np.full((1, 16), 0.3, dtype)
    almost[0, 5] = np.nextafter(dtype(0.3), dtype(1))
    assert (filter_mosaic(almost, border_width=0) == MIDDLE).all()


def test_constant_filter_among_others():
    A = np.array([[0.7, 0.7, 0.7, 0.7], [0.0, 1.0, 2.0, 3.0]])
    tiles, _ = take_apart(filter_mosaic(A), 2, 2, 2, 1)
    assert (tiles[0] == MIDDLE).all()
    assert_array_equal(tiles[1, ..., 0], [[0, 85], [170, 255]])


@pytest.mark.parametrize("scale", [1e308, 5e-324, 1e-310])
def test_extreme_magnitudes(scale):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mosaic = filter_mosaic([[-scale, scale, 0.0, 0.0]], border_width=0)
    assert_array_equal(mosaic[..., 0], [[0, 255], [MIDDLE, MIDDLE]])


@pytest.mark.parametrize("cmap", ["gray", "viridis", "RdBu_r", "tab10", ListedColormap(["red", (0, 0, 1, 0.5)])])
def test_color_map_is_matplotlibs(cmap):
    values = np.linspace(0, 1, 101)[np.newaxis]
    tiles = filter_mosaic(values, image_width=101, border_width=0, cmap=cmap, **RAW)
    rgba = matplotlib.colormaps.get_cmap(cmap)(values)
    expected = 255 * (rgba[..., :3] * rgba[..., 3:] + 1 - rgba[..., 3:])
    assert np.abs(tiles - expected).max() <= 0.5 + 1e-9


@pytest.mark.parametrize("color", ["red", "#12345678", "C1", "0.5", (0.2, 0.4, 0.6), (1, 0, 0, 0.5), ("green", 0.3)])
def test_border_color_is_any_of_matplotlibs(color):
    *rgb, alpha = to_rgba(color)
    expected = 255 * (np.array(rgb) * alpha + 1 - alpha)
    assert np.abs(filter_mosaic(np.zeros((1, 4)), border_color=color)[0, 0] - expected).max() <= 0.5


def test_transparent_border_is_white():
    assert_array_equal(filter_mosaic(np.zeros((1, 4)), border_color="none")[0, 0], (255, 255, 255))


@pytest.mark.parametrize("kind", [list, np.float32, np.int8, bool, "frame", "fortran", "reversed"])
def test_kinds_of_arrays(kind):
    A = np.random.default_rng(1).integers(0, 2, (6, 12))
    expected = filter_mosaic(A.astype(float))
    if kind is list:
        given = A.tolist()
    elif kind == "frame":
        given = pytest.importorskip("pandas").DataFrame(A)
    elif kind == "fortran":
        given = np.asfortranarray(A)
    elif kind == "reversed":
        given = A[::-1].copy()[::-1]
    else:
        given = A.astype(kind)
    before = np.array(given)
    assert_array_equal(filter_mosaic(given), expected)
    assert_array_equal(np.array(given), before)


Z = np.zeros((3, 12))


@pytest.mark.parametrize(
    ("A", "options", "message"),
    [
        (np.zeros(4), {}, r"A\[np.newaxis\]"),
        (np.float64(3), {}, "shape"),
        (np.zeros((2, 3, 4, 4)), {}, r"\(2, 3, 4, 4\).*reshape"),
        (np.zeros((2, 3, 4, 3, 1)), {}, "reshape"),
        (np.zeros((0, 4)), {}, "it is empty"),
        (np.zeros((4, 0)), {}, "it is empty"),
        (np.zeros((2, 0, 3)), {}, "it is empty"),
        ([[0.0, np.nan], [0.0, 0.0]], {}, r"NaN.*1 of 2 filters.*A\[0\]"),
        ([[0.0, 0.0], [0.0, -np.inf]], {}, r"infinity.*A\[1\].*nan_to_num"),
        ([["a", "b"]], {}, "numbers"),
        ([[None, 1.0]], {}, "NaN"),
        ([[1.0], [1.0, 2.0]], {}, "numbers"),
        (Z + 1j, {}, "complex"),
        (Z, {"image_width": 0}, "image_width must be at least 1; got 0"),
        (Z, {"image_width": 13}, "image_width must not exceed n_features = 12; got 13"),
        (Z, {"image_width": 2.5}, "whole number; got 2.5"),
        (Z.reshape(3, 3, 4), {"image_width": 3}, "image_width=3.*width 4.*drop image_width"),
        (Z, {"n_columns": 0}, "n_columns must be at least 1"),
        (Z, {"n_columns": "2"}, "n_columns must be a whole number"),
        (Z, {"border_width": -1}, "border_width must be at least 0"),
        (Z, {"border_width": 0.5}, "border_width must be a whole number"),
        (Z, {"border_color": "bleu"}, "border_color.*'bleu'"),
        (Z, {"border_color": 7}, "border_color.*got 7"),
        (Z, {"cmap": "grey-ish"}, 'cmap="grey-ish" is unknown'),
        (Z, {"cmap": 3}, "cmap must be.*got 3"),
    ],
)
def test_errors_name_cause_and_cure(A, options, message):
    with pytest.raises(ValueError, match=message):
        filter_mosaic(A, **options)


def test_patches_may_repeat_their_own_width():
    A = np.random.default_rng(0).normal(size=(3, 2, 4))
    assert_array_equal(filter_mosaic(A, image_width=4), filter_mosaic(A))


def test_importing_display_imports_no_drawing_library():
    program = "import sys, sparsam.display; print({'matplotlib', 'PIL', 'jax', 'sklearn'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"
