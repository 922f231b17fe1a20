"""Measure the test error of few digits without tangents, with image tangents, learned tangents, or moved copies."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.model_selection import StratifiedKFold, train_test_split

from benchmarks.progress import say
from benchmarks.records import Records
from sparsam import NoisyLabelClassifier, SparseAutoencoder, encoder_tangents, invariance_report
from sparsam.images import image_tangents
from sparsam.images.transforms import transform_images

__all__ = ["METHODS", "N_COPIES", "N_UNLABELED", "SHAPE", "SIZES", "autoencoder", "invariance", "mnist", "study"]

SIZES = (100, 320, 1000, 3200)
N_DRAWS = 5
SHAPE = (28, 28)
N_UNLABELED = 10_000  # training digits of the autoencoder
N_LEARNED = 8
FEW = 320  # up to this number of samples, settings are cross-validated in four folds; beyond it, a quarter is held out

# The settings to choose from: alpha, and the tangents' weight or the size of the moves.
SETTINGS: dict[str, tuple[tuple[float, float], ...]] = {
    "without": tuple((alpha, 0.0) for alpha in (1e-5, 1e-4, 1e-3, 1e-2, 3e-2)),
    "image tangents": ((3e-5, 3e-4), (1e-4, 3e-4), (1e-4, 1e-3), (3e-4, 1e-3), (3e-4, 3e-3)),
    "learned tangents": ((1e-3, 1e-3), (3e-4, 1e-3), (3e-4, 3e-3), (3e-4, 1e-2), (1e-3, 1e-2)),
    "moved copies": ((1e-4, 1.0), (1e-3, 1.0), (1e-4, 2.0), (1e-3, 2.0), (3e-3, 2.0)),
}
METHODS = tuple(SETTINGS)
MOVES = {"translate_x": 1.0, "translate_y": 1.0, "rotate": 0.1, "scale": 0.07, "shear_x": 0.1, "shear_y": 0.1}
"""Standard deviations of the random moves of the copies, all applied together, times 1 or 2."""
N_COPIES = 7  # as many as image tangents, so that an evaluation costs the same

Array = np.ndarray


@cache
def mnist() -> dict[str, Array]:
    """Load all digits, with pixels in [0, 1]."""
    with np.load(Path(os.environ["SPARSAM_DATA"]) / "mnist.npz") as arrays:
        return {
            "X": arrays["x_train"].reshape(-1, 784).astype(np.float32) / 255,
            "y": arrays["y_train"].astype(int),
            "X_test": arrays["x_test"].reshape(-1, 784).astype(np.float32) / 255,
            "y_test": arrays["y_test"].astype(int),
        }


@cache
def autoencoder() -> SparseAutoencoder:
    """Train an autoencoder on digits without their labels.

    It has many sparse units, so that each digit excites a few and has its own leading tangents. With 100 units and more
    weight decay, the tangents become a few directions for all digits, and the error increased. The parameters were
    chosen by hand, on draw 0 of 320 digits.
    """
    rows = np.random.default_rng(12345).permutation(60_000)[:N_UNLABELED]
    return SparseAutoencoder(400, rho=0.05, beta=3.0, alpha=1e-4, random_state=0, max_iter=150).fit(mnist()["X"][rows])


def moved_copies(X: Array, size: float, seed: int) -> Array:
    """Make N_COPIES of each image, each moved at random by all transforms in turn."""
    rng = np.random.default_rng(seed)
    copies = np.tile(X, (N_COPIES, 1))
    for transform, deviation in MOVES.items():
        copies = transform_images(copies, SHAPE, transform, size * deviation * rng.normal(size=len(copies)))
    return copies


def fit(
    method: str, setting: tuple[float, float], X: Array, y: Array, seed: int, **options: Any
) -> NoisyLabelClassifier:
    """Train the network that all methods use, with a hidden layer of 100 units."""
    alpha, amount = setting
    model = NoisyLabelClassifier((100,), epsilon=0.0, alpha=alpha, random_state=seed, **options)
    if method == "without":
        return model.fit(X, y)
    if method == "moved copies":
        return model.fit(np.vstack([X, moved_copies(X, amount, seed)]), np.tile(y, 1 + N_COPIES))
    tangents = image_tangents(X, SHAPE) if method == "image tangents" else encoder_tangents(X, autoencoder(), N_LEARNED)
    return model.set_params(tangent_weight=amount).fit(X, y, tangents=tangents)


def splits(y: Array, seed: int) -> Iterator[tuple[Array, Array]]:
    """Yield the training and held-out rows of each split."""
    rows = np.arange(len(y))
    if len(y) <= FEW:
        yield from StratifiedKFold(4, shuffle=True, random_state=seed).split(rows, y)
    else:
        yield tuple(train_test_split(rows, test_size=0.25, stratify=y, random_state=seed))


def chosen(method: str, X: Array, y: Array, seed: int) -> tuple[float, float]:
    """Choose the setting with the greatest likelihood of digits held out from the training part."""

    def held_out(setting: tuple[float, float]) -> float:
        parts = [(fit(method, setting, X[rows], y[rows], seed, max_iter=150), rest) for rows, rest in splits(y, seed)]
        return float(np.mean([model.mean_log_likelihood(X[rest], y[rest]) for model, rest in parts]))

    return max(SETTINGS[method], key=held_out)


def timed(method: str, setting: tuple[float, float], X: Array, y: Array, seed: int, budget: float | None = None) -> Any:
    """Train until convergence or for a time budget, after compiling; return the model and the seconds."""
    fit(method, setting, X, y, seed, max_iter=25)
    start = time.perf_counter()
    model = fit(method, setting, X, y, seed, max_iter=500, time_budget=budget)
    return model, time.perf_counter() - start


def measure(method: str, n: int, draw: int, tangents_setting: Callable[[], tuple[float, float]]) -> dict[str, Any]:
    """Measure a method at one draw of n training digits."""
    data = mnist()
    X, _, y, _ = train_test_split(data["X"], data["y"], train_size=n, stratify=data["y"], random_state=draw)
    start = time.perf_counter()
    setting = chosen(method, X, y, draw)
    tuning = time.perf_counter() - start
    # The copies get the wall time of the tangents; the others train until convergence.
    budget = timed("image tangents", tangents_setting(), X, y, draw)[1] if method == "moved copies" else None
    model, seconds = timed(method, setting, X, y, draw, budget)
    return {
        "error": 1 - model.score(data["X_test"], data["y_test"]),
        "setting": setting,
        "seconds": seconds,
        "tuning_seconds": tuning,
        "stop_reason": model.stop_reason_,
        "n_iter": model.n_iter_,
    }


def study(records: Records) -> None:
    """Measure everything that is not in the records yet."""
    for n, draw, method in product(SIZES, range(N_DRAWS), METHODS):
        key = f"{method}/{n}/{draw}"
        if key in records:
            continue
        tangents_key = f"image tangents/{n}/{draw}"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            row = measure(method, n, draw, lambda key=tangents_key: tuple(records.rows[key]["setting"]))  # type: ignore[misc]
        records.add(key, section="tangents", method=method, n=n, draw=draw, **row)
        say(f"{key}: error {row['error']:.4f}, {row['tuning_seconds']:.0f} + {row['seconds']:.0f} s")


def invariance(records: Records) -> None:
    """Measure the change of the outputs of networks trained on 1000 digits, under real moves of test digits."""
    key = "invariance/1000/0"
    settings = {method: f"{method}/1000/0" for method in ("without", "image tangents")}
    if key in records or any(of not in records for of in settings.values()):
        return
    data = mnist()
    X, _, y, _ = train_test_split(data["X"], data["y"], train_size=1000, stratify=data["y"], random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        models = {
            method: fit(method, tuple(records.rows[of]["setting"]), X, y, 0, max_iter=500)
            for method, of in settings.items()
        }
    report = invariance_report(models, data["X_test"][:2000], data["y_test"][:2000], image_shape=SHAPE)
    records.add(key, section="invariance", report=report.to_dict("list"))
    say(f"{key}: done")
