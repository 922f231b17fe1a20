"""Planted Gabor functions are recovered; filters with and without an orientation are distinguished."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from sparsam import SparseAutoencoder, fit_gabors
from sparsam.images import natural_images, normalize_patches, sample_patches

SIDE = 8


def coordinates(height, width):
    y, x = np.mgrid[:height, :width].astype(float)
    return x, y


def gabor(x, y, *, center, orientation, frequency, phase, widths, amplitude=1.0, offset=0.0):
    """Compute the orientation of the stripes as defined in the docstrings: counterclockwise, with y downward."""
    angle = np.radians(orientation)
    dx, dy = x - center[0], center[1] - y
    along, across = dx * np.cos(angle) + dy * np.sin(angle), dx * np.sin(angle) - dy * np.cos(angle)
    envelope = np.exp(-0.5 * (across / widths[0]) ** 2 - 0.5 * (along / widths[1]) ** 2)
    return amplitude * envelope * np.cos(2 * np.pi * frequency * across + phase) + offset


def of_fit(fits, k):
    """Evaluate the formula with the attributes of fit k."""
    names = ("center", "orientation", "frequency", "phase", "widths", "amplitude", "offset")
    return gabor(*coordinates(*fits.image.shape[1:]), **{name: getattr(fits, name)[k] for name in names})


def apart(a, b):
    """Compute the angle between orientations in degrees."""
    return np.abs((a - b + 90) % 180 - 90)


@st.composite
def planted(draw):
    frequency = draw(st.floats(0.08, 0.33))
    across = min(max(draw(st.floats(0.15, 0.6)) / frequency, 0.8), 6.0)  # 0.6 to 2.4 cycles, about
    return {
        "center": (draw(st.floats(1.5, SIDE - 2.5)), draw(st.floats(1.5, SIDE - 2.5))),
        "orientation": draw(st.floats(0, 180, exclude_max=True)),
        "frequency": frequency,
        "phase": draw(st.floats(-np.pi, np.pi)),
        "widths": (across, min(across * draw(st.floats(1.0, 2.5)), 7.0)),
    }


@settings(max_examples=30, deadline=None)
@given(planted(), st.floats(-2, 2), st.sampled_from([1e-170, 1e-3, 1.0, 1e170]))
def test_a_planted_function_is_found_again_whatever_its_sign_scale_offset_and_turn(parameters, offset, scale):
    image = gabor(*coordinates(SIDE, SIDE), **parameters)
    fits = fit_gabors([image, -scale * image, image + offset, np.rot90(image)])
    assert fits.r2.min() > 0.999
    assert_allclose(fits.r2[:3], fits.r2[0], atol=1e-5)
    assert apart(fits.orientation[:3], parameters["orientation"]).max() < 0.5
    assert apart(fits.orientation[3], parameters["orientation"] + 90) < 0.5
    assert_allclose(fits.frequency, parameters["frequency"], rtol=0.01)
    assert_allclose(fits.center[0], parameters["center"], atol=0.05)
    assert_allclose(fits.widths[0], parameters["widths"], rtol=0.02)
    assert_allclose(fits.amplitude[[0, 1]], [1, scale], rtol=0.02)
    # Half a turn is the same function with the other sign of the phase.
    turned = abs(fits.orientation[0] - parameters["orientation"]) > 90
    phase = -parameters["phase"] if turned else parameters["phase"]
    assert abs(np.angle(np.exp(1j * (fits.phase[0] - phase)))) < 0.05


@pytest.mark.parametrize("shape", [(8, 8), (6, 11), (4, 4)])
def test_image_and_r2_are_those_of_the_attributes(shape):
    filters = np.random.default_rng(0).normal(size=(20, *shape))
    fits = fit_gabors(filters)
    for k in range(20):
        assert_allclose(fits.image[k], of_fit(fits, k), atol=1e-8)
    unexplained = np.sum((filters - fits.image) ** 2, axis=(1, 2))
    assert_allclose(fits.r2, 1 - unexplained / (shape[0] * shape[1] * filters.var(axis=(1, 2))), atol=1e-10)
    flat = fit_gabors(filters.reshape(20, -1), image_shape=shape)
    assert_allclose(flat.r2, fits.r2)
    height, width = shape
    assert (fits.center >= -0.5).all()
    assert (fits.center <= np.array([width, height]) - 0.5).all()
    assert (fits.widths <= max(shape) * (1 + 1e-9)).all()
    assert (4 * fits.widths[:, 0] * fits.frequency >= 0.5 - 1e-9).all()
    assert ((fits.orientation >= 0) & (fits.orientation < 180)).all()


def test_noise_is_hardly_explained():
    fits = fit_gabors(np.random.default_rng(0).normal(size=(100, 64)))
    assert np.median(fits.r2) < 0.3
    assert fits.r2.max() < 0.6
    assert fits.quality() == 0


def test_round_filters_have_no_orientation_however_well_they_are_fitted():
    x, y = coordinates(SIDE, SIDE)
    squared = (x - 3.4) ** 2 + (y - 3.8) ** 2
    blob = np.exp(-squared / 2 / 1.5**2)
    surround = np.exp(-squared / 2) - 0.3 * np.exp(-squared / 2 / 1.6**2)
    pixel = np.zeros((SIDE, SIDE))
    pixel[3, 4] = 1.0
    checkerboard = (-1.0) ** (x + y)
    fits = fit_gabors([blob, surround, pixel, checkerboard])
    assert fits.r2.min() > 0.7
    assert not fits.oriented.any()
    assert fits.quality() == 0
    edge = gabor(x, y, center=(3, 4), orientation=30, frequency=0.15, phase=1.5, widths=(2, 3))
    mixed = fit_gabors([blob, edge, edge + 0.1 * checkerboard, edge + 2 * checkerboard])
    assert mixed.oriented.tolist() == [False, True, True, False]
    assert mixed.quality() == 0.5
    assert mixed.quality(threshold=float(mixed.r2[2])) == 0.25  # exceeds it


def test_constant_filters_have_r2_zero_and_do_not_affect_others():
    edge = gabor(*coordinates(SIDE, SIDE), center=(3, 4), orientation=30, frequency=0.15, phase=0, widths=(2, 3))
    constants = [np.zeros((8, 8)), np.full((8, 8), 0.1), np.full((8, 8), np.float32(-1e30))]
    fits = fit_gabors([constants[0], edge, *constants[1:]])
    dead = [0, 2, 3]
    assert_allclose(fits.r2[dead], 0, atol=0)
    assert_allclose(fits.amplitude[dead], 0, atol=0)
    assert not fits.oriented[dead].any()
    assert np.isnan(fits.orientation[dead]).all()
    assert_allclose(fits.image[dead], constants)
    assert fits.quality() == 0.25
    assert fits.r2[1] == pytest.approx(1)


@pytest.mark.parametrize(
    ("components", "shape", "match"),
    [
        (np.ones((2, 60)), None, "filters of 60 pixels are not of image_shape"),
        (np.ones((2, 64)), (8, 9), r"not of image_shape \(8, 9\)"),
        (np.ones((2, 4, 8)), (8, 4), r"of shape \(4, 8\) are not of image_shape \(8, 4\)"),
        (np.ones((2, 9)), None, "at least 4 pixels"),
        (np.ones(64), None, r"got the shape \(64,\)"),
        (np.ones((2, 8, 8, 3)), None, "color"),
        (np.ones((0, 64)), None, "no filter"),
        ([["a"] * 64], None, "real numbers"),
        (np.ones((2, 64), complex), None, "real numbers"),
        ([[1.0] * 64, [np.nan] * 64], None, r"in 1 filters, first in components\[1\]"),
    ],
)
def test_bad_filters_are_refused(components, shape, match):
    with pytest.raises(ValueError, match=match):
        fit_gabors(components, shape)


@pytest.mark.slow
def test_learned_edges_are_gabors_and_random_weights_or_those_without_sparsity_are_not():
    patches = normalize_patches(sample_patches(natural_images(), 10_000, 8, 0))
    edges = SparseAutoencoder(random_state=0).fit(patches).components_
    dense = SparseAutoencoder(random_state=0, beta=0.0).fit(patches).components_
    random = np.random.default_rng(0).uniform(-1, 1, size=(25, 64))
    assert fit_gabors(edges).quality() >= 0.92  # 1.00 when this was written
    assert fit_gabors(dense).quality() <= 0.2  # 0.00
    assert fit_gabors(random).quality() == 0
