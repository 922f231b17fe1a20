"""Tangents of a fit: check them, normalize their length, and compute them once or in every pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sparsam.engine.data.batch import Batch
from sparsam.engine.data.devices import max_of_processes
from sparsam.engine.objective.penalties import TangentPropagation
from sparsam.estimators import _validation as validation
from sparsam.estimators._data.dataset import Dataset, InMemoryDataset, on_all_processes
from sparsam.estimators._progress.progress_display import ProgressDisplay

__all__ = [
    "TangentFunction",
    "Tangents",
    "check_tangent_hyperparameters",
    "check_tangents_given",
    "checked_tangents",
    "prepare_tangents",
    "tangent_penalties",
]

Array = NDArray[np.floating]
Tangents = Callable[[NDArray[np.floating]], ArrayLike]
"""X (n_samples, n_features) -> tangents (n_samples, n_tangents, n_features); a row's tangents depend only on it."""


def check_tangent_hyperparameters(estimator: Any) -> None:
    """Raise TypeError or ValueError unless the tangents' hyperparameters can be used."""
    if estimator.tangent_weight is not None:
        validation.check_weight("tangent_weight", estimator.tangent_weight)
    validation.check_flag("normalize_tangents", estimator.normalize_tangents)
    if estimator.tangents is not None and not callable(estimator.tangents):
        raise TypeError(
            "tangents must be None or a callable X -> (n_samples, n_tangents, n_features), got "
            f"{type(estimator.tangents).__name__}. Pass an array to fit(X, y, tangents=...), where cross-validation "
            "selects the rows that belong to its part of X"
        )


def checked_tangents(tangents: ArrayLike, X: Array, name: str = "tangents", first_row: int = 0) -> Array:
    """Return tangents as a finite float array (n_samples, n_tangents, n_features) for the rows of X.

    ``first_row`` is the number of the first sample.

    Raises
    ------
    TypeError, ValueError
        If the array does not fit X, is not numeric or not finite, or has zero tangents per sample.
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
        raise ValueError(f"{name} has zero tangents per sample: pass at least one, or omit tangents")
    validation.check_finite(array.reshape(n_samples, -1), name, first_row)
    return array


def check_tangents_given(estimator: Any, given: bool) -> None:
    """Raise ValueError if tangents are given twice, or not at all for a positive weight.

    ``given`` is whether tangents were passed to `fit`.
    """
    if given and estimator.tangents is not None:
        raise ValueError("tangents are given twice, to fit and as the parameter tangents: omit one of them")
    if not given and estimator.tangents is None and estimator.tangent_weight:
        raise ValueError(
            f"tangent_weight = {estimator.tangent_weight} needs tangents: pass an array, fit(X, y, tangents=array), or "
            "set the parameter tangents (in a TangentPipeline, that of the pipeline), for example to "
            "functools.partial(sparsam.images.image_tangents, image_shape=(28, 28))"
        )


DEFAULT_WEIGHT = 1e-3


def tangent_weight_of(estimator: Any) -> float:
    """Return tangent_weight, or its default if it is None."""
    return DEFAULT_WEIGHT if estimator.tangent_weight is None else float(estimator.tangent_weight)


PROBE = 64  # samples used to count the tangents per sample
RESIDENT_BYTES = 2**30  # largest size of the tangents of all samples in memory
BATCH_TANGENT_BYTES = 2**25  # largest size of the tangents of a batch


@dataclass(frozen=True)
class TangentFunction:
    """The user's callable that computes tangents, with their number per sample and their normalization.

    Attributes
    ----------
    function : callable
        X (n_rows, n_features) -> (n_rows, n_tangents, n_features).
    n_tangents : int
        Number of tangents per sample.
    rows_at_once : int
        Number of rows whose tangents are in memory at a time, if they are computed in every pass.
    factors : array of shape (n_tangents,) or None
        See `_length_factors`; None does not scale the tangents.
    """

    function: Tangents
    n_tangents: int
    rows_at_once: int
    factors: Array | None = None

    def add_to_batch(self, batch: Batch) -> Batch:
        """Compute the tangents of a batch.

        Raises
        ------
        ValueError
            If they do not fit the inputs, or their number per sample differs from that of other samples.
        """
        tangents = _call(self.function, batch.inputs)
        if tangents.shape[1] != self.n_tangents:
            raise ValueError(
                f"the parameter tangents returned {tangents.shape[1]} tangents per sample, but {self.n_tangents} for "
                "other samples: their number must be the same for all samples"
            )
        return _scaled(batch._replace(tangents=tangents), self.factors)

    def add_to(self, dataset: Dataset) -> Dataset:
        """Compute the tangents in every pass over a dataset, a batch at a time."""
        return dataset.split_batches(self.rows_at_once).map(self.add_to_batch)


def prepare_tangents(
    estimator: Any, dataset: Dataset, display: ProgressDisplay
) -> tuple[Dataset, TangentFunction | None]:
    """Add the tangents to train with to a dataset: given ones, or those that the callable computes, normalized.

    If the tangents of all samples would need more than `RESIDENT_BYTES`, or the data are streamed, return the dataset
    without tangents, and the function that adds them in every pass; otherwise this function is None.

    Raises
    ------
    ValueError
        If the result of the callable does not fit X.
    """
    if tangent_weight_of(estimator) == 0:
        return dataset.map(lambda batch: batch._replace(tangents=None)), None
    if estimator.tangents is None:
        if not (dataset.has_tangents and estimator.normalize_tangents):
            return dataset, None
        return _normalized(dataset), None
    display.begin("computing tangents")
    first = next(dataset.batches()).inputs
    # Fewer rows than all, to detect a callable that returns the same array whatever X is.
    probe = first[: max(min(PROBE, len(first) - 1), 1)]
    n_tangents = on_all_processes(lambda: _call(estimator.tangents, probe).shape[1], dataset.mesh)
    most_rows, widest = max_of_processes([dataset.n_rows, first.itemsize], dataset.mesh).tolist()
    row_bytes = max(n_tangents * dataset.n_features * widest, 1)
    function = TangentFunction(estimator.tangents, n_tangents, max(BATCH_TANGENT_BYTES // row_bytes, 1))
    if isinstance(dataset, InMemoryDataset) and most_rows * row_bytes <= RESIDENT_BYTES:
        resident = on_all_processes(lambda: dataset.map(function.add_to_batch), dataset.mesh)
        return (_normalized(resident) if estimator.normalize_tangents else resident), None
    if not estimator.normalize_tangents:
        return dataset, function
    counter = _RowCounter(display, dataset.n_rows)
    return dataset, replace(function, factors=_length_factors(dataset, function.add_to(dataset).map(counter)))


@dataclass
class _RowCounter:
    """Show the progress of a pass over the rows."""

    display: ProgressDisplay
    n_rows: int
    done: int = 0

    def __call__(self, batch: Batch) -> Batch:
        self.done += batch.n_rows
        self.display.count("rows with tangents", self.done, self.n_rows)
        return batch


def _call(function: Tangents, X: Array) -> Array:
    return checked_tangents(function(X), X, "the result of the parameter tangents")


def _normalized(dataset: Dataset) -> Dataset:
    """Normalize the length of the tangents: see `_length_factors`."""
    factors = _length_factors(dataset, dataset)
    return dataset.map(lambda batch: _scaled(batch, factors))


def _scaled(batch: Batch, factors: Array | None) -> Batch:
    if factors is None:
        return batch
    return batch._replace(tangents=batch.tangents * factors[:, None].astype(batch.tangents.dtype))


def _length_factors(dataset: Dataset, with_tangents: Dataset) -> Array:
    """Compute a factor for the first tangents of all samples, one for their second tangents, and so on.

    With these factors ::

        mean |tau|^2 = mean |x - mean x|^2

    over the samples, so that a step along a tangent is as long as a typical deviation of a sample from the mean.
    1/2 |Jac tau|^2 then does not depend on the unit of X, on the size of its images, nor on the unit of a transform.
    """
    mean = dataset.mean(lambda batch: batch.inputs)
    deviation = dataset.mean(lambda batch: np.sum((batch.inputs - mean) ** 2, axis=1, dtype=np.float64))
    mean_squares = with_tangents.mean(_squared_lengths)
    return np.asarray(np.sqrt(deviation / np.where(mean_squares > 0, mean_squares, 1.0)))


def _squared_lengths(batch: Batch) -> NDArray[np.float64]:
    return np.einsum("nld,nld->nl", batch.tangents, batch.tangents, dtype=np.float64)


def tangent_penalties(estimator: Any, has_tangents: bool, of: str = "outputs") -> tuple[TangentPropagation, ...]:
    """Return tangent propagation as a term of J; an empty tuple without tangents."""
    return (TangentPropagation(tangent_weight_of(estimator), of),) if has_tangents else ()
