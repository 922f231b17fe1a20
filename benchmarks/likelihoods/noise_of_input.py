"""Compare a covariance that depends on the input with a constant one and NGBoost, by held-out log-likelihood."""

from __future__ import annotations

import os
import time
import warnings
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.impute import SimpleImputer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.likelihoods.covariance import load, run_peer
from benchmarks.progress import say
from benchmarks.records import Records
from sparsam import MultivariateNormalRegressor

__all__ = ["DATASETS", "noise_of_input"]

N_SEEDS, N_TEST = 5, 5000


def one_target(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw a sine with a deviation that grows from 0.1 to 0.6."""
    X = rng.uniform(-2, 2, (n, 1))
    return X, np.sin(2 * X) + (0.1 + 0.125 * (X + 2)) * rng.normal(size=(n, 1))


def two_targets(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw two targets of three inputs, whose deviations and correlation depend on one input each."""
    X = rng.uniform(-2, 2, (n, 3))
    first, second, rho = np.exp(0.6 * X[:, 0] - 1), np.exp(-0.5 * X[:, 1] - 1), np.tanh(1.2 * X[:, 2])
    z = rng.normal(size=(2, n))
    noise = np.column_stack([first * z[0], second * (rho * z[0] + np.sqrt(1 - rho**2) * z[1])])
    return X, np.column_stack([np.sin(2 * X[:, 0]) + X[:, 1] ** 2 / 2, np.cos(X[:, 1]) + X[:, 2]]) + noise


def same_noise(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw two targets with the same means, and the same noise everywhere."""
    X = rng.uniform(-2, 2, (n, 3))
    noise = rng.multivariate_normal([0, 0], [[0.2, 0.12], [0.12, 0.15]], n)
    return X, np.column_stack([np.sin(2 * X[:, 0]) + X[:, 1] ** 2 / 2, np.cos(X[:, 1]) + X[:, 2]]) + noise


def abalone() -> tuple[np.ndarray, np.ndarray]:
    """Load abalone: the rings, from sex and seven measures."""
    table = pd.read_csv(Path(os.environ["SPARSAM_DATA"]) / "abalone.csv")
    sex, numbers = pd.get_dummies(table.iloc[:, 0]).to_numpy(float), table.iloc[:, 1:].to_numpy(float)
    return np.hstack([sex, numbers[:, :-1]]), numbers[:, -1:]


DRAWN = {
    "growing noise, n = 300": (one_target, 300),
    "growing noise, n = 1000": (one_target, 1000),
    "correlation of the input, n = 1000": (two_targets, 1000),
    "same noise, n = 300": (same_noise, 300),
    "same noise, n = 1000": (same_noise, 1000),
    "same noise, n = 2000": (same_noise, 2000),
}
REAL = ("abalone", "enb", "log scpf")
DATASETS = (*DRAWN, *REAL)


def split(name: str, seed: int) -> tuple[np.ndarray, ...]:
    """Draw a training and a test part, or split real data; standardize the inputs by the training part."""
    if name in DRAWN:
        draw, n = DRAWN[name]
        X, Y = draw(n + N_TEST, np.random.default_rng(seed))
        training, test = np.arange(n), np.arange(n, n + N_TEST)
    else:
        X, Y = abalone() if name == "abalone" else load(name)
        training, test = train_test_split(np.arange(len(X)), test_size=0.2, random_state=seed)
    prepare = make_pipeline(SimpleImputer(strategy="median"), StandardScaler()).fit(X[training])
    return prepare.transform(X[training]), Y[training], prepare.transform(X[test]), Y[test]


def noise_of_input(records: Records, peer_python: str | None) -> None:
    """Measure everything that is not in the records yet; NGBoost runs with another interpreter, if one is given."""
    for seed, name in product(range(N_SEEDS), DATASETS):
        for kind in ("full", "input"):
            key = f"noise/{name}/{kind}/{seed}"
            if key not in records:
                row = measure(name, kind, seed)
                records.add(key, section="noise", data=name, method=kind, seed=seed, **row)
                say(f"{key}: {row['log_likelihood']:.4f} nats, {row['seconds']:.0f} s")
        key = f"noise/{name}/ngboost/{seed}"
        if peer_python and key not in records and not name.startswith("same"):
            arrays = dict(zip(("X", "Y", "X_test", "Y_test"), split(name, seed), strict=True))
            row = run_peer(peer_python, "ngboost_tuned", arrays)
            records.add(key, section="noise", data=name, method="ngboost", seed=seed, **row)
            say(f"{key}: {row['log_likelihood']:.4f} nats, {row['seconds']:.0f} s")


def measure(name: str, kind: str, seed: int) -> dict[str, Any]:
    """Measure the held-out likelihood of a network at the defaults."""
    X, Y, X_test, Y_test = split(name, seed)
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = MultivariateNormalRegressor(covariance=kind, random_state=seed).fit(X, Y)
    return {
        "log_likelihood": model.mean_log_likelihood(X_test, Y_test),
        "R2": model.score(X_test, Y_test),
        "covariance_alpha": model.covariance_alpha_,
        "n_iter": model.n_iter_,
        "seconds": time.perf_counter() - start,
    }
