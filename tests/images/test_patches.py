import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import chisquare

from sparsam.images import normalize_patches, sample_patches
from sparsam.images.patches import BLOCK


def numbered(height, width, start=0.0):
    """Make an image in which every pixel encodes its position."""
    return start + np.arange(height * width, dtype=np.float64).reshape(height, width)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_each_row_is_a_window_of_one_image_clear_of_the_border(data):
    height, width = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    border = data.draw(st.integers(0, 2))
    room = st.integers(0, 6)
    shapes = data.draw(st.lists(st.tuples(room, room), min_size=1, max_size=3))
    images = [numbered(height + 2 * border + r, width + 2 * border + c) + 0.25 for r, c in shapes]
    images = [image + 1e6 * index for index, image in enumerate(images)]
    patches = sample_patches(images, 30, (height, width), random_state=0, border=border)
    assert patches.shape == (30, height * width)
    for patch in patches:
        index, place = divmod(patch[0], 1e6)
        image = images[int(index)]
        row, column = divmod(int(place), image.shape[1])
        assert border <= row <= image.shape[0] - border - height
        assert border <= column <= image.shape[1] - border - width
        window = image[row : row + height, column : column + width]
        np.testing.assert_array_equal(patch.reshape(height, width), window)


def test_positions_are_uniform_and_reach_every_row_and_column():
    patches = sample_patches([numbered(9, 12)], 20_000, (4, 5), random_state=0)
    rows, columns = np.divmod(patches[:, 0].astype(int), 12)
    counts = np.zeros((6, 8))
    np.add.at(counts, (rows, columns), 1)  # a start beyond the last valid one would be an IndexError
    assert counts.min() > 0
    assert chisquare(counts.ravel()).pvalue > 0.01


def test_images_are_drawn_uniformly_whatever_their_sizes():
    images = [np.full(shape, float(value)) for value, shape in enumerate([(8, 8), (100, 90), (9, 30)])]
    patches = sample_patches(images, 9000, random_state=0)
    assert chisquare(np.bincount(patches[:, 0].astype(int), minlength=3)).pvalue > 0.01


def test_order_does_not_follow_the_images():
    """If rows were grouped by image, a user who takes the first ones would get a biased sample."""
    patches = sample_patches([np.zeros((8, 8)), np.ones((8, 8))], 1000, random_state=0)
    assert 200 < patches[:500, 0].sum() < 300


def test_a_patch_as_large_as_the_image_is_the_image():
    image = numbered(7, 5)
    patches = sample_patches([np.pad(image, 2, constant_values=np.nan)], 3, (7, 5), border=2)
    np.testing.assert_array_equal(patches, np.tile(image.ravel(), (3, 1)))


def test_same_seed_same_patches_in_every_layout():
    stack = np.random.default_rng(0).normal(size=(3, 20, 24)).astype(np.float32)
    expected = sample_patches(stack, 500, random_state=7)
    for images in (
        stack,
        np.moveaxis(stack, 0, -1),
        list(stack),
        iter(stack),
        [image.tolist() for image in stack],
    ):
        patches = sample_patches(images, 500, random_state=7)
        np.testing.assert_array_equal(patches, expected)
    again = sample_patches(stack, 500, random_state=np.random.RandomState(7))
    np.testing.assert_array_equal(again, expected)
    assert (sample_patches(stack, 500, random_state=8) != expected).any()


def test_more_patches_than_a_block():
    image = numbered(10, 10)
    patches = sample_patches([image], 3 * BLOCK + 1, 2, random_state=0)
    np.testing.assert_array_equal(patches - patches[:, :1], np.tile([0, 1, 10, 11], (len(patches), 1)))


def test_color_patches_keep_their_channels_together():
    gray = numbered(9, 11)
    color = np.stack([gray, gray + 1000, gray + 2000], axis=2)
    patches = sample_patches([color, color], 50, (3, 4), random_state=0).reshape(50, 3, 4, 3)
    expected = patches[..., :1] + [0, 1000, 2000]
    np.testing.assert_array_equal(patches, expected)
    steps = patches[..., 0] - patches[:, :1, :1, 0]
    np.testing.assert_array_equal(steps, np.broadcast_to(gray[:3, :4] - gray[0, 0], steps.shape))


@pytest.mark.parametrize(
    ("dtypes", "expected"),
    [
        (["float32"], "float32"),
        (["float64"], "float64"),
        (["float16"], "float16"),
        (["uint8"], "float64"),
        (["bool"], "float64"),
        (["float32", "float64"], "float64"),
        (["float32", "uint8"], "float64"),
    ],
)
def test_floating_types_are_kept(dtypes, expected):
    images = [np.ones((8, 9), dtype) for dtype in dtypes]
    assert sample_patches(images, 5, random_state=0).dtype == expected


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n_patches": 0}, ValueError, "n_patches"),
        ({"n_patches": 10.0}, TypeError, "n_patches"),
        ({"patch_size": 0}, ValueError, "patch_size"),
        ({"patch_size": (8, -1)}, ValueError, "patch_size"),
        ({"patch_size": (8, 8, 3)}, ValueError, "patch_size"),
        ({"patch_size": 8.0}, TypeError, "patch_size"),
        ({"border": -1}, ValueError, "border"),
        ({"patch_size": (8, 21)}, ValueError, r"8 x 21 does not fit into images\[1\] of 16 x 20"),
        (
            {"patch_size": 13, "border": 2},
            ValueError,
            r"13 x 13 .* images\[1\] of 16 x 20 with a border of 2",
        ),
        ({"border": 100}, ValueError, r"does not fit into images\[0\]"),
    ],
)
def test_bad_numbers_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        sample_patches([np.zeros((30, 40)), np.zeros((16, 20))], **arguments)


def test_gray_and_color_do_not_mix():
    with pytest.raises(ValueError, match=r"mixed.*images\[1\]"):
        sample_patches([np.zeros((9, 9)), np.zeros((9, 9, 3))])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_non_finite_pixels_are_refused_except_in_the_border(bad):
    images = np.ones((2, 12, 13))
    images[1, 1, 5] = bad
    assert sample_patches(images, 100, random_state=0, border=2).min() == 1
    with pytest.raises(ValueError, match=r"images\[1\] contains NaN"):
        sample_patches(images, 100, random_state=0, border=1)


# normalize_patches ------------------------------------------------------------

matrices = st.tuples(st.integers(1, 6), st.integers(1, 6))


@settings(deadline=None)
@example(patches=np.array([[1.7e308, -1.7e308], [0.0, 0.0]]))
@given(patches=hnp.arrays(np.float64, matrices, elements=st.floats(allow_nan=False, allow_infinity=False)))
def test_any_finite_patches_end_in_range_and_unchanged_themselves(patches):
    before = patches.copy()
    normalized = normalize_patches(patches)
    assert normalized.shape == patches.shape
    assert normalized.min() >= 0.1 - 1e-12
    assert normalized.max() <= 0.9 + 1e-12
    np.testing.assert_array_equal(patches, before)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-5), (np.float64, 1e-12)])
def test_the_formula_of_the_notes(dtype, tolerance):
    patches = np.random.default_rng(0).standard_t(3, size=(500, 64)).astype(dtype)
    p = patches.astype(np.float64) - patches.mean(axis=1, keepdims=True, dtype=np.float64)
    p_std = 3 * p.std()
    expected = (np.maximum(np.minimum(p, p_std), -p_std) / p_std + 1) * 0.4 + 0.1
    normalized = normalize_patches(patches)
    assert normalized.dtype == dtype
    np.testing.assert_allclose(normalized, expected, atol=tolerance)
    assert normalized.min() == pytest.approx(0.1)  # the heavy tails of these data are cut
    assert normalized.max() == pytest.approx(0.9)


@pytest.mark.parametrize("exponent", [-900, 900])
def test_units_do_not_matter_even_if_squares_would_overflow(exponent):
    patches = np.random.default_rng(2).normal(size=(20, 64))
    np.testing.assert_array_equal(normalize_patches(np.ldexp(patches, exponent)), normalize_patches(patches))


def test_a_large_offset_costs_no_precision():
    patches = np.random.default_rng(1).integers(0, 256, (20, 64))
    np.testing.assert_allclose(normalize_patches(patches + 2**40), normalize_patches(patches), atol=1e-12)


@given(values=hnp.arrays(np.float64, st.integers(1, 5), elements=st.floats(-1e9, 1e9)))
def test_constant_patches_give_one_half(values):
    np.testing.assert_array_equal(normalize_patches(np.tile(values[:, None], (1, 7))), 0.5)


def test_a_constant_patch_among_others_is_one_half():
    normalized = normalize_patches([[0.1, 0.1, 0.1], [0.0, 1.0, 5.0]])
    np.testing.assert_array_equal(normalized[0], 0.5)
    assert normalized[1].std() > 0.1


@pytest.mark.parametrize(("dtype", "expected"), [("uint8", "float64"), ("float16", "float32"), (">f4", "float32")])
def test_type_of_the_result(dtype, expected):
    assert normalize_patches(np.eye(4).astype(dtype)).dtype == expected


@pytest.mark.parametrize(
    ("patches", "message"),
    [
        (np.zeros(5), r"\(5,\)"),
        (np.zeros((2, 8, 8)), r"\(2, 8, 8\)"),
        (np.zeros((0, 64)), r"\(0, 64\)"),
        (np.zeros((3, 0)), r"\(3, 0\)"),
        (np.zeros((3, 4), complex), "complex"),
        ([[1.0, 2.0], [3.0, np.nan]], r"patches\[1\]"),
        ([[1.0, 2.0], [3.0, 4.0], [-np.inf, 0.0]], r"patches\[2\]"),
    ],
)
def test_bad_patches_are_refused(patches, message):
    with pytest.raises(ValueError, match=message):
        normalize_patches(patches)
