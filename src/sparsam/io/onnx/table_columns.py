"""Add a ColumnTransformer of a data frame to a graph: an input for each column, numbers or text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from numbers import Integral
from typing import Any

import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline

from sparsam.io.onnx.categories import CategoryColumn, add_categories
from sparsam.io.onnx.graph import Graph, Rows
from sparsam.io.onnx.steps import add_steps

__all__ = ["add_table_columns", "is_of_table"]


def is_of_table(step: Any) -> bool:
    """Return whether this was fitted on a data frame, whose columns it transforms in parts."""
    return isinstance(step, ColumnTransformer) and hasattr(step, "feature_names_in_")


def add_table_columns(graph: Graph, step: ColumnTransformer) -> Rows:
    """Add an input for each column that is used, numbers or text, and what the parts make of them.

    A missing number is NaN, and a missing text empty. Where a part refuses a category, the graph gives NaN.

    Raises
    ------
    TypeError
        If a part has no graph.
    """
    inputs: dict[str, Rows] = {}
    results: list[Rows] = []
    for part, fitted, chosen in step.transformers_:
        names = [] if fitted == "drop" else _names_of(step, chosen)
        if not names:
            continue
        columns = _category_columns(fitted, names)
        for k, name in enumerate(names):
            is_text = columns is not None and columns[k].has_text
            inputs[name] = inputs.get(name) or graph.input(name, 1, object if is_text else None)
        x = [inputs[name] for name in names]
        if columns is None:
            found = add_steps(graph, graph.concat(x), [(part, fitted)])
        else:
            found = add_categories(graph, x, fitted, columns)
        weight = (step.transformer_weights or {}).get(part)
        if weight is not None:
            found = Rows(graph.add("Mul", found.name, graph.constant(float(weight))), found.width)
        results.append(found)
    return graph.concat(results)


def _names_of(step: ColumnTransformer, chosen: Any) -> list[str]:
    """Return the names of columns that are chosen by name, number, slice or mask."""
    if isinstance(chosen, str):
        return [chosen]
    names = pd.Series(step.feature_names_in_, index=step.feature_names_in_)
    if isinstance(chosen, Integral):
        return [names.iloc[chosen]]
    keys = [chosen.start, chosen.stop] if isinstance(chosen, slice) else chosen
    by_name = any(isinstance(key, str) for key in keys)
    return list(names.loc[chosen] if by_name else names.iloc[chosen])


def _category_columns(fitted: Any, names: Sequence[str]) -> list[CategoryColumn] | None:
    """Return the columns with the categories of an encoder, alone or after imputers; None without one."""
    marks: list[Any] = []
    for step in _steps(fitted):
        if hasattr(step, "categories_") and len(step.categories_) == len(names):
            return [
                CategoryColumn.of(name, [*known, *marks]) for name, known in zip(names, step.categories_, strict=True)
            ]
        if isinstance(step, SimpleImputer):
            marks.append(step.missing_values)
        elif step != "passthrough":
            break
    return None


def _steps(fitted: Any) -> Iterable[Any]:
    return [step for _, step in fitted.steps] if isinstance(fitted, Pipeline) else [fitted]
