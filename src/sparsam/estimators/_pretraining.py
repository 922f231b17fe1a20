"""Pretraining: the encoder of an autoencoder as the first hidden layers of a network with targets."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from sparsam._utils.listed import listed
from sparsam.engine.data.batch import Batch
from sparsam.engine.network.network import Network, Parameters
from sparsam.engine.objective.input_scale import InputScale
from sparsam.estimators import _validation as validation
from sparsam.estimators._autoencoder_base import AutoencoderBase
from sparsam.estimators._data.dataset import Dataset
from sparsam.estimators._training.flat_weights import ravel, unravel
from sparsam.estimators._training.part_of_fit import PartOfFit
from sparsam.estimators._training.reconstruction import n_encoders

__all__ = [
    "check_fitted_pretraining",
    "check_pretraining",
    "draws_rows",
    "encoder_of",
    "fit_pretraining",
    "fitted_activations",
    "hidden_layers",
    "learns_inputs",
    "starting_from",
]

SHARE = 3  # n_to_come of the pretraining; at least half of the time budget is left to the trainings with targets


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
    """Return sizes and activations of the hidden layers: those of the encoder, then ``hidden_layer_sizes``."""
    sizes = validation.layer_sizes(estimator.hidden_layer_sizes)
    pretraining = estimator.pretraining
    if pretraining is None:
        return sizes, estimator.hidden_activation
    if isinstance(pretraining, FrozenEstimator):
        of_encoder, activations = _fitted_layers(pretraining.estimator)
    else:
        of_encoder, activations = pretraining._encoder_layers()
    return (*of_encoder, *sizes), (*activations, *(estimator.hidden_activation for _ in sizes))


def fitted_activations(estimator: Any) -> str | tuple[str, ...]:
    """Return the activations of the hidden layers of a fitted network."""
    if getattr(estimator, "pretraining_", None) is None:  # also where the weights were given
        return str(estimator.hidden_activation)
    _, activations = _fitted_layers(estimator.pretraining_)
    n_others = len(estimator.coefs_) - 1 - len(activations)
    return (*activations, *(estimator.hidden_activation for _ in range(n_others)))


def _fitted_layers(autoencoder: AutoencoderBase) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Return the sizes and activations of the layers of a fitted autoencoder that encode."""
    network = autoencoder._fitted_network()
    n = n_encoders(network)
    return network.layer_sizes[1 : n + 1], tuple(activation.name for activation in network.activations[:n])


def check_fitted_pretraining(estimator: Any) -> None:
    """Raise ValueError or TypeError unless a loaded estimator's pretrained autoencoder fits its network."""
    autoencoder = estimator.pretraining_
    if autoencoder is None:
        return
    if not isinstance(autoencoder, AutoencoderBase):
        raise TypeError("its pretraining_ is not an autoencoder")
    autoencoder.check_fitted()
    sizes = tuple(coef.shape[1] for coef in estimator.coefs_)
    encoder, _ = _fitted_layers(autoencoder)
    if autoencoder.n_features_in_ != estimator.n_features_in_ or sizes[: len(encoder)] != encoder:
        raise ValueError("its pretraining_ does not fit its network")


def fit_pretraining(estimator: Any, dataset: Dataset, fit: PartOfFit) -> AutoencoderBase | None:
    """Return the fitted autoencoder whose encoder the network starts from; None without pretraining.

    It is fitted on the inputs of the dataset; of a frozen one it is a copy, and with ``warm_start`` that of the last
    fit.

    Raises
    ------
    ValueError
        If a frozen autoencoder was fitted on other features, if inputs are outside the range of logistic outputs, or if
        a warm start would change activations.
    """
    pretraining = estimator.pretraining
    if estimator._is_warm():
        if hidden_layers(estimator)[1] != fitted_activations(estimator):
            raise ValueError(
                "warm_start=True starts from the fitted weights, but their hidden layers have other activations than "
                f"this fit, {fitted_activations(estimator)}: set warm_start=False, or fit a clone"
            )
        fitted: AutoencoderBase | None = getattr(estimator, "pretraining_", None)
        return fitted
    if pretraining is None:
        return None
    if not isinstance(pretraining, FrozenEstimator):
        rows = _InputsOnly(pretraining)
        part: AutoencoderBase = pretraining._fit_part(estimator, dataset.map(rows), fit)
        return part
    frozen: AutoencoderBase = deepcopy(pretraining.estimator)  # later changes must not change the network's activations
    if frozen.n_features_in_ != dataset.n_features:
        raise ValueError(
            f"X has {dataset.n_features} features, but the autoencoder in pretraining was fitted on "
            f"{frozen.n_features_in_}"
        )
    own, theirs = (getattr(model, "feature_names_in_", None) for model in (estimator, frozen))
    if own is not None and theirs is not None and list(own) != list(theirs):
        raise ValueError(
            "the features of X have other names, or another order, than those on which the autoencoder in pretraining "
            f"was fitted: {listed(own, most=5)}; there {listed(theirs, most=5)}"
        )
    return frozen


def learns_inputs(estimator: Any) -> bool:
    """Whether the fit trains an autoencoder on the inputs: not a frozen one, and not again in a warm start."""
    return isinstance(estimator.pretraining, AutoencoderBase) and not estimator._is_warm()


def draws_rows(pretraining: Any) -> bool:
    """Whether the fit of the pretraining holds out or corrupts rows at random."""
    return isinstance(pretraining, AutoencoderBase) and pretraining._draws_rows()


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
