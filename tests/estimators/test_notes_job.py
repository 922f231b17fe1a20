"""The notes' job: 25 features of 10,000 natural image patches, to convergence, at every seed."""

import os
from pathlib import Path

import numpy as np
import pytest

from sparsam import SparseAutoencoder
from sparsam.images import load_images, natural_images, normalize_patches, sample_patches

pytestmark = pytest.mark.slow


def learn(images, seed, border):
    patches = normalize_patches(sample_patches(images, 10_000, 8, seed, border=border))
    # Plain L-BFGS needs up to 1500 iterations.
    return SparseAutoencoder(max_iter=3000, random_state=seed).fit(patches), patches


@pytest.mark.parametrize("seed", range(5))
def test_the_notes_images_converge_below_a_cost_of_0_455(seed):
    folder = os.environ.get("SPARSAM_DATA")
    if not folder:
        pytest.skip("SPARSAM_DATA names no folder with olshausen_images.npy")
    model, patches = learn(load_images(Path(folder) / "olshausen_images.npy"), seed, border=2)
    assert model.stop_reason_ == "converged"
    assert model.gradient_norm_ <= 1e-5
    assert model.cost(patches) < 0.455


@pytest.fixture(scope="module")
def edges():
    return learn(natural_images(), seed=0, border=0)[0]


def test_the_built_in_images_converge(edges):
    assert edges.stop_reason_ == "converged"
    np.testing.assert_allclose(edges.mean_activation_, 0.01, rtol=0.25)


def test_the_filters_are_oriented_edges(edges):
    """A filter's power spectrum is concentrated at one orientation, where that of noise is not."""
    concentration = [orientation_concentration(filter_) for filter_ in edges.components_]
    noise = [orientation_concentration(filter_) for filter_ in np.random.default_rng(0).normal(size=(200, 64))]
    assert np.median(concentration) > 0.6
    assert np.mean(np.array(concentration) > np.quantile(noise, 0.95)) > 0.9


def orientation_concentration(filter_):
    """|mean of exp(2 i angle)|, angles of the frequencies weighted by their power: 1 for a grating, near 0 for none."""
    spectrum = np.abs(np.fft.fft2((filter_ - filter_.mean()).reshape(8, 8), s=(32, 32))) ** 2
    fy, fx = np.meshgrid(np.fft.fftfreq(32), np.fft.fftfreq(32), indexing="ij")
    return np.abs(np.sum(spectrum * np.exp(2j * np.arctan2(fy, fx)))) / np.sum(spectrum)
