r"""
Edges in photographs
====================

Shown patches of photographs, a sparse autoencoder discovers edges. This is the job of Andrew Ng's
CS294A notes: 10,000 patches of 8 x 8 pixels, 25 hidden units, each of which may be active on one
patch in a hundred only.
"""

# %%
# The photographs come along with the dependencies. They are whitened first, so that the strong
# low frequencies that all photographs share do not drown the rest; then patches are cut at
# random and squeezed into [0.1, 0.9], the range that logistic output units can reproduce.
from sparsam.display import plot_filters
from sparsam.images import natural_images, normalize_patches, sample_patches

patches = normalize_patches(
    sample_patches(natural_images(), n_patches=10_000, patch_size=8, random_state=0)
)
_ = plot_filters(patches[:100], normalize_each=False)

# %%
# Training has no learning rate and no epochs. It follows the exact gradient of the whole
# objective until no component of it is larger than ``tol``, and says why it stopped.
from sparsam import SparseAutoencoder

model = SparseAutoencoder(n_components=25, rho=0.01, beta=3.0, alpha=1e-4, random_state=0).fit(
    patches
)
print(f"{model.stop_reason_} after {model.n_evaluations_} evaluations of J and its gradient")
print(f"J = {model.loss_:.4f}, largest component of the gradient {model.gradient_norm_:.1e}")

# %%
# What it minimizes is the sum of three terms; the curve shows which of them are fought over.
from sparsam.display import plot_cost_curve

_ = plot_cost_curve(model.history_)

# %%
# The learned filters. A hidden unit is most active on the patch (of a given length) that is
# proportional to its weights, so this is a picture of what each one looks for: bars and edges,
# at one place, in one direction.
_ = plot_filters(model.components_)

# %%
# Is that owed to sparsity, or would any method find edges? Principal components are the linear
# code of the least squared error. They are waves that fill the patch.
from sklearn.decomposition import PCA

pca = PCA(25).fit(patches)
_ = plot_filters(pca.components_)

# %%
# In numbers. How far does a filter spread around its center, and does it have one direction?
# The spread is the standard deviation of the place under the filter's energy :math:`w^2`. The
# direction is told by the slopes of the filter: of the matrix of their mean squares and
# products, the eigenvalues :math:`\lambda_1 \ge \lambda_2` are equal if all directions are, and
# the coherence :math:`(\lambda_1 - \lambda_2) / (\lambda_1 + \lambda_2)` is 1 for a straight
# edge.
import numpy as np


def spread(filters):
    """In pixels."""
    energy = filters**2 / np.sum(filters**2, axis=(1, 2), keepdims=True)
    places = np.indices(filters.shape[1:]).reshape(2, -1).T
    shares = energy.reshape(len(filters), -1)
    return np.sqrt(shares @ np.sum(places**2, axis=1) - np.sum((shares @ places) ** 2, axis=1))


def coherence(filters):
    """1 for an edge of one direction, 0 for a blob."""
    slopes = np.stack(np.gradient(filters, axis=(1, 2)))
    smaller, larger = np.linalg.eigvalsh(np.einsum("anij,bnij->nab", slopes, slopes)).T
    return (larger - smaller) / (larger + smaller)


for name, filters in (
    ("sparse autoencoder", model.components_),
    ("principal components", pca.components_),
):
    filters = (filters - filters.mean(axis=1, keepdims=True)).reshape(-1, 8, 8)
    print(
        f"{name:20s}: spread {np.median(spread(filters)):.1f} pixels, "
        f"coherence {np.median(coherence(filters)):.2f} (medians of 25)"
    )

# %%
# Sparsity has its price. With 25 units of which one in a hundred is active, many patches find
# no unit that fits, and come back flat. Principal components, which do nothing but reconstruct,
# do it better. The two answer different questions: which numbers describe a patch best, and
# which of a few causes are present in it.
from sparsam.display import plot_reconstructions

# sphinx_gallery_thumbnail_number = 3
_ = plot_reconstructions(patches, model.predict(patches), n_patches=20)

error = np.mean(np.sum((model.predict(patches) - patches) ** 2, axis=1))
error_pca = np.mean(np.sum((pca.inverse_transform(pca.transform(patches)) - patches) ** 2, axis=1))
variance = np.mean(np.sum((patches - patches.mean(axis=0)) ** 2, axis=1))
print(f"variance left unexplained: sparse autoencoder {error / variance:.2f}")
print(f"                           principal components {error_pca / variance:.2f}")
print(f"mean activation {model.mean_activation_.mean():.4f}, asked for: 0.01")
