"""Advice after a training that did not converge, in terms of the command line's options."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["convergence_advice", "library_advice_ignored"]

NO_MORE_ITERATIONS = (
    "more iterations would hardly help, since the last quarter of them reduced neither J nor its gradient much: raise "
    "--alpha, use fewer hidden units, or a larger --tol"
)


def convergence_advice(model: Any, *, has_checkpoint: bool, model_file: str | None = None) -> str | None:
    """Return a remedy for a training that did not converge, None if it did or the user stopped it.

    Parameters
    ----------
    model : estimator
    has_checkpoint : bool
        Whether the training wrote checkpoints, from which it can be resumed.
    model_file : str, optional
        File from which --warm-start can continue, if the command has this option.
    """
    from sparsam.inspection.descent import still_descends

    if model.stop_reason_ == "precision":
        if model.polish:
            return "this is the limit of the precision; without --polish, training stops at --tol"
        return "use a larger --tol" if model.dtype == "float64" else "use --dtype float64 or a larger --tol"
    if model.stop_reason_ not in ("max_iter", "time_budget"):
        return None
    if not still_descends(model.history_["J"].tolist(), model.history_["gradient_norm"].tolist()):
        return NO_MORE_ITERATIONS
    advice = f"increase --{model.stop_reason_.replace('_', '-')}"
    if has_checkpoint:
        return f"{advice} and continue from the checkpoint with --resume"
    return advice if model_file is None else f"{advice}, or continue with --warm-start {model_file} --out ANOTHER"


@contextmanager
def library_advice_ignored() -> Iterator[None]:
    """Ignore the library's warnings about convergence and Ctrl-C: their advice is for Python programs."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Not converged|Training interrupted")
        yield
