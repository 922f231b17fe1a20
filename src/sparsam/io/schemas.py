"""Content of model files: attributes of each estimator, and names that older versions used.

Files of every released version load. If a class moves, enter its old name in `MOVED`; if a fitted attribute of all
estimators is renamed, in `RENAMED`. If a hyperparameter is added or renamed, enter it in the class's `Layout`; if it is
removed, in `REMOVED`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from sparsam.estimators.autoencoder import SparseAutoencoder
from sparsam.estimators.classifier import LikelihoodProfile, NoisyLabelClassifier
from sparsam.estimators.encoders import unfreeze
from sparsam.estimators.outlier_detector import AutoencoderOutlierDetector
from sparsam.estimators.regressor import MultivariateNormalRegressor
from sparsam.estimators.stacked_autoencoder import StackedAutoencoder
from sparsam.preprocessing.convolutional_features import ConvolutionalFeatures
from sparsam.preprocessing.patch_normalizer import PatchNormalizer
from sparsam.preprocessing.whitening import Whitening

__all__ = ["LAYOUTS", "MOVED", "REMOVED", "RENAMED", "Layout"]

Arrays = dict[str, NDArray[Any]]

MOVED = {
    "sparsam.estimators.noise_rate.LikelihoodProfile": (  # until 0.1.0
        "sparsam.estimators._labels.likelihood_profile.LikelihoodProfile"
    ),
}
"""Classes that moved: from the name that an older ``.skops`` file holds to the current name."""

RENAMED = {"cost_": "loss_"}  # until 0.1.0
"""Fitted attributes of all estimators: from their old names to the new ones."""

REMOVED = {
    "checkpoint_every": "until 0.1.0; now in `Checkpoint`, which is not saved",
    "resume": "until 0.1.0; now in `Checkpoint`, which is not saved",
}
"""Hyperparameters that were removed from all estimators, and why nothing is lost by dropping them."""


def _encode_nothing(model: Any) -> Arrays:
    return {}


def _decode_nothing(model: Any, arrays: Mapping[str, NDArray[Any]]) -> None:
    return


def _update_nothing(model: Any) -> None:
    return


def _check_network(model: Any) -> None:
    model.check_fitted()


@dataclass(frozen=True)
class Layout:
    """Layout of the fitted attributes of one class in a file."""

    estimator: type[BaseEstimator]
    arrays: tuple[str, ...]  # attributes that are one array
    results: Mapping[str, type]  # attributes that are one number, string or boolean
    labels: tuple[str, ...] = ()  # attributes that are labels: numbers or strings
    parts: Mapping[str, type] = field(
        default_factory=dict
    )  # attributes that are a list of fitted estimators, or one or None
    not_saved: tuple[str, ...] = (
        "callback",
        "random_state",
        "mesh",
        "checkpoint",
    )  # hyperparameters that JSON cannot hold; None after loading
    encode: Callable[[Any], Arrays] = _encode_nothing  # converts other attributes to arrays
    decode: Callable[[Any, Mapping[str, NDArray[Any]]], None] = _decode_nothing  # inverts `encode`
    renamed: Mapping[str, str] = field(default_factory=dict)  # hyperparameters, from their old names to the new ones
    added: Mapping[str, Any] = field(default_factory=dict)  # since 0.1.0, each with the value of the old behavior
    derived: Mapping[str, Callable[[Any], Any]] = field(
        default_factory=dict
    )  # attributes that fit sets since 0.1.0: their values for an older fit
    update: Callable[[Any], None] = _update_nothing  # converts fitted attributes whose form has changed
    is_network: bool = True  # has weights and a history
    check: Callable[[Any], None] = _check_network  # raises ValueError if fitted attributes are not consistent

    def up_to_date(self, attributes: Mapping[str, Any]) -> dict[str, Any]:
        """Rename, remove and add the hyperparameters that changed since an older version wrote these.

        Hyperparameters of a current file stay the same. `attributes` may hold fitted attributes besides.
        """
        kept = {name: value for name, value in attributes.items() if name not in REMOVED}
        return {**self.added, **self.with_current_names(kept)}

    def with_current_names(self, attributes: Mapping[str, Any]) -> dict[str, Any]:
        """Rename hyperparameters and fitted attributes that older versions called otherwise."""
        current = {**RENAMED, **self.renamed}
        return {current.get(name, name): value for name, value in attributes.items()}

    def complete(self, model: Any) -> None:
        """Set the fitted attributes that an older version did not have."""
        for name, derive in self.derived.items():
            if not hasattr(model, name):
                setattr(model, name, derive(model))
        self.update(model)


RESULTS: dict[str, type] = {
    "loss_": float,
    "n_iter_": int,
    "n_evaluations_": int,
    "gradient_norm_": float,
    "converged_": bool,
    "stop_reason_": str,
    "n_features_in_": int,
}


def _encode_scores(model: Any) -> Arrays:
    pairs = list(zip(model.validation_iterations_, model.validation_scores_, strict=True))
    return {"validation_scores": np.array(pairs, dtype=np.float64).reshape(-1, 2)}


def _decode_scores(model: Any, arrays: Mapping[str, NDArray[Any]]) -> None:
    _set_scores(model, arrays["validation_scores"])
    if isinstance(model.pretraining, FrozenEstimator):
        model.pretraining = FrozenEstimator(model.pretraining_)


def _set_scores(model: Any, pairs: Any) -> None:
    model.validation_iterations_ = [int(iteration) for iteration, _ in pairs]
    model.validation_scores_ = [float(score) for _, score in pairs]


def _update_scores(model: Any) -> None:
    """Split pairs of iteration and score, as ``.skops`` files of version 0.1.0 hold them."""
    if not hasattr(model, "validation_iterations_"):
        _set_scores(model, model.validation_scores_)


MAYBE_ARRAYS = (
    "covariance_factor_",
    "covariance_coef_",
    "covariance_intercept_",
    "calibration_distances_",
    "calibration_weights_",
)  # of a regressor; None without a covariance that depends on the input, or without calibration rows


def _encode_regressor(model: Any) -> Arrays:
    arrays = _encode_scores(model)
    arrays |= {name: array for name in MAYBE_ARRAYS if (array := getattr(model, name)) is not None}
    if model.covariance_alpha_ is not None:
        arrays["covariance_alpha_"] = np.array([model.covariance_alpha_])
    return arrays


def _decode_regressor(model: Any, arrays: Mapping[str, NDArray[Any]]) -> None:
    _decode_scores(model, arrays)
    for name in MAYBE_ARRAYS:
        setattr(model, name, arrays.get(name))
    model.covariance_alpha_ = float(arrays["covariance_alpha_"][0]) if "covariance_alpha_" in arrays else None


def _encode_classifier(model: Any) -> Arrays:
    arrays = _encode_scores(model)
    profile = model.likelihood_profile_
    if profile is not None:
        arrays["likelihood_profile"] = np.array([profile.epsilon, profile.held_out])
        arrays["n_held_out"] = np.array([profile.n_held_out])
        arrays["gain"], arrays["settled"] = np.array([profile.gain]), np.array([float(profile.settled)])
    return arrays


def _decode_classifier(model: Any, arrays: Mapping[str, NDArray[Any]]) -> None:
    _decode_scores(model, arrays)
    model.likelihood_profile_ = None
    if "likelihood_profile" in arrays:
        n_held_out = int(arrays["n_held_out"][0])
        columns = tuple(arrays["likelihood_profile"])
        if "gain" in arrays:
            epsilon, held_out = columns
            gain, settled = float(arrays["gain"][0]), bool(arrays["settled"][0])
            profile = LikelihoodProfile(epsilon, held_out, n_held_out, gain, settled)
        else:  # of version 0.1.0
            epsilon, held_out, _, near = columns
            profile = LikelihoodProfile.of_parabola(epsilon, held_out, near, n_held_out)
        model.likelihood_profile_ = profile


def _update_classifier(model: Any) -> None:
    """Convert a profile of version 0.1.0, as a ``.skops`` file holds it, and the scores, to this version."""
    _update_scores(model)
    profile = model.likelihood_profile_
    if profile is not None and not hasattr(profile, "gain"):
        model.likelihood_profile_ = LikelihoodProfile.of_parabola(
            profile.epsilon,
            profile.held_out,
            profile.near,
            profile.n_held_out,
        )


def _encode_autoencoder(model: Any) -> Arrays:
    return _encode_scores(model) | ({} if model._input_mean is None else {"input_mean": model._input_mean})


def _decode_autoencoder(model: Any, arrays: Mapping[str, NDArray[Any]]) -> None:
    _set_scores(model, arrays.get("validation_scores", ()))  # none in files of 0.1.0
    model._input_mean = arrays.get("input_mean")  # None for files of 0.1.0


def _encode_convolution(model: Any) -> Arrays:
    arrays = {"shapes": np.array([*model.image_shape_, *model.patch_shape_, *model.pool_])}
    for layer, (coef, intercept) in enumerate(model._layers):
        arrays |= {f"coef_{layer}": coef, f"intercept_{layer}": intercept}
    return arrays


def _decode_convolution(model: Any, arrays: Mapping[str, NDArray[Any]]) -> None:
    shapes = [int(side) for side in arrays["shapes"]]
    model.image_shape_, model.patch_shape_, model.pool_ = tuple(shapes[:3]), tuple(shapes[3:5]), tuple(shapes[5:])
    n_layers = sum(name.startswith("coef_") for name in arrays)
    model._layers = tuple((arrays[f"coef_{layer}"], arrays[f"intercept_{layer}"]) for layer in range(n_layers))
    _assemble_autoencoder(model)


def _assemble_autoencoder(model: Any) -> None:
    """Make a pipeline, or its only step, of the list of fitted steps ``autoencoder_``, as a fit does."""
    steps, given = model.autoencoder_, unfreeze(model.autoencoder)
    names = [name for name, step in getattr(given, "steps", ()) if step not in (None, "passthrough")]
    if len(names) == len(steps):
        model.autoencoder_ = Pipeline(list(zip(names, steps, strict=True)))
    else:  # the default, or the hyperparameter has been set since the fit
        model.autoencoder_ = steps[0] if len(steps) == 1 else make_pipeline(*steps)
    if isinstance(model.autoencoder, FrozenEstimator):
        model.autoencoder = FrozenEstimator(model.autoencoder_)


def _decode_detector(model: Any, arrays: Mapping[str, NDArray[Any]]) -> None:
    _assemble_autoencoder(model)


def _encode_standard_scaler(model: Any) -> Arrays:
    moments = {name: getattr(model, name) for name in MOMENTS if getattr(model, name) is not None}
    return moments | {"n_samples_seen_": np.atleast_1d(model.n_samples_seen_)}


def _decode_standard_scaler(model: Any, arrays: Mapping[str, NDArray[Any]]) -> None:
    for name in MOMENTS:
        setattr(model, name, arrays.get(name))
    seen = arrays["n_samples_seen_"]
    model.n_samples_seen_ = seen[0] if seen.size == 1 else seen


def _check_standard_scaler(model: StandardScaler) -> None:
    arrays = [array for name in MOMENTS if (array := getattr(model, name)) is not None]
    if (model.with_mean and model.mean_ is None) or (model.with_std and (model.scale_ is None or model.var_ is None)):
        raise ValueError("its scale is missing")
    if any(array.shape != (model.n_features_in_,) or not np.isfinite(array).all() for array in arrays):
        raise ValueError("its scale is not one finite number per feature")


def _check_all(model: Any) -> None:
    model.check_hyperparameters()
    model.check_fitted()


def _check_scale(model: Any) -> None:
    arrays = (
        [np.atleast_1d(model.limit_)]
        if isinstance(model, PatchNormalizer)
        else [getattr(model, name) for name in RANGES]
    )
    shapes = {array.shape for array in arrays}
    finite = all(array.dtype.kind == "f" and np.isfinite(array).all() for array in arrays)
    if not finite or (isinstance(model, MinMaxScaler) and shapes != {(model.n_features_in_,)}):
        raise ValueError("its scale is not finite, or not one number per feature")


def _check_whitening(model: Whitening) -> None:
    model.check_hyperparameters()
    n_axes, n_features = len(model.components_), model.n_features_in_
    n_out = n_axes if model.kind == "pca" else n_features
    arrays = (model.mean_, model.components_, model.explained_variance_, model.whitening_)
    expected = [(n_features,), (n_axes, n_features), (n_axes,), (n_out, n_features)]
    finite = all(array.dtype == np.float64 and np.isfinite(array).all() for array in arrays)
    if [array.shape for array in arrays] != expected or n_out != model._n_features_out or not finite:
        raise ValueError("its arrays do not fit together, or are not finite")


MOMENTS = ("mean_", "var_", "scale_")
RANGES = ("min_", "scale_", "data_min_", "data_max_", "data_range_")
NO_EARLY_STOPPING = {"early_stopping": False, "validation_fraction": 0.1, "n_iter_no_change": 20}
NOT_SAVED_SUPERVISED = ("callback", "random_state", "mesh", "checkpoint", "tangents")
LAYOUTS = {
    "SparseAutoencoder": Layout(
        estimator=SparseAutoencoder,
        arrays=("mean_activation_",),
        results=RESULTS | {"explained_variance_ratio_": float, "beta_": float, "_unit": float},
        encode=_encode_autoencoder,
        decode=_decode_autoencoder,
        added={
            "sparsity": "kl",
            "start_on_sample": False,
            "tied": False,
            "error": "squared",
            "corruption": 0.0,
            **NO_EARLY_STOPPING,
        },
        derived={
            "explained_variance_ratio_": lambda model: float("nan"),
            "beta_": lambda model: float(model.beta),
            "_unit": lambda model: 1.0,
        },
    ),
    "StackedAutoencoder": Layout(
        estimator=StackedAutoencoder,
        arrays=("mean_activation_",),
        results=RESULTS | {"explained_variance_ratio_": float},
        parts={"autoencoders_": list},
        encode=_encode_autoencoder,
        decode=_decode_autoencoder,
    ),
    "MultivariateNormalRegressor": Layout(
        estimator=MultivariateNormalRegressor,
        arrays=("covariance_", "predictive_covariance_"),
        results=RESULTS | {"n_outputs_": int, "_one_dimensional": bool, "alpha_": float},
        not_saved=NOT_SAVED_SUPERVISED,
        encode=_encode_regressor,
        decode=_decode_regressor,
        parts={"pretraining_": BaseEstimator},
        added={
            "cv": None,
            "start_on_sample": False,
            "pretraining": None,
            "covariance_alpha": None,
            "calibration_fraction": None,
        },
        derived={
            "predictive_covariance_": lambda model: model.covariance_,
            "alpha_": lambda model: float(model.alpha),
            "pretraining_": lambda model: None,
            **dict.fromkeys((*MAYBE_ARRAYS, "covariance_alpha_"), lambda model: None),
        },
        update=_update_scores,
    ),
    "NoisyLabelClassifier": Layout(
        estimator=NoisyLabelClassifier,
        arrays=("transition_matrix_",),
        results=RESULTS | {"epsilon_": float, "alpha_": float},
        labels=("classes_",),
        not_saved=NOT_SAVED_SUPERVISED,
        parts={"pretraining_": BaseEstimator},
        added={
            "classes": None,
            "start_on_sample": False,
            "pretraining": None,
            "unlabeled": None,
            "class_weight": None,
        },
        derived={"pretraining_": lambda model: None},
        encode=_encode_classifier,
        decode=_decode_classifier,
        update=_update_classifier,
    ),
    "PatchNormalizer": Layout(
        estimator=PatchNormalizer,
        arrays=(),
        results={"limit_": float, "n_features_in_": int},
        not_saved=(),
        is_network=False,
        check=_check_scale,
    ),
    "Whitening": Layout(
        estimator=Whitening,
        arrays=("mean_", "components_", "explained_variance_", "whitening_"),
        results={"n_features_in_": int, "_n_features_out": int},
        not_saved=(),
        is_network=False,
        check=_check_whitening,
    ),
    "ConvolutionalFeatures": Layout(
        estimator=ConvolutionalFeatures,
        arrays=("_center",),
        results={"n_features_in_": int},
        not_saved=("random_state",),
        encode=_encode_convolution,
        decode=_decode_convolution,
        parts={"autoencoder_": list},
        is_network=False,
        check=_check_all,
    ),
    "AutoencoderOutlierDetector": Layout(
        estimator=AutoencoderOutlierDetector,
        arrays=(),
        results={"n_features_in_": int, "offset_": float},
        not_saved=("random_state",),
        decode=_decode_detector,
        parts={"autoencoder_": list},
        is_network=False,
        check=_check_all,
    ),
    "StandardScaler": Layout(
        estimator=StandardScaler,
        arrays=(),
        results={"n_features_in_": int},
        not_saved=(),
        encode=_encode_standard_scaler,
        decode=_decode_standard_scaler,
        is_network=False,
        check=_check_standard_scaler,
    ),
    "MinMaxScaler": Layout(
        estimator=MinMaxScaler,
        arrays=RANGES,
        results={"n_samples_seen_": int, "n_features_in_": int},
        not_saved=(),
        is_network=False,
        check=_check_scale,
    ),
}
