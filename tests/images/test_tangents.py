"""Tangents of images equal derivatives of finite transforms."""

import numpy as np
import pytest

from sparsam.images import image_tangents
from sparsam.images.tangents import TRANSFORMS, smoothed, velocity

SHAPE = (17, 21)
SMOOTHING = 0.8


def moved(image, transform, step):
    """Transform an image by a finite step, and evaluate it at the pixels.

    The image is the smooth function sum_ij F_ij g(x - j) g(y - i), with the border's pixels continued far out.
    """
    margin = 12
    F = np.pad(image, margin, mode="edge")
    height, width = image.shape
    y, x = np.mgrid[:height, :width].astype(float)
    cy, cx = (height - 1) / 2, (width - 1) / 2
    x, y = x - cx, y - cy
    # Origin of each point: the inverse of the flow of the velocity field.
    if transform == "rotate":
        x, y = np.cos(step) * x + np.sin(step) * y, -np.sin(step) * x + np.cos(step) * y
    elif transform == "scale":
        x, y = x * np.exp(-step), y * np.exp(-step)
    else:
        u, v = velocity(transform, x, y)
        x, y = x - step * u, y - step * v
    radius = int(6 * SMOOTHING + 0.5)
    normalization = np.exp(-(np.arange(-radius, radius + 1) ** 2) / (2 * SMOOTHING**2)).sum()

    def kernel(at, n):  # (height, width, n): g at each pixel of one axis
        distance = at[..., None] + margin - np.arange(n)
        return np.exp(-(distance**2) / (2 * SMOOTHING**2)) / normalization

    g_y, g_x = kernel(y + cy, F.shape[0]), kernel(x + cx, F.shape[1])
    return np.einsum("hwi,ij,hwj->hw", g_y, F, g_x, optimize=True)


@pytest.fixture(scope="module")
def picture():
    """Make an image that reaches the borders."""
    return np.random.default_rng(0).uniform(size=SHAPE)


def test_without_a_step_it_is_the_smoothed_image(picture):
    np.testing.assert_allclose(moved(picture, "rotate", 0.0), smoothed(picture[None], SMOOTHING)[0], atol=1e-6)


@pytest.mark.parametrize("transform", TRANSFORMS[:-1])
def test_the_error_falls_as_the_square_of_the_step_borders_included(picture, transform):
    tangent = image_tangents([picture.ravel()], SHAPE, transform, smoothing=SMOOTHING).reshape(SHAPE)
    errors = []
    for step in (0.02, 0.01, 0.005):
        difference = (moved(picture, transform, step) - moved(picture, transform, -step)) / (2 * step)
        errors.append(np.abs(difference - tangent).max())
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.1)
    assert errors[1] / errors[2] == pytest.approx(4, rel=0.1)


def blob(width):
    """Make a Gaussian around the center, and coordinates relative to the center."""
    y, x = np.mgrid[-20:21, -20:21].astype(float)
    return np.exp(-(x**2 + y**2) / (2 * width**2)), x, y


def test_a_gaussian_blob_has_the_tangents_of_analysis():
    F, x, y = blob(3.0)
    smoothing = 1.5  # wide enough for sums over pixels to be integrals
    s2 = 9 + smoothing**2  # smoothed, it is a wider one
    f = 9 / s2 * np.exp(-(x**2 + y**2) / (2 * s2))
    f_x, f_y = -x / s2 * f, -y / s2 * f
    expected = {
        "translate_x": -f_x,
        "translate_y": -f_y,
        "rotate": 0 * f,
        "scale": (x**2 + y**2) / s2 * f,
        "shear_x": -y * f_x,
        "shear_y": -x * f_y,
        "thickness": f_x**2 + f_y**2,
    }
    got = image_tangents([F.ravel()], F.shape, smoothing=smoothing)[0].reshape(-1, *F.shape)
    for transform, tangent in zip(TRANSFORMS, got, strict=True):
        np.testing.assert_allclose(tangent, expected[transform], atol=1e-7, err_msg=transform)


def test_a_stroke_swells_at_both_edges_and_a_disk_grows():
    F, x, _ = blob(3.0)
    stroke = (np.abs(x) <= 3).astype(float)
    tangent = image_tangents([stroke.ravel()], F.shape, "thickness").reshape(F.shape)
    assert tangent.min() >= 0
    assert np.all(tangent[20, [16, 17, 23, 24]] > 0.1)
    assert tangent[20, 20] < 1e-6


def test_a_constant_image_does_not_change_even_at_its_borders():
    tangents = image_tangents(np.full((1, 48), 3.0), (6, 8))
    np.testing.assert_allclose(tangents, 0, atol=1e-12)


def test_channels_of_a_color_image_move_alike():
    rng = np.random.default_rng(1)
    color = rng.uniform(size=(2, *SHAPE, 3))
    tangents = image_tangents(color.reshape(2, -1), (*SHAPE, 3)).reshape(2, len(TRANSFORMS), *SHAPE, 3)
    for channel in range(3):
        gray = image_tangents(color[..., channel].reshape(2, -1), SHAPE).reshape(2, len(TRANSFORMS), *SHAPE)
        np.testing.assert_allclose(tangents[..., channel], gray, atol=1e-12)


@pytest.mark.parametrize(("dtype", "expected"), [("float32", "float32"), ("float64", "float64"), ("uint8", "float64")])
def test_type_and_order_are_the_images_and_the_transforms(dtype, expected):
    X = np.random.default_rng(2).uniform(0, 9, size=(300, 30)).astype(dtype)  # more than a block
    tangents = image_tangents(X, (5, 6), ("rotate", "translate_x"))
    assert tangents.shape == (300, 2, 30)
    assert tangents.dtype == expected
    np.testing.assert_array_equal(tangents[:, 1:], image_tangents(X, (5, 6), "translate_x"))
    np.testing.assert_array_equal(tangents[-1:], image_tangents(X[-1:], (5, 6), ("rotate", "translate_x")))


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"image_shape": (5, 5)}, ValueError, r"image_shape = \(5, 5\) makes 25 pixels, but X has 30 features"),
        ({"image_shape": 30}, TypeError, "image_shape must be"),
        ({"image_shape": (30,)}, ValueError, "image_shape must be"),
        ({"transforms": ("rotate", "twist")}, ValueError, "unknown transform 'twist'; choose from translate_x"),
        ({"transforms": ()}, ValueError, "transforms is empty"),
        ({"X": np.ones((2, 5, 6))}, ValueError, "one image per row"),
    ],
)
def test_bad_input_is_named(options, error, match):
    with pytest.raises(error, match=match):
        image_tangents(**({"X": np.ones((2, 30)), "image_shape": (5, 6)} | options))
