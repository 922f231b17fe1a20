"""Add fitted transformers to a graph: ours, the usual scalers, columns of tables, and others by skl2onnx."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from sparsam.io.onnx.foreign import add_foreign
from sparsam.io.onnx.graph import Graph, Rows
from sparsam.io.onnx.own_steps import OWN_STEPS, Add
from sparsam.io.pipelines import CATEGORIES, NUMBERS

__all__ = ["add_steps", "add_table_columns", "is_of_table"]


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
        if step is None or step == "passthrough":
            continue
        if isinstance(step, Pipeline):
            x = add_steps(graph, x, step.steps)
            continue
        known = next((add for kind, add in STEPS.items() if isinstance(step, kind)), None)
        x = add_foreign(graph, x, name, step)[0] if known is None else known(graph, x, step)
    return x


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


STEPS: dict[type, Add] = OWN_STEPS | {StandardScaler: _standard_scaler, MinMaxScaler: _min_max_scaler}


def is_of_table(step: Any) -> bool:
    """Return whether this encodes the columns of a raw table, as `sparsam.io.pipelines.table_pipeline` makes it."""
    return isinstance(step, ColumnTransformer) and {name for name, *_ in step.transformers} <= {NUMBERS, CATEGORIES}


def add_table_columns(graph: Graph, step: ColumnTransformer) -> Rows:
    """Add an input for each column of a raw table, numbers or text, and their encoding.

    A missing number is NaN, and a missing category the empty text.
    """
    parts: list[str] = []
    width = 0
    for part, fitted, names in step.transformers_:
        if part == NUMBERS:
            imputer, scaler = fitted[0], fitted[-1]
            values = graph.add("Concat", *(graph.input(name, 1).name for name in names), axis=1)
            medians = graph.constant(imputer.statistics_[None], "median")
            values = graph.add("Where", graph.add("IsNaN", values), medians, values)
            parts.append(_standard_scaler(graph, Rows(values, len(names)), scaler).name)
            width += len(names)
        elif part == CATEGORIES:
            for name, categories in zip(names, fitted.categories_, strict=True):
                parts.append(_indicators(graph, graph.input(name, 1, object).name, categories))
                width += len(categories)
    return Rows(parts[0] if len(parts) == 1 else graph.add("Concat", *parts, axis=1), width)


def _indicators(graph: Graph, column: str, categories: Any) -> str:
    """Add an indicator of each category; a text that is none of them sets no indicator."""
    from sparsam.io.columns import text_of

    texts = ["" if pd.isna(category) else text_of(category) for category in categories]
    numbers = graph.add(
        "LabelEncoder",
        column,
        domain="ai.onnx.ml",
        keys_strings=texts,
        values_int64s=list(range(len(texts))),
        default_int64=-1,
    )
    places = graph.constant(np.arange(len(texts), dtype=np.int64)[None])
    return graph.add("Cast", graph.add("Equal", numbers, places), to=graph.float_type)
