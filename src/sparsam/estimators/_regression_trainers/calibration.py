"""Calibrate prediction regions: by rows that the fit leaves out, or by networks without each fold."""

from __future__ import annotations

from numbers import Integral
from typing import Any

from sparsam.engine.data.devices import n_processes
from sparsam.estimators._data.dataset import Dataset, InMemoryDataset
from sparsam.estimators._data.splits import Split, hold_out
from sparsam.estimators._progress.reporter import FitReporter
from sparsam.estimators._regression.prediction_region import LEAST_ROWS, Calibration
from sparsam.estimators._regression_trainers.covariance import CovarianceTrainer
from sparsam.estimators._regression_trainers.means import MeanTrainer

__all__ = ["cross_calibrate", "hold_out_calibration"]


def hold_out_calibration(
    dataset: Dataset, fraction: float | str | None, cv: Any, seed: int
) -> tuple[Dataset, Dataset | None]:
    """Divide a dataset into the rows to fit and those that calibrate prediction regions, None if there are none.

    Raises
    ------
    ValueError
        If there are too few of them, or if the user's folds or several processes would divide them.
    """
    if fraction is None:
        return dataset, None
    n_rows = dataset.n_samples
    if isinstance(fraction, str):
        if not isinstance(dataset, InMemoryDataset) or n_processes(dataset.mesh) > 1 or n_rows < LEAST_ROWS:
            raise ValueError(
                f"calibration_fraction='cross-fitted' needs at least {LEAST_ROWS} rows in the memory of one "
                "process: use a fraction, or regions of the normal distribution (calibration_fraction=None)"
            )
        return dataset, None
    if not (cv is None or isinstance(cv, Integral)) or n_processes(dataset.mesh) > 1:
        raise ValueError(
            "calibration_fraction leaves out rows at random, in one process: cv must then be a number of folds, or "
            "None, and mesh must not span several processes"
        )
    if n_rows * fraction < LEAST_ROWS:
        raise ValueError(
            f"calibration_fraction={fraction:g} of {n_rows} samples leaves out fewer than {LEAST_ROWS}, too few for "
            "calibration: increase calibration_fraction, use more rows, use 'cross-fitted', which leaves out none, or "
            "use regions of the normal distribution (calibration_fraction=None)"
        )
    return hold_out(dataset, fraction, seed + 1)  # another seed than that of the validation rows


def cross_calibrate(
    trainer: MeanTrainer | CovarianceTrainer, folds: Any, splits: list[Split], reporter: FitReporter
) -> list[Calibration]:
    """Compute the distances of the rows of each fold from the predictions of a network trained without it.

    Raises
    ------
    ValueError
        If there are no folds, because a target is hardly ever observed.
    """
    if not splits:
        raise ValueError(
            "calibration_fraction='cross-fitted' needs folds, but some output has fewer than two targets: take a "
            "fraction, or regions of the normal distribution (calibration_fraction=None)"
        )
    data, calibrations = trainer.data, []
    with reporter.trainings("calibration", "calibrating regions by the folds", len(splits)) as trainings:
        for fold, split in enumerate(splits, start=1):
            with trainings.training(f"calibration by fold {fold}") as training:
                attributes = trainer.attributes_without(split, folds, len(splits) - fold + 2, training)
            held_out = split.held_out.map(data.scale.unscaled)
            calibrations.append(trainer.regressor._with(attributes)._calibrate(held_out, data.dependent.kept))
    return calibrations
