"""Fitted attributes: compute them from a training, and set them on the estimator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sparsam.engine.network.network import Parameters
from sparsam.engine.training.result import Training
from sparsam.engine.training.state import Progress

__all__ = [
    "PROGRESS_COLUMNS",
    "network_attributes",
    "set_fitted_attributes",
    "training_attributes",
    "validation_attributes",
]


def network_attributes(parameters: Parameters, progress: Progress) -> dict[str, Any]:
    """Make the fitted attributes of an iterate, from its weights and its progress."""
    return {
        "coefs_": [np.array(coef) for coef in parameters.coefs],
        "intercepts_": [np.array(intercept) for intercept in parameters.intercepts],
        "loss_": progress.J,
        "n_iter_": progress.iteration,
        "n_evaluations_": progress.evaluations,
        "gradient_norm_": progress.gradient_norm,
    }


def training_attributes(training: Training) -> dict[str, Any]:
    """Make the fitted attributes that describe a training."""
    return {
        "converged_": training.stop_reason == "converged",
        "stop_reason_": training.stop_reason,
        "loss_curve_": [progress.J for progress in training.history],
        "_history": _columns(training.history),
        "_sample_history": _columns(training.sampled) | _shares(training.sampled),
    }


def validation_attributes(scores: Sequence[tuple[int, float]]) -> dict[str, Any]:
    """Make the fitted attributes of early stopping: iterations, and held-out scores there."""
    return {
        "validation_iterations_": [int(iteration) for iteration, _ in scores],
        "validation_scores_": [float(score) for _, score in scores],
    }


def set_fitted_attributes(estimator: Any, attributes: dict[str, Any]) -> None:
    """Set all fitted attributes at once, so that an interrupt cannot mix attributes of two fits."""
    vars(estimator).update(attributes)


PROGRESS_COLUMNS = ("iteration", "evaluations", "seconds", "J", "gradient_norm", "resumed")
"""Columns of a history other than the terms of J."""


def _columns(history: list[Progress]) -> dict[str, list[float]]:
    if not history:
        return {}
    columns: dict[str, list[float]] = {
        name: [getattr(progress, name) for progress in history] for name in ("iteration", "evaluations", "seconds", "J")
    }
    for term in history[0].terms:
        columns[term] = [progress.terms[term] for progress in history]
    columns["gradient_norm"] = [progress.gradient_norm for progress in history]
    if history[-1].resumed:
        columns["resumed"] = [progress.resumed for progress in history]
    return columns


def _shares(sampled: list[Progress]) -> dict[str, list[float]]:
    return {"share": [progress.share for progress in sampled]} if sampled else {}
