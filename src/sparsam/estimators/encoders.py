"""Autoencoders as the parameter of another estimator: alone, at the end of a pipeline, or fitted before and frozen."""

from __future__ import annotations

from typing import Any

from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from sparsam.estimators.autoencoder import SparseAutoencoder
from sparsam.estimators.stacked_autoencoder import StackedAutoencoder

__all__ = ["check_encoder", "is_autoencoder", "last_step", "steps_before", "unfreeze"]


def unfreeze(encoder: Any) -> Any:
    """Return what a FrozenEstimator holds; anything else as it is."""
    return encoder.estimator if isinstance(encoder, FrozenEstimator) else encoder


def last_step(encoder: Any) -> Any:
    """Return the last step of a pipeline; anything else as it is."""
    return encoder[-1] if isinstance(encoder, Pipeline) else encoder


def steps_before(encoder: Any) -> Pipeline | None:
    """Return the steps of a pipeline before the last one; None if there are none."""
    return encoder[:-1] if isinstance(encoder, Pipeline) and len(encoder) > 1 else None


def is_autoencoder(estimator: Any) -> bool:
    """Return whether this is a SparseAutoencoder or a StackedAutoencoder."""
    return isinstance(estimator, SparseAutoencoder | StackedAutoencoder)


def check_encoder(encoder: Any) -> None:
    """Raise TypeError or NotFittedError unless this can be the parameter ``autoencoder``."""
    if isinstance(encoder, FrozenEstimator):
        check_is_fitted(encoder.estimator)
    last = last_step(unfreeze(encoder))
    if not is_autoencoder(last):
        raise TypeError(
            "autoencoder must be a SparseAutoencoder, a StackedAutoencoder, a Pipeline that ends with one, or one of "
            f"these, fitted, in scikit-learn's FrozenEstimator; got {type(last).__name__}"
        )
