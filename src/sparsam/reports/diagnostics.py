"""Warnings and notes about a fit, for the reader of a report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sparsam._utils.listed import listed
from sparsam._utils.unit_range import outside_unit_range
from sparsam.display.residuals import correlations
from sparsam.engine.training.stop_reasons import IMPORTED, STOP_REASONS
from sparsam.inspection.descent import NO_MORE_ITERATIONS, still_descends
from sparsam.inspection.units import UnitStatistics
from sparsam.inspection.weak_fit import WeakFit

__all__ = [
    "Finding",
    "diagnose_classifier",
    "diagnose_covariance",
    "diagnose_inputs",
    "diagnose_training",
    "diagnose_units",
]

NO_NOISE = 1e-6  # standard deviation of the noise over that of the target
NEARLY_SINGULAR = 1e-8  # smallest eigenvalue of the correlations: a combination is free of noise, to four digits


@dataclass(frozen=True)
class Finding:
    """A sentence or two, and whether they are bad news, good news or neutral."""

    kind: Literal["warning", "note", "good"]
    text: str


REMEDIES = {
    "max_iter": "Train longer, with a greater max_iter.",
    "time_budget": "Allow more time, with a greater time_budget.",
    "precision": "Train in float64 (dtype), or accept a larger tol.",
    "callback": "These weights are not necessarily the best.",
    "interrupted": "Fit again; with a checkpoint, an interrupted fit can resume.",
    "not_finite": "These are the last weights at which all was finite. Look for extreme values in the data.",
}
UNIT_TROUBLES = {
    "dead": "The activation hardly changes from row to row, so it carries no information about the data.",
    "saturated": "The activation is at its upper end, or jumps between both ends, so small changes of the data do not "
    "change it.",
}


def diagnose_training(network: Any, weak: WeakFit | None = None) -> Finding:
    """Report whether the training reached a useful minimum, and if not, a remedy."""
    reason = STOP_REASONS[network.stop_reason_]
    if network.stop_reason_ == IMPORTED:
        text = f"{reason[0].upper()}{reason[1:]}, so that nothing is known about their training."
        return Finding("note" if weak is None else "warning", f"{text}{'' if weak is None else f' {weak.text}'}")
    where = f"after {network.n_iter_} iterations, with {network.gradient_norm_:.1e} as the gradient's largest component"
    if network.stop_reason_ == "converged" and weak is not None:
        return Finding("warning", f"The training has converged {where}, to weights of little use. {weak.text}")
    if network.stop_reason_ == "converged":
        return Finding("good", f"The training has converged {where}: this is a minimum of J.")
    if network.stop_reason_ == "held_out":
        return Finding(
            "note",
            f"The training stopped early {where}: {reason}. This is intended, but it is not a minimum of J.",
        )
    remedy = REMEDIES.get(network.stop_reason_, "")
    if network.stop_reason_ in ("max_iter", "time_budget") and not still_descends(*_descent(network)):
        remedy = NO_MORE_ITERATIONS
    return Finding(
        "warning",
        f"The training has not converged: {reason} ({where}; tol is {network.tol:g}). "
        f"{remedy}{'' if weak is None else f' {weak.text}'}".strip(),
    )


def _descent(network: Any) -> tuple[list[float], list[float]]:
    """Return J and the gradient's norm at each iterate."""
    history = network.history_
    return history["J"].tolist(), history["gradient_norm"].tolist()


def diagnose_units(
    statistics: UnitStatistics, mean_activation: NDArray[np.floating], rho: float | None
) -> list[Finding]:
    """Find dead and saturated units, and mean activations that only biases bring to rho or that are far from it."""
    findings = []
    n = len(mean_activation)
    constant = statistics.constant
    if constant is not None and constant.all():
        findings.append(
            Finding(
                "warning",
                f"Mean activations agree with rho = {rho:g} only because every unit is constant: its bias gives all "
                "rows the same activation, and the features have no influence. Units respond with a smaller beta, a "
                "greater rho, or less weight decay.",
            )
        )
    for kind, meaning in UNIT_TROUBLES.items():
        units = np.flatnonzero(getattr(statistics, kind))
        if len(units):
            findings.append(
                Finding("warning", f"{_count_units(len(units), n)} {kind} (number {listed(units.tolist())}). {meaning}")
            )
    if not statistics.dead.any() and not statistics.saturated.any():
        findings.append(Finding("good", "No unit is dead or saturated."))
    if rho is not None:
        off = np.flatnonzero(np.abs(mean_activation - rho) > 0.25 * rho)
        if len(off):
            findings.append(
                Finding(
                    "note",
                    f"The mean activation of {len(off)} of {n} units differs from rho = {rho:g} by more than a "
                    f"quarter: with this beta, the penalty is too weak to enforce rho (number {listed(off.tolist())}).",
                )
            )
    return findings


def diagnose_inputs(X: NDArray[Any], output_activation: str) -> list[Finding]:
    """Find values that logistic outputs cannot reconstruct, beyond the rounding that a fit allows."""
    outside = outside_unit_range(X)
    if output_activation == "identity" or not outside.any():
        return []
    return [
        Finding(
            "warning",
            f"{100 * outside.mean():.2f} % of the values are outside [0, 1] (from {X.min():.4g} to {X.max():.4g}), "
            "which logistic outputs cannot reconstruct: normalize the data as in training, or use "
            'output_activation="identity".',
        )
    ]


def diagnose_covariance(network: Any, Y: NDArray[np.float64], names: list[str]) -> list[Finding]:
    """Report a covariance that is singular or nearly singular."""
    if not isinstance(network.covariance, str):
        return [Finding("note", "The noise covariance was given, not estimated.")]
    cure = (
        "The likelihood then has no maximum, and probabilities are unreliable. Put a prior on the covariance, hold out "
        "data (early_stopping), raise alpha, use fewer hidden units, or leave out such a target."
    )
    C = network.covariance_
    exact = np.flatnonzero(np.diag(C) < NO_NOISE**2 * np.nanvar(Y, axis=0))
    if len(exact):
        fitted = ", ".join(names[k] for k in exact)
        return [Finding("warning", f"The covariance is degenerate: the network fits {fitted} almost exactly. {cure}")]
    values, vectors = np.linalg.eigh(correlations(C))
    if values[0] < NEARLY_SINGULAR:
        involved = ", ".join(name for name, part in zip(names, vectors[:, 0], strict=True) if abs(part) > 0.1)
        return [
            Finding(
                "warning",
                f"The covariance is degenerate: the residuals of {involved} almost determine each other. {cure}",
            )
        ]
    return []


def diagnose_classifier(network: Any) -> list[Finding]:
    """Report on the evidence for label noise."""
    profile = network.likelihood_profile_
    if profile is None and isinstance(network.epsilon, str):
        return [Finding("note", "There is no interval for epsilon: too few labels, or a model file of version 0.1.0.")]
    if profile is None:
        return [Finding("note", "The probability of a wrong label was given, not estimated: it has no interval.")]
    if profile.warning:
        return [Finding("warning", profile.warning)]
    if not profile.shows_noise:
        return [Finding("note", "Held-out labels give no evidence of label noise: they are as likely without it.")]
    return []


def _count_units(n: int, n_units: int) -> str:
    if n == n_units:
        return f"All {n} units are" if n > 1 else "The only unit is"
    return f"{n} of {n_units} units {'is' if n == 1 else 'are'}"
