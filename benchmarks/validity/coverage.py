"""Regressions with default parameters on ordinary data: coverage of intervals, test errors and time, against others."""

from __future__ import annotations

import time
import warnings
from functools import partial
from typing import Any

import numpy as np
from sklearn.datasets import load_diabetes, make_friedman1, make_friedman2, make_friedman3
from sklearn.linear_model import LinearRegression
from sklearn.neural_network import MLPRegressor
from sklearn.preprocessing import StandardScaler

from benchmarks.validity.cells import Cell, Subject
from sparsam import MultivariateNormalRegressor

__all__ = ["COVERAGE_OF_DEFAULTS", "coverage"]

Array = np.ndarray
Data = tuple[Array, Array, Array, Array]

N_TEST = 2000
SHARE = 1.6448536269514722  # standard deviations on either side of the mean that contain 90 % of a normal distribution
FIXED_ALPHAS = (1e-3, 1e-2, 3e-2, 1e-1)
PEER_ALPHAS = (1e-4, 1e-2, 1.0)
FRIEDMAN = {  # function, standard deviation of the noise
    "friedman1": (make_friedman1, 1.0),
    "friedman2": (make_friedman2, 125.0),
    "friedman3": (make_friedman3, 0.1),
}
COVERAGE, CONDITIONALS = "coverage", "coverage of conditionals"
DEGENERATE = "degenerate: a variance below a millionth of the target's"


def curve(rng: np.random.Generator, n: int) -> tuple[Array, Array]:
    """Draw one input, and two targets with noise of correlation 0.7."""
    X = rng.uniform(-3, 3, size=(n, 1))
    return X, np.hstack([np.sin(X), np.cos(X)]) + _noise(rng, n, 2, 0.2)


def surface(rng: np.random.Generator, n: int) -> tuple[Array, Array]:
    """Draw five inputs, and three targets, each a ridge function of a random direction plus a product of two inputs."""
    directions = rng.normal(size=(5, 3)) / np.sqrt(5)
    X = rng.normal(size=(n, 5))
    return X, np.sin(X @ directions) + X[:, :3] * X[:, 1:4] / 4 + _noise(rng, n, 3, 0.3)


def _noise(rng: np.random.Generator, n: int, n_outputs: int, deviation: float) -> Array:
    C = deviation**2 * (0.7 + 0.3 * np.eye(n_outputs))
    return rng.multivariate_normal(np.zeros(n_outputs), C, size=n)


MADE = {"curve": curve, "surface": surface}
PROBLEMS = (*MADE, *FRIEDMAN, "diabetes")
SIZES = (100, 400, 2000)
TRUTHS = {
    "curve": "sine and cosine of one input, noise 0.2",
    "surface": "smooth functions of five inputs, three targets, noise 0.3",
    "friedman1": "ten inputs, five of no influence, noise 1",
    "friedman2": "four inputs, noise 125",
    "friedman3": "four inputs, noise 0.1",
    "diabetes": "442 patients, at most 342 to train on",
}


def problem(rng: np.random.Generator, name: str, n: int) -> Data:
    """Draw X and Y for training, and X and Y for testing; standardize inputs by the training rows, as in a pipeline.

    At most 342 of the 442 patients of "diabetes" are used for training, the others for testing.
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
    """Fit with all defaults; return coverages and, with ``peers``, errors and time relative to other fits."""
    data = problem(rng, name, n)
    seed = int(rng.integers(2**31))
    # The others run first, because they compile the programs of the timed fit.
    others = _other_errors(data, seed) if peers else {}
    start = time.process_time()
    model = _fitted(data, seed)
    seconds = time.process_time() - start
    X, Y = data[2:]
    means, deviations = (part.reshape(Y.shape) for part in model.predict(X, return_std=True))
    found = {COVERAGE: float(np.mean(np.abs(Y - means) < SHARE * deviations))}
    if Y.shape[1] > 1:
        given = Y.copy()
        given[:, -1] = np.nan
        filled, deviations = model.predict_conditional(X, given, return_std=True)
        inside = np.abs(Y[:, -1] - filled[:, -1]) < SHARE * deviations[:, -1]
        found[CONDITIONALS] = float(np.mean(inside))
    variances = np.diag(np.atleast_2d(model.covariance_))
    found[DEGENERATE] = float(np.any(variances < 1e-6 * np.var(data[1], axis=0)))
    found |= {f"error / {other}": _error(means, data) / error for other, error in others.items()}
    return found | ({"time / single fit": seconds / _seconds_of_single_fit(data, seed)} if peers else {})


def _other_errors(data: Data, seed: int) -> dict[str, float]:
    X = data[2]
    return {
        **{f"alpha={a:g}": _error(_fitted(data, seed, alpha=a).predict(X), data) for a in FIXED_ALPHAS},
        "LinearRegression": _error(LinearRegression().fit(*data[:2]).predict(X), data),
        **{f"MLPRegressor(alpha={a:g})": _peer_error(data, seed, a) for a in PEER_ALPHAS},
    }


def _seconds_of_single_fit(data: Data, seed: int) -> float:
    """Measure the processor time of a compiled fit without folds, with early stopping."""
    for _ in range(2):
        start = time.process_time()
        _fitted(data, seed, cv=None)
    return time.process_time() - start


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
    """Compute the root mean square of the test residuals, in standard deviations of the targets."""
    Y = data[3]
    return float(np.sqrt(np.mean(((means.reshape(Y.shape) - Y) / Y.std(axis=0)) ** 2)))


def _cell(name: str, n: int) -> Cell:
    n_targets = {"curve": 2, "surface": 3}.get(name, 1)
    others = [f"alpha={a:g}" for a in FIXED_ALPHAS]
    claims = {COVERAGE: (0.85, 0.95), DEGENERATE: (0.0, 0.0), "time / single fit": (0.0, 6.0)}
    claims |= {CONDITIONALS: (0.85, 0.95)} if n_targets > 1 else {}
    claims |= {f"error / {other}": (0.0, 1.1) for other in others} | {"error / LinearRegression": (0.0, 1.05)}
    claims |= {f"error / MLPRegressor(alpha={a:g})": (0.0, 1.0) for a in PEER_ALPHAS}
    return Cell(f"{name}, n = {n}", TRUTHS[name], partial(coverage, name=name, n=n), claims, n_draws=20)


COVERAGE_OF_DEFAULTS = Subject(
    "Regressions with all defaults",
    f"""`MultivariateNormalRegressor()` on ordinary data with standardized inputs. Coverage is the share of new targets
in its 90 % intervals; coverage of conditionals is that of the last target in intervals given the others. Test errors
(root mean square) are divided by those of fixed alphas, of a linear model, and of scikit-learn's
`MLPRegressor(early_stopping=True)` on scaled targets with each of {len(PEER_ALPHAS)} alphas; processor time by that of
a fit without folds (`cv=None`). There are {N_TEST:,} test rows; for diabetes, all rows not used for training.""",
    [_cell(name, n) for n in SIZES for name in PROBLEMS if not (name == "diabetes" and n > 400)],
)
