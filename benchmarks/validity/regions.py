"""Prediction regions: coverage of ellipsoids of the normal distribution, and of calibrated ones with any noise."""

from __future__ import annotations

import warnings
from functools import partial

import numpy as np

from benchmarks.validity.cells import Cell, Subject
from sparsam import MultivariateNormalRegressor

__all__ = ["PREDICTION_REGIONS", "regions"]

Array = np.ndarray

N_TEST = 2000
SHARES = (0.8, 0.9, 0.95)
MIXING = np.array([[0.3, 0.2], [0.0, 0.2]])  # of two independent noises


def normal(rng: np.random.Generator, X: Array) -> Array:
    """Draw normal noise."""
    return rng.normal(size=(len(X), 2))


def heavy_tails(rng: np.random.Generator, X: Array) -> Array:
    """Draw noise of Student's t distribution with 3 degrees of freedom."""
    return rng.standard_t(3, size=(len(X), 2))


def skewed(rng: np.random.Generator, X: Array) -> Array:
    """Draw exponential noise, whose deviation grows with the first input."""
    return (rng.exponential(size=(len(X), 2)) - 1) * (1 + X[:, :1])


NOISES = {
    "normal noise": normal,
    "heavy tails": heavy_tails,
    "skewed noise that grows": skewed,
}


def regions(rng: np.random.Generator, noise: str, n: int, covariance: str = "full") -> dict[str, float]:
    """Return the share of new rows in their regions, calibrated and, for normal noise, without calibration."""
    X = rng.uniform(-1, 1, (n + N_TEST, 3))
    Y = np.column_stack([np.sin(2 * X[:, 0]), X[:, 1] * X[:, 2]]) + NOISES[noise](rng, X) @ MIXING
    seed, found = int(rng.integers(2**31)), {}
    for name, fraction in (("calibrated", 0.2), ("normal", None))[: 2 if noise == "normal noise" else 1]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = MultivariateNormalRegressor(
                (20,), covariance=covariance, calibration_fraction=fraction, random_state=seed
            ).fit(X[:n], Y[:n])
        for share in SHARES:
            region = model.predict_region(X[n:], share)
            found[_named(name, share)] = float(np.mean(region.contains(Y[n:])))
    return found


def _named(name: str, share: float) -> str:
    return f"{name}, {100 * share:.0f} %"


def _cell(noise: str, n: int, covariance: str) -> Cell:
    claims = {_named("calibrated", share): (share - 0.02, share + 0.02) for share in SHARES}
    if noise == "normal noise":
        claims |= {_named("normal", share): (share - 0.05, min(share + 0.05, 1.0)) for share in SHARES}
    draw = partial(regions, noise=noise, n=n, covariance=covariance)
    return Cell(f"{noise}, n = {n}, {covariance}", "two targets of three inputs, correlated", draw, claims, n_draws=40)


PREDICTION_REGIONS = Subject(
    "Prediction regions",
    f"""Share of {N_TEST:,} new rows whose two targets are in the region that `predict_region` gives them, for networks
of 20 hidden units. Calibrated regions leave out a fifth of the rows (`calibration_fraction=0.2`) and hold for any
noise, on average over the draws of the data. The others use the quantile of the chi-squared distribution.""",
    [
        *(_cell(noise, n, "full") for n in (500, 2000) for noise in NOISES),
        _cell("skewed noise that grows", 500, "input"),
    ],
)
