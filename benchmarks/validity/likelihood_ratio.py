"""Size of the likelihood-ratio test: the rate at which it rejects a true smaller model."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from scipy.stats import chi2

from benchmarks.validity.cells import Cell, Subject
from sparsam import MultivariateNormalRegressor, likelihood_ratio_test

__all__ = ["LIKELIHOOD_RATIO", "independence_factor", "size"]

N_INPUTS = 2
MISSING = 0.2  # share of targets missing at random
SIZE = (0.032, 0.068)  # contains 99 % of the rejection rates of 1,000 draws, for a test at 5 %
REJECTED = "rejected at 5 %"
TRUTHS = {
    "full / diag": "independent outputs",
    "diag / spherical": "independent outputs of one variance",
    "no mask / mask": "one input for each output, correlations of 0.5",
}


def hypotheses(comparison: str, n_outputs: int) -> tuple[dict[str, Any], dict[str, Any], np.ndarray]:
    """Return the parameters of the larger and the smaller model, and a noise covariance that the smaller one allows."""
    units = 10.0 ** np.arange(n_outputs)
    if comparison == "full / diag":
        return {"covariance": "full"}, {"covariance": "diag"}, np.diag(units**2)
    if comparison == "diag / spherical":
        return {"covariance": "diag"}, {"covariance": "spherical"}, np.eye(n_outputs)
    one_input_each = np.arange(N_INPUTS)[:, None] == np.arange(n_outputs) % N_INPUTS
    return {}, {"mask": one_input_each}, np.outer(units, units) * (0.5 + 0.5 * np.eye(n_outputs))


def size(
    rng: np.random.Generator, comparison: str, n_samples: int, n_outputs: int, missing: float = 0.0
) -> dict[str, float]:
    """Draw data from the smaller model, and test it against the larger one."""
    larger, smaller, covariance = hypotheses(comparison, n_outputs)
    X = rng.normal(size=(n_samples, N_INPUTS))
    coefs = rng.normal(size=(N_INPUTS, n_outputs)) * np.sqrt(np.diag(covariance)) * smaller.get("mask", 1)
    Y = X @ coefs + rng.normal(size=(n_samples, n_outputs)) @ np.linalg.cholesky(covariance).T
    is_missing = rng.random(Y.shape) < missing
    Y[is_missing & ~is_missing.all(axis=1, keepdims=True)] = np.nan  # every row needs a target
    test = likelihood_ratio_test(_fitted(larger, X, Y), _fitted(smaller, X, Y), X, Y)
    outcome = {REJECTED: test.p_value < 0.05}
    if comparison == "full / diag" and not missing:
        statistic = independence_factor(n_samples, N_INPUTS, n_outputs) * test.statistic
        outcome[f"{REJECTED}, with the factor"] = chi2.sf(statistic, test.degrees_of_freedom) < 0.05
    return outcome


def independence_factor(n_samples: int, n_inputs: int, n_outputs: int) -> float:
    """Compute a factor that corrects the statistic of "full" against "diag" for few samples.

    It holds for all targets observed and no mask. The products of the residuals of a regression on q inputs and a
    constant have n - 1 - q degrees of freedom. With ::

        [n - 1 - q - (2 K + 5)/6] / n

    the statistic for the independence of K variables follows chi-squared up to terms of order 1/n^2: G. E. P.
    Box, "A general distribution theory for a class of likelihood criteria", Biometrika 36, 1949; T. W. Anderson, *An
    Introduction to Multivariate Statistical Analysis*, chapter 9, for N samples with a mean and blocks of K_i variables
    N - 3/2 - (K^3 - sum K_i^3) / [3 (K^2 - sum K_i^2)], where here K_i = 1, and N is n - q.
    """
    return (n_samples - 1 - n_inputs - (2 * n_outputs + 5) / 6) / n_samples


def _fitted(parameters: dict[str, Any], X: np.ndarray, Y: np.ndarray) -> MultivariateNormalRegressor:
    return MultivariateNormalRegressor((), alpha=0.0, tol=1e-6, **parameters).fit(X, Y)


def _cell(comparison: str, n_samples: int, n_outputs: int, missing: float, claims: dict[str, Any]) -> Cell:
    gaps = f", {100 * missing:g} % of the targets missing" if missing else ""
    return Cell(
        f"{comparison}, n = {n_samples}, K = {n_outputs}{gaps}",
        TRUTHS[comparison],
        partial(size, comparison=comparison, n_samples=n_samples, n_outputs=n_outputs, missing=missing),
        claims,
    )


LIKELIHOOD_RATIO = Subject(
    "Size of the likelihood-ratio test",
    f"""Rate at which `likelihood_ratio_test` rejects a true smaller model, for linear models fitted with alpha = 0 and
tol = 1e-6. Inputs ({N_INPUTS}, and a constant), weights and noise are normal. The units of the outputs differ widely,
except where a common variance is true. Targets are missing completely at random.

Wilks' theorem holds for many samples. For n = 50 and K = 7 the rate is reported without a claim: that of the function,
and that with Box's factor [n - 1 - q - (2K + 5)/6]/n of the statistic, for q inputs. This factor applies only to "full"
against "diag" with all targets observed and no mask, so it is here and not in the function.""",
    [
        *(
            _cell(comparison, 200, n_outputs, missing, {REJECTED: SIZE})
            for comparison in TRUTHS
            for n_outputs in (2, 3)
            for missing in (0.0, MISSING)
        ),
        _cell("full / diag", 50, 7, 0.0, {}),
    ],
)
