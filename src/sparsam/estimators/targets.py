"""Targets of a regression: their border checks, and the scale on which they are fitted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_array, check_consistent_length

from sparsam.network import Parameters

__all__ = ["TargetScale", "validate_targets"]

Array = NDArray[np.float64]


def validate_targets(Y: ArrayLike, X: NDArray[np.floating]) -> tuple[Array, bool]:
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


def check_observed(Y: Array) -> None:
    """Raise ValueError where a row or an output has no target at all."""
    observed = ~np.isnan(Y)
    empty = np.flatnonzero(~observed.any(axis=1))
    if len(empty):
        raise ValueError(
            f"{len(empty)} of {len(Y)} rows of Y contain NaN alone, the first of them row {empty[0]}: a sample without "
            "any target tells nothing of the network. Remove these rows."
        )
    never = np.flatnonzero(~observed.any(axis=0))
    if len(never):
        raise ValueError(f"output {never[0]} of Y contains NaN alone: nothing can be learned of it. Remove the output.")


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
    def of(cls, Y: Array, sample_weight: Array) -> Self:
        """Take them of what is observed."""
        weights = sample_weight[:, None] * ~np.isnan(Y)
        total = np.maximum(weights.sum(axis=0), np.finfo(float).tiny)
        mean = np.sum(weights * np.nan_to_num(Y), axis=0) / total
        variance = np.sum(weights * np.nan_to_num(Y - mean) ** 2, axis=0) / total
        # What rounding leaves of a constant is no scale.
        varies = variance > (1e-12 * np.abs(mean)) ** 2
        return cls(mean, np.where(varies, np.sqrt(np.where(varies, variance, 1.0)), 1.0))

    def scaled(self, Y: Array) -> Array:
        """Targets as they are fitted."""
        return (Y - self.mean) / self.scale

    def mean_log_jacobian(self, Y: Array, sample_weight: Array) -> float:
        """What to add to a mean log density of scaled targets for that of Y: the mean of -sum_observed ln scale."""
        return -float(np.average(~np.isnan(Y) @ np.log(self.scale), weights=sample_weight))

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
