"""Measure each model of a study: the columns of its table."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from sparsam._utils.digests import to_jsonable
from sparsam.inspection.gabor import LEAST_SIDE, fit_gabors
from sparsam.inspection.sparsity import sparsity_report
from sparsam.inspection.units import unit_statistics
from sparsam.inspection.weak_fit import examine_fit
from sparsam.studies.grid import NOT_VARIED

__all__ = ["HeldOut", "measured", "parameters_of"]

NAN = float("nan")
COLUMNS = {"sparsity": "kl_sparsity"}
"""Columns of terms of J whose names are those of hyperparameters, which are columns too."""


class HeldOut(NamedTuple):
    """Rows that are not used in any fit."""

    X: Any
    y: Any


def parameters_of(estimator: Any) -> dict[str, Any]:
    """Return all hyperparameters that influence a fit, as numbers and text."""
    values = estimator.get_params(deep=False)
    return {name: _to_number_or_text(value) for name, value in values.items() if name not in NOT_VARIED}


def _to_number_or_text(value: Any) -> Any:
    simple = to_jsonable(value)
    return str(value if isinstance(value, tuple) else simple) if isinstance(simple, list) else simple


def measured(model: Any, seconds: float, X: Any, held_out: HeldOut | None) -> dict[str, Any]:
    """Measure a fitted model; if J was never finite, there is only its stop_reason.

    Parameters
    ----------
    model : estimator
    seconds : float
        Time of the fit.
    X : array-like
        The training data.
    held_out : HeldOut or None
    """
    if not hasattr(model, "coefs_"):
        return {"J": NAN, "seconds": seconds, "stop_reason": model.stop_reason_}
    row: dict[str, Any] = {"J": model.loss_}
    row |= {COLUMNS.get(name, name): value for name, value in model.terms_.items()}
    row |= _held_out_scores(model, held_out)
    weak = None
    if hasattr(model, "mean_activation_"):
        rho_hat = np.asarray(model.mean_activation_, dtype=np.float64)
        last = getattr(model, "autoencoders_", [model])[-1]
        units = unit_statistics(model.transform(X), hidden_activation=last.hidden_activation)
        shares, weak = units.shares(), examine_fit(model, X, units)
        row |= {"rho_hat_mean": float(rho_hat.mean()), "rho_hat_std": float(rho_hat.std())}
        row |= {"dead": shares["dead"], "saturated": shares["saturated"]}
        row |= {"explained_variance_ratio": model.explained_variance_ratio_, "weakness": weak.kind if weak else NAN}
    return row | {
        "quality": NAN if weak else _quality(np.asarray(model.coefs_[0], dtype=np.float64).T),
        "iterations": model.n_iter_,
        "evaluations": model.n_evaluations_,
        "seconds": seconds,
        "gradient_norm": model.gradient_norm_,
        "stop_reason": model.stop_reason_,
    }


def _held_out_scores(model: Any, held_out: HeldOut | None) -> dict[str, float]:
    if hasattr(model, "mean_activation_"):
        if held_out is None:
            return dict.fromkeys(("held_out_error", "held_out_explained_variance", "held_out_active"), NAN)
        report = sparsity_report(model, held_out.X, n_strongest=0)
        return {
            "held_out_error": -model.score(held_out.X),
            "held_out_explained_variance": report.explained_variance,
            "held_out_active": report.active,
        }
    if held_out is None:
        return {"held_out_score": NAN, "held_out_log_likelihood": NAN}
    return {
        "held_out_score": float(model.score(*held_out)),
        "held_out_log_likelihood": float(model.mean_log_likelihood(*held_out)),
    }


def _quality(filters: np.ndarray[Any, Any]) -> float:
    """Compute the share of filters similar to oriented Gabor functions; NaN if they are not square patches."""
    side = round(np.sqrt(filters.shape[1]))
    if side * side != filters.shape[1] or side < LEAST_SIDE:
        return NAN
    return fit_gabors(filters).quality()
