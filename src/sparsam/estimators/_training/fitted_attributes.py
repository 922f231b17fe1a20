"""Fitted attributes: compute them from a training, set them on the estimator, and start a training from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import jax
import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from sparsam.engine.network.network import Network, Parameters
from sparsam.engine.training.polish import POLISHED_TOL
from sparsam.engine.training.result import Training
from sparsam.engine.training.state import Progress
from sparsam.engine.training.stop_reasons import STOP_REASONS
from sparsam.estimators._warnings import warn_user
from sparsam.inspection.descent import NO_MORE_ITERATIONS, still_descends

__all__ = [
    "PROGRESS_COLUMNS",
    "check_finished",
    "check_warm_start",
    "initial_weights",
    "network_attributes",
    "ravel",
    "set_fitted_attributes",
    "training_attributes",
    "unravel",
    "validation_attributes",
    "warn_or_raise",
]

FEW_ITERATIONS = 10  # with fewer, the weights are still close to the initial ones


def initial_weights(
    estimator: Any,
    network: Network,
    scaled: Callable[[Parameters], Parameters] = lambda parameters: parameters,
    draw: Callable[[Network, Any], NDArray[np.float64]] = Network.initialize,
) -> NDArray[np.floating]:
    """Draw the initial weights, or with ``warm_start`` use the fitted ones, in the minimizer's coordinates.

    ``scaled`` converts fitted weights to these coordinates; ``draw`` draws weights from a random state.

    Raises
    ------
    ValueError
        If the fitted weights are those of a network with other layers.
    """
    if not (estimator.warm_start and hasattr(estimator, "coefs_")):
        return draw(network, check_random_state(estimator.random_state))
    check_warm_start(estimator, network)
    return ravel(network, scaled(Parameters(tuple(estimator.coefs_), tuple(estimator.intercepts_))))


def check_warm_start(estimator: Any, network: Network) -> None:
    """Raise ValueError if the fitted weights are those of a network with other layers."""
    fitted = tuple(coef.shape for coef in estimator.coefs_)
    if fitted != network.shapes:
        raise ValueError(
            f"warm_start=True starts from the fitted weights, but these belong to a network {_sizes(fitted)}, and "
            f"this fit needs {_sizes(network.shapes)}: set warm_start=False, or fit a clone"
        )


def _sizes(shapes: tuple[tuple[int, int], ...]) -> str:
    return "-".join(map(str, (shapes[0][0], *(n_out for _, n_out in shapes))))


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


def ravel(network: Network, parameters: Parameters) -> NDArray[np.floating]:
    """Concatenate the arrays of the layers into flat weights on the host."""
    free = parameters.coefs[: network.n_free]  # without those that are tied to them
    return np.concatenate([np.ravel(array) for array in (*free, *parameters.intercepts)])


def unravel(network: Network, theta: NDArray[np.floating]) -> Parameters:
    """Split flat weights on the host into the arrays of the layers."""
    return network.unravel(cast(jax.Array, theta))  # slices and reshapes NumPy arrays


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


def warn_or_raise(training: Training, *, can_start_warm: bool = True, label: str = "") -> None:
    """Warn if a training did not converge.

    Parameters
    ----------
    training : Training
    can_start_warm : bool
        Whether warm_start has an influence on this fit.
    label : str
        Name of the training, if a fit has several.

    Raises
    ------
    FloatingPointError
        If J was not finite.
    """
    tol, dtype = training.tol, training.theta.dtype
    not_converged = f"{label}: not converged" if label else "Not converged"
    reason, where = STOP_REASONS[training.stop_reason], ""
    if training.history:
        last = training.history[-1]
        where = f" (iteration {last.iteration}, J = {last.J:.6g}, gradient's max-norm {last.gradient_norm:.2g})"
    match training.stop_reason:
        case "not_finite":
            terms = ", ".join(training.broken_terms) or "the gradient"
            state = (
                "The estimator has the last finite weights."
                if training.history
                else "This happened at the initial weights."
            )
            wider = ", or use dtype='float64'" if dtype == "float32" else ""
            raise FloatingPointError(
                f"{reason} in the term(s) {terms}{where}. Look for extreme values in X and standardize it{wider}. "
                f"{state}"
            )
        case "interrupted":
            warn_user(f"Training {reason}{where}: the estimator has the weights reached so far.", UserWarning)
        case "max_iter" | "time_budget":
            if training.plateau_tol is None:
                above = f"tol = {tol:.2g}"
            else:
                above = (
                    f"tol / 100 = {training.plateau_tol:.2g} (an autoencoder that explains nearly nothing continues "
                    "beyond tol)"
                )
            history = training.history
            advice = f"Increase {training.stop_reason}"
            few = len(training.sampled) + history[-1].iteration < FEW_ITERATIONS
            if training.stop_reason == "time_budget" and few:
                advice = f"After so few iterations the weights are still close to the initial ones. {advice}"
            advice += ", or continue from these weights with warm_start=True." if can_start_warm else "."
            if not still_descends([row.J for row in history], [row.gradient_norm for row in history]):
                advice = NO_MORE_ITERATIONS
            warn_user(f"{not_converged}: {reason}{where}, above {above}. {advice}", ConvergenceWarning)
        case "precision":
            advice = "Use dtype='float64', or a larger tol." if dtype == "float32" else "Use a larger tol."
            if tol == POLISHED_TOL:  # not the user's tol
                advice = "Polishing cannot get closer to the minimum; polish=False stops at tol, without this warning."
            warn_user(
                f"{not_converged}: {reason} ({dtype}){where}, above tol = {tol:.2g}. {advice}", ConvergenceWarning
            )


def check_finished(training: Training) -> None:
    """Raise an exception if one of many trainings has failed, so that there is no estimate."""
    if training.stop_reason == "interrupted":
        raise KeyboardInterrupt
    if not training.history:
        raise FloatingPointError(
            "J is not finite at the initial weights: look for extreme values in X and standardize it"
        )
