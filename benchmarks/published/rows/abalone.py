"""Reconstruction of abalone's measures, of the documentation of MATLAB's trainAutoencoder."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from benchmarks.published.data import Data
from benchmarks.published.row import Figure, Result, Row, Way
from sparsam import SparseAutoencoder

FEW_UNITS: dict[str, Any] = {"n_components": 4, "output_activation": "identity", "max_iter": 400}


def with_alpha(data: Data, seed: int, alpha: float) -> Result:
    """Fit both autoencoders with MATLAB's defaults, and the given alpha for its weight regularization of 0.001."""
    scales = {"alpha": alpha, "beta": 0.5, "rho": 0.05}
    return {
        "default": _error(data, SparseAutoencoder(10, **scales, max_iter=data.at_most(1000), random_state=seed)),
        "few": _error(data, SparseAutoencoder(**scales, **FEW_UNITS, random_state=seed)),
    }


def without_penalties(data: Data, seed: int) -> Result:
    """Fit both without penalties, as whoever wants small errors would."""
    plain = {"alpha": 0.0, "beta": 0.0, "random_state": seed}
    return {
        "default": _error(data, SparseAutoencoder(10, **plain, max_iter=data.at_most(1000))),
        "few": _error(data, SparseAutoencoder(**FEW_UNITS, **plain)),
    }


def _error(data: Data, autoencoder: SparseAutoencoder) -> float:
    """Return MATLAB's mse(X - Y): the mean over samples and features, in the units of the features."""
    X = data.abalone
    pipe = make_pipeline(MinMaxScaler(), autoencoder).fit(X)
    Y = pipe[0].inverse_transform(pipe.predict(X))
    return float(np.mean((X - Y) ** 2))


ROW = Row(
    name="abalone",
    title="MathWorks: abalone",
    source="[trainAutoencoder](https://www.mathworks.com/help/deeplearning/ref/trainautoencoder.html)",
    protocol=(
        "4,177 abalone, eight inputs (sex as 1, 2, 3 for M, F, I), mapped to [0, 1]; the mean squared error of all "
        "entries, in the units of the inputs. trainAutoencoder's defaults: 10 units, weight regularization 0.001, "
        "sparsity regularization 1, proportion 0.05, 1000 epochs; then 4 units, linear outputs, 400 epochs. By "
        "[the scales](../docs/guide/scales.md) beta is 0.5, and alpha 0.0005 as documented, or 0.001 as in its code. "
        "MATLAB ends after these epochs, perhaps before the minimum of J, where the penalties cost error."
    ),
    needs=("abalone.csv",),
    figures=(
        Figure("default", "mean squared error, defaults", "0.0167", 0.0167, higher=False, form=".3g"),
        Figure("few", "4 units, linear outputs", "0.0044 to 0.0046", 0.0046, higher=False, form=".3g"),
    ),
    ways=(
        Way("as documented", partial(with_alpha, alpha=5e-4), seeds=(0, 1, 2, 3, 4)),
        Way("as in the code", partial(with_alpha, alpha=1e-3), seeds=(0, 1, 2, 3, 4)),
        Way("without penalties", without_penalties, seeds=(0, 1, 2, 3, 4)),
    ),
)
