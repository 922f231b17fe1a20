"""Load autoencoders for ``learn``, ``show``, ``encode`` and ``report``, with the files of their runs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparsam.cli import table_options
from sparsam.cli.console import require_files
from sparsam.cli.table_options import METRICS_FILE

if TYPE_CHECKING:
    from sparsam.estimators.autoencoder import SparseAutoencoder
    from sparsam.estimators.stacked_autoencoder import StackedAutoencoder

MODEL_FILE, SCALER_FILE = "model.safetensors", "scaler.safetensors"


@dataclass(frozen=True)
class LearnedModel:
    """An autoencoder, and the scaler and metrics in the folder of its run.

    Attributes
    ----------
    autoencoder : SparseAutoencoder or StackedAutoencoder
    scaler : PatchNormalizer, Whitening, MinMaxScaler or None
        Scaler of the inputs; None for a model outside a run, and for runs of version 0.1.0.
    origin : dict
        The entry ``data`` of the run's metrics, about the source of the inputs. Empty for a model outside a run.
    """

    autoencoder: SparseAutoencoder | StackedAutoencoder
    scaler: Any
    origin: dict[str, Any]


def model_file_of(path: Path) -> Path:
    """Return the model file in a run's folder, or the path itself if it is a file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the folder holds a run of another command.
    """
    if not path.is_dir():
        require_files(path)
        return path
    if not (path / MODEL_FILE).is_file():
        if (path / table_options.MODEL_FILE).is_file():
            raise ValueError(
                f"{path} holds a run of another command, for tables: name a run of `sparsam learn`, with an autoencoder"
            )
        raise FileNotFoundError(f"the folder {path} holds no {MODEL_FILE}: name a folder that `sparsam learn` wrote")
    return path / MODEL_FILE


def load_learned(path: Path) -> LearnedModel:
    """Load an autoencoder, and its scaler if that is in the same folder.

    Parameters
    ----------
    path : Path
        Folder of a run of ``sparsam learn``, or a model file.
    """
    file = model_file_of(path)
    from sparsam.io.persistence import load

    autoencoder = load_autoencoder(file)
    if file.name != MODEL_FILE or not (file.parent / METRICS_FILE).is_file():
        return LearnedModel(autoencoder, None, {})
    scaler = load(file.parent / SCALER_FILE) if (file.parent / SCALER_FILE).is_file() else None
    n_scaled = None if scaler is None else len(scaler.get_feature_names_out())
    if n_scaled not in (None, autoencoder.n_features_in_):
        raise ValueError(
            f"{file.parent / SCALER_FILE} has {n_scaled} features, but {file.name} has "
            f"{autoencoder.n_features_in_}: they are from different runs"
        )
    return LearnedModel(autoencoder, scaler, read_metrics(file.parent)["data"])


def parameters_of(model: Any) -> dict[str, Any]:
    """Return the hyperparameters of an autoencoder; those of the parts of a stack by their number."""
    parameters = model.get_params()
    parts = {name for name in parameters if f"{name}__n_components" in parameters} | {"autoencoders"}
    return {name: value for name, value in parameters.items() if name not in parts}


def load_autoencoder(path: Path) -> SparseAutoencoder | StackedAutoencoder:
    """Load a model, and check that it is an autoencoder or a stack."""
    from sparsam.estimators.autoencoder import SparseAutoencoder
    from sparsam.estimators.stacked_autoencoder import StackedAutoencoder
    from sparsam.io.persistence import load

    model = load(path)
    if not isinstance(model, SparseAutoencoder | StackedAutoencoder):
        raise ValueError(f"{path} holds a {type(model).__name__}: a SparseAutoencoder is needed")
    return model


def read_metrics(run: Path) -> dict[str, Any]:
    """Read the metrics of a run.

    Raises
    ------
    ValueError
        If the file is damaged, or another program wrote it.
    """
    path = run / METRICS_FILE
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: cannot be read: {error}") from error
    if not isinstance(metrics, dict) or not isinstance(metrics.get("data"), dict):
        raise ValueError(f'{path} has no entry "data": another program wrote it')
    return metrics


def image_shape_of(origin: dict[str, Any], n_features: int) -> tuple[int, ...] | None:
    """Return the image shape of the rows that the run recorded; None if rows are not images."""
    if "image_shape" in origin:
        return None if origin["image_shape"] is None else tuple(origin["image_shape"])
    size = origin["patch_size"]  # a run of version 0.1.0, with gray patches
    return (size, size) if n_features == size**2 else None


def whiten_of(origin: dict[str, Any]) -> bool | None:
    """Return the run's --whiten, which version 0.1.0 may have recorded only as the number of whitened images."""
    if "whiten" in origin or isinstance(origin["images"], str):
        return origin.get("whiten")
    return {0: False, origin["n_images"]: True}.get(origin["n_whitened"])
