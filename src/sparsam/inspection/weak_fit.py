"""Diagnose a fitted autoencoder that explains next to nothing, or whose hidden units mostly do nothing.

The fit's warning, the command line, the table and the page of a study, and the report all use the same words.
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
    "FitStatistics",
    "WeakFit",
    "diagnose_fit",
    "diagnose_stack",
    "examine_fit",
    "explained_variance",
    "is_too_large",
    "standardize",
    "total_variance",
]

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

SCALE = {"logistic": 0.8 / 6, "satlin": 0.8 / 6, "identity": 1.0}
"""Standard deviation of inputs for which the default alpha and beta are suitable, by the output activation: that of the
notes' patches, three standard deviations to either side of 0.5 in [0.1, 0.9]; and that of standardized features."""

N_FEATURES = 64
"""Number of such inputs for which they are suitable: the squared error, and so what it can pay for, sums over all."""

TOO_LARGE = 10.0
"""Factor of `SCALE` from which the gradients of a training hardly come near the default tol."""

ALL_THE_SAME = "The rows of X are all the same: there is nothing to learn from them."

FINISHED = ("converged", "precision", "held_out")
"""Stop reasons after which more iterations would not help."""

LEAST_FACTOR = 10.0  # by which to lower alpha and beta if the scale of the data does not determine it
IDLE = 0.01  # largest share in the reconstructions of units that do nothing
WELL_EXPLAINED = 0.9  # share of the variance from which there may be more units than the data need
SUITABLE_RHO = 0.1  # for a code that another autoencoder learns from: with less it has hardly any variance


@dataclass(frozen=True)
class FitStatistics:
    """Statistics of a fitted autoencoder on its training data.

    Attributes
    ----------
    stop_reason : str
        Why its training stopped.
    explained : float
        See `explained_variance`; NaN is ignored.
    variance : float
        Variance of the inputs, summed over the features.
    n_features : int
    units : UnitStatistics
        Of the units of the code.
    decoder : array of shape (n_units, n_outputs)
        Weights of the outputs of these units.
    of_code : bool
        Whether the inputs are the code of another autoencoder, in a stack.
    """

    stop_reason: str
    explained: float
    variance: float
    n_features: int
    units: UnitStatistics
    decoder: Array
    of_code: bool = False

    @property
    def at_minimum(self) -> bool:
        """Whether more iterations would not help."""
        return self.stop_reason in FINISHED

    @property
    def deviation(self) -> float:
        """Root-mean-square deviation of the inputs from their means."""
        return float(np.sqrt(self.variance / self.n_features))

    @property
    def share_of_uninformative(self) -> float:
        """Share of the uninformative units in the variance that units add to the (pre-activations of the) outputs."""
        added = np.square(self.units.deviation) * np.sum(np.square(self.decoder, dtype=np.float64), axis=1)
        return float(added[self.units.uninformative].sum() / added.sum()) if added.any() else 0.0


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


def explained_variance(squared_error: float, variance: float) -> float:
    """Compute the share of the inputs' variance that their reconstructions explain, R^2; NaN for constant inputs.

    1 - sum_n s_n |y_n - x_n|^2 / sum_n s_n |x_n - mean x|^2: 0 for the best constant, 1 for a perfect reconstruction.

    Parameters
    ----------
    squared_error : float
        1/S sum_n s_n 1/2 |y_n - x_n|^2, the term of J.
    variance : float
        1/S sum_n s_n |x_n - mean x|^2, summed over the features.
    """
    return 1 - 2 * squared_error / variance if variance > 0 else float("nan")


def total_variance(X: Array) -> float:
    """Compute the variance of the rows of X, summed over the features; exactly 0 if all rows are equal."""
    return float(X.var(axis=0, dtype=np.float64).sum()) if np.ptp(X, axis=0).any() else 0.0


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
        return WeakFit("unexplained", f"{found} {_advice_on_penalties(network, statistics, beta)}", at_minimum)
    if units.uninformative.mean() > MOST_UNINFORMATIVE:
        found = f"{poor[0].upper()}{poor[1:]} dead, saturated or constant: as features they are of little use."
        return WeakFit("uninformative", f"{found} {_advice_on_units(network, statistics, beta)}", at_minimum)
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


def _advice_on_penalties(network: Any, statistics: FitStatistics, beta: float) -> str:
    """Describe why a minimum of J explains nothing, and what to change.

    With c times the contrast, squared errors are c^2 times as large, and the relative weight of alpha and beta is
    smaller by this factor.
    """
    weights = {name: value for name, value in {"alpha": float(network.alpha), "beta": beta}.items() if value > 0}
    if not weights:
        return (
            "This is not due to penalties, since alpha and beta are 0. Start from other weights (random_state), or use "
            "another hidden_activation."
        )
    if network.sparsity != "l1" and is_too_large(network.output_activation, statistics.deviation):
        return standardize(statistics.deviation)
    outweigh = f"{' and '.join(weights)} outweigh{'' if len(weights) > 1 else 's'} the squared error"
    factor = _factor(network, statistics)
    lower = f"ower {' and '.join(f'{name} to {_short(value / factor)}' for name, value in weights.items())}"
    if network.sparsity == "l1":
        return f"{outweigh[0].upper()}{outweigh[1:]}, so that weights that do nothing are a minimum. L{lower}."
    cause = (
        f"At this scale of the data (standard deviation {_short(statistics.deviation)}) {outweigh}, so that weights "
        "that do nothing are a minimum."
    )
    low = _low_contrast(network, statistics.deviation)
    if statistics.of_code and beta > 0 and float(network.rho) < SUITABLE_RHO:
        remedy = f"The inputs are the code of another autoencoder: set the rho of both to {SUITABLE_RHO:g} or more."
    elif statistics.of_code:
        remedy = f"L{lower}."
    elif low:
        remedy = f"{_stretch(network, low)}; or l{lower}."
    else:
        by = "as far as [0, 1] allows" if network.output_activation != "identity" else f"by {_short(np.sqrt(factor))}"
        remedy = f"L{lower}; or stretch the contrast of the data, {by}."
    return f"{cause} {remedy}"


def _advice_on_units(network: Any, statistics: FitStatistics, beta: float) -> str:
    """Describe why a network that explains something has mostly uninformative units, and what to change."""
    if network.sparsity == "l1":
        return (
            f"Either beta, {_short(beta)}, is so large that the rows do without them: lower it, to "
            f"{_short(beta / 2)}. Or there are more units than the data need: lower n_components."
        )
    if is_too_large(network.output_activation, statistics.deviation):
        return standardize(statistics.deviation)
    if statistics.share_of_uninformative > IDLE:
        low = None if statistics.of_code else _low_contrast(network, statistics.deviation)
        stretch = f" {_stretch(network, low)}, at the usual alpha and beta." if low else ""
        return (
            f"Alpha, {_short(network.alpha)}, is so small that large weights compensate for activations that hardly "
            f"vary: raise alpha.{stretch} Or there are more units than the data need: lower n_components."
        )
    if not network.alpha > 0:
        return "They add nothing to the reconstructions: lower n_components."
    lower = f"lower alpha to {_short(network.alpha / _factor(network, statistics))}"
    if statistics.explained < WELL_EXPLAINED:
        share = f"{100 * statistics.explained:.0f} %"
        return (
            f"They add nothing to the reconstructions, which explain {share} of the variance: weight decay outweighs "
            f"what they could add. {lower[0].upper()}{lower[1:]}; or lower n_components."
        )
    return f"They add nothing to the reconstructions: lower n_components; or, to use them, {lower}."


def _factor(network: Any, statistics: FitStatistics) -> float:
    """Return the factor by which to lower alpha and beta."""
    if network.sparsity == "l1":
        return LEAST_FACTOR
    suitable = SCALE[network.output_activation] ** 2
    return max(LEAST_FACTOR, suitable / statistics.deviation**2, N_FEATURES * suitable / statistics.variance)


def is_too_large(output_activation: str, deviation: float) -> bool:
    """Whether inputs of this deviation are so large that a training hardly converges, without L1 sparsity."""
    return deviation > TOO_LARGE * SCALE[output_activation]


def standardize(deviation: float) -> str:
    """Advise to standardize inputs in large units."""
    return (
        f"The standard deviation of X is {_short(deviation)}, and alpha, beta and tol are meant for about 1: "
        "standardize X, with sklearn.preprocessing.StandardScaler in a pipeline."
    )


def _low_contrast(network: Any, deviation: float) -> float | None:
    """Compute the factor by which the contrast of the data is too low; None if it is not much too low.

    With L1 sparsity alpha and beta are relative to the scale of the data.
    """
    if network.sparsity == "l1":
        return None
    ratio = SCALE[network.output_activation] / deviation
    return ratio if ratio**2 > LEAST_FACTOR else None


def _stretch(network: Any, ratio: float) -> str:
    suitable = _short(SCALE[network.output_activation])
    return f"Stretch the contrast of the data by {_short(ratio)}, to a standard deviation of {suitable}"


def _short(number: float) -> str:
    return f"{float(f'{number:.2g}'):g}"


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
