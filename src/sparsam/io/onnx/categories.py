"""Add encoders of categories to a graph, as tables of the numbers that they give for each category."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sparsam.io.columns import text_of
from sparsam.io.onnx.graph import Graph, Rows

__all__ = ["CategoryColumn", "add_categories"]

UNKNOWN_TEXT = "\0"  # is no category
FLOAT32 = 1  # ONNX's number of this type, the only floating one of keys
N_CHECKED = 300  # random rows on which the tables are compared with the encoder


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
        """Sort values into those that are missing and others.

        Raises
        ------
        TypeError
            If a graph cannot tell the categories apart.
        """
        gaps = [value for value in values if pd.isna(value)]
        column = cls(name, [value for value in values if not pd.isna(value)], [*gaps, np.nan, None])
        others = [value for value in column.known if not isinstance(value, str | Real | np.bool_)]
        reason = None
        if others:
            reason = f"are of the type {type(others[0]).__name__}: make text of them"
        elif not column.has_text and len({np.float32(value) for value in column.known}) < len(column.known):
            reason = "differ by less than the precision of float32, which ONNX has for them: make text of them"
        elif len({type(gap) for gap in gaps}) > 1 or (gaps and "" in column.known):
            reason = "are missing in two ways, which are both an empty text in ONNX: use one of them"
        if reason is not None:
            raise TypeError(f"the column {name!r} has no graph in ONNX: its categories {reason}")
        return column

    @property
    def has_text(self) -> bool:
        """Whether some category is text."""
        return any(isinstance(value, str) for value in self.known)

    @property
    def unknown(self) -> Any:
        """A value that is no category."""
        return UNKNOWN_TEXT if self.has_text else 2 * abs(max(self.known, key=abs, default=0)) + 1


class _Table(NamedTuple):
    """Encoding of each category of a column, then of an unknown value and of a missing one.

    Attributes
    ----------
    rows : array of shape (n_categories + 2, n_outputs)
    refused : bool array of shape (n_categories + 2,)
        Where the encoder raises an error.
    """

    rows: NDArray[np.float64]
    refused: NDArray[np.bool_]

    @property
    def varies(self) -> NDArray[np.bool_]:
        """Mask of the outputs that depend on the column."""
        rows = self.rows[~self.refused]
        return np.any((rows != rows[0]) & ~(np.isnan(rows) & np.isnan(rows[0])), axis=0)


def add_categories(graph: Graph, x: Sequence[Rows], encoder: Any, columns: Sequence[CategoryColumn]) -> Rows:
    """Add what an encoder, or imputers and an encoder, make of columns of categories.

    For each column a table holds what the encoder itself gives for each of its categories, for any other one, and for a
    missing one. So it is right for all encoders and options, as long as each output depends on one column only. Where
    the encoder refuses a value, all outputs are NaN.

    Raises
    ------
    TypeError
        If an output depends on several columns.
    """
    tables = [_encode_each(encoder, columns, k) for k in range(len(columns))]
    owner = np.array([table.varies for table in tables]).argmax(axis=0)  # the column that each output depends on
    _check_alone(encoder, columns, tables, owner)
    numbers = [_number(graph, rows, column) for rows, column in zip(x, columns, strict=True)]
    parts = [_look_up(graph, numbers[k], tables[k].rows[:, owner == k]) for k in np.unique(owner)]
    joined = graph.concat(parts)
    places = np.argsort(np.argsort(owner, kind="stable"))
    value = joined.name
    if np.any(places != np.arange(len(owner))):
        value = graph.add("Gather", value, graph.constant(places), axis=1)
    for number, table in zip(numbers, tables, strict=True):
        if table.refused.any():
            refusal = graph.constant(np.where(table.refused, np.nan, 0.0)[:, None], "refused")
            value = graph.add("Add", value, graph.add("Gather", refusal, number, axis=0))
    return Rows(value, joined.width)


def _check_alone(
    encoder: Any, columns: Sequence[CategoryColumn], tables: Sequence[_Table], owner: NDArray[np.intp]
) -> None:
    """Raise TypeError unless the tables give what the encoder gives, for random categories of all columns."""
    generator = np.random.default_rng(0)
    drawn = [generator.integers(0, len(_values(column)), N_CHECKED) for column in columns]
    frame = {column.name: [_values(column)[k] for k in rows] for column, rows in zip(columns, drawn, strict=True)}
    found = _encode(encoder, frame)
    expected = np.empty_like(found)
    for k, (table, rows) in enumerate(zip(tables, drawn, strict=True)):
        expected[:, owner == k] = table.rows[rows][:, owner == k]
    if not np.array_equal(found, expected, equal_nan=True):
        raise TypeError(f"{type(encoder).__name__} has no graph in ONNX: an output depends on several columns")


def _values(column: CategoryColumn) -> list[Any]:
    return column.known or column.missing[:1]


def _encode_each(encoder: Any, columns: Sequence[CategoryColumn], k: int) -> _Table:
    """Encode each category of a column, then an unknown and a missing value; the others have their first category."""
    column, first = columns[k], {column.name: _values(column)[0] for column in columns}
    rows = _encode(encoder, _frame(first, column.name, _values(column)))
    refused = [False] * len(rows)
    for values in ([column.unknown], column.missing):
        row = None
        for value in reversed(values):  # the first counts
            with suppress(ValueError, TypeError):
                row = _encode(encoder, _frame(first, column.name, [value]))
        rows = np.vstack([rows, np.zeros((1, rows.shape[1])) if row is None else row])
        refused.append(row is None)
    return _Table(rows, np.array(refused))


def _frame(first: dict[str, Any], name: str, values: list[Any]) -> dict[str, list[Any]]:
    return {other: [value] * len(values) for other, value in first.items()} | {name: values}


def _encode(encoder: Any, frame: dict[str, list[Any]]) -> NDArray[np.float64]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a category is unknown
        encoded = encoder.transform(pd.DataFrame(frame, dtype=object))
    return np.asarray(encoded.toarray() if hasattr(encoded, "toarray") else encoded, np.float64)


def _number(graph: Graph, x: Rows, column: CategoryColumn) -> str:
    """Add the number of the category of each row, then those of an unknown and of a missing value."""
    unknown = len(_values(column))
    if column.has_text:
        texts: dict[Any, int] = {text_of(value): k for k, value in enumerate(column.known)}
        texts.setdefault("", unknown + 1)
        number = _encoded(graph, x.name, "keys_strings", texts, unknown)
    else:
        numbers: dict[Any, int] = {float(value): k for k, value in enumerate(column.known)}
        numbers = numbers or {float(column.unknown): unknown}
        number = _encoded(graph, graph.add("Cast", x.name, to=FLOAT32), "keys_floats", numbers, unknown)
        number = graph.add("Where", graph.add("IsNaN", x.name), graph.constant(np.int64(unknown + 1)), number)
    return graph.add("Squeeze", number, graph.constant(np.array([1], np.int64)))


def _encoded(graph: Graph, x: str, kind: str, numbers: dict[Any, int], unknown: int) -> str:
    attributes: dict[str, Any] = {kind: list(numbers), "values_int64s": list(numbers.values())}
    return graph.add("LabelEncoder", x, domain="ai.onnx.ml", default_int64=unknown, **attributes)


def _look_up(graph: Graph, number: str, table: NDArray[np.float64]) -> Rows:
    """Add the rows of a table by their numbers; indicators from the place of the 1, since the table would be large."""
    if np.isin(table, (0.0, 1.0)).all() and (table.sum(axis=1) <= 1).all():
        ones = np.where(table.any(axis=1), table.argmax(axis=1), -1)[:, None]
        place = graph.add("Gather", graph.constant(ones, "place"), number, axis=0)
        equal = graph.add("Equal", place, graph.constant(np.arange(table.shape[1])[None]))
        return Rows(graph.add("Cast", equal, to=graph.float_type), table.shape[1])
    return Rows(graph.add("Gather", graph.constant(table, "categories"), number, axis=0), table.shape[1])
