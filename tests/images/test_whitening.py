import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sparsam.images import whiten

shapes = st.one_of(
    st.tuples(st.integers(1, 17), st.integers(2, 17)),
    st.tuples(st.integers(2, 17), st.integers(1, 17), st.just(3)),
)
values = st.floats(-1e300, 1e300)


def varied(image):
    return (image != image[0, 0]).any()


@settings(max_examples=60, deadline=None)
@example(image=np.diag([1e300, -1e300]))
@example(image=np.diag([1e-300, 3e-300]))
@given(image=hnp.arrays(np.float64, shapes, elements=values).filter(varied))
def test_mean_is_0_and_variance_1_for_any_image(image):
    before = image.copy()
    (whitened,) = whiten([image])
    assert whitened.shape == image.shape
    np.testing.assert_allclose(whitened.mean(axis=(0, 1)), 0, atol=1e-9)
    np.testing.assert_allclose(whitened.var(), 1, rtol=1e-9)
    np.testing.assert_array_equal(image, before)


def gain(f):
    return f * np.exp(-((f / 0.4) ** 4))


@pytest.mark.parametrize("shape", [(48, 60), (45, 60), (48, 63), (45, 63)])
def test_each_wave_is_multiplied_by_the_gain_at_its_frequency(shape):
    rows, columns = np.indices(shape)
    height, width = shape
    cycles = [(1, 2), (5, 0), (0, 7), (9, 11), (20, 15)]  # per image height, width
    waves = [np.cos(2 * np.pi * (k * rows / height + m * columns / width)) for k, m in cycles]
    gains = [gain(np.hypot(k / height, m / width)) for k, m in cycles]
    expected = sum(g * wave for g, wave in zip(gains, waves, strict=True))
    (whitened,) = whiten([7 + sum(waves)])
    np.testing.assert_allclose(whitened, expected / expected.std(), atol=1e-10)


def test_the_spectrum_of_brown_noise_is_leveled():
    rng = np.random.default_rng(0)
    f = np.hypot(np.fft.fftfreq(128)[:, None], np.fft.rfftfreq(128))
    f[0, 0] = 1
    natural = np.fft.irfft2(np.fft.rfft2(rng.normal(size=(128, 128))) / f)
    power = np.abs(np.fft.rfft2(whiten([natural])[0])) ** 2
    low, middle = (power[(f > a) & (f < b)].mean() for a, b in ((0.02, 0.08), (0.12, 0.2)))
    assert 0.8 < low / middle < 1.25


@given(scale=st.floats(1e-150, 1e150), offset=st.floats(-10, 10))
@settings(max_examples=20, deadline=None)
def test_units_do_not_matter(scale, offset):
    image = np.random.default_rng(1).normal(size=(12, 9))
    np.testing.assert_allclose(whiten([(image + offset) * scale])[0], whiten([image])[0], atol=1e-10)


def test_a_large_offset_costs_no_precision():
    image = np.random.default_rng(7).integers(0, 256, (31, 47))  # primes, whose FFT cancels least
    np.testing.assert_allclose(whiten([image + 2**40])[0], whiten([image])[0], atol=1e-10)


def test_color_channels_keep_their_proportion():
    gray = np.random.default_rng(2).normal(size=(16, 18))
    (color,) = whiten([np.stack([gray, 2 * gray + 5, np.zeros_like(gray)], axis=2)])
    np.testing.assert_allclose(color[:, :, 1], 2 * color[:, :, 0], atol=1e-12)
    np.testing.assert_allclose(color[:, :, 2], 0, atol=1e-12)
    np.testing.assert_allclose(color[:, :, 0] / color[:, :, 0].std(), whiten([gray])[0], atol=1e-12)


@pytest.mark.parametrize("shape", [(16, 18), (4, 16, 18), (16, 18, 4), (2, 16, 18, 3)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_array_gives_an_array_of_its_shape_and_type(shape, dtype):
    stack = np.random.default_rng(3).normal(size=shape).astype(dtype)
    whitened = whiten(stack)
    assert (whitened.shape, whitened.dtype) == (stack.shape, stack.dtype)
    if shape == (16, 18, 4):
        np.testing.assert_array_equal(whitened[:, :, 1], whiten([stack[:, :, 1]])[0])


def test_integers_become_float64():
    image = np.random.default_rng(4).integers(0, 256, (10, 12), dtype=np.uint8)
    (whitened,) = whiten([image])
    assert whitened.dtype == np.float64
    np.testing.assert_array_equal(whitened, whiten([image.astype(np.float64)])[0])


@pytest.mark.parametrize(
    "constant",
    [np.full((5, 7), 0.1), np.zeros((5, 7)), np.ones((5, 7, 3)) * [0.1, 0.2, 0.3], np.ones((1, 1))],
)
def test_a_constant_image_is_an_error_that_names_it(constant):
    varying = np.random.default_rng(5).normal(size=(6, 6))
    with pytest.raises(ValueError, match=r"images\[1\] is constant"):
        whiten([varying, constant])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_non_finite_pixels_are_an_error_that_names_the_image(bad):
    images = np.random.default_rng(6).normal(size=(3, 8, 9))
    images[2, 4, 4] = bad
    with pytest.raises(ValueError, match=r"images\[2\] contains NaN"):
        whiten(images)
