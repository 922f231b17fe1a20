"""Warn of trainings that did not converge, and raise an error for those that failed."""

from __future__ import annotations

from sklearn.exceptions import ConvergenceWarning

from sparsam.engine.training.polish import POLISHED_TOL
from sparsam.engine.training.result import Training
from sparsam.engine.training.stop_reasons import STOP_REASONS
from sparsam.estimators._warnings import warn_user
from sparsam.inspection.descent import NO_MORE_ITERATIONS, still_descends

__all__ = ["check_finished", "warn_or_raise"]

FEW_ITERATIONS = 10  # with fewer, the weights are still close to the initial ones


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
