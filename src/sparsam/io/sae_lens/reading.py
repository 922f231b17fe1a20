"""Read an autoencoder from a folder in SAELens' layout; nothing in it is executed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
from numpy.typing import NDArray

from sparsam._utils.listed import listed
from sparsam.engine.training.stop_reasons import IMPORTED
from sparsam.estimators.autoencoder import SparseAutoencoder
from sparsam.io.sae_lens.config import CONFIG_FILE, WEIGHTS_FILE, FolderConfig, read_config

__all__ = ["from_sae_folder"]

Arrays = dict[str, NDArray[Any]]

TYPES = {"F64": np.float64, "F32": np.float32, "F16": np.float32, "BF16": np.float32}
"""Types of the tensors in the file, and the types that hold them exactly."""

HYPERPARAMETERS = ("sparsity", "rho", "beta", "alpha", "tied")

FOREIGN = {
    "r_mag": "gated",
    "b_gate": "gated",
    "b_mag": "gated",
    "threshold": "JumpReLU",
    "log_threshold": "JumpReLU",
    "W_skip": "skip transcoder",
}
"""Tensors of other architectures."""


def from_sae_folder(path: str | os.PathLike[str]) -> SparseAutoencoder:
    """Load an autoencoder from a folder in SAELens' layout, which `to_sae_folder` or ``SAE.save_model`` wrote.

    Parameters
    ----------
    path : path
        The folder, with cfg.json and sae_weights.safetensors.

    Returns
    -------
    SparseAutoencoder
        Fitted, with ReLU units and linear outputs. It predicts, transforms, and can be saved and reported like any
        other, and ``warm_start=True`` continues from its weights. What only the training knew is NaN: ``loss_``,
        ``mean_activation_``, ``explained_variance_ratio_``; ``stop_reason_`` is "imported". `sparsity_report` measures
        it on rows of yours. Without hyperparameters that sparsam wrote, it has ``sparsity="l1"``, ``alpha=0`` and the
        default beta, which in `cost` is in the unit of the inputs until the model is fitted again.
        Weights are float64 if the file's are, otherwise float32, which holds float16 and bfloat16 exactly.

    Raises
    ------
    FileNotFoundError
        If there is no such folder, or one of the files is missing.
    ValueError
        If a file is damaged or incomplete, or does not fit the other one; if a number is not finite; or if it is
        another kind of autoencoder: an architecture other than "standard" (gated, JumpReLU, TopK, a transcoder),
        another activation function, or inputs that are normalized. The error names it.

    See Also
    --------
    to_sae_folder : The inverse, with the formula of the biases.

    Notes
    -----
    With ``apply_b_dec_to_input``, which is true where cfg.json does not say, b_1 = b_enc - b_dec W_enc, in float64;
    inputs are then centered at b_dec before they are encoded, as SAELens does.

    Examples
    --------
    See `to_sae_folder`.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder at {folder}")
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"the folder {folder} has no file {name}")
    try:
        config = read_config(folder / CONFIG_FILE)
        model = _model_of(config, _read_weights(folder / WEIGHTS_FILE, config))
        model.check_fitted()
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"cannot load {folder}: {error}") from error
    return model


def _read_weights(path: Path, config: FolderConfig) -> Arrays:
    """Read the tensors, after a check of their names, shapes and types."""
    shapes = {
        "W_enc": [config.d_in, config.d_sae],
        "W_dec": [config.d_sae, config.d_in],
        "b_enc": [config.d_sae],
        "b_dec": [config.d_in],
    }
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            names = set(file.keys())
            _check_names(names, shapes)
            for name in names:
                part = file.get_slice(name)
                if name in shapes and list(part.get_shape()) != shapes[name]:
                    raise ValueError(
                        f"{name} has the shape {tuple(part.get_shape())}, but {CONFIG_FILE} means {tuple(shapes[name])}"
                    )
                if part.get_dtype() not in TYPES:
                    raise ValueError(f"{name} has the type {part.get_dtype()}, which is not one of {', '.join(TYPES)}")
            arrays = {name: file.get_tensor(name).astype(TYPES[file.get_slice(name).get_dtype()]) for name in names}
    except (safetensors.SafetensorError, OSError) as error:
        raise ValueError(f"{WEIGHTS_FILE} is not a safetensors file, or it is truncated ({error})") from error
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise ValueError(f"{name} has NaN or infinity")
    if "scaling_factor" in arrays and not np.all(arrays["scaling_factor"] == 1):
        raise ValueError("it has a scaling_factor, which multiplies the code, other than 1")
    return {name: arrays[name] for name in shapes}


def _check_names(names: set[str], expected: Mapping[str, Any]) -> None:
    foreign = sorted(names - expected.keys() - {"scaling_factor"})
    for name in foreign:
        if name in FOREIGN:
            raise ValueError(f"it has {name}: a {FOREIGN[name]} architecture, where only 'standard' can be loaded")
    if foreign:
        raise ValueError(f"it has tensors that the standard architecture does not have: {listed(foreign, most=5)}")
    missing = sorted(expected.keys() - names)
    if missing:
        raise ValueError(f"it has no {', '.join(missing)}")


def _model_of(config: FolderConfig, arrays: Arrays) -> SparseAutoencoder:
    """Make a fitted estimator; its attributes are not checked."""
    coefs = [arrays["W_enc"], arrays["W_dec"]]
    dtype = np.result_type(*coefs)
    coefs = [coef.astype(dtype) for coef in coefs]
    b_enc, b_dec = (arrays[name].astype(np.float64) for name in ("b_enc", "b_dec"))
    if config.apply_b_dec_to_input:
        b_enc = b_enc - b_dec @ coefs[0].astype(np.float64)
    given = {name: config.hyperparameters[name] for name in HYPERPARAMETERS if name in config.hyperparameters}
    given["tied"] = given.get("tied") is True and bool(np.array_equal(coefs[0], coefs[1].T))
    options: dict[str, Any] = {"sparsity": "l1", "beta": None, "alpha": 0.0, **given}
    model = SparseAutoencoder(
        config.d_sae, hidden_activation="relu", output_activation="identity", dtype=str(dtype), **options
    )
    model.check_hyperparameters()
    unknown, d_in = float("nan"), config.d_in
    attributes = {
        "n_features_in_": d_in,
        "coefs_": coefs,
        "intercepts_": [b_enc, b_dec],
        "mean_activation_": np.full(config.d_sae, unknown),
        "explained_variance_ratio_": unknown,
        "beta_": model._beta,
        "_unit": _unit_of(config.hyperparameters),
        "loss_": unknown,
        "gradient_norm_": unknown,
        "n_iter_": 0,
        "n_evaluations_": 0,
        "converged_": False,
        "stop_reason_": IMPORTED,
        "loss_curve_": [unknown],
        "validation_iterations_": [],
        "validation_scores_": [],
        "_history": {
            **{name: [0.0] for name in ("iteration", "evaluations", "seconds")},
            **{name: [unknown] for name in ("J", "gradient_norm")},
        },
        "_sample_history": {},
        "_input_mean": b_dec,
    }
    for name, value in attributes.items():
        setattr(model, name, value)
    return model


def _unit_of(hyperparameters: Mapping[str, Any]) -> float:
    """Return the unit of length in J; 1 in folders of other programs."""
    unit = hyperparameters.get("unit", 1.0)
    if not isinstance(unit, int | float) or not 0 < unit < float("inf"):
        raise ValueError(f"its unit of length must be a positive number, not {unit!r}")
    return float(unit)
