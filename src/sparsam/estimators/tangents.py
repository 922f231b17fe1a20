"""Tangents of a fit: who gives them, their border checks, and their length."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sparsam.estimators import validation
from sparsam.penalties import TangentPropagation

__all__ = [
    "Tangents",
    "check_tangent_hyperparameters",
    "checked_tangents",
    "fit_tangents",
    "given_tangents",
    "normalized",
    "penalties",
]

Array = NDArray[np.floating]
Tangents = Callable[[NDArray[np.floating]], ArrayLike]
"""X (n_samples, n_features) -> tangents (n_samples, n_tangents, n_features)."""


def check_tangent_hyperparameters(estimator: Any) -> None:
    """Raise TypeError or ValueError unless the hyperparameters about tangents can be used."""
    validation.check_weight("tangent_weight", estimator.tangent_weight)
    validation.check_flag("normalize_tangents", estimator.normalize_tangents)
    if estimator.tangents is not None and not callable(estimator.tangents):
        raise TypeError(
            "tangents must be None or a callable X -> (n_samples, n_tangents, n_features), got "
            f"{type(estimator.tangents).__name__}. An array belongs to fit(X, y, tangents=...), where cross-validation "
            "takes the rows that belong to its part of X"
        )


def checked_tangents(tangents: ArrayLike, X: Array, name: str = "tangents") -> Array:
    """Return tangents as a finite float array (n_samples, n_tangents, n_features) that fits X.

    Raises
    ------
    TypeError, ValueError
        If they are none, or there are zero of them.
    """
    try:
        array = np.asarray(tangents)
        array = array if np.issubdtype(array.dtype, np.floating) else array.astype(np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be an array of numbers (n_samples, n_tangents, n_features)") from None
    n_samples, n_features = X.shape
    if array.ndim != 3 or array.shape[0] != n_samples or array.shape[2] != n_features:
        raise ValueError(
            f"{name} must be (n_samples, n_tangents, n_features) = ({n_samples}, n_tangents, {n_features}) for this X, "
            f"got an array of shape {array.shape}"
        )
    if array.shape[1] == 0:
        raise ValueError(f"{name} holds zero tangents a sample; give at least one, or leave tangents out")
    validation.check_finite(array.reshape(n_samples, -1), name)
    return array


def given_tangents(estimator: Any, X: Array, tangents: ArrayLike | None) -> Array | None:
    """Return the array that `fit` was given, checked, or None: of weight 0 none are needed.

    Raises
    ------
    ValueError
        If it does not fit X, if there is a callable besides, or if there are none at all for a positive weight.
    """
    if tangents is not None and estimator.tangents is not None:
        raise ValueError("tangents are given twice, to fit and as the parameter tangents: leave one of them out")
    if tangents is None and estimator.tangents is None and estimator.tangent_weight > 0:
        raise ValueError(
            f"tangent_weight = {estimator.tangent_weight} needs tangents: give fit(X, y, tangents=array), or the "
            "parameter tangents, for example functools.partial(sparsam.images.image_tangents, image_shape=(28, 28))"
        )
    checked = None if tangents is None else checked_tangents(tangents, X)
    return checked if estimator.tangent_weight > 0 else None


def fit_tangents(estimator: Any, X: Array, given: Array | None, sample_weight: NDArray[np.float64]) -> Array | None:
    """Return the tangents to train with, or None: those given, or what the callable makes of X, and their length.

    Raises
    ------
    ValueError
        If what the callable returns does not fit X.
    """
    if estimator.tangents is not None and estimator.tangent_weight > 0:
        given = checked_tangents(estimator.tangents(X), X, "what the parameter tangents returns")
    if given is None or not estimator.normalize_tangents:
        return given
    return normalized(given, X, sample_weight)


def normalized(tangents: Array, X: Array, sample_weight: NDArray[np.float64]) -> Array:
    """Tangents of the length of a typical deviation.

    Each of a sample's tangents, the first of all samples alike, and so on, is multiplied by one number, so that over
    the samples ::

        mean |tau|^2 = mean |x - mean x|^2

    A step along it is then as long as the way from one sample to a typical other: 1/2 |Jac tau|^2 means the same
    whatever the unit of X is, the size of its images, and the unit in which a transform is counted.
    """
    s = sample_weight / sample_weight.sum()
    deviation = s @ np.sum((X - s @ X) ** 2, axis=1, dtype=np.float64)
    lengths = s @ np.einsum("nld,nld->nl", tangents, tangents, dtype=np.float64)
    factors = np.sqrt(deviation / np.where(lengths > 0, lengths, 1.0))
    return tangents * factors[:, None].astype(tangents.dtype)


def penalties(estimator: Any, tangents: Array | None, of: str = "outputs") -> tuple[TangentPropagation, ...]:
    """Return the term of J, if there are tangents."""
    return () if tangents is None else (TangentPropagation(float(estimator.tangent_weight), of),)
