"""Features of color patches by a linear decoder, of the UFLDL tutorial."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_images
from sklearn.pipeline import make_pipeline

from benchmarks.published.data import Data
from benchmarks.published.row import Figure, Result, Row, Way
from sparsam import FilterDisplay, SparseAutoencoder
from sparsam.images import sample_patches
from sparsam.preprocessing import Whitening


def as_published(data: Data, seed: int) -> Result:
    """Learn 400 features of 100,000 patches, and count how many are gray and how many have a color."""
    from skimage import data as pictures

    photographs = [*load_sample_images().images, *(getattr(pictures, name)() for name in NAMES)]
    n = data.at_most(100_000, 500)
    patches = sample_patches(
        [photograph / 255 for photograph in photographs], n_patches=n, patch_size=8, random_state=seed
    )
    autoencoder = SparseAutoencoder(
        data.at_most(400),
        rho=0.035,
        alpha=3e-3,
        beta=5.0,
        output_activation="identity",
        max_iter=data.at_most(400),
        random_state=seed,
    )
    pipe = make_pipeline(Whitening(epsilon=0.1), autoencoder).fit(patches)
    display = FilterDisplay.from_estimator(pipe, image_shape=(8, 8, 3))
    display.figure_.savefig(data.picture("colors"), dpi=110)
    plt.close(display.figure_)
    filters = pipe[0].input_filters(autoencoder.components_).reshape(-1, 64, 3)
    gray = 3 * np.sum(filters.mean(axis=2) ** 2, axis=1) / np.sum(filters**2, axis=(1, 2))
    return {
        "gray": float(np.mean(gray > 0.9)),
        "color": float(np.mean(gray < 0.5)),
        "iterations": autoencoder.n_iter_,
    }


NAMES = ("astronaut", "chelsea", "coffee")

ROW = Row(
    name="colors",
    title="UFLDL: linear decoders",
    source="[exercise](http://ufldl.stanford.edu/wiki/index.php/Exercise:Learning_color_features_with_Sparse_Autoencoders)",
    protocol=(
        "100,000 patches of 8 x 8 pixels in three colors, ZCA whitening with epsilon 0.1, 400 units, rho 0.035, alpha "
        "3e-3, beta 5, linear outputs, 400 iterations. The patches are of five photographs that install with "
        "scikit-learn and scikit-image, not of STL-10."
    ),
    needs=(),
    figures=(
        Figure("gray", "share of gray features (edges)", "edges and opponent colors, as a picture", None, form=".0%"),
        Figure("color", "share of features of color", "", None, form=".0%"),
    ),
    ways=(Way("as published", as_published),),
    picture="The 400 features: edges and opponent colors",
)
