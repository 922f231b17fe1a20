r"""
Features of features
====================

Stack two autoencoders, and the second learns from the code of the first: features of features. A
unit of the first layer responds to strokes, which different digits share; one of the second layer
responds mostly to one digit, though neither has seen a label.
"""

# %%
# The first layer has 64 units, about half of which may be active at a time; the second has 20, each
# active on one digit in ten. Each is trained on what the one before it hands on, then both are
# trained together, to reconstruct the images through the 20 units.
import numpy as np
from sklearn.datasets import load_digits

from sparsam import SparseAutoencoder, StackedAutoencoder

X, y = load_digits(return_X_y=True)
X = X / 16.0

first = SparseAutoencoder(64, rho=0.5, beta=0.1, alpha=3e-4)
second = SparseAutoencoder(20, rho=0.1, beta=0.3, alpha=1e-3)
stack = StackedAutoencoder([first, second], tol=1e-4, random_state=0).fit(X)
print(f"20 units explain {stack.explained_variance_ratio_:.0%} of the variance of 64 pixels")

# %%
# What does a unit of a deeper layer stand for? It has no filter of pixels; look at the images that
# it responds to most. Each row below has the twelve strongest digits of a unit.
import matplotlib.pyplot as plt

from sparsam.display import plot_filters


def strongest(code, n):
    """For each unit, the rows with the largest activations: (n_units, n)."""
    return np.argsort(-code, axis=0)[:n].T


layers = {
    "first layer": stack.autoencoders_[0].transform(X),
    "second layer": stack.transform(X),
}
figure, axes = plt.subplots(1, 2, figsize=(7.5, 5.5), layout="constrained")
for ax, (name, code) in zip(axes, layers.items(), strict=True):
    shown = X[strongest(code, 12)[:16]].reshape(-1, 64)
    plot_filters(
        shown, normalize_each=False, normalize_all=False, n_columns=12, border_color="gray", ax=ax
    )
    ax.set_title(name)
plt.show()

# %%
# In figures: among the 30 strongest digits of a unit, how many are of the same class?
for name, code in layers.items():
    classes = y[strongest(code, 30)]
    purity = [np.bincount(of_unit).max() / 30 for of_unit in classes]
    print(f"{name:12s} {np.median(purity):.0%} of a unit's strongest digits are the same")

# %%
# A classifier can start from such an encoder, and be trained on whatever labels there are: see
# :doc:`/guide/depth`.
