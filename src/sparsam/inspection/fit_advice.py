"""Advice on the data and the hyperparameters of an autoencoder whose fit is weak."""

from __future__ import annotations

from typing import Any

import numpy as np

from sparsam.inspection.fit_statistics import FitStatistics

__all__ = ["advice_on_penalties", "advice_on_units", "is_too_large", "standardize"]

SCALE = {"logistic": 0.8 / 6, "satlin": 0.8 / 6, "identity": 1.0}
"""Standard deviation of inputs for which the default alpha and beta are suitable, by the output activation: that of the
notes' patches, three standard deviations to either side of 0.5 in [0.1, 0.9]; and that of standardized features."""

N_FEATURES = 64
"""Number of such inputs for which they are suitable: the squared error, and so what it can pay for, sums over all."""

TOO_LARGE = 10.0
"""Factor of `SCALE` from which the gradients of a training hardly come near the default tol."""

LEAST_FACTOR = 10.0  # by which to lower alpha and beta if the scale of the data does not determine it
IDLE = 0.01  # largest share in the reconstructions of units that do nothing
WELL_EXPLAINED = 0.9  # share of the variance from which there may be more units than the data need
SUITABLE_RHO = 0.1  # for a code that another autoencoder learns from: with less it has hardly any variance


def advice_on_penalties(network: Any, statistics: FitStatistics, beta: float) -> str:
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
    lower = f"lower {' and '.join(f'{name} to {_short(value / factor)}' for name, value in weights.items())}"
    if network.sparsity == "l1":
        return f"{_sentence(outweigh)}, so that weights that do nothing are a minimum. {_sentence(lower)}."
    cause = (
        f"At this scale of the data (standard deviation {_short(statistics.deviation)}) {outweigh}, so that weights "
        "that do nothing are a minimum."
    )
    low = _low_contrast(network, statistics.deviation)
    if statistics.of_code and beta > 0 and float(network.rho) < SUITABLE_RHO:
        remedy = f"The inputs are the code of another autoencoder: set the rho of both to {SUITABLE_RHO:g} or more."
    elif statistics.of_code:
        remedy = f"{_sentence(lower)}."
    elif low:
        remedy = f"{_stretch(network, low)}; or {lower}."
    else:
        by = "as far as [0, 1] allows" if network.output_activation != "identity" else f"by {_short(np.sqrt(factor))}"
        remedy = f"{_sentence(lower)}; or stretch the contrast of the data, {by}."
    return f"{cause} {remedy}"


def advice_on_units(network: Any, statistics: FitStatistics, beta: float) -> str:
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
            f"what they could add. {_sentence(lower)}; or lower n_components."
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


def _sentence(text: str) -> str:
    """Begin a text with a capital letter."""
    return text[0].upper() + text[1:]


def _short(number: float) -> str:
    return f"{float(f'{number:.2g}'):g}"
