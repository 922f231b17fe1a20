"""Write a fitted autoencoder as a folder in SAELens' layout."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
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
    model : SparseAutoencoder
        Fitted, with ``hidden_activation="relu"`` and ``output_activation="identity"``. A search stands for its best
        estimator.
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
        If the model is not a SparseAutoencoder, or metadata are not JSON values.
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

    computed in float64. ``metadata`` also holds, under "sparsam", the hyperparameters of J, which SAELens ignores.

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
    model = getattr(model, "best_estimator_", model)
    _check_model(model)
    dtype = str(model.coefs_[0].dtype if dtype is None else getattr(dtype, "__name__", dtype))
    if dtype not in TYPES:
        raise ValueError(f"dtype must be one of {', '.join(map(repr, TYPES))}; got {dtype!r}")
    folder = Path(path)
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        if os.path.lexists(folder / name) and not overwrite:
            raise FileExistsError(f"{folder / name} exists: name another folder, or replace it with overwrite=True")
    d_in, d_sae = model.coefs_[0].shape
    config = config_of(
        int(d_in), int(d_sae), dtype, bool(apply_b_dec_to_input), metadata or {}, _hyperparameters(model)
    )
    weights = safetensors.numpy.save(_arrays(model, dtype, apply_b_dec_to_input))
    if folder.exists():
        _write(folder, config, weights, overwrite=overwrite)
    else:
        with atomic_folder(folder) as new:
            _write(new, config, weights, overwrite=False)


def _check_model(model: Any) -> None:
    if not isinstance(model, SparseAutoencoder):
        advice = ": pass its last step, whose inputs are the transformed rows" if hasattr(model, "steps") else ""
        raise TypeError(f"SAELens' layout holds a SparseAutoencoder, not a {type(model).__name__}{advice}")
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


def _arrays(model: SparseAutoencoder, dtype: str, apply_b_dec_to_input: bool) -> dict[str, Any]:
    """Return the weights in the convention of the biases; biases are computed in float64."""
    (w_enc, w_dec), (b_enc, b_dec) = model.coefs_, (np.asarray(b, dtype=np.float64) for b in model.intercepts_)
    if apply_b_dec_to_input:
        b_enc = b_enc + b_dec @ np.asarray(w_enc, dtype=np.float64)
    arrays = {"W_enc": w_enc, "W_dec": w_dec, "b_enc": b_enc, "b_dec": b_dec}
    with np.errstate(over="ignore"):
        arrays = {name: np.ascontiguousarray(array, dtype=dtype) for name, array in arrays.items()}
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise ValueError(f"{name} has numbers beyond the range of {dtype}: use dtype='float64'")
    return arrays


def _write(folder: Path, config: bytes, weights: bytes, *, overwrite: bool) -> None:
    """Write both files; neither is there, or replaced, before both are written to the disk."""
    with (
        atomic_write(folder / CONFIG_FILE, overwrite=overwrite) as config_file,
        atomic_write(folder / WEIGHTS_FILE, overwrite=overwrite) as weights_file,
    ):
        config_file.write(config)
        weights_file.write(weights)
