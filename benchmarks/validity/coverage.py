"""Default regressions on ordinary data: coverage of their intervals, and test errors beside other methods'."""

from __future__ import annotations

import time
import warnings
from typing import Any

import numpy as np
from sklearn.datasets import load_diabetes, make_friedman1, make_friedman2, make_friedman3
from sklearn.linear_model import LinearRegression
from sklearn.neural_network import MLPRegressor
from sklearn.preprocessing import StandardScaler

from sparsam import MultivariateNormalRegressor

__all__ = ["CLAIMS", "PROBLEMS", "coverage", "problem", "time_ratio"]

Array = np.ndarray
Data = tuple[Array, Array, Array, Array]

N_TEST = 2000
SHARE = 1.6448536269514722  # standard deviations either side of the mean that hold 90 % of a normal distribution
FIXED_ALPHAS = (1e-3, 1e-2, 3e-2, 1e-1, 3e-1)
PEER_ALPHAS = (1e-4, 1e-2, 1.0)
FRIEDMAN = {  # function, standard deviation of the noise
    "friedman1": (make_friedman1, 1.0),
    "friedman2": (make_friedman2, 125.0),
    "friedman3": (make_friedman3, 0.1),
}
CLAIMS = {
    "coverage": (0.85, 0.95),
    "coverage of conditionals": (0.85, 0.95),
    "error / best fixed alpha's": (0.0, 1.1),
    "error / linear model's": (0.0, 1.05),
    "error / MLPRegressor's": (0.0, 1.0),
    "time / single fit's": (0.0, 6.0),
}
"""Ranges of the means over the draws."""


def curve(rng: np.random.Generator, n: int) -> tuple[Array, Array]:
    """One input, two targets with noise of correlation 0.7."""
    X = rng.uniform(-3, 3, size=(n, 1))
    return X, np.hstack([np.sin(X), np.cos(X)]) + _noise(rng, n, 2, 0.2)


def surface(rng: np.random.Generator, n: int) -> tuple[Array, Array]:
    """Five inputs, three targets: a ridge function of random directions and a product of two inputs each."""
    directions = rng.normal(size=(5, 3)) / np.sqrt(5)
    X = rng.normal(size=(n, 5))
    return X, np.sin(X @ directions) + X[:, :3] * X[:, 1:4] / 4 + _noise(rng, n, 3, 0.3)


def _noise(rng: np.random.Generator, n: int, n_outputs: int, deviation: float) -> Array:
    C = deviation**2 * (0.7 + 0.3 * np.eye(n_outputs))
    return rng.multivariate_normal(np.zeros(n_outputs), C, size=n)


MADE = {"curve": curve, "surface": surface}
PROBLEMS = (*MADE, *FRIEDMAN, "diabetes")


def problem(rng: np.random.Generator, name: str, n: int) -> Data:
    """X and Y to train on, and X and Y to test; inputs standardized by the former, as in a pipeline.

    Of the 442 patients of "diabetes" at most 342 are trained on, and the others tested.
    """
    n_all = n + N_TEST
    if name in MADE:
        X, Y = MADE[name](rng, n_all)
    elif name in FRIEDMAN:
        make, deviation = FRIEDMAN[name]
        X, y = make(n_all, noise=deviation, random_state=int(rng.integers(2**31)))
        Y = y[:, None]
    else:
        X, y = load_diabetes(return_X_y=True)
        order = rng.permutation(len(X))
        X, Y, n = X[order], y[order, None], min(n, 342)
    scaler = StandardScaler().fit(X[:n])
    return scaler.transform(X[:n]), Y[:n], scaler.transform(X[n:]), Y[n:]


def coverage(rng: np.random.Generator, name: str, n: int, *, peers: bool = True) -> dict[str, float]:
    """Fit with all defaults; return coverages, and, with ``peers``, errors relative to other methods'."""
    data = problem(rng, name, n)
    seed = int(rng.integers(2**31))
    model = _fitted(data, seed)
    X, Y = data[2:]
    means, deviations = (part.reshape(Y.shape) for part in model.predict(X, return_std=True))
    found = {"coverage": float(np.mean(np.abs(Y - means) < SHARE * deviations)), "error": _error(means, data)}
    if Y.shape[1] > 1:
        given = Y.copy()
        given[:, -1] = np.nan
        filled, deviations = model.predict_conditional(X, given, return_std=True)
        inside = np.abs(Y[:, -1] - filled[:, -1]) < SHARE * deviations[:, -1]
        found["coverage of conditionals"] = float(np.mean(inside))
    if not peers:
        return found
    return found | {
        **{f"error, alpha {a:g}": _error(_fitted(data, seed, alpha=a).predict(X), data) for a in FIXED_ALPHAS},
        "error, linear model": _error(LinearRegression().fit(*data[:2]).predict(X), data),
        **{f"error, MLPRegressor, alpha {a:g}": _peer_error(data, seed, a) for a in PEER_ALPHAS},
    }


def time_ratio(rng: np.random.Generator, name: str, n: int) -> dict[str, float]:
    """Processor time of a default fit over that of one training, at its middle alpha; both compiled before."""
    data, seed = problem(rng, name, n), int(rng.integers(2**31))
    seconds = {}
    for cv in (5, None):
        alpha = None if cv else 3e-2
        _fitted(data, seed, cv=cv, alpha=alpha)
        start = time.process_time()
        _fitted(data, seed, cv=cv, alpha=alpha)
        seconds[cv] = time.process_time() - start
    return {"time / single fit's": seconds[5] / seconds[None]}


def _fitted(data: Data, seed: int, **parameters: Any) -> MultivariateNormalRegressor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return MultivariateNormalRegressor(random_state=seed, **parameters).fit(*data[:2])


def _peer_error(data: Data, seed: int, alpha: float) -> float:
    X, Y, X_test, _ = data
    mean, scale = Y.mean(axis=0), Y.std(axis=0)
    peer = MLPRegressor(alpha=alpha, early_stopping=True, random_state=seed % 2**31)
    scaled = (Y - mean) / scale
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer.fit(X, scaled if Y.shape[1] > 1 else scaled[:, 0])
    return _error(peer.predict(X_test).reshape(-1, Y.shape[1]) * scale + mean, data)


def _error(means: Array, data: Data) -> float:
    """Root mean square of the test residuals, in standard deviations of the targets."""
    Y = data[3]
    return float(np.sqrt(np.mean(((means.reshape(Y.shape) - Y) / Y.std(axis=0)) ** 2)))
