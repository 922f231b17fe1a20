"""Tangents of a fit: who gives them, their border checks, and their length."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sparsam.estimators import validation
from sparsam.estimators.showing import Display
from sparsam.penalties import TangentPropagation

__all__ = [
    "MadeTangents",
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
"""X (n_samples, n_features) -> tangents (n_samples, n_tangents, n_features), each sample's from its row of X alone."""


def check_tangent_hyperparameters(estimator: Any) -> None:
    """Raise TypeError or ValueError unless the hyperparameters about tangents can be used."""
    if estimator.tangent_weight is not None:
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
    if tangents is None and estimator.tangents is None and estimator.tangent_weight:
        raise ValueError(
            f"tangent_weight = {estimator.tangent_weight} needs tangents: give fit(X, y, tangents=array), or the "
            "parameter tangents (of a TangentPipeline its own), for example "
            "functools.partial(sparsam.images.image_tangents, image_shape=(28, 28))"
        )
    checked = None if tangents is None else checked_tangents(tangents, X)
    return checked if weight_of(estimator) > 0 else None


def weight_of(estimator: Any) -> float:
    """tangent_weight, or what None stands for."""
    return STANDARD_WEIGHT if estimator.tangent_weight is None else float(estimator.tangent_weight)


STANDARD_WEIGHT = 1e-3


def fit_tangents(
    estimator: Any, X: Array, given: Array | None, sample_weight: NDArray[np.float64], display: Display
) -> Array | MadeTangents | None:
    """Return the tangents to train with, or None: those given, or what the callable makes of X, and their length.

    Where all that the callable makes would take more than `RESIDENT_BYTES`, it is asked again in every pass over the
    data, a piece at a time.

    Raises
    ------
    ValueError
        If what the callable returns does not fit X.
    """
    if estimator.tangents is None or weight_of(estimator) == 0:
        return normalized(given, X, sample_weight) if given is not None and estimator.normalize_tangents else given
    display.begin("making tangents")
    # Fewer than all: a callable that knows one array only, whatever X is, shows itself.
    first = _made(estimator.tangents, X[: max(min(PROBE, len(X) - 1), 1)])
    n_tangents = first.shape[1]
    if len(X) * first[0].size * X.itemsize <= RESIDENT_BYTES:
        tangents = _made(estimator.tangents, X)
        return normalized(tangents, X, sample_weight) if estimator.normalize_tangents else tangents
    made = MadeTangents(estimator.tangents, np.ones(n_tangents))
    if not estimator.normalize_tangents:
        return made
    size = made.piece(X)
    squares = np.zeros(n_tangents)
    for start in range(0, len(X), size):
        piece = slice(start, start + size)
        squares += sample_weight[piece] @ _squared_lengths(made(X[piece]))
        display.count("rows with tangents", min(start + size, len(X)), len(X))
    return replace(made, factors=_factors(squares / sample_weight.sum(), X, sample_weight))


PROBE = 64  # samples whose tangents say how many there are
RESIDENT_BYTES = 2**30  # most that the tangents of all samples may take
PIECE_BYTES = 2**25  # and those of a piece


@dataclass(frozen=True)
class MadeTangents:
    """Tangents that are made a piece at a time, and multiplied by factors (n_tangents,)."""

    function: Tangents
    factors: NDArray[np.float64]

    def __call__(self, X: Array) -> Array:
        """Make those of some samples."""
        tangents = _made(self.function, X)
        if tangents.shape[1] != len(self.factors):
            raise ValueError(
                f"the parameter tangents returned {tangents.shape[1]} tangents a sample, and {len(self.factors)} of "
                "others: their number must be the same"
            )
        return tangents * self.factors[:, None].astype(tangents.dtype)

    def piece(self, X: Array) -> int:
        """How many samples make a piece."""
        return max(PIECE_BYTES // (len(self.factors) * X.shape[1] * X.itemsize), 1)


def _made(function: Tangents, X: Array) -> Array:
    return checked_tangents(function(X), X, "what the parameter tangents returns")


def normalized(tangents: Array, X: Array, sample_weight: NDArray[np.float64]) -> Array:
    """Tangents of the length of a typical deviation.

    Each of a sample's tangents, the first of all samples alike, and so on, is multiplied by one number, so that over
    the samples ::

        mean |tau|^2 = mean |x - mean x|^2

    A step along it is then as long as the way from one sample to a typical other: 1/2 |Jac tau|^2 means the same
    whatever the unit of X is, the size of its images, and the unit in which a transform is counted.
    """
    mean_squares = sample_weight @ _squared_lengths(tangents) / sample_weight.sum()
    return tangents * _factors(mean_squares, X, sample_weight)[:, None].astype(tangents.dtype)


def _squared_lengths(tangents: Array) -> NDArray[np.float64]:
    return np.einsum("nld,nld->nl", tangents, tangents, dtype=np.float64)


def _factors(mean_squares: Any, X: Array, sample_weight: NDArray[np.float64]) -> NDArray[np.float64]:
    s = sample_weight / sample_weight.sum()
    deviation = s @ np.sum((X - s @ X) ** 2, axis=1, dtype=np.float64)
    return np.asarray(np.sqrt(deviation / np.where(mean_squares > 0, mean_squares, 1.0)))


def penalties(estimator: Any, tangents: Any, of: str = "outputs") -> tuple[TangentPropagation, ...]:
    """Return the term of J, if there are tangents."""
    return () if tangents is None else (TangentPropagation(weight_of(estimator), of),)
