"""A stack of two autoencoders with labels on top, of the UFLDL tutorial."""

from __future__ import annotations

import warnings
from functools import cache

from sklearn.frozen import FrozenEstimator

from benchmarks.published.data import Data
from benchmarks.published.row import Figure, Result, Row, Way
from benchmarks.published.rows.strokes import LAYER, MAX_ITER
from sparsam import NoisyLabelClassifier, SparseAutoencoder, StackedAutoencoder

ALPHAS = (1e-5, 3e-5, 1e-4)


def as_published(data: Data, seed: int) -> Result:
    """Use one alpha for the softmax and for the training of all layers."""
    return _run(data, seed, 3e-3)


def chosen_alpha(data: Data, seed: int) -> Result:
    """Choose alpha by the likelihood of held-out training digits."""
    return _run(data, seed, ALPHAS)


@cache
def stack_of(data: Data, seed: int) -> StackedAutoencoder:
    """Train the two autoencoders, one after the other."""
    layers = [SparseAutoencoder(data.at_most(200), **LAYER, max_iter=data.at_most(MAX_ITER)) for _ in range(2)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # quick runs do not converge
        return StackedAutoencoder(layers, fine_tune=False, random_state=seed).fit(data.digits.X)


def _run(data: Data, seed: int, alpha: float | tuple[float, ...]) -> Result:
    X, y, X_test, y_test = data.digits
    stack = stack_of(data, seed)
    softmax = NoisyLabelClassifier((), epsilon=0.0, alpha=alpha, max_iter=data.at_most(400), random_state=seed)
    before = softmax.fit(stack.transform(X), y)
    result = {"before": float(before.score(stack.transform(X_test), y_test)), "alpha_before": float(before.alpha_)}
    together = NoisyLabelClassifier(
        (),
        epsilon=0.0,
        alpha=alpha,
        hidden_activation="logistic",
        pretraining=FrozenEstimator(stack),
        max_iter=data.at_most(400),
        random_state=seed,
    ).fit(X, y)
    return result | {"after": float(together.score(X_test, y_test)), "alpha_after": float(together.alpha_)}


ROW = Row(
    name="stacked",
    title="UFLDL: stacked autoencoders",
    source="[exercise](http://ufldl.stanford.edu/wiki/index.php/Exercise:_Implement_deep_networks_for_digit_classification)",
    protocol=(
        "MNIST, 60,000 digits to train, 10,000 to test: two autoencoders 784-200-200 (rho 0.1, alpha 3e-3, beta 3, 400 "
        "iterations each), a softmax with alpha 3e-3 on top; then all layers are trained together, with the same alpha "
        "on all weights."
    ),
    needs=("mnist.npz",),
    figures=(
        Figure("before", "test digits correct, softmax alone", "87.7 %", 0.877),
        Figure("after", "all layers trained together", "97.6 %", 0.976),
    ),
    ways=(Way("as published", as_published), Way("alpha chosen by held-out training digits", chosen_alpha)),
)
