r"""
Edges and colors
================

Patches of color photographs teach a sparse autoencoder two kinds of features, of which our eyes
have detectors, too: edges without color, and opponent colors, yellow against blue and green
against red, without edges. This is the exercise on linear decoders of the UFLDL tutorial, with its
settings, on five photographs that install with the dependencies.
"""

# %%
# Five photographs, and 20,000 patches of 8 x 8 pixels in three colors.
import numpy as np
from skimage import data
from sklearn.datasets import load_sample_images

from sparsam.display import plot_filters
from sparsam.images import sample_patches

photographs = [
    *load_sample_images().images,
    *(getattr(data, name)() for name in ("astronaut", "chelsea", "coffee")),
]
photographs = [photograph / 255 for photograph in photographs]
patches = sample_patches(photographs, n_patches=20_000, patch_size=8, random_state=0)
_ = plot_filters(patches[:100].reshape(-1, 8, 8, 3), normalize_each=False, n_columns=20)

# %%
# Most of the variance of patches is brightness: the first principal axis alone has most of it.
# Whitening divides each axis by the root of its variance plus ``epsilon``. So the strongest axes
# come down to the others, and the weakest, mostly noise, are not blown up.
from sparsam.preprocessing import Whitening

whitening = Whitening(epsilon=0.1).fit(patches)
variance = whitening.explained_variance_
print(f"the first of 192 axes has {variance[0] / variance.sum():.0%} of the variance,")
print(f"and {np.sum(variance > 0.1)} of them have more than epsilon")

# %%
# A linear decoder reproduces whitened patches, which may have any sign. In a pipeline the filters
# are drawn as filters of the patches themselves: the weights times the whitening.
from sklearn.pipeline import make_pipeline

from sparsam import FilterDisplay, SparseAutoencoder

autoencoder = SparseAutoencoder(
    100, rho=0.035, alpha=3e-3, beta=5, output_activation="identity", max_iter=1500, random_state=0
)
pipe = make_pipeline(Whitening(epsilon=0.1), autoencoder).fit(patches)
print(f"{autoencoder.stop_reason_} after {autoencoder.n_iter_} iterations")
_ = FilterDisplay.from_estimator(pipe, image_shape=(8, 8, 3), n_columns=20)

# %%
# How much color does a filter have? Take the part of its variation that is the same in red, green
# and blue. The filters fall into two groups, and few lie between them.
import matplotlib.pyplot as plt

filters = whitening.input_filters(autoencoder.components_).reshape(-1, 64, 3)
gray = filters.mean(axis=2, keepdims=True)
share_gray = (3 * np.sum(gray**2, axis=(1, 2))) / np.sum(filters**2, axis=(1, 2))
figure, ax = plt.subplots(figsize=(6, 2.5), layout="constrained")
ax.hist(share_gray, bins=20, range=(0, 1))
_ = ax.set(xlabel="share of a filter that is gray", ylabel="filters")
print(f"{np.sum(share_gray > 0.9)} gray filters, {np.sum(share_gray < 0.5)} of color")
