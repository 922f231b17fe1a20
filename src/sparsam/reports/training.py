"""Facts about a training that every page shows."""

from __future__ import annotations

from typing import Any

from sparsam.engine.training.stop_reasons import IMPORTED
from sparsam.estimators import NO_INFLUENCE

__all__ = ["parameters_of", "training_facts"]

NOT_SHOWN = NO_INFLUENCE - {"time_budget"}


def training_facts(network: Any) -> list[tuple[str, str]]:
    """Return numbers about the training, for the head of a page; none if another program trained the weights."""
    if network.stop_reason_ == IMPORTED:
        return []
    seconds = float(network.history_["seconds"].iloc[-1])
    return [
        ("J", f"{network.loss_:.6f}"),
        ("largest component of the gradient", f"{network.gradient_norm_:.1e}"),
        ("iterations", str(network.n_iter_)),
        ("evaluations of J", str(network.n_evaluations_)),
        ("time to these weights", f"{seconds:.1f} s"),  # includes trainings in folds and estimates in the same fit
    ]


def parameters_of(network: Any) -> dict[str, str]:
    """Return the hyperparameters as text, without those that do not influence the result."""
    return {name: _short(value) for name, value in network.get_params(deep=False).items() if name not in NOT_SHOWN}


def _short(value: Any) -> str:
    text = str(getattr(value, "tolist", lambda: value)())
    return text if len(text) <= 200 else text[:200] + " ..."
