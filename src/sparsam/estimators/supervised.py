"""Training on targets, on all of the data or with a part held out: what regression and classification share."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparsam.estimators import fitting
from sparsam.estimators.early_stopping import EarlyStopping, Split
from sparsam.estimators.rows import merge_repeated_parts
from sparsam.estimators.tangents import MadeTangents
from sparsam.objective import Objective
from sparsam.samples import Samples
from sparsam.stream import Stream
from sparsam.train import Training

__all__ = ["Rows", "Supervised", "canonical_rows", "train_on_targets"]

Selection = NDArray[np.intp] | slice


class Rows(NamedTuple):
    """Distinct samples, and their relative weights."""

    X: NDArray[np.floating]
    targets: NDArray[np.floating]
    weights: NDArray[np.float64]
    tangents: NDArray[np.floating] | None


def canonical_rows(
    X: NDArray[np.floating],
    targets: NDArray[np.floating],
    sample_weight: NDArray[np.float64] | None,
    tangents: NDArray[np.floating] | None = None,
) -> Rows:
    """Return distinct samples, inputs, targets and tangents, and their relative weights: see `merge_repeated_rows`.

    With them everything that is computed, scales and the part held out among it, is the same to the bit for weights and
    for repeated rows; and a row is never trained on and held out at once.
    """
    parts, weights = merge_repeated_parts((X, targets, tangents), sample_weight)
    return Rows(parts[0], parts[1], weights, parts[2])  # type: ignore[arg-type]


class Supervised(NamedTuple):
    """What `train_on_targets` returns.

    Attributes
    ----------
    training : Training
        With early stopping it ends at the weights that were kept.
    rows : array of int, or slice
        The rows trained on.
    held_out : array of int
        The rows held out.
    held_out_scores : list of (int, float)
        Iteration and mean log-likelihood of the rows held out; empty where none are.
    """

    training: Training
    rows: Selection
    held_out: NDArray[np.intp]
    held_out_scores: list[tuple[int, float]]


def train_on_targets(
    estimator: Any,
    objective: Objective,
    X: NDArray[np.floating],
    targets: NDArray[np.floating],
    sample_weight: NDArray[np.float64] | None,
    theta: NDArray[np.floating],
    *,
    widths: tuple[int, ...],
    split: Split | None,
    tangents: NDArray[np.floating] | MadeTangents | None = None,
) -> Supervised:
    """Train from theta as the estimator's hyperparameters say, with early stopping where there is a split.

    ``widths`` are the numbers that a sample takes in the parts of a pass, for the choice of a chunk.
    """

    def samples_of(rows: Selection, dtype: str) -> Samples:
        weights = None if sample_weight is None else sample_weight[rows]
        tau = tangents[rows] if isinstance(tangents, np.ndarray) else None
        return fitting.samples_of(
            X[rows], targets[rows], weights, tau, dtype=dtype, layer_sizes=widths, chunk_size=estimator.chunk_size
        )

    def training_data(rows: Selection, dtype: str) -> Samples | Stream:
        if not isinstance(tangents, MadeTangents):
            return samples_of(rows, dtype)
        weights = None if sample_weight is None else sample_weight[rows]
        return fitting.stream_of(X[rows], targets[rows], weights, tangents, tangents.piece(X), dtype=dtype)

    if split is None:
        training = fitting.minimize(estimator, objective, theta, lambda dtype: training_data(slice(None), dtype))
        return Supervised(training, slice(None), np.array([], dtype=np.intp), [])
    rows, held_out = split
    samples_in = cache(lambda dtype: training_data(rows, dtype))
    resident = samples_in(estimator.dtype)
    stopping = EarlyStopping(
        objective,
        resident if isinstance(resident, Samples) else samples_of(rows, estimator.dtype),
        samples_of(held_out, estimator.dtype),
        estimator.dtype,
        estimator.n_iter_no_change,
    )
    training = stopping.keep_best(fitting.minimize(estimator, objective, theta, samples_in, stopping))
    return Supervised(training, rows, held_out, [(iteration, -error) for iteration, error in stopping.scores])
