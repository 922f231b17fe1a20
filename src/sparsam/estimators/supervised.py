"""Training on targets, on all of the data or with a part held out: what regression and classification share."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparsam.checkpoints import Checkpoints
from sparsam.devices import n_processes
from sparsam.estimators import data, validation
from sparsam.estimators.early_stopping import EarlyStopping, Part, Split
from sparsam.estimators.minimizing import OnDevices, minimize
from sparsam.estimators.reporting import Report
from sparsam.estimators.rows import merge_repeated_parts
from sparsam.estimators.tangents import MadeTangents
from sparsam.keeping import NoKeeper
from sparsam.objective import Objective
from sparsam.samples import Samples
from sparsam.stream import Stream
from sparsam.train import Training

__all__ = ["Rows", "Supervised", "canonical_rows", "train_on_targets"]


class Rows(NamedTuple):
    """Distinct samples.

    Attributes
    ----------
    X, targets, tangents : arrays
    weights : array of shape (n_rows,)
        Relative.
    counts : int array of shape (n_rows,)
        How many samples a row stands for, if weights are whole numbers; else 1.
    """

    X: NDArray[np.floating]
    targets: NDArray[np.floating]
    weights: NDArray[np.float64]
    tangents: NDArray[np.floating] | None
    counts: NDArray[np.int64]


def canonical_rows(
    X: NDArray[np.floating],
    targets: NDArray[np.floating],
    sample_weight: NDArray[np.float64] | None,
    tangents: NDArray[np.floating] | None = None,
) -> Rows:
    """Return distinct samples, inputs, targets and tangents, and their relative weights: see `merge_repeated_rows`.

    With them everything that is computed, scales and the part held out among it, is the same to the bit for weights and
    for repeated rows.
    """
    parts, weights = merge_repeated_parts((X, targets, tangents), sample_weight)
    counts = np.ones(len(weights), dtype=np.int64)
    if sample_weight is None or np.all(sample_weight == np.round(sample_weight)):
        total = len(X) if sample_weight is None else sample_weight.sum()
        counts = np.round(weights / weights.sum() * total).astype(np.int64)
    return Rows(parts[0], parts[1], weights, parts[2], counts)  # type: ignore[arg-type]


class Supervised(NamedTuple):
    """What `train_on_targets` returns.

    Attributes
    ----------
    training : Training
        With early stopping it ends at the weights that were kept.
    trained_on, held_out : Part
        The latter of no rows where nothing is held out.
    held_out_scores : list of (int, float)
        Iteration and mean log-likelihood of what is held out; empty where nothing is.
    """

    training: Training
    trained_on: Part
    held_out: Part
    held_out_scores: list[tuple[int, float]]


def train_on_targets(
    estimator: Any,
    objective: Objective,
    X: NDArray[np.floating],
    targets: NDArray[np.floating],
    sample_weight: NDArray[np.float64],
    theta: NDArray[np.floating],
    *,
    widths: tuple[int, ...],
    split: Split | None,
    report: Report,
    tangents: NDArray[np.floating] | MadeTangents | None = None,
    checkpoints: Checkpoints | NoKeeper | None = None,
    offset: float = 0.0,
) -> Supervised:
    """Train from theta as the estimator's hyperparameters say, with early stopping where there is a split.

    ``widths`` are the numbers that a sample takes in the parts of a pass, for the choice of a chunk; ``offset`` is what
    the log-likelihood of what is held out lacks for the user's units.
    """
    mesh = validation.checked_mesh(estimator.mesh)
    if n_processes(mesh) > 1:
        raise ValueError("with targets the rows must be in one process: give a mesh of this process's devices")
    options: Any = {"layer_sizes": widths, "mesh": mesh}

    def samples_of(part: Part, dtype: str, chunk_size: int | None = estimator.chunk_size) -> Samples:
        tau = tangents[part.rows] if isinstance(tangents, np.ndarray) else None
        return data.samples_of(*rows_of(part), tau, **options, dtype=dtype, chunk_size=chunk_size)

    def rows_of(part: Part) -> tuple[NDArray[np.floating], NDArray[np.floating], NDArray[np.float64]]:
        return X[part.rows], targets[part.rows], sample_weight[part.rows] * part.shares

    def training_data(part: Part, dtype: str, chunk_size: int | None) -> Samples | Stream:
        if not isinstance(tangents, MadeTangents):
            return samples_of(part, dtype, chunk_size)
        made = (tangents, tangents.piece(X), len(tangents.factors))
        return data.stream_of(*rows_of(part), *made, **options, dtype=dtype, chunk_size=chunk_size)

    if split is None:
        everything = Part(np.arange(len(X)), np.ones(len(X)))
        on_devices = OnDevices(partial(training_data, everything), estimator.chunk_size)
        training = minimize(estimator, objective, theta, on_devices, report, checkpoints=checkpoints)
        return Supervised(training, everything, Part(np.array([], dtype=np.intp), np.array([])), [])
    on_devices = OnDevices(partial(training_data, split.training), estimator.chunk_size)
    resident = on_devices(estimator.dtype)
    stopping = EarlyStopping(
        objective,
        resident if isinstance(resident, Samples) else samples_of(split.training, estimator.dtype),
        samples_of(split.held_out, estimator.dtype),
        estimator.dtype,
        estimator.n_iter_no_change,
        offset,
    )
    report = report.scored(stopping.score_at)
    training = stopping.keep_best(minimize(estimator, objective, theta, on_devices, report, stopping, checkpoints))
    return Supervised(training, *split, stopping.log_likelihoods)
