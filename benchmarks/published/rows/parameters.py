"""The notes' suggestion: vary the parameters of the autoencoder of image patches, and look at the features."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np

from benchmarks.problems import NOTES, make_data
from benchmarks.published.data import Data
from benchmarks.published.row import Figure, Result, Row, Way
from sparsam import SparseAutoencoder
from sparsam.display import plot_filters

NOTES_SETTINGS = {"n_components": 25, "alpha": 1e-4, "rho": 0.01, "beta": 3.0, "max_iter": 400}
VARIED = {
    "the notes' settings": {},
    "1000 iterations": {"max_iter": 1000},
    "2000 iterations": {"max_iter": 2000},
    "alpha / 10": {"alpha": 1e-5},
    "10 alpha": {"alpha": 1e-3},
    "rho / 2": {"rho": 0.005},
    "10 rho": {"rho": 0.1},
    "beta / 10": {"beta": 0.3},
    "2 beta": {"beta": 6.0},
    "9 units": {"n_components": 9},
    "100 units": {"n_components": 100},
}


def as_published(data: Data, seed: int) -> Result:
    """Fit every setting, and draw the features of all."""
    patches = make_data(NOTES)[: data.at_most(10_000, 500)]
    figure, axes = plt.subplots(3, 4, figsize=(11, 9), layout="constrained")
    result: Result = {}
    for ax, (name, change) in zip(axes.flat, VARIED.items(), strict=False):
        settings = NOTES_SETTINGS | change
        settings["max_iter"] = data.at_most(settings["max_iter"])
        model = SparseAutoencoder(**settings, random_state=seed).fit(patches)
        plot_filters(model.components_.reshape(-1, 8, 8), ax=ax)
        ax.set_title(f"{name}\nJ = {model.loss_:.4f}, {model.n_iter_} iterations", fontsize=9)
        result[name] = float(model.loss_)
    for ax in axes.flat[len(VARIED) :]:
        ax.set_axis_off()
    figure.savefig(data.picture("parameters"), dpi=110)
    plt.close(figure)
    result["settled"] = float(np.isclose(result["1000 iterations"], result["2000 iterations"], rtol=1e-6))
    return result


ROW = Row(
    name="parameters",
    title="The notes: a study of the parameters",
    source="[CS294A notes](https://web.stanford.edu/class/cs294a/sparseAutoencoder_2011new.pdf)",
    protocol=(
        "10,000 patches of 8 x 8 pixels, 64-25-64, alpha 1e-4, rho 0.01, beta 3, 400 iterations; then 1000 and 2000 "
        "iterations, and alpha, rho, beta and the number of units up and down."
    ),
    needs=(),
    figures=(Figure("the notes' settings", "J", "edges, as a picture", None, form=".4f"),),
    ways=(Way("as published", as_published),),
    picture="The features under each setting",
)
