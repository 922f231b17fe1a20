import numpy as np
import pytest
from skimage import data
from skimage.color import rgb2gray

from sparsam.images import natural_images, natural_photographs, whiten


@pytest.fixture(scope="module")
def images():
    return natural_images()


def test_nine_images_in_order_without_their_rims(images):
    shapes = [(512, 512), (512, 512), (300, 451), (400, 600), (512, 512), (512, 512), (512, 512)]
    shapes += [(427, 640)] * 2
    assert [image.shape for image in images] == [(height - 4, width - 4) for height, width in shapes]
    assert all(image.dtype == np.float64 and image.flags.c_contiguous for image in images)


def test_mean_about_0_and_variance_about_1(images):
    for image in images:
        assert abs(image.mean()) < 0.02
        assert 0.85 < image.var() < 1.05


@pytest.mark.parametrize(("index", "name"), [(0, "camera"), (1, "astronaut"), (6, "brick")])
def test_they_are_the_whitened_photographs(images, index, name):
    original = getattr(data, name)()
    gray = rgb2gray(original) if original.ndim == 3 else original / 255
    f = np.hypot(np.fft.fftfreq(gray.shape[0])[:, None], np.fft.fftfreq(gray.shape[1]))
    whitened = np.fft.ifft2(np.fft.fft2(gray) * f * np.exp(-((f / 0.4) ** 4))).real
    whitened /= whitened.std()
    np.testing.assert_allclose(images[index], whitened[2:-2, 2:-2], atol=1e-9)


def test_neighboring_pixels_are_nearly_uncorrelated(images):
    """Before whitening the correlation is above 0.9, so a blurred or unfiltered image would fail."""
    for image in images:
        correlation = np.corrcoef(image[:, :-2].ravel(), image[:, 2:].ravel())[0, 1]
        assert abs(correlation) < 0.3


def test_the_photographs_are_those_that_are_whitened(images):
    gray, color = natural_photographs(), natural_photographs(color=True)
    assert [image.shape[2] for image in color] == [3] * 5
    assert all(image.min() >= 0 and 0.5 < image.max() <= 1 for image in (*gray, *color))
    np.testing.assert_allclose(color[0], data.astronaut() / 255)
    np.testing.assert_allclose(whiten(gray)[6][2:-2, 2:-2], images[6], atol=1e-9)
