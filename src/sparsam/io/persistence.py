"""Save and load fitted estimators: arrays as safetensors, everything else as JSON in its header; never pickle.

The file is a plain safetensors file: ``coefs_0``, ``intercepts_0``, ... and a header entry ``sparsam`` with the class,
its parameters, scalar results, versions, and a SHA-256 digest of everything, which reveals edits.
"""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from sparsam._utils.atomic_write import atomic_write
from sparsam._utils.checksummed_file import Arrays, checksummed, read_checksummed
from sparsam.engine.training.stop_reasons import IMPORTED
from sparsam.io.schemas import LAYOUTS, Layout
from sparsam.io.sklearn_settings import restore_settings, settings_of

__all__ = ["load", "save"]

FORMAT = 1
HEADER_KEY = "sparsam"

LABELS = {"b": "bool", "i": "int64", "u": "uint64", "f": "float64", "U": "str", "O": "object"}
"""Kinds of labels that a header can hold, and the types to restore; labels of type object must be strings."""

PARTS = {
    "autoencoder_": "model.autoencoder_",
    "steps": "model[-1]",
    "best_estimator_": "model.best_estimator_",
    "estimator_": "model.estimator_",
}
"""Attributes of pipelines, searches and `TangentPipeline`, and the expression of the network in each."""

WEIGHTS = ("coefs_", "intercepts_")

OBSERVERS = {"_skl_callbacks"}
"""Attributes that observe a fit without influencing it, like ``callback``: a loaded model does not have them."""


def save(estimator: BaseEstimator, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Save a fitted estimator to a file.

    Parameters
    ----------
    estimator : estimator or transformer of sparsam
        A fitted SparseAutoencoder, StackedAutoencoder, AutoencoderOutlierDetector, MultivariateNormalRegressor,
        NoisyLabelClassifier, PatchNormalizer, Whitening or ConvolutionalFeatures; or scikit-learn's MinMaxScaler or
        StandardScaler.
    path : str or path
        Usually ``*.safetensors``. The file is written completely or not at all.
    overwrite : bool, default False
        Whether an existing file may be replaced.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If it is not an estimator of sparsam (a pipeline, for example); or if it has something that a file cannot hold:
        a callable ``tangents``, a ``cv`` that is no number, or an attribute that neither `fit` nor scikit-learn sets.
    ValueError
        If it was changed after the fit so that `load` would reject it: its parameters are invalid, for example.
    FileExistsError
        If the file exists and ``overwrite`` is False.

    Notes
    -----
    Parameters that do not influence the result of a fit are not saved, and are None after loading: ``callback`` and
    scikit-learn's callbacks, ``mesh`` and ``checkpoint``. A `RandomState` object is not saved either, but an integer
    ``random_state`` is. Settings made by ``set_output`` and ``set_fit_request`` are saved.

    To save a whole pipeline, use skops, which is installed with sparsam: ``skops.io.dump(pipeline, path)``. To load it,
    name the types that you trust:
    ``skops.io.load(path, trusted=["sparsam.estimators.autoencoder.SparseAutoencoder"])``.

    Examples
    --------
    >>> import tempfile, pathlib, numpy as np
    >>> from sparsam import SparseAutoencoder, load, save
    >>> X = np.random.default_rng(0).uniform(size=(50, 4))
    >>> model = SparseAutoencoder(n_components=2, rho=0.1, random_state=0).fit(X)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(model, pathlib.Path(folder) / "model.safetensors")
    ...     again = load(pathlib.Path(folder) / "model.safetensors")
    >>> bool(np.all(again.transform(X) == model.transform(X)))
    True
    """
    layout = _layout_of(estimator)
    check_is_fitted(estimator)
    model: Any = estimator
    layout.check(model)
    if callable(getattr(model, "tangents", None)):
        raise TypeError(
            "tangents is a function, which a file cannot hold; without it, fitting again would give another model: "
            "call set_params(tangents=None) before saving, and set tangents again after loading"
        )
    if not isinstance(getattr(model, "cv", None), int | np.integer | None):
        raise TypeError(
            "cv is a splitter or row numbers, which a file cannot hold; without them, fitting again would give another "
            "model: call set_params(cv=5) before saving, and set cv again after loading"
        )

    header, arrays = _content_of(model)
    header["format"] = FORMAT
    header["versions"] = {package: importlib.metadata.version(package) for package in ("sparsam", "jax", "numpy")}
    _refuse_lost_attributes(model, _rebuild(header, arrays))
    with atomic_write(path, overwrite=overwrite) as file:
        file.write(checksummed(HEADER_KEY, header, arrays))


def _content_of(model: Any) -> tuple[dict[str, Any], Arrays]:
    """Return the header and the arrays of a fitted estimator; those of its parts have their name as a prefix."""
    layout = _layout_of(model)
    arrays: Arrays = {name: getattr(model, name) for name in layout.arrays} | layout.encode(model)
    history = model._history if layout.is_network else {}
    sampled = model._sample_history if layout.is_network else {}
    for name in WEIGHTS if layout.is_network else ():
        arrays |= {f"{name}{layer}": array for layer, array in enumerate(getattr(model, name))}
    arrays |= {f"history.{column}": np.asarray(values) for column, values in history.items()}
    arrays |= {f"sample_history.{column}": np.asarray(values) for column, values in sampled.items()}
    parts: dict[str, list[dict[str, Any]]] = {}
    for name in layout.parts:
        parts[name] = []
        for number, part in enumerate(_as_list(getattr(model, name))):
            header, of_part = _content_of(part)
            parts[name].append(header)
            arrays |= {f"{name}.{number}.{key}": array for key, array in of_part.items()}
    header = {
        "class": type(model).__name__,
        "parameters": _parameters_as_json(model, layout),
        "results": {name: _as_json(getattr(model, name)) for name in layout.results},
        "labels": {name: _labels_as_json(getattr(model, name)) for name in layout.labels},
        "history": list(history),
        "sample_history": list(sampled),
        "feature_names": getattr(model, "feature_names_in_", np.array([])).tolist(),
        "settings": settings_of(model),
        "parts": parts,
    }
    return header, arrays


def _as_list(part: Any) -> list[Any]:
    """Return a list as it is, one estimator or the steps of a pipeline as a list, and an empty list for None."""
    if isinstance(part, Pipeline):
        return [step for _, step in part.steps if step not in (None, "passthrough")]
    return part if isinstance(part, list) else [] if part is None else [part]


def _layout_of(estimator: Any) -> Layout:
    """Return the layout of the estimator's class.

    Raises
    ------
    TypeError
        If it is not one of sparsam's estimators. For a pipeline or a search, the message tells how to save it.
    """
    layout = LAYOUTS.get(type(estimator).__name__)
    if layout is not None and type(estimator) is layout.estimator:
        return layout
    message = f"only {', '.join(LAYOUTS)} can be saved, not {type(estimator).__name__}"
    for attribute, part in PARTS.items():
        if hasattr(estimator, attribute):
            raise TypeError(f"{message}: save only its network, {part}, or all of it with skops.io.dump(model, path)")
    raise TypeError(f"{message}: skops.io.dump(model, path) saves others")


def _refuse_lost_attributes(model: Any, rebuilt: Any) -> None:
    """Raise TypeError if the model has attributes that the model rebuilt from its file does not have."""
    for name in LAYOUTS[type(model).__name__].parts:
        for part, again in zip(_as_list(getattr(model, name)), _as_list(getattr(rebuilt, name)), strict=True):
            _refuse_lost_attributes(part, again)
    lost = sorted(vars(model).keys() - vars(rebuilt).keys() - OBSERVERS)
    if lost:
        raise TypeError(
            f"neither fit nor scikit-learn sets the attribute {lost[0]!r}, so a file cannot hold it: delete it before "
            "saving"
        )


def load(path: str | os.PathLike[str]) -> Any:
    """Load an estimator that `save` wrote.

    Nothing in the file is executed or trusted: class, parameters, shapes and digest are checked.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    estimator
        The fitted estimator, of the class that was saved.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is truncated, edited, not a model file, or in a newer format.

    Examples
    --------
    See `save`.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no model file at {path}")
    try:
        header, arrays = read_checksummed(path, HEADER_KEY, FORMAT, if_older="load it with that version")
        return _rebuild(header, arrays)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
        raise ValueError(f"cannot load {path}: {_reason(error)}") from error


def _rebuild(header: dict[str, Any], arrays: Arrays) -> BaseEstimator:
    layout = _known_layout(header["class"])
    model: Any = _new_estimator(layout, header["parameters"])
    results = layout.with_current_names(header["results"])
    for name, kind in layout.results.items():
        if name in layout.derived and name not in results:
            continue
        if type(results[name]) is not kind:
            raise ValueError(f"{name} is not of type {kind.__name__}")
        setattr(model, name, results[name])
    names = header["feature_names"]
    if names != []:
        if type(names) is not list or {type(name) for name in names} != {str} or len(names) != model.n_features_in_:
            raise ValueError("its feature names are not one string per feature")
        model.feature_names_in_ = np.array(names, dtype=object)

    for name in layout.arrays:
        if name not in layout.derived or name in arrays:
            setattr(model, name, arrays[name])
    for name in layout.labels:
        setattr(model, name, _labels_from_json(header.get("labels", {})[name]))
    if layout.is_network:
        _restore_training(model, header, arrays)
    for name, kind in layout.parts.items():
        restored = _rebuild_parts(name, header.get("parts", {}).get(name, []), arrays)  # files of 0.1.0 have none
        setattr(model, name, restored if kind is list else restored[0] if restored else None)
    layout.decode(model, arrays)
    restore_settings(model, header.get("settings", {}))  # files of 0.1.0 have none
    layout.complete(model)
    layout.check(model)
    return model


def _known_layout(name: str) -> Layout:
    layout = LAYOUTS.get(name)
    if layout is None:
        raise ValueError(f"it holds a {name!r}, which this version of sparsam does not know")
    return layout


def _rebuild_parts(name: str, headers: list[dict[str, Any]], arrays: Arrays) -> list[BaseEstimator]:
    """Rebuild the fitted estimators that are an attribute of another one."""
    parts = []
    for number, header in enumerate(headers):
        prefix = f"{name}.{number}."
        own = {key[len(prefix) :]: array for key, array in arrays.items() if key.startswith(prefix)}
        parts.append(_rebuild(header, own))
    return parts


def _restore_training(model: Any, header: dict[str, Any], arrays: Arrays) -> None:
    """Set the weights of a network, and the history of its training."""
    check_random_state(model.random_state)
    for name in WEIGHTS:
        n_layers = sum(key.startswith(name) for key in arrays)
        setattr(model, name, [arrays[f"{name}{layer}"] for layer in range(n_layers)])
    unknown = model.stop_reason_ == IMPORTED  # J of another program's training
    model._history = _history(header["history"], arrays, "history", finite=not unknown)
    if len(model._history["J"]) != model.n_iter_ + 1:
        raise ValueError(BAD_HISTORY)
    model.loss_curve_ = model._history["J"]
    model._sample_history = _history(header.get("sample_history", []), arrays, "sample_history")  # 0.1.0 has none


def _history(names: list[str], arrays: Arrays, kind: str, *, finite: bool = True) -> dict[str, list[float]]:
    """Read the columns of a history, one finite number per iteration."""
    columns = {name: arrays[f"{kind}.{name}"] for name in names}
    for values in columns.values():
        same_length = values.ndim == 1 and len(values) == len(columns[names[0]])
        if not same_length or values.dtype.kind not in "fi" or not (np.all(np.isfinite(values)) or not finite):
            raise ValueError(BAD_HISTORY)
    return {name: values.tolist() for name, values in columns.items()}


BAD_HISTORY = "its history does not hold one finite number per iteration"


def _parameters_as_json(estimator: Any, layout: Layout) -> dict[str, Any]:
    """Convert hyperparameters to JSON values; those that JSON cannot hold are None."""
    parameters = estimator.get_params(deep=False)
    for name in layout.not_saved:
        if not isinstance(parameters[name], int | np.integer):
            parameters[name] = None
    return {name: _as_json(value) for name, value in parameters.items()}


def _new_estimator(layout: Layout, parameters: Mapping[str, Any]) -> BaseEstimator:
    """Make an estimator with hyperparameters that `_parameters_as_json` converted, perhaps in an older version."""
    current = layout.up_to_date(parameters)
    if set(current) != set(layout.estimator().get_params(deep=False)):
        raise ValueError("its parameters are not those that the class has in this version")
    return layout.estimator(**{name: _from_json(value) for name, value in current.items()})


def _as_json(value: Any) -> Any:
    """Convert a parameter to JSON values: a number, text, None, an estimator, or collections and arrays of these."""
    if isinstance(value, FrozenEstimator):  # the fitted estimator is a part of the model
        return {"frozen": _as_json(value.estimator)}
    if isinstance(value, Pipeline):
        return {"pipeline": [[name, _as_json(step)] for name, step in value.steps]}
    if isinstance(value, BaseEstimator):
        layout = _layout_of(value)
        return {"estimator": type(value).__name__, "parameters": _parameters_as_json(value, layout)}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return {"array": value.tolist()}
    if isinstance(value, Mapping):
        return {"mapping": [[_as_json(key), _as_json(part)] for key, part in value.items()]}
    if isinstance(value, tuple):
        return {"tuple": [_as_json(part) for part in value]}
    return [_as_json(part) for part in value] if isinstance(value, list) else value


def _from_json(value: Any) -> Any:
    """Invert `_as_json`."""
    if isinstance(value, list):
        return [_from_json(part) for part in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"array"}:
        return np.array(value["array"])
    if set(value) == {"estimator", "parameters"}:
        return _new_estimator(_known_layout(value["estimator"]), value["parameters"])
    if set(value) == {"pipeline"}:
        return Pipeline([(name, _from_json(step)) for name, step in value["pipeline"]])
    if set(value) == {"frozen"}:
        return FrozenEstimator(_from_json(value["frozen"]))
    if set(value) == {"mapping"}:
        return {_from_json(key): _from_json(part) for key, part in value["mapping"]}
    if set(value) == {"tuple"}:
        return tuple(_from_json(part) for part in value["tuple"])
    raise ValueError("a parameter has an unknown kind")


def _labels_as_json(labels: NDArray[Any]) -> dict[str, Any]:
    kind = labels.dtype.kind
    if kind not in LABELS or (kind == "O" and not all(isinstance(label, str) for label in labels)):
        raise TypeError(f"labels of type {labels.dtype} cannot be saved: use numbers or strings")
    return {"kind": kind, "labels": labels.tolist()}


def _labels_from_json(header: dict[str, Any]) -> NDArray[Any]:
    kind, labels = header["kind"], header["labels"]
    if len({type(label) for label in labels}) > 1:
        raise ValueError("its labels have different types")
    return np.array(labels, dtype=LABELS[kind])


def _reason(error: Exception) -> str:
    return (
        str(error)
        if isinstance(error, ValueError) and str(error)
        else f"its content is not what sparsam writes ({error!r})"
    )
