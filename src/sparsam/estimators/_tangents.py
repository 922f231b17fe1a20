"""Tangents of a fit: who gives them, their border checks, and their length."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sparsam.engine.data.devices import max_of_processes
from sparsam.engine.objective.penalties import TangentPropagation
from sparsam.estimators import _validation as validation
from sparsam.estimators._data.dataset import Data, HeldRows, Rows, cut, mapped, mean_over, together
from sparsam.estimators._progress.displays import Display

__all__ = [
    "Made",
    "Tangents",
    "check_tangent_hyperparameters",
    "check_tangents_given",
    "checked_tangents",
    "fit_tangents",
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


def checked_tangents(tangents: ArrayLike, X: Array, name: str = "tangents", first_row: int = 0) -> Array:
    """Return tangents as a finite float array (n_samples, n_tangents, n_features) that fits X.

    ``first_row`` is the number of the first sample.

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
    validation.check_finite(array.reshape(n_samples, -1), name, first_row)
    return array


def check_tangents_given(estimator: Any, given: bool) -> None:
    """Raise ValueError where tangents are given twice, or not at all for a positive weight.

    ``given`` is whether `fit` was given any.
    """
    if given and estimator.tangents is not None:
        raise ValueError("tangents are given twice, to fit and as the parameter tangents: leave one of them out")
    if not given and estimator.tangents is None and estimator.tangent_weight:
        raise ValueError(
            f"tangent_weight = {estimator.tangent_weight} needs tangents: give fit(X, y, tangents=array), or the "
            "parameter tangents (of a TangentPipeline its own), for example "
            "functools.partial(sparsam.images.image_tangents, image_shape=(28, 28))"
        )


def weight_of(estimator: Any) -> float:
    """tangent_weight, or what None stands for."""
    return STANDARD_WEIGHT if estimator.tangent_weight is None else float(estimator.tangent_weight)


STANDARD_WEIGHT = 1e-3


Made = Callable[[Data], Data]
"""Adds tangents to data that are never held with them: they are made in every pass, a piece at a time."""


def fit_tangents(estimator: Any, data: Data, display: Display) -> tuple[Data, Made | None]:
    """Return the data with the tangents to train with, those given or what the callable makes of X, and their length.

    Where all that the callable makes would take more than `RESIDENT_BYTES`, or the data are not held, the tangents are
    made in every pass, by what is returned besides; else that is None.

    Raises
    ------
    ValueError
        If what the callable returns does not fit X.
    """
    if weight_of(estimator) == 0:
        return mapped(data, lambda rows: rows._replace(tangents=None)), None
    if estimator.tangents is None:
        if next(data.pieces()).tangents is None:
            return data, None
        return (_normalized(data, data) if estimator.normalize_tangents else data), None
    display.begin("making tangents")
    function: Tangents = estimator.tangents
    first = next(data.pieces()).X
    # Fewer than all: a callable that knows one array only, whatever X is, shows itself.
    n_tangents = together(lambda: _made(function, first[: max(min(PROBE, len(first) - 1), 1)]).shape[1], data.mesh)

    def with_tangents(rows: Rows) -> Rows:
        tangents = _made(function, rows.X)
        if tangents.shape[1] != n_tangents:
            raise ValueError(
                f"the parameter tangents returned {tangents.shape[1]} tangents a sample, and {n_tangents} of others: "
                "their number must be the same"
            )
        return rows._replace(tangents=tangents)

    most_rows, widest = max_of_processes([data.n_rows, first.itemsize], data.mesh).tolist()
    row_bytes = max(n_tangents * data.n_features * widest, 1)
    if isinstance(data, HeldRows) and most_rows * row_bytes <= RESIDENT_BYTES:
        resident = together(lambda: mapped(data, with_tangents), data.mesh)
        return (_normalized(resident, resident) if estimator.normalize_tangents else resident), None

    def made(some: Data) -> Data:
        return mapped(cut(some, max(MADE_BYTES // row_bytes, 1)), with_tangents)

    if not estimator.normalize_tangents:
        return data, made
    factors = _factors(data, counted(made(data), display))
    return data, lambda some: mapped(made(some), partial(_scaled, factors))


def counted(data: Data, display: Display) -> Data:
    """Show how far a pass over the data has come."""
    done = 0

    def shown(rows: Rows) -> Rows:
        nonlocal done
        done += len(rows.X)
        display.count("rows with tangents", done, data.n_rows)
        return rows

    return mapped(data, shown)


PROBE = 64  # samples whose tangents say how many there are
RESIDENT_BYTES = 2**30  # most that the tangents of all samples may take
MADE_BYTES = 2**25  # and those of a piece


def _made(function: Tangents, X: Array) -> Array:
    return checked_tangents(function(X), X, "what the parameter tangents returns")


def _normalized(data: Data, with_tangents: Data) -> Data:
    """Tangents of the length of a typical deviation: see `_factors`."""
    return mapped(with_tangents, partial(_scaled, _factors(data, with_tangents)))


def _scaled(factors: Array, rows: Rows) -> Rows:
    return rows._replace(tangents=rows.tau * factors[:, None].astype(rows.tau.dtype))


def _factors(data: Data, with_tangents: Data) -> Array:
    """What tangents are multiplied by: a sample's first, of all samples alike, its second, and so on.

    By a number each, so that over the samples ::

        mean |tau|^2 = mean |x - mean x|^2

    A step along it is then as long as the way from one sample to a typical other: 1/2 |Jac tau|^2 means the same
    whatever the unit of X is, the size of its images, and the unit in which a transform is counted.
    """
    mean = mean_over(data, lambda rows: rows.X)
    deviation = mean_over(data, lambda rows: np.sum((rows.X - mean) ** 2, axis=1, dtype=np.float64))
    mean_squares = mean_over(with_tangents, _squared_lengths)
    return np.asarray(np.sqrt(deviation / np.where(mean_squares > 0, mean_squares, 1.0)))


def _squared_lengths(rows: Rows) -> NDArray[np.float64]:
    return np.einsum("nld,nld->nl", rows.tau, rows.tau, dtype=np.float64)


def penalties(estimator: Any, tangents: bool, of: str = "outputs") -> tuple[TangentPropagation, ...]:
    """Return the term of J, if there are tangents."""
    return () if not tangents else (TangentPropagation(weight_of(estimator), of),)
