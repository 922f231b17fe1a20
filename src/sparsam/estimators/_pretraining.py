"""Pretraining: the encoder of an autoencoder as the first hidden layers of a network with targets."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from sparsam.engine.data.batch import Batch
from sparsam.engine.network.network import Network, Parameters
from sparsam.engine.objective.input_scale import InputScale
from sparsam.estimators import _validation as validation
from sparsam.estimators._autoencoder_base import AutoencoderBase, PartOfFit
from sparsam.estimators._data.dataset import Dataset
from sparsam.estimators._training.fitted_attributes import ravel, unravel
from sparsam.estimators._training.reconstruction import n_encoders

__all__ = ["check_pretraining", "encoder_of", "fit_pretraining", "hidden_layers", "starting_from"]

SHARE = 3  # n_to_come of the pretraining, so that it takes at most a quarter of the time budget


def check_pretraining(pretraining: Any) -> None:
    """Raise TypeError, ValueError or NotFittedError unless this is None, an autoencoder, or a frozen, fitted one."""
    if pretraining is None:
        return
    autoencoder = pretraining.estimator if isinstance(pretraining, FrozenEstimator) else pretraining
    if not isinstance(autoencoder, AutoencoderBase):
        raise TypeError(
            "pretraining must be a SparseAutoencoder, a StackedAutoencoder, or one of these, fitted, in scikit-learn's "
            f"FrozenEstimator; got {type(pretraining).__name__}"
        )
    autoencoder.check_hyperparameters()
    if autoencoder is not pretraining:
        check_is_fitted(autoencoder)


def hidden_layers(estimator: Any) -> tuple[tuple[int, ...], str | tuple[str, ...]]:
    """Return sizes and activations of the hidden layers: the encoder's, then those of ``hidden_layer_sizes``."""
    sizes = validation.layer_sizes(estimator.hidden_layer_sizes)
    pretraining = estimator.pretraining
    if pretraining is None:
        return sizes, estimator.hidden_activation
    autoencoder = pretraining.estimator if isinstance(pretraining, FrozenEstimator) else pretraining
    of_encoder, activations = autoencoder._encoder_layers()
    return (*of_encoder, *sizes), (*activations, *(estimator.hidden_activation for _ in sizes))


def fit_pretraining(estimator: Any, dataset: Dataset, fit: PartOfFit) -> AutoencoderBase | None:
    """Return the fitted autoencoder whose encoder the network starts from; None without pretraining.

    It is fitted on the inputs of the dataset; a frozen one is returned as it is, and with ``warm_start`` that of the
    last fit.

    Raises
    ------
    ValueError
        If a frozen autoencoder was fitted on another number of features, or inputs are outside the range of logistic
        outputs.
    """
    pretraining = estimator.pretraining
    if pretraining is None:
        return None
    if estimator._is_warm() and estimator.pretraining_ is not None:
        fitted: AutoencoderBase = estimator.pretraining_
        return fitted
    if not isinstance(pretraining, FrozenEstimator):
        rows = _InputsOnly(pretraining)
        part: AutoencoderBase = pretraining._fit_part(estimator, dataset.map(rows), fit)
        return part
    frozen: AutoencoderBase = pretraining.estimator
    if frozen.n_features_in_ != dataset.n_features:
        raise ValueError(
            f"X has {dataset.n_features} features, but the autoencoder in pretraining was fitted on "
            f"{frozen.n_features_in_}"
        )
    return frozen


def encoder_of(autoencoder: AutoencoderBase | None) -> Parameters | None:
    """Return weights and biases of the layers that encode, for unscaled inputs."""
    if autoencoder is None:
        return None
    n = n_encoders(autoencoder._fitted_network())
    return Parameters(tuple(autoencoder.coefs_[:n]), tuple(autoencoder.intercepts_[:n]))  # type: ignore[arg-type]


def starting_from(
    encoder: Parameters | None, theta: NDArray[np.floating], network: Network, scale: InputScale
) -> NDArray[np.floating]:
    """Return initial weights theta, for scaled inputs, with the first layers replaced by the encoder's."""
    if encoder is None:
        return theta
    scaled, new = scale.scaled_weights(encoder), unravel(network, theta)
    n = len(scaled.coefs)
    return ravel(network, Parameters((*scaled.coefs, *new.coefs[n:]), (*scaled.intercepts, *new.intercepts[n:])))


class _InputsOnly:
    """Drop targets and tangents of a batch, and check the range of its inputs."""

    def __init__(self, autoencoder: AutoencoderBase) -> None:
        self.autoencoder = autoencoder

    def __call__(self, batch: Batch) -> Batch:
        inputs = Batch(batch.inputs, sample_weight=batch.sample_weight)
        if not batch.n_rows:
            return inputs
        try:
            return self.autoencoder._check_range(inputs, 0)
        except ValueError as error:
            raise ValueError(f"pretraining: {error}") from error
