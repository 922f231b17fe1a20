"""A training that is all of a fit, or a part of another estimator's fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sparsam._utils.digests import array_digest
from sparsam.engine.training.checkpoints import Checkpointer
from sparsam.estimators._progress.reporter import FitReporter
from sparsam.estimators._training.time_budget import TimeBudget

__all__ = ["PartOfFit", "digest_of"]


@dataclass(frozen=True)
class PartOfFit:
    """Circumstances of a training: the fit that it is a part of, or all of.

    Attributes
    ----------
    reporter : FitReporter
    checkpointer : Checkpointer or None
    budget : TimeBudget
        Time of all trainings of the fit.
    label : str
        Name of the part; empty for the whole.
    n_to_come : int
        Number of trainings of the fit still to come, including this one.
    seed : int
        Seed of an autoencoder without a random_state.
    depends_on : mapping
        See `TrainingProblem`.
    of_code : bool
        Whether the inputs are the code of another autoencoder.
    """

    reporter: FitReporter
    checkpointer: Checkpointer | None
    budget: TimeBudget
    label: str = ""
    n_to_come: int = 1
    seed: int = 0
    depends_on: Mapping[str, Any] = field(default_factory=dict)
    of_code: bool = False


def digest_of(autoencoders: Sequence[Any]) -> dict[str, Any]:
    """Return a digest of the weights of fitted autoencoders, on which a later training depends."""
    digests = [array_digest(*autoencoder.coefs_, *autoencoder.intercepts_) for autoencoder in autoencoders]
    return {"autoencoders": [int(digest) for digest in digests]}
