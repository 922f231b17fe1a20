"""Training on targets, on all of the data or with a part held out: what regression and classification share."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from sparsam.engine.data.devices import gathered, max_of_processes
from sparsam.engine.objective.objective import Objective
from sparsam.engine.training.checkpoints import Checkpoints
from sparsam.engine.training.state import NoKeeper
from sparsam.engine.training.train import Training
from sparsam.estimators._data.dataset import Data, HeldRows, Rows
from sparsam.estimators._data.deduplicate import merge_repeated_parts
from sparsam.estimators._data.splits import Split
from sparsam.estimators._data.streamed import Check, data_of
from sparsam.estimators._progress.reporter import Report
from sparsam.estimators._tangents import Made, check_tangents_given, checked_tangents
from sparsam.estimators._training.early_stopping import EarlyStopping
from sparsam.estimators._training.train_estimator import OnDevices, minimize

__all__ = ["Supervised", "canonical", "inputs_of", "seed_of", "targeted", "train_on_targets"]


def targeted(estimator: Any, X: Any, y: Any, sample_weight: Any, tangents: Any, check: Check, report: Report) -> Data:
    """Return the rows of a fit, with their targets and tangents, all checked.

    ``check`` looks at the targets, once the rest is good, and makes what is kept of them.
    """

    def checked(rows: Rows, row: int) -> Rows:
        check_tangents_given(estimator, rows.tangents is not None)
        if rows.tangents is not None:
            rows = rows._replace(tangents=checked_tangents(rows.tangents, rows.X, first_row=row))
        return check(rows, row)

    others = {"targets": y, "tangents": tangents}
    return data_of(estimator, X, sample_weight, checked, others=others, tell=report.checked)


def inputs_of(estimator: Any, X: Any) -> Data:
    """Return rows that a fitted model is asked about."""
    return data_of(estimator, X, None, others={"targets": None, "tangents": None}, reset=False)


def canonical(data: Data) -> Data:
    """Bring rows in memory into their canonical form, with their counts; see `merge_repeated_rows`.

    With it everything that is computed, scales and the part held out among it, is the same to the bit for weights and
    for repeated rows. A row counts as so many samples as its weight says, if all weights are whole numbers, and not so
    large that they can be no counts.
    """
    if not isinstance(data, HeldRows):
        return data
    X, weights, targets, tangents, _ = data.rows
    parts, merged = merge_repeated_parts((X, targets, tangents), weights, data.mesh)
    counts = np.ones(len(merged), dtype=np.int64)
    total = len(X) if weights is None else weights.sum()
    fractions = weights is not None and not np.array_equal(weights, np.round(weights))
    if not max_of_processes(fractions or total >= MOST_COUNTED, data.mesh):
        counts = np.round(merged / merged.sum() * total).astype(np.int64)
    return HeldRows(Rows(parts[0], merged, parts[1], parts[2], counts), data.mesh)  # type: ignore[arg-type]


MOST_COUNTED = 10**9  # samples of a process; NumPy draws from fewer


def seed_of(estimator: Any, data: Data) -> int:
    """Draw a seed, that of the first process, for what is held out."""
    seed = check_random_state(estimator.random_state).randint(2**31 - 1)
    return int(gathered(seed, data.mesh)[0])


class Supervised(NamedTuple):
    """What `train_on_targets` returns.

    Attributes
    ----------
    training : Training
        With early stopping it ends at the weights that were kept.
    held_out_scores : list of (int, float)
        Iteration and mean log-likelihood of what is held out; empty where nothing is.
    """

    training: Training
    held_out_scores: list[tuple[int, float]]


def train_on_targets(
    estimator: Any,
    objective: Objective,
    data: Data | Split,
    theta: NDArray[np.floating],
    *,
    widths: tuple[int, ...],
    report: Report,
    made: Made | None = None,
    checkpoints: Checkpoints | NoKeeper | None = None,
    offset: float = 0.0,
) -> Supervised:
    """Train from theta as the estimator's hyperparameters say, with early stopping where the data are split.

    ``widths`` are the numbers that a sample takes in the parts of a pass, for the choice of a chunk. ``made`` adds
    tangents that are not held. ``offset`` is what the log-likelihood of what is held out lacks for the user's units.
    """

    def on_devices(some: Data, *others: OnDevices) -> OnDevices:
        return OnDevices(
            lambda dtype, chunk_size: some.for_engine(dtype, widths, chunk_size), estimator.chunk_size, others
        )

    theta = gathered(theta, data[0].mesh if isinstance(data, Split) else data.mesh)[0]
    if not isinstance(data, Split):
        resident = on_devices(data if made is None else made(data))
        return Supervised(minimize(estimator, objective, theta, resident, report, checkpoints=checkpoints), [])
    held_out = on_devices(data.held_out)
    # An error on its own has no use for tangents, which would be made for nothing.
    plain = on_devices(data.training, held_out)
    training_data = plain if made is None else on_devices(made(data.training), plain)
    stopping = EarlyStopping(objective, plain, held_out, estimator.dtype, estimator.n_iter_no_change, offset)
    report = report.scored(stopping.score_at)
    training = stopping.keep_best(minimize(estimator, objective, theta, training_data, report, stopping, checkpoints))
    return Supervised(training, stopping.log_likelihoods)
