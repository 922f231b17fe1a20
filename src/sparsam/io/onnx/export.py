"""Make an ONNX model of a fitted estimator or pipeline."""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from sparsam._utils.atomic_write import atomic_write
from sparsam.io.onnx.estimators import add_estimator, is_network
from sparsam.io.onnx.foreign import add_foreign
from sparsam.io.onnx.graph import Graph, Rows
from sparsam.io.onnx.steps import STEPS, add_steps
from sparsam.io.onnx.table_columns import add_table_columns, is_of_table

__all__ = ["to_onnx"]

TYPES = ("float32", "float64")


def to_onnx(
    model: Any, *, dtype: str = "float32", path: str | os.PathLike[str] | None = None, overwrite: bool = False
) -> Any:
    """Make an ONNX model, which runs in C++, C#, Java, JavaScript, and in a browser.

    Parameters
    ----------
    model : estimator or Pipeline
        A fitted estimator or transformer of sparsam, or a pipeline. Its steps are those of sparsam, MinMaxScaler,
        StandardScaler, and whatever skl2onnx can convert. Searches stand for their best estimator.
    dtype : {"float32", "float64"}, default "float32"
        Precision of the graph, its inputs and outputs. Float32 runs everywhere. Estimators predict in float64 in
        Python: use float64 if inputs have more than seven digits that matter, such as 1e9 + 0.5.
    path : path, optional
        File to write, usually ``*.onnx``, completely or not at all.
    overwrite : bool, default False
        Whether an existing file may be replaced.

    Returns
    -------
    onnx.ModelProto
        Opset 17. The input is ``X``, (N, n_features) with any N. If the first step is a ColumnTransformer that was
        fitted on a data frame, there is an input (N, 1) for each column that it uses: numbers, NaN where one is
        missing, or text, empty where it is missing. A category that an encoder refuses makes the numbers NaN, but
        not a ``label``. The outputs are

        - of an autoencoder: ``code``, ``reconstruction`` and ``score`` (that of ``score_samples``);
        - of a classifier: ``label`` and ``probabilities``;
        - of a regressor: ``mean`` and ``std``, both (N, n_outputs);
        - of an outlier detector: ``label``, ``score``, ``decision`` and ``errors``;
        - of a transformer: ``features``.

        Its metadata hold the class, the names of the features, and those of the classes, as JSON.

    Raises
    ------
    ImportError
        If onnx is missing, or skl2onnx for a step of scikit-learn: ``pip install 'sparsam[onnx]'``.
    NotFittedError
        If the model is not fitted.
    TypeError
        If the model, or a step of the pipeline, has no graph.
    FileExistsError
        If the file exists and ``overwrite`` is False.

    References
    ----------
    ONNX operators, https://onnx.ai/onnx/operators.

    Examples
    --------
    >>> import numpy as np
    >>> from sparsam import SparseAutoencoder, to_onnx
    >>> X = np.random.default_rng(0).uniform(0.1, 0.9, size=(50, 4))
    >>> model = SparseAutoencoder(2, rho=0.3, tol=1e-3, random_state=0).fit(X)
    >>> graph = to_onnx(model).graph
    >>> [value.name for value in graph.input], [value.name for value in graph.output]
    (['X'], ['code', 'reconstruction', 'score'])
    """
    dtype = str(getattr(dtype, "__name__", dtype))  # NumPy's types have names
    if dtype not in TYPES:
        raise ValueError(f"dtype must be one of {', '.join(map(repr, TYPES))}; got {dtype!r}")
    if path is not None and os.path.lexists(path) and not overwrite:
        raise FileExistsError(f"{os.fspath(path)} exists: name another file, or replace it with overwrite=True")
    try:
        import onnx  # noqa: F401
    except ImportError as error:
        raise ImportError(f"to_onnx needs onnx: pip install 'sparsam[onnx]' ({error})") from error
    model = getattr(model, "best_estimator_", model)
    if not hasattr(model, "fit"):
        raise TypeError(f"to_onnx takes a fitted estimator or pipeline, got {model!r}")
    steps = _steps_of(model)
    if not steps:
        raise TypeError("to_onnx takes a fitted estimator or pipeline, but all steps of this one are 'passthrough'")
    for name, step in steps:
        _check_fitted(name, step)
    graph = Graph(np.dtype(dtype))
    _add(graph, steps)
    content = graph.model(type(model).__name__, _properties(model, steps))
    if path is not None:
        with atomic_write(path, overwrite=overwrite) as file:
            file.write(content.SerializeToString())
    return content


def _check_fitted(name: str, step: Any) -> None:
    try:
        check_is_fitted(step)
    except NotFittedError as error:
        raise NotFittedError(f"{name or type(step).__name__}: {error}") from error


def _steps_of(model: Any, name: str = "") -> list[tuple[str, Any]]:
    """Return the steps of a pipeline, of nested ones too, or of a `TangentPipeline`; another model is one step."""
    if model is None or isinstance(model, str):  # "passthrough"
        return []
    if isinstance(model, FrozenEstimator):
        return _steps_of(model.estimator, name)
    if hasattr(model, "steps"):
        return [inner for own, step in model.steps for inner in _steps_of(step, own)]
    if hasattr(model, "transformer_") and hasattr(model, "estimator_"):
        return [*_steps_of(model.transformer_, "transformer"), *_steps_of(model.estimator_, "estimator")]
    return [(name, model)]


def _add(graph: Graph, steps: list[tuple[str, Any]]) -> None:
    """Add all steps; the outputs are those of the last."""
    if is_of_table(steps[0][1]):
        x = add_table_columns(graph, steps[0][1])
        steps = steps[1:]
    else:
        x = graph.input("X", int(steps[0][1].n_features_in_))
    if not steps:
        graph.output("features", x.name, x.width)
        return
    *first, (name, last) = steps
    x = add_steps(graph, x, first)
    if is_network(last):
        add_estimator(graph, x, last)
    elif isinstance(last, tuple(STEPS)):
        features = add_steps(graph, x, [(name, last)])
        graph.output("features", features.name, features.width)
    else:
        _add_last_foreign(graph, x, name, last)


def _add_last_foreign(graph: Graph, x: Rows, name: str, last: Any) -> None:
    """Add an estimator of scikit-learn, which ends the pipeline."""
    outputs = add_foreign(graph, x, name, last)
    if len(outputs) == 2:
        classes = np.asarray(last.classes_)
        graph.output("label", outputs[0].name, dtype=object if classes.dtype.kind in "UO" else np.int64)
        graph.output("probabilities", outputs[1].name, outputs[1].width)
    else:
        graph.output("features" if hasattr(last, "transform") else "prediction", outputs[0].name, outputs[0].width)


def _properties(model: Any, steps: list[tuple[str, Any]]) -> dict[str, str]:
    properties = {"class": type(model).__name__}
    names = getattr(model, "feature_names_in_", None)
    if names is not None:
        properties["feature_names"] = json.dumps([str(name) for name in names])
    classes = getattr(steps[-1][1], "classes_", None)
    if classes is not None:
        properties["classes"] = json.dumps(np.asarray(classes).tolist())
    return properties
