"""Content of model files: attributes of each estimator, checks of them, and names that older versions used.

Files of every released version load. Where a class moves, enter its old name in `MOVED`; where a hyperparameter joins
or is renamed, enter it in the class's `Layout`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from sparsam.estimators._labels.noise_estimation import LikelihoodProfile
from sparsam.estimators._labels.transitions import transition_matrix
from sparsam.estimators._regression.noise_covariance import check_covariance
from sparsam.estimators._validation import layer_sizes
from sparsam.estimators.autoencoder import SparseAutoencoder
from sparsam.estimators.classifier import NoisyLabelClassifier
from sparsam.estimators.regressor import MultivariateNormalRegressor

__all__ = ["LAYOUTS", "MOVED", "Layout"]

Arrays = dict[str, NDArray[Any]]

MOVED = {
    "sparsam.estimators.noise_rate.LikelihoodProfile": (  # until 0.1.0
        "sparsam.estimators._labels.noise_estimation.LikelihoodProfile"
    ),
}
"""Classes that a ``.skops`` file names: where an older version had them, and where they are."""


def _encode_nothing(model: Any) -> Arrays:
    return {}


def _decode_nothing(model: Any, arrays: Mapping[str, NDArray[Any]]) -> None:
    return


@dataclass(frozen=True)
class Layout:
    """How the fitted attributes of one class lie in a file."""

    estimator: type[BaseEstimator]
    arrays: tuple[str, ...]  # attributes that are one array
    results: Mapping[str, type]  # attributes that are one number, string or truth value
    check: Callable[[Any], None]  # raises ValueError or TypeError unless parameters and fitted attributes fit together
    labels: tuple[str, ...] = ()  # attributes that are labels: numbers or strings
    not_saved: tuple[str, ...] = (
        "callback",
        "random_state",
        "mesh",
        "checkpoint",
    )  # what JSON cannot hold; comes back as None
    encode: Callable[[Any], Arrays] = _encode_nothing  # other attributes to arrays
    decode: Callable[[Any, Mapping[str, NDArray[Any]]], None] = _decode_nothing  # and back
    renamed: Mapping[str, str] = field(default_factory=dict)  # hyperparameters, from their old names to the new ones
    added: Mapping[str, Any] = field(default_factory=dict)  # since 0.1.0, each with the value of the old behavior

    def up_to_date(self, attributes: Mapping[str, Any]) -> dict[str, Any]:
        """Rename and add what changed since an older version wrote these hyperparameters.

        Of a current file nothing changes. Other attributes may be among them.
        """
        return {**self.added, **{self.renamed.get(name, name): value for name, value in attributes.items()}}


RESULTS: dict[str, type] = {
    "cost_": float,
    "n_iter_": int,
    "n_evaluations_": int,
    "gradient_norm_": float,
    "converged_": bool,
    "stop_reason_": str,
    "n_features_in_": int,
}


def check_weights(model: Any, sizes: tuple[int, ...], *others: NDArray[Any]) -> None:
    """Raise ValueError unless the weights are finite and of a network of these sizes."""
    shapes = [*pairwise(sizes)]
    if [array.shape for array in model.coefs_] != shapes or [array.shape for array in model.intercepts_] != [
        (n_out,) for _, n_out in shapes
    ]:
        raise ValueError("its arrays do not fit together")
    weights = (*model.coefs_, *model.intercepts_, *others)
    if any(array.dtype not in (np.float32, np.float64) or not np.all(np.isfinite(array)) for array in weights):
        raise ValueError("its weights are not finite numbers of type float32 or float64")


def _check_autoencoder(model: Any) -> None:
    d, m = model.n_features_in_, model.mean_activation_.size
    if model.mean_activation_.shape != (m,):
        raise ValueError("its arrays do not fit together")
    check_weights(model, (d, m, d), model.mean_activation_)
    model._n_features_out = m
    model.check_hyperparameters()


def _check_regressor(model: Any) -> None:
    model.check_hyperparameters()
    sizes = (model.n_features_in_, *layer_sizes(model.hidden_layer_sizes), model.n_outputs_)
    check_weights(model, sizes, model.covariance_)
    check_covariance(model.covariance_, model.n_outputs_)
    if model._one_dimensional and model.n_outputs_ != 1:
        raise ValueError("its outputs do not fit together")


def _check_classifier(model: Any) -> None:
    model.check_hyperparameters()
    n_classes = len(model.classes_)
    if n_classes < 2 or not np.array_equal(np.unique(model.classes_), model.classes_):
        raise ValueError("its classes are not in order")
    n_outputs = 1 if n_classes == 2 else n_classes
    sizes = (model.n_features_in_, *layer_sizes(model.hidden_layer_sizes), n_outputs)
    check_weights(model, sizes, model.transition_matrix_)
    if model.transition_matrix_.shape != (n_classes, n_classes):
        raise ValueError("its transition matrix does not fit")
    transition_matrix(model.transition_matrix_, n_classes)


def _encode_scores(model: Any) -> Arrays:
    return {"validation_scores": np.array(model.validation_scores_, dtype=np.float64).reshape(-1, 2)}


def _decode_scores(model: Any, arrays: Mapping[str, NDArray[Any]]) -> None:
    model.validation_scores_ = [(int(iteration), float(score)) for iteration, score in arrays["validation_scores"]]


def _encode_classifier(model: Any) -> Arrays:
    arrays = _encode_scores(model)
    profile = model.likelihood_profile_
    if profile is not None:
        arrays["likelihood_profile"] = np.array([profile.epsilon, profile.held_out, profile.training, profile.near])
        arrays["n_held_out"] = np.array([profile.n_held_out])
    return arrays


def _decode_classifier(model: Any, arrays: Mapping[str, NDArray[Any]]) -> None:
    _decode_scores(model, arrays)
    model.likelihood_profile_ = None
    if "likelihood_profile" in arrays:
        epsilon, held_out, training, near = arrays["likelihood_profile"]
        model.likelihood_profile_ = LikelihoodProfile(epsilon, held_out, training, near, int(arrays["n_held_out"][0]))


NOT_SAVED_SUPERVISED = ("callback", "random_state", "mesh", "checkpoint", "tangents")
LAYOUTS = {
    "SparseAutoencoder": Layout(
        estimator=SparseAutoencoder, arrays=("mean_activation_",), results=RESULTS, check=_check_autoencoder
    ),
    "MultivariateNormalRegressor": Layout(
        estimator=MultivariateNormalRegressor,
        arrays=("covariance_",),
        results=RESULTS | {"n_outputs_": int, "_one_dimensional": bool},
        check=_check_regressor,
        not_saved=NOT_SAVED_SUPERVISED,
        encode=_encode_scores,
        decode=_decode_scores,
    ),
    "NoisyLabelClassifier": Layout(
        estimator=NoisyLabelClassifier,
        arrays=("transition_matrix_",),
        results=RESULTS | {"epsilon_": float, "alpha_": float},
        check=_check_classifier,
        labels=("classes_",),
        not_saved=NOT_SAVED_SUPERVISED,
        encode=_encode_classifier,
        decode=_decode_classifier,
    ),
}
