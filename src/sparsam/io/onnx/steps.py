"""Add fitted transformers to a graph: ours, the usual scalers and imputers, and others by skl2onnx."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler

from sparsam.io.onnx.foreign import add_foreign
from sparsam.io.onnx.graph import Graph, Rows
from sparsam.io.onnx.own_steps import OWN_STEPS, Add

__all__ = ["STEPS", "add_steps"]


def add_steps(graph: Graph, x: Rows, steps: Sequence[tuple[str, Any]]) -> Rows:
    """Add transformers, one after another.

    Raises
    ------
    TypeError
        If a step has no graph.
    ImportError
        If a step of scikit-learn needs skl2onnx, and it is missing.
    """
    for name, step in steps:
        if step is None or step == "passthrough" or _is_identity(step):
            continue
        if isinstance(step, Pipeline):
            x = add_steps(graph, x, step.steps)
            continue
        known = next((add for kind, add in STEPS.items() if isinstance(step, kind)), None)
        x = add_foreign(graph, x, name, step)[0] if known is None else known(graph, x, step)
    return x


def _is_identity(step: Any) -> bool:
    return isinstance(step, FunctionTransformer) and step.func is None  # "passthrough" in a ColumnTransformer


def _standard_scaler(graph: Graph, x: Rows, step: StandardScaler) -> Rows:
    scale = np.ones(x.width) if step.scale_ is None else step.scale_
    centered, rest = graph.subtract(x.name, step.mean_ if step.with_mean else np.zeros(x.width))
    scaled = graph.add("Div", centered, graph.constant(scale[None], "scale"))
    return Rows(graph.add("Add", scaled, graph.constant((rest / scale)[None])), x.width)


def _min_max_scaler(graph: Graph, x: Rows, step: MinMaxScaler) -> Rows:
    low, high = (float(bound) for bound in step.feature_range)
    centered, rest = graph.subtract(x.name, step.data_min_)
    scaled = graph.add("Mul", centered, graph.constant(step.scale_[None], "scale"))
    value = graph.add("Add", scaled, graph.constant((low + rest * step.scale_)[None]))
    if step.clip:
        value = graph.add("Clip", value, graph.constant(low), graph.constant(high))
    return Rows(value, x.width)


def _simple_imputer(graph: Graph, x: Rows, step: SimpleImputer) -> Rows:
    filled = pd.to_numeric(pd.Series(step.statistics_), errors="coerce").to_numpy(np.float64)
    if step.add_indicator or not pd.isna(step.missing_values) or np.isnan(filled).any():
        return add_foreign(graph, x, type(step).__name__, step)[0]
    value = graph.add("Where", graph.add("IsNaN", x.name), graph.constant(filled[None], "filled"), x.name)
    return Rows(value, x.width)


STEPS: dict[type, Add] = OWN_STEPS | {
    StandardScaler: _standard_scaler,
    MinMaxScaler: _min_max_scaler,
    SimpleImputer: _simple_imputer,
}
