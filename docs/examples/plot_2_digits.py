r"""
Strokes of digits, and what sparsity does to them
=================================================

The penalty :math:`\beta \sum_j \mathrm{KL}(\rho \,\|\, \hat\rho_j)` asks that each hidden unit be
active on a share :math:`\rho` of the samples. Here are 1,797 digits of 8 x 8 pixels, with and
without it.
"""

# %%
# First without: ``beta=0`` is an ordinary autoencoder.
import numpy as np
from sklearn.datasets import load_digits

from sparsam import SparseAutoencoder
from sparsam.display import plot_filters

X = load_digits().data / 16.0

ordinary = SparseAutoencoder(36, beta=0.0, alpha=1e-3, random_state=0).fit(X)
_ = plot_filters(ordinary.components_)

# %%
# And with it: a unit shall be active on one digit in ten.
sparse = SparseAutoencoder(36, rho=0.1, beta=0.5, alpha=1e-3, random_state=0).fit(X)
_ = plot_filters(sparse.components_)

# %%
# How the activations are spread says it in numbers: the more a unit is either off or clearly
# on, the easier its meaning.
import matplotlib.pyplot as plt

figure, axes = plt.subplots(1, 2, figsize=(8, 3), sharey=True, layout="constrained")
for ax, (name, model) in zip(
    axes, {"beta = 0": ordinary, "beta = 0.5": sparse}.items(), strict=True
):
    Z = model.transform(X)
    ax.hist(Z.ravel(), bins=40, range=(0, 1), color="tab:blue")
    ax.set(title=name, xlabel="activation z", yscale="log")
    n_active, errors = np.sum(Z > 0.5, axis=1), np.sum((model.predict(X) - X) ** 2, axis=1)
    print(f"{name:10s}: mean activation {Z.mean():.2f}, squared error a digit {errors.mean():.2f}")
    print(f"            {n_active.mean():.1f} of 36 units are above 1/2 on a digit")
axes[0].set_ylabel("how many")
plt.show()

# %%
# A code of few active units is a list of parts. For one digit of each kind: the filters of its
# three most active units.
Z = sparse.transform(X)
digits = [int(np.flatnonzero(load_digits().target == label)[0]) for label in range(10)]
figure, axes = plt.subplots(4, 10, figsize=(8, 3.4), layout="constrained")
for column, n in zip(axes.T, digits, strict=True):
    column[0].imshow(X[n].reshape(8, 8), cmap="gray")
    for ax, unit in zip(column[1:], np.argsort(-Z[n])[:3], strict=True):
        ax.imshow(sparse.components_[unit].reshape(8, 8), cmap="gray")
        ax.set_title(f"{Z[n, unit]:.2f}", fontsize=8)
for ax in axes.flat:
    ax.axis("off")
plt.show()
