"""Self-taught learning, of the UFLDL tutorial: features of the digits 5 to 9 classify the digits 0 to 4."""

from __future__ import annotations

from typing import Any

from benchmarks.published.data import Data
from benchmarks.published.row import Figure, Result, Row, Way
from benchmarks.published.rows.strokes import LAYER, MAX_ITER
from sparsam import NoisyLabelClassifier, SparseAutoencoder


def as_published(data: Data, seed: int) -> Result:
    """Train both with the tutorial's weights and iterations."""
    return _run(data, seed, alpha=1e-4, max_iter=data.at_most(100), dtype="float64")


def chosen_alpha(data: Data, seed: int) -> Result:
    """Choose the softmax's alpha by the likelihood of held-out training digits, and train it to the minimum."""
    return _run(data, seed, alpha=(1e-6, 1e-5, 1e-4), max_iter=data.at_most(2000))


def _run(data: Data, seed: int, **softmax: Any) -> Result:
    X, y = data.digits[:2]
    autoencoder = SparseAutoencoder(data.at_most(200), **LAYER, max_iter=data.at_most(MAX_ITER), random_state=seed)
    autoencoder.fit(X[y > 4])
    X, y = X[y < 5], y[y < 5]
    n = len(y) // 2  # the first half trains
    result: Result = {"iterations": autoencoder.n_iter_}
    for name, rows in (("features", autoencoder.transform(X)), ("raw", X)):
        model = NoisyLabelClassifier((), epsilon=0.0, random_state=seed, **softmax).fit(rows[:n], y[:n])
        result |= {name: float(model.score(rows[n:], y[n:])), f"alpha_{name}": float(model.alpha_)}
    return result


ROW = Row(
    name="self-taught",
    title="UFLDL: self-taught learning",
    source="[exercise](http://ufldl.stanford.edu/wiki/index.php/Exercise:Self-Taught_Learning)",
    protocol=(
        "MNIST's training file alone: an autoencoder 784-200 (rho 0.1, alpha 3e-3, beta 3, 400 iterations) learns from "
        "29,404 digits 5 to 9 without labels; of the 30,596 digits 0 to 4, in the order of the file, the first half "
        "trains a softmax (alpha 1e-4, 100 iterations) on the features, or on pixels, and the second half tests it."
    ),
    needs=("mnist.npz",),
    figures=(
        Figure("features", "digits 0 to 4 correct, by features", "98.3 %", 0.983),
        Figure("raw", "the same, by pixels", "96 to 97 %", 0.96),
    ),
    ways=(Way("as published", as_published), Way("alpha chosen by held-out training digits", chosen_alpha)),
)
