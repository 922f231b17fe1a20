"""Add encoders of categories to a graph, as tables of the numbers that they give for each category."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sparsam.io.columns import text_of
from sparsam.io.onnx.graph import Graph, Rows

__all__ = ["CategoryColumn", "add_categories"]

UNKNOWN_TEXT = "\0"  # is no category
FLOAT32 = 1  # ONNX's number of this type, the only floating one of keys


@dataclass(frozen=True)
class CategoryColumn:
    """A column of categories.

    Attributes
    ----------
    name : str
    known : list
        The categories that are not missing.
    missing : list
        What may stand for a missing value; the first that the encoder takes counts.
    """

    name: str
    known: list[Any]
    missing: list[Any]

    @classmethod
    def of(cls, name: str, values: Sequence[Any]) -> CategoryColumn:
        """Sort values into those that are missing and others."""
        gaps = [value for value in values if pd.isna(value)]
        return cls(name, [value for value in values if not pd.isna(value)], [*gaps, np.nan, None])

    @property
    def has_text(self) -> bool:
        """Whether some category is text."""
        return any(isinstance(value, str) for value in self.known)

    @property
    def unknown(self) -> Any:
        """A value that is no category."""
        return UNKNOWN_TEXT if self.has_text else max(self.known, default=0) + 1


def add_categories(
    graph: Graph, x: Sequence[Rows], encoder: Any, columns: Sequence[CategoryColumn], *, as_text: bool
) -> Rows:
    """Add what an encoder, or imputers and an encoder, make of columns of categories.

    For each column a table holds what the encoder itself gives for each of its categories, for any other one, and for a
    missing one. So it is right for all encoders and options, as long as each output depends on one column only.

    Parameters
    ----------
    graph : Graph
    x : sequence of Rows
        The columns.
    encoder : transformer
    columns : sequence of CategoryColumn
    as_text : bool
        Whether categories that are numbers are given as text.

    Raises
    ------
    TypeError
        If an output depends on several columns.
    """
    tables = [_encode_each(encoder, columns, k) for k in range(len(columns))]
    varies = np.array([np.any((table != table[0]) & ~np.isnan(table), axis=0) for table in tables])
    if np.any(varies.sum(axis=0) > 1):
        raise TypeError(f"{type(encoder).__name__} has no graph in ONNX: an output depends on several columns")
    owner = varies.argmax(axis=0)  # the column that each output depends on
    parts = [
        _look_up(graph, rows, column, table[:, owner == k], as_text=as_text or column.has_text)
        for k, (rows, column, table) in enumerate(zip(x, columns, tables, strict=True))
        if np.any(owner == k)
    ]
    joined = graph.concat(parts)
    places = np.argsort(np.argsort(owner, kind="stable"))
    if np.all(places == np.arange(len(owner))):
        return joined
    return Rows(graph.add("Gather", joined.name, graph.constant(places), axis=1), joined.width)


def _encode_each(encoder: Any, columns: Sequence[CategoryColumn], k: int) -> NDArray[np.float64]:
    """Encode each category of a column, then an unknown and a missing value; NaN where the encoder refuses them."""
    column = columns[k]
    found = _encode(encoder, columns, k, column.known or column.missing[:1])
    for values in ([column.unknown], column.missing):
        row = np.full(found.shape[1], np.nan)
        for value in reversed(values):  # the first counts
            with suppress(ValueError, TypeError):
                row = _encode(encoder, columns, k, [value])[0]
        found = np.vstack([found, row])
    return found


def _encode(encoder: Any, columns: Sequence[CategoryColumn], k: int, values: list[Any]) -> NDArray[np.float64]:
    """Encode values of a column; the others have their first category."""
    frame = {column.name: [*column.known, *column.missing][:1] * len(values) for column in columns}
    frame[columns[k].name] = values
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a category is unknown
        encoded = encoder.transform(pd.DataFrame(frame, dtype=object))
    return np.asarray(encoded.toarray() if hasattr(encoded, "toarray") else encoded, np.float64)


def _look_up(graph: Graph, x: Rows, column: CategoryColumn, table: NDArray[np.float64], *, as_text: bool) -> Rows:
    """Add the rows of a table that belong to the categories of x."""
    unknown, missing = len(table) - 2, len(table) - 1
    numbers: dict[Any, int] = {text_of(value) if as_text else float(value): k for k, value in enumerate(column.known)}
    if as_text:
        numbers.setdefault("", missing)
        number = _number_of(graph, x.name, "keys_strings", numbers, unknown)
    else:
        numbers = numbers or {float(column.unknown): unknown}
        number = _number_of(graph, graph.add("Cast", x.name, to=FLOAT32), "keys_floats", numbers, unknown)
        number = graph.add("Where", graph.add("IsNaN", x.name), graph.constant(np.int64(missing)), number)
    flat = graph.add("Squeeze", number, graph.constant(np.array([1], np.int64)))
    return Rows(graph.add("Gather", graph.constant(table, "categories"), flat, axis=0), table.shape[1])


def _number_of(graph: Graph, x: str, kind: str, numbers: dict[Any, int], unknown: int) -> str:
    attributes: dict[str, Any] = {kind: list(numbers), "values_int64s": list(numbers.values())}
    return graph.add("LabelEncoder", x, domain="ai.onnx.ml", default_int64=unknown, **attributes)
