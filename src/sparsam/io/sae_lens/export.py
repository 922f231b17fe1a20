"""Write a fitted autoencoder as a folder in SAELens' layout."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.utils.validation import check_is_fitted

from sparsam._utils.atomic_folder import atomic_folder
from sparsam._utils.atomic_write import atomic_write
from sparsam.estimators.autoencoder import SparseAutoencoder
from sparsam.io.sae_lens.config import CONFIG_FILE, WEIGHTS_FILE, config_of

__all__ = ["to_sae_folder"]

TYPES = ("float32", "float64")


def to_sae_folder(
    model: Any,
    path: str | os.PathLike[str],
    *,
    dtype: str | None = None,
    apply_b_dec_to_input: bool = True,
    metadata: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> None:
    """Write an autoencoder with ReLU units as a folder that SAELens reads, ``SAE.load_from_disk(path)``.

    Parameters
    ----------
    model : SparseAutoencoder or Pipeline
        Fitted, with ``hidden_activation="relu"`` and ``output_activation="identity"``. In a pipeline of two steps,
        behind a MinMaxScaler or StandardScaler: the folder then takes rows that are not scaled, and rebuilds them. A
        search stands for its best estimator.
    path : path
        The folder to write. A new one appears with both files or not at all; in an existing one, each file is written
        completely or not at all, and others stay.
    dtype : {"float32", "float64"}, optional
        Precision of the file. Default: that of the weights.
    apply_b_dec_to_input : bool, default True
        Convention of the biases, which the folder states. True, SAELens' default, is also right for readers that do
        not look it up, and more precise in float32 if the inputs are far from the origin.
    metadata : mapping, optional
        JSON values for the ``metadata`` of cfg.json, such as ``model_name`` and ``hook_name`` of the transformer whose
        activations the rows are: SAELens attaches the autoencoder there.
    overwrite : bool, default False
        Whether existing files may be replaced.

    Raises
    ------
    TypeError
        If the model is not a SparseAutoencoder, alone or behind a scaler, or metadata are not JSON values.
    NotFittedError
        If the model is not fitted.
    ValueError
        If it has other units or outputs, or an option cannot be used; or if a weight exceeds the range of ``dtype``.
    FileExistsError
        If one of the files exists and ``overwrite`` is False.
    FileNotFoundError
        If the folder around `path` does not exist.

    See Also
    --------
    from_sae_folder : The inverse.

    Notes
    -----
    The folder holds cfg.json and sae_weights.safetensors, with W_enc (d_in, d_sae), b_enc (d_sae,), W_dec (d_sae, d_in)
    and b_dec (d_in,). The autoencoder z = relu(x W_1 + b_1), y = z W_2 + b_2 is, with W_enc = W_1, W_dec = W_2 and
    b_dec = b_2 ::

        z = relu((x - b_dec) W_enc + b_enc),   b_enc = b_1 + b_2 W_1     if apply_b_dec_to_input
        z = relu(x W_enc + b_enc),             b_enc = b_1               if not

    computed in float64. Behind a scaler u = x s + m, the weights for x are ::

        W_1 <- diag(s) W_1,   b_1 <- b_1 + m W_1,   W_2 <- W_2 diag(1/s),   b_2 <- (b_2 - m) / s

    ``metadata`` also holds, under "sparsam", the hyperparameters of J, which SAELens ignores; not behind a scaler,
    since J is of the scaled rows.

    References
    ----------
    SAELens, https://github.com/decoderesearch/SAELens, ``sae_lens/saes/standard_sae.py``, version 6.

    Examples
    --------
    >>> import pathlib, tempfile, numpy as np
    >>> from sparsam import SparseAutoencoder, from_sae_folder, to_sae_folder
    >>> X = np.random.default_rng(0).laplace(size=(100, 4))
    >>> relu = {"hidden_activation": "relu", "output_activation": "identity"}
    >>> model = SparseAutoencoder(6, sparsity="l1", tol=1e-2, random_state=0, **relu).fit(X)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     to_sae_folder(model, pathlib.Path(folder, "sae"), metadata={"model_name": "gpt2"})
    ...     again = from_sae_folder(pathlib.Path(folder, "sae"))
    >>> bool(np.allclose(again.predict(X), model.predict(X), atol=1e-5))
    True
    """
    scaler, model = _scaler_and_model(getattr(model, "best_estimator_", model))
    _check_model(model)
    dtype = str(model.coefs_[0].dtype if dtype is None else getattr(dtype, "__name__", dtype))
    if dtype not in TYPES:
        raise ValueError(f"dtype must be one of {', '.join(map(repr, TYPES))}; got {dtype!r}")
    folder = Path(path)
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        if os.path.lexists(folder / name) and not overwrite:
            raise FileExistsError(f"{folder / name} exists: name another folder, or replace it with overwrite=True")
    d_in, d_sae = model.coefs_[0].shape
    hyperparameters = _hyperparameters(model) if scaler is None else {}
    config = config_of(int(d_in), int(d_sae), dtype, bool(apply_b_dec_to_input), metadata or {}, hyperparameters)
    weights = safetensors.numpy.save(_arrays(scaler, model, dtype, apply_b_dec_to_input))
    if folder.exists():
        _write(folder, config, weights, overwrite=overwrite)
    else:
        with atomic_folder(folder) as new:
            _write(new, config, weights, overwrite=False)


def _scaler_and_model(model: Any) -> tuple[Any, Any]:
    """Return the scaler of a pipeline of two steps, or None, and what is behind it."""
    if not isinstance(model, Pipeline):
        return None, model
    steps = [step for _, step in model.steps if step not in (None, "passthrough")]
    if len(steps) == 1:
        return None, steps[0]
    if len(steps) == 2 and isinstance(steps[0], MinMaxScaler | StandardScaler) and not getattr(steps[0], "clip", False):
        check_is_fitted(steps[0])
        return steps[0], steps[1]
    names = ", ".join(type(step).__name__ for step in steps[:-1])
    raise TypeError(
        "SAELens' layout holds a SparseAutoencoder, alone or behind one MinMaxScaler or StandardScaler that does not "
        f"clip, not behind {names}: pass the last step, whose inputs are the transformed rows"
    )


def _check_model(model: Any) -> None:
    if not isinstance(model, SparseAutoencoder):
        raise TypeError(f"SAELens' layout holds a SparseAutoencoder, not a {type(model).__name__}")
    check_is_fitted(model)
    for name, needed in (("hidden_activation", "relu"), ("output_activation", "identity")):
        if getattr(model, name) != needed:
            raise ValueError(f"SAELens' layout needs {name}={needed!r}; this model has {getattr(model, name)!r}")


def _hyperparameters(model: SparseAutoencoder) -> dict[str, Any]:
    return {
        "sparsity": str(model.sparsity),
        "rho": float(model.rho),
        "beta": float(model.beta_),
        "unit": float(model._unit),
        "alpha": float(model.alpha),
        "tied": bool(model.tied),
    }


def _arrays(scaler: Any, model: SparseAutoencoder, dtype: str, apply_b_dec_to_input: bool) -> dict[str, Any]:
    """Return the weights for rows that are not scaled, in the convention of the biases, computed in float64."""
    (w_enc, w_dec), (b_enc, b_dec) = (
        [np.asarray(array, dtype=np.float64) for array in arrays] for arrays in (model.coefs_, model.intercepts_)
    )
    if scaler is not None:
        s, m = _scale_and_shift(scaler)
        w_enc, b_enc = s[:, None] * w_enc, b_enc + m @ w_enc
        w_dec, b_dec = w_dec / s, (b_dec - m) / s
    if apply_b_dec_to_input:
        b_enc = b_enc + b_dec @ w_enc
    arrays = {"W_enc": w_enc, "W_dec": w_dec, "b_enc": b_enc, "b_dec": b_dec}
    with np.errstate(over="ignore"):
        arrays = {name: np.ascontiguousarray(array, dtype=dtype) for name, array in arrays.items()}
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise ValueError(f"{name} has numbers beyond the range of {dtype}: use dtype='float64'")
    return arrays


def _scale_and_shift(scaler: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return s and m of a scaler u = x s + m."""
    zeros = np.zeros(scaler.n_features_in_)
    if isinstance(scaler, MinMaxScaler):
        return zeros + scaler.scale_, zeros + scaler.min_
    s = zeros + (1.0 if scaler.scale_ is None else 1.0 / scaler.scale_)
    return s, zeros - (s * scaler.mean_ if scaler.with_mean else 0.0)


def _write(folder: Path, config: bytes, weights: bytes, *, overwrite: bool) -> None:
    """Write both files; neither is there, or replaced, before both are written to the disk."""
    with (
        atomic_write(folder / CONFIG_FILE, overwrite=overwrite) as config_file,
        atomic_write(folder / WEIGHTS_FILE, overwrite=overwrite) as weights_file,
    ):
        config_file.write(config)
        weights_file.write(weights)
