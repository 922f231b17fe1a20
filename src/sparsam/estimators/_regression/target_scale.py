"""Targets of a regression: their border checks, and the scale on which they are fitted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_array, check_consistent_length

from sparsam.engine.data.devices import told
from sparsam.engine.network.network import Parameters
from sparsam.estimators._data.dataset import Data, Rows, mean_over, sum_over, together
from sparsam.estimators._regression.multivariate_normal import patterns_of

__all__ = ["TargetScale", "as_table", "check_rows_observed", "observed_patterns", "validate_targets"]

Array = NDArray[np.float64]


def validate_targets(Y: ArrayLike | None, X: NDArray[np.floating]) -> tuple[Array, bool]:
    """Return the targets as float64 (n_samples, n_outputs), NaN where missing, and whether they were (n_samples,).

    Raises
    ------
    ValueError
        If there are none, they are infinite or not numeric, or do not fit X.
    """
    if Y is None:
        raise ValueError("This estimator requires y to be passed, but the target y is None")
    checked: Array = check_array(
        Y, ensure_2d=False, dtype=np.float64, ensure_all_finite="allow-nan", input_name="Y", ensure_min_samples=1
    )
    if checked.ndim > 2:
        raise ValueError(f"Y must be (n_samples,) or (n_samples, n_outputs), got an array of shape {checked.shape}")
    check_consistent_length(X, checked)
    return checked.reshape(len(checked), -1), checked.ndim == 1


def as_table(Y: ArrayLike | None) -> Array:
    """Targets, which are good, as float64 (n_samples, n_outputs)."""
    table = np.asarray(Y, dtype=np.float64)
    return table.reshape(len(table), -1) if table.ndim == 1 else table


def check_rows_observed(Y: Array, counts: NDArray[np.bool_], first_row: int = 0) -> None:
    """Raise ValueError where a row that counts has no target at all."""
    empty = np.flatnonzero(np.isnan(Y).all(axis=1) & counts)
    if len(empty):
        raise ValueError(
            f"{len(empty)} of {len(Y)} rows of Y contain NaN alone, the first of them row {first_row + empty[0]}: a "
            "sample without any target tells nothing of the network. Remove these rows."
        )


def observed_patterns(data: Data) -> NDArray[np.bool_]:
    """Which targets are observed together, (n_patterns, n_outputs), anywhere in the data of all processes.

    Raises
    ------
    ValueError
        If an output has no target at all.
    """
    own: set[tuple[bool, ...]] = set()

    def look() -> None:
        for rows in data.pieces():
            own.update(map(tuple, patterns_of(rows.t)[0].tolist()))

    together(look, data.mesh)
    patterns = np.unique(np.array([p for of in told(sorted(own), data.mesh) for p in of], dtype=bool), axis=0)
    never = np.flatnonzero(~patterns.any(axis=0))
    if len(never):
        raise ValueError(f"output {never[0]} of Y contains NaN alone: nothing can be learned of it. Remove the output.")
    return patterns


@dataclass(frozen=True)
class TargetScale:
    """Mean and standard deviation of each output: what is fitted is (t - mean)/scale.

    Attributes
    ----------
    mean, scale : arrays of shape (n_outputs,)
        scale is 1 for an output that does not vary.
    """

    mean: Array
    scale: Array

    @classmethod
    def of(cls, data: Data) -> Self:
        """Take them of what is observed of the targets, of all processes."""

        def observed(rows: Rows) -> tuple[Array, Array]:
            seen = rows.s[:, None] * ~np.isnan(rows.t)
            return np.sum(seen, axis=0), np.sum(seen * np.nan_to_num(rows.t), axis=0)

        total, sums = sum_over(data, observed)
        total = np.maximum(total, np.finfo(float).tiny)
        mean = sums / total

        def squares(rows: Rows) -> Array:
            seen = rows.s[:, None] * ~np.isnan(rows.t)
            return np.sum(seen * np.nan_to_num(rows.t - mean) ** 2, axis=0)

        variance = sum_over(data, squares) / total
        # What rounding leaves of a constant is no scale.
        varies = variance > (1e-12 * np.abs(mean)) ** 2
        return cls(mean, np.where(varies, np.sqrt(np.where(varies, variance, 1.0)), 1.0))

    def scaled_rows(self, rows: Rows) -> Rows:
        """Rows with their targets as they are fitted."""
        return rows._replace(targets=(rows.t - self.mean) / self.scale)

    def mean_log_jacobian(self, data: Data) -> float:
        """What to add to a mean log density of scaled targets for that of Y: the mean of -sum_observed ln scale."""
        return -float(mean_over(data, lambda rows: ~np.isnan(rows.t) @ np.log(self.scale)))

    def in_units_of_y(self, parameters: Parameters) -> Parameters:
        """Weights, in float64, of a network whose linear outputs are in the units of Y, of one with scaled outputs."""
        *coefs, last = (np.asarray(coef, dtype=np.float64) for coef in parameters.coefs)
        *intercepts, bias = (np.asarray(intercept, dtype=np.float64) for intercept in parameters.intercepts)
        return _parameters((*coefs, last * self.scale), (*intercepts, bias * self.scale + self.mean))

    def scaled_weights(self, parameters: Parameters) -> Parameters:
        """Inverse of `in_units_of_y`."""
        *coefs, last = parameters.coefs
        *intercepts, bias = parameters.intercepts
        return _parameters((*coefs, last / self.scale), (*intercepts, (bias - self.mean) / self.scale))


def _parameters(coefs: tuple[Any, ...], intercepts: tuple[Any, ...]) -> Parameters:
    return Parameters(coefs, intercepts)
