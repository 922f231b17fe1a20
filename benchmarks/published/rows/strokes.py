"""Features of digits, of the vectorization exercise of the UFLDL tutorial."""

from __future__ import annotations

import matplotlib.pyplot as plt

from benchmarks.published.data import Data
from benchmarks.published.row import Figure, Result, Row, Way
from sparsam import FilterDisplay, SparseAutoencoder

LAYER = {"rho": 0.1, "beta": 3.0, "alpha": 3e-3}
"""Of all autoencoders of digits of the tutorial."""

MAX_ITER = 400


def as_published(data: Data, seed: int) -> Result:
    """Train on the first 10,000 digits, and draw the features."""
    model = SparseAutoencoder(data.at_most(196), **LAYER, max_iter=data.at_most(MAX_ITER), random_state=seed)
    model.fit(data.digits.X[:10_000])
    display = FilterDisplay.from_estimator(model, image_shape=(28, 28))
    display.figure_.savefig(data.picture("strokes"), dpi=110)
    plt.close(display.figure_)
    return {"J": float(model.loss_), "iterations": model.n_iter_, "gradient_norm": float(model.gradient_norm_)}


ROW = Row(
    name="strokes",
    title="UFLDL: vectorization",
    source="[exercise](http://ufldl.stanford.edu/wiki/index.php/Exercise:Vectorization)",
    protocol="The first 10,000 digits of MNIST, 784-196, rho 0.1, alpha 3e-3, beta 3, at most 400 iterations.",
    needs=("mnist.npz",),
    figures=(Figure("J", "J at the end; the features", "pen strokes, as a picture", None, form=".4f"),),
    ways=(Way("as published", as_published),),
    picture="The 196 features: pen strokes",
)
