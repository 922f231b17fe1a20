"""What is wrong with a fitted autoencoder that explains next to nothing, or most of whose units do nothing.

One wording for all that speak of a fit: its warning, the command line, the table and the page of a study, the report.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sparsam.inspection.units import UnitStatistics, unit_statistics

__all__ = [
    "LEAST_EXPLAINED",
    "NO_QUALITY",
    "WEAKNESSES",
    "WeakFit",
    "diagnose_fit",
    "examine_fit",
    "explained_variance",
    "total_variance",
]

Array = NDArray[np.floating]

LEAST_EXPLAINED = 0.01
"""Share of the inputs' variance that a fit explains which has learned anything."""

MOST_UNINFORMATIVE = 0.5  # share of the hidden units

WEAKNESSES = {
    "unexplained": f"explains under {LEAST_EXPLAINED:.0%} of the variance of its inputs".replace("%", " %"),
    "uninformative": "has mostly units that are dead, saturated or constant",
}
"""What is wrong with a fit: the word in a study's table, and the words for it."""

NO_QUALITY = f"\N{EN DASH}: not counted, for the network {' or '.join(WEAKNESSES.values())}"
"""Remark on a picture of filters that are none."""

SCALE = {"logistic": 0.8 / 6, "identity": 1.0}
"""Standard deviation of inputs that suits the default alpha and beta, by the activation of the outputs: that of the
notes' patches, three standard deviations to either side of 0.5 in [0.1, 0.9]; and that of standardized features."""

LEAST_FACTOR = 10.0  # by which to lower alpha and beta where the scale of the data is no reason to


@dataclass(frozen=True)
class WeakFit:
    """What is wrong with a fit.

    Attributes
    ----------
    kind : {"unexplained", "uninformative"}
        See `WEAKNESSES`.
    text : str
        In sentences, with what to change.
    at_minimum : bool
        Whether the training arrived at a minimum of J, as far as the precision goes. Where it did not, this fit may
        lack nothing but iterations.
    """

    kind: Literal["unexplained", "uninformative"]
    text: str
    at_minimum: bool


def explained_variance(squared_error: float, variance: float) -> float:
    """Share of the inputs' variance that their reconstructions explain, R^2; NaN of inputs that do not vary.

    1 - sum_n s_n |y_n - x_n|^2 / sum_n s_n |x_n - mean x|^2: 0 of the best constant, 1 of a perfect reconstruction.

    Parameters
    ----------
    squared_error : float
        1/S sum_n s_n 1/2 |y_n - x_n|^2, the term of J.
    variance : float
        1/S sum_n s_n |x_n - mean x|^2, summed over the features.
    """
    return 1 - 2 * squared_error / variance if variance > 0 else float("nan")


def total_variance(X: Array) -> float:
    """Variance of the rows of X, summed over the features; exactly 0 where they are all the same."""
    return float(X.var(axis=0, dtype=np.float64).sum()) if np.ptp(X, axis=0).any() else 0.0


def diagnose_fit(
    network: Any, stop_reason: str, explained: float, variance: float, n_features: int, units: UnitStatistics
) -> WeakFit | None:
    """Say what is wrong with a fitted autoencoder, if anything is.

    Parameters
    ----------
    network : SparseAutoencoder
        Whose hyperparameters are looked at.
    stop_reason : str
        Why its training stopped.
    explained : float
        See `explained_variance`; NaN is not held against it.
    variance : float
        Of the inputs, summed over the features.
    n_features : int
    units : UnitStatistics
    """
    at_minimum = stop_reason in ("converged", "precision")
    if variance == 0:
        same = "The rows of X are all the same: there is nothing to learn from them."
        return WeakFit("uninformative", same, at_minimum)
    poor = _poor_units(units)
    deviation = float(np.sqrt(variance / n_features))
    if explained < LEAST_EXPLAINED:
        found = f"The network {WEAKNESSES['unexplained']} (R^2 = {explained:.2g})"
        found += f", and {poor} dead, saturated or constant." if poor else "."
        if not at_minimum:
            return WeakFit("unexplained", f"{found} The training has not arrived at a minimum.", at_minimum)
        because = f"{_cause(network, deviation)} {_remedies(network, deviation)}"
        return WeakFit("unexplained", f"{found} {because}", at_minimum)
    if units.uninformative.mean() > MOST_UNINFORMATIVE:
        found = f"{poor[0].upper()}{poor[1:]} dead, saturated or constant: as features they are of little use."
        return WeakFit("uninformative", f"{found} {_use_of_units(network, deviation)}", at_minimum)
    return None


def _poor_units(units: UnitStatistics) -> str:
    """Count the units that are uninformative, as the subject of a sentence; empty if there is none."""
    n, n_poor = len(units.dead), int(units.uninformative.sum())
    if n_poor == n:
        return {1: "the only hidden unit is", 2: "both hidden units are"}.get(n, f"all {n} hidden units are")
    return f"{n_poor} of {n} hidden units {'is' if n_poor == 1 else 'are'}" if n_poor else ""


def _cause(network: Any, deviation: float) -> str:
    """Say why a minimum of J explains nothing."""
    weights = _penalties(network)
    if not weights:
        return "Neither alpha nor beta stands in the way of the error."
    outweigh = f"{' and '.join(weights)} outweigh{'' if len(weights) > 1 else 's'} the squared error"
    return (
        f"At this scale of the data (standard deviation {_short(deviation)}) {outweigh}, so that weights that do "
        "nothing are a minimum."
    )


def _remedies(network: Any, deviation: float) -> str:
    """Say what to change, the better remedy first: contrast, where that of the data is low; else alpha and beta.

    Data of c times the contrast have squared errors of c^2 times the size, so that alpha and beta weigh less by that.
    """
    weights = _penalties(network)
    if not weights:
        return "Begin at other weights (random_state), or use another hidden_activation."
    low = _low_contrast(network, deviation)
    factor = low**2 if low else LEAST_FACTOR
    lower = " and ".join(f"{name} to {_short(value / factor)}" for name, value in weights.items())
    if low:
        return f"{_stretch(network, low)}; or lower {lower}."
    stretch = "as far as [0, 1] allows" if network.output_activation == "logistic" else f"by {_short(np.sqrt(factor))}"
    return f"Lower {lower}; or stretch the contrast of the data, {stretch}."


def _use_of_units(network: Any, deviation: float) -> str:
    """Say why a network that explains something has mostly units that do not move, and what to change."""
    low = _low_contrast(network, deviation)
    return (
        f"Either alpha, {_short(network.alpha)}, is so small that large weights behind units that hardly move make up "
        f"for it: raise alpha. {f'{_stretch(network, low)}, at the usual alpha and beta. ' if low else ''}Or there are "
        "more units than the data have a use for: lower n_components."
    )


def _low_contrast(network: Any, deviation: float) -> float | None:
    """By how much the data fall short of a suitable contrast, if by much."""
    ratio = SCALE[network.output_activation] / deviation
    return ratio if ratio**2 > LEAST_FACTOR else None


def _stretch(network: Any, ratio: float) -> str:
    suitable = _short(SCALE[network.output_activation])
    return f"Stretch the contrast of the data by {_short(ratio)}, to a standard deviation of {suitable}"


def _penalties(network: Any) -> dict[str, float]:
    """Weights of the penalties that take part in J, by name."""
    weights = {"alpha": float(network.alpha), "beta": float(network.beta)}
    return {name: value for name, value in weights.items() if value > 0}


def _short(number: float) -> str:
    return f"{float(f'{number:.2g}'):g}"


def examine_fit(network: Any, X: ArrayLike, units: UnitStatistics | None = None) -> WeakFit | None:
    """Say what is wrong with a fitted autoencoder by the data it was fitted on: see `diagnose_fit`.

    Parameters
    ----------
    network : SparseAutoencoder
        Of a model of version 0.1.0, which does not know what it explains, that is computed.
    X : array or DataFrame of shape (n_samples, n_features)
    units : UnitStatistics, optional
        What the hidden units do on X, where that has been looked at.
    """
    if units is None:
        codes = np.asarray(network.transform(X))
        units = unit_statistics(codes, hidden_activation=network.hidden_activation)
    variance = total_variance(np.asarray(X))
    explained = network.explained_variance_ratio_
    if np.isnan(explained):
        explained = explained_variance(-network.score(X), variance)
    return diagnose_fit(network, network.stop_reason_, explained, variance, network.n_features_in_, units)
