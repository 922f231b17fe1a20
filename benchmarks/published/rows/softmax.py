"""Softmax regression on MNIST, of the UFLDL tutorial."""

from __future__ import annotations

from benchmarks.published.data import Data
from benchmarks.published.row import Figure, Result, Row, Way
from sparsam import NoisyLabelClassifier

ALPHAS = (1e-6, 1e-5, 1e-4, 1e-3)


def as_published(data: Data, seed: int) -> Result:
    """Fit for 100 iterations, with alpha 1e-4."""
    model = NoisyLabelClassifier(
        (), epsilon=0.0, alpha=1e-4, max_iter=data.at_most(100), dtype="float64", random_state=seed
    )
    return _score(data, model)


def chosen_alpha(data: Data, seed: int) -> Result:
    """Choose alpha by the likelihood of held-out training digits."""
    model = NoisyLabelClassifier((), epsilon=0.0, alpha=ALPHAS, max_iter=data.at_most(1000), random_state=seed)
    return _score(data, model)


def _score(data: Data, model: NoisyLabelClassifier) -> Result:
    X, y, X_test, y_test = data.digits
    model.fit(X, y)
    correct = float(model.score(X_test, y_test))
    return {"correct": correct, "alpha": float(model.alpha_), "iterations": model.n_iter_}


ROW = Row(
    name="softmax",
    title="UFLDL: softmax regression",
    source="[exercise](http://ufldl.stanford.edu/wiki/index.php/Exercise:Softmax_Regression)",
    protocol="MNIST, 60,000 digits to train, 10,000 to test; weight decay 1e-4, 100 iterations. Below 91 % is a bug.",
    needs=("mnist.npz",),
    figures=(Figure("correct", "test digits correct", "92.6 %", 0.926),),
    ways=(Way("as published", as_published), Way("alpha chosen by held-out training digits", chosen_alpha)),
)
