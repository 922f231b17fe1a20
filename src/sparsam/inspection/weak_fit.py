"""Diagnose a fitted autoencoder that explains next to nothing, or whose hidden units mostly do nothing.

The fit's warning, the command line, the table and the page of a study, and the report all use the same words.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sparsam.inspection.fit_advice import advice_on_penalties, advice_on_units
from sparsam.inspection.fit_statistics import FitStatistics, explained_variance, total_variance
from sparsam.inspection.units import UnitStatistics, unit_statistics

__all__ = ["LEAST_EXPLAINED", "NO_QUALITY", "WEAKNESSES", "WeakFit", "diagnose_fit", "diagnose_stack", "examine_fit"]

Array = NDArray[np.floating]

LEAST_EXPLAINED = 0.01
"""Smallest share of the inputs' variance that a useful fit explains."""

MOST_UNINFORMATIVE = 0.5  # share of the hidden units

WEAKNESSES = {
    "unexplained": f"explains under {LEAST_EXPLAINED:.0%} of the variance of its inputs".replace("%", " %"),
    "uninformative": "has mostly units that are dead, saturated or constant",
}
"""Kinds of weak fits: the word in a study's table, and a description."""

NO_QUALITY = f"\N{EN DASH}: not counted, because the network {' or '.join(WEAKNESSES.values())}"
"""Remark below a picture of filters whose quality is not counted."""

ALL_THE_SAME = "The rows of X are all the same: there is nothing to learn from them."


@dataclass(frozen=True)
class WeakFit:
    """Diagnosis of a weak fit.

    Attributes
    ----------
    kind : {"unexplained", "uninformative"}
        See `WEAKNESSES`.
    text : str
        Description, with advice.
    at_minimum : bool
        Whether the training reached a minimum of J within the precision, or that of the error on held-out rows. If not,
        more iterations may be enough.
    """

    kind: Literal["unexplained", "uninformative"]
    text: str
    at_minimum: bool


def diagnose_fit(network: Any, statistics: FitStatistics, beta: float) -> WeakFit | None:
    """Diagnose a fitted autoencoder; return None if it is not weak.

    Parameters
    ----------
    network : SparseAutoencoder
        Its hyperparameters are used for advice.
    statistics : FitStatistics
    beta : float
        Weight of the sparsity penalty.
    """
    at_minimum, units = statistics.at_minimum, statistics.units
    if statistics.variance == 0:
        return WeakFit("uninformative", ALL_THE_SAME, at_minimum)
    poor = _poor_units(units)
    if statistics.explained < LEAST_EXPLAINED:
        found = f"The network {WEAKNESSES['unexplained']} (R^2 = {statistics.explained:.2g})"
        found += f", and {poor} dead, saturated or constant." if poor else "."
        if not at_minimum:
            return WeakFit("unexplained", f"{found} The training has not reached a minimum.", at_minimum)
        return WeakFit("unexplained", f"{found} {advice_on_penalties(network, statistics, beta)}", at_minimum)
    if units.uninformative.mean() > MOST_UNINFORMATIVE:
        found = f"{poor[0].upper()}{poor[1:]} dead, saturated or constant: as features they are of little use."
        return WeakFit("uninformative", f"{found} {advice_on_units(network, statistics, beta)}", at_minimum)
    return None


def diagnose_stack(statistics: FitStatistics) -> WeakFit | None:
    """Diagnose a fitted stack of autoencoders by its reconstructions and its innermost code; None if it is not weak.

    What to change in which autoencoder is in the diagnoses of their own trainings.
    """
    at_minimum = statistics.at_minimum
    if statistics.variance == 0:
        return WeakFit("uninformative", ALL_THE_SAME, at_minimum)
    advice = "Change the autoencoders about which there are warnings, or the last one: lower its alpha and beta."
    if statistics.explained < LEAST_EXPLAINED:
        text = f"The stack {WEAKNESSES['unexplained']} (R^2 = {statistics.explained:.2g}). {advice}"
        return WeakFit("unexplained", text, at_minimum)
    if statistics.units.uninformative.mean() > MOST_UNINFORMATIVE:
        text = f"In the innermost code {_poor_units(statistics.units)} dead, saturated or constant. {advice}"
        return WeakFit("uninformative", text, at_minimum)
    return None


def _poor_units(units: UnitStatistics) -> str:
    """Return the subject of a sentence about the uninformative units, with their number; empty if there is none."""
    n, n_poor = len(units.dead), int(units.uninformative.sum())
    if n_poor == n:
        return {1: "the only hidden unit is", 2: "both hidden units are"}.get(n, f"all {n} hidden units are")
    return f"{n_poor} of {n} hidden units {'is' if n_poor == 1 else 'are'}" if n_poor else ""


def examine_fit(network: Any, X: ArrayLike, units: UnitStatistics | None = None) -> WeakFit | None:
    """Diagnose a fitted autoencoder, or a stack, with the data it was fitted on; see `diagnose_fit`.

    Parameters
    ----------
    network : SparseAutoencoder or StackedAutoencoder
        For a model of version 0.1.0, which does not store its explained variance, that is computed.
    X : array or DataFrame of shape (n_samples, n_features)
    units : UnitStatistics, optional
        Statistics of the hidden units on X, if they have been computed already.
    """
    if units is None:
        codes = np.asarray(network.transform(X))
        last = getattr(network, "autoencoders_", [network])[-1]
        units = unit_statistics(codes, hidden_activation=last.hidden_activation)
    variance = total_variance(np.asarray(X))
    explained = network.explained_variance_ratio_
    if np.isnan(explained):
        explained = explained_variance(-network.score(X), variance)
    decoder = network.coefs_[len(network.coefs_) // 2]
    statistics = FitStatistics(network.stop_reason_, explained, variance, network.n_features_in_, units, decoder)
    if hasattr(network, "autoencoders_"):
        return diagnose_stack(statistics)
    return diagnose_fit(network, statistics, network.beta_)
