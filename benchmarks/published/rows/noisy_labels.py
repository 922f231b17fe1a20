"""Digits with wrong labels, as in the experiments of co-teaching."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.published.data import Data
from benchmarks.published.row import Figure, Result, Row, Way
from sparsam import NoisyLabelClassifier

SEEDS = (1, 2, 3, 4, 5)
ALPHAS = (1e-4, 3e-4, 1e-3)


def symmetric(rate: float) -> NDArray[np.float64]:
    """Return T of ten classes: with this probability a label is one of the nine others."""
    T = np.full((10, 10), rate / 9)
    np.fill_diagonal(T, 1 - rate)
    return T


def pair(rate: float) -> NDArray[np.float64]:
    """Return T of ten classes: with this probability a label is the next one, 0 after 9."""
    return (1 - rate) * np.eye(10) + rate * np.roll(np.eye(10), 1, axis=1)


NOISES = {"symmetric-20": symmetric(0.2), "symmetric-50": symmetric(0.5), "pair-45": pair(0.45)}


def flipped(y: NDArray[Any], T: NDArray[np.float64], seed: int) -> NDArray[np.int64]:
    """Draw a given label for each true one."""
    draws = np.random.default_rng(seed).random(len(y))
    return np.sum(draws[:, None] > np.cumsum(T, axis=1)[y], axis=1).clip(max=9)


def fit(data: Data, seed: int, noise: str, epsilon: Any, alpha: float | tuple[float, ...] = 1e-4) -> Result:
    """Train 784-256-10 on all digits with their wrong labels, held-out ones choosing alpha; test on right ones."""
    X, y, X_test, y_test = data.digits
    T = NOISES[noise]
    given = T if isinstance(epsilon, str) and epsilon == "T" else epsilon
    model = NoisyLabelClassifier(
        (data.at_most(256),),
        epsilon=given,
        alpha=alpha,
        classes=np.arange(10),
        early_stopping=True,
        max_iter=data.at_most(1000),
        random_state=seed,
    ).fit(X, flipped(y, T, seed))
    estimated = float(np.abs(model.transition_matrix_ - T).max())
    return {
        "correct": float(model.score(X_test, y_test)),
        "error_of_T": estimated,
        "iterations": model.n_iter_,
        "alpha": model.alpha_,
    }


def _row(noise: str, title: str, published: str, goal: float) -> Row:
    ways: dict[str, dict[str, Any]] = {
        "T estimated": {"epsilon": "estimate_matrix"},
        "T known": {"epsilon": "T"},
        "no noise assumed": {"epsilon": 0.0},
    }
    if noise.startswith("symmetric"):
        ways["one epsilon estimated"] = {"epsilon": "estimate"}
        ways["one epsilon estimated, alpha chosen by held-out labels"] = {"epsilon": "estimate", "alpha": ALPHAS}
    return Row(
        name=noise,
        title=f"Co-teaching: {title}",
        source="B. Han et al., 2018, [arXiv 1804.06872](https://arxiv.org/abs/1804.06872)",
        protocol=(
            f"MNIST, 60,000 digits of which {title}, 10,000 to test. Theirs is a convolutional network of nine layers; "
            "ours has one hidden layer of 256 units, and stops early by held-out digits with their wrong labels."
        ),
        needs=("mnist.npz",),
        figures=(Figure("correct", "test digits correct", published, goal, from_memory=True),),
        ways=tuple(Way(name, partial(fit, noise=noise, **options), SEEDS) for name, options in ways.items()),
    )


ROWS = (
    _row("symmetric-20", "20 % have one of the nine wrong labels", "97.7 %", 0.970),
    _row("symmetric-50", "50 % have one of the nine wrong labels", "91.7 %", 0.917),
    _row("pair-45", "45 % have the label of the next class", "87.6 %", 0.876),
)
