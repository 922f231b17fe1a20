"""Finite transforms: their effect on a blob, and their derivatives, which are the tangents."""

import numpy as np
import pytest

from sparsam.images import image_tangents
from sparsam.images.tangents import smoothed
from sparsam.images.transforms import FINITE_TRANSFORMS, transform_images


def blob(x0, y0, shape=(31, 33)):
    """Make a smooth blob at (x0, y0) from the center."""
    height, width = shape
    y, x = np.mgrid[:height, :width].astype(float)
    return np.exp(-((x - (width - 1) / 2 - x0) ** 2 + (y - (height - 1) / 2 - y0) ** 2) / 8)


@pytest.mark.parametrize(
    ("transform", "amount", "to"),
    [
        ("translate_x", 2.5, (7.5, 3)),
        ("translate_y", -4, (5, -1)),
        ("rotate", np.pi / 2, (-3, 5)),  # clockwise as y goes down
    ],
)
def test_motions_move_a_blob_to_the_expected_place(transform, amount, to):
    moved = transform_images([blob(5, 3).ravel()], (31, 33), transform, amount)[0]
    np.testing.assert_allclose(moved.reshape(31, 33), blob(*to), atol=0.01)


@pytest.mark.parametrize(
    ("transform", "amount", "to"), [("scale", np.log(2), (8, 4)), ("shear_x", 1, (6, 2)), ("shear_y", 1, (4, 6))]
)
def test_deformations_move_its_center_to_the_expected_place(transform, amount, to):
    moved = transform_images([blob(4, 2).ravel()], (31, 33), transform, amount)[0].reshape(31, 33)
    y, x = np.unravel_index(moved.argmax(), moved.shape)
    assert (x - 16, y - 15) == to


@pytest.mark.parametrize("transform", FINITE_TRANSFORMS)
def test_tangents_are_how_they_begin(transform):
    images = np.array([blob(4, 2).ravel(), blob(-3, 5).ravel()])
    soft = smoothed(images.reshape(2, 31, 33), 1.0).reshape(2, -1)
    tangents = image_tangents(images, (31, 33), transform, smoothing=1.0)[:, 0]
    step = 0.01
    forward, back = (transform_images(soft, (31, 33), transform, t) for t in (step, -step))
    difference = (forward - back) / (2 * step)
    np.testing.assert_allclose(difference, tangents, atol=0.01 * np.abs(tangents).max())


def test_an_amount_for_each_image_and_channels_alike():
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(3, 6 * 5 * 3)).astype(np.float32)
    moved = transform_images(X, (6, 5, 3), "translate_x", [0.0, 1.0, -1.0])
    assert moved.dtype == np.float32
    np.testing.assert_allclose(moved[0], X[0], atol=1e-6)
    one = moved[1].reshape(6, 5, 3)
    np.testing.assert_allclose(one[:, 1:], X[1].reshape(6, 5, 3)[:, :-1], atol=1e-5)
    gray = transform_images(X[2].reshape(6, 5, 3)[..., 1].reshape(1, -1), (6, 5), "translate_x", -1.0)
    np.testing.assert_allclose(moved[2].reshape(6, 5, 3)[..., 1].ravel(), gray[0], atol=1e-6)


def test_the_thickness_is_no_motion():
    with pytest.raises(ValueError, match="unknown transform 'thickness'"):
        transform_images(np.ones((1, 4)), (2, 2), "thickness", 1.0)
