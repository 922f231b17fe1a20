"""Columns of a raw table: numbers, categories, and those that no model can learn from.

The content of a column decides, not how it is stored: text that consists of numbers is numeric, in every file.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import infer_dtype

__all__ = [
    "Column",
    "as_categories",
    "as_numbers",
    "describe_columns",
    "numeric_columns",
    "numeric_targets",
    "typed_columns",
]

MOST_CATEGORIES = 50  # more are identifiers, or free text
SHOWN_CATEGORIES = 5
MISSING_MARKS = ("?", "-", "--", ".", "")
"""Text that stands for a missing value in a column of numbers."""

DATES_REMARK = "dates or times; make numbers of them first"
NUMERIC = ("integer", "floating", "boolean", "decimal", "mixed-integer-float")
DATES = ("datetime64", "datetime", "date", "time", "timedelta64", "timedelta", "period")
GROUPED = re.compile(r"[+-]?\d{1,3}((,\d{3})+(\.\d+)?|([' \u202f\u00a0]\d{3})+([.,]\d+)?|(\.\d{3}){2,}(,\d+)?)")
WITH_COMMA = re.compile(r"[+-]?\d*,\d+")

NAMELESS = re.compile(r"Unnamed: \d+|")  # by pandas, where the header has no name
DATE = re.compile(r"\d{4}-\d\d?-\d\d?([T ].*)?|\d\d?[./]\d\d?[./]\d{4}( .*)?|\d{4}/\d\d?/\d\d?( .*)?")


@dataclass(frozen=True)
class Column:
    """What a table's column is for a model, and a remark for the user."""

    name: str
    kind: Literal["numeric", "categorical", "dropped"]
    remark: str = ""

    def __str__(self) -> str:
        """Write a line about the column."""
        return f"{self.name}: {self.kind}" + f"; {self.remark}" * bool(self.remark)


def typed_columns(table: pd.DataFrame) -> tuple[pd.DataFrame, list[Column]]:
    """Make floats of columns of numbers and text of categories; leave dates out.

    Returns
    -------
    typed : DataFrame
        The columns that a model may take: float64 with NaN, or text with NaN.
    dropped : list of Column
        The others.

    Raises
    ------
    ValueError
        If a column holds infinity, lists or complex numbers, or numbers written in another format: it names the column.
    """
    typed: dict[str, Any] = {}
    dropped = []
    for name in table:
        values = table[name]
        kind = infer_dtype(values, skipna=True)
        if kind in DATES:
            dropped.append(Column(name, "dropped", DATES_REMARK))
        elif kind == "empty" or values.isna().all():
            dropped.append(Column(name, "dropped", "without any value"))
        elif kind in NUMERIC or (kind != "categorical" and _is_numeric_text(values, name)):
            numbers = as_numbers(values, name)
            if NAMELESS.fullmatch(name) and (numbers == numbers.round()).all() and (np.diff(numbers) > 0).all():
                dropped.append(Column(name, "dropped", "a counter of the rows, without a name"))
            else:
                typed[name] = numbers
        elif (texts := as_categories(values, name)).map(is_date, na_action="ignore").dropna().all():
            dropped.append(Column(name, "dropped", DATES_REMARK))
        else:
            typed[name] = texts
    return pd.DataFrame(typed, index=table.index), dropped


def _is_numeric_text(values: pd.Series, name: str) -> bool:
    """Tell whether text consists of numbers and marks of missing values; refuse numbers in another format."""
    known = as_categories(values, name).dropna()
    texts = known[~known.isin(MISSING_MARKS)].astype(str)
    if pd.to_numeric(texts, errors="coerce").notna().all():
        return len(texts) > 0
    plain = pd.to_numeric(texts, errors="coerce").notna()
    for pattern, cure in (
        (GROUPED, "numbers with a mark between thousands: give --thousands (and --decimal, if that is another)"),
        (WITH_COMMA, "numbers with a decimal comma: give --decimal ','"),
    ):
        if (plain | texts.str.fullmatch(pattern)).all():
            row = int(np.flatnonzero(~plain)[0])
            raise ValueError(f"the column {name!r} seems to hold {cure}. Its first such value is {texts.iloc[row]!r}")
    return False


def as_numbers(values: pd.Series, name: str, *, kind: str = "column") -> NDArray[np.float64]:
    """Convert a column to floats, NaN where a value is missing or a mark such as "?" stands for one.

    Raises
    ------
    ValueError
        If a value is no number, or infinite: it names the column, the value and its row.
    """
    missing = values.isna().to_numpy()
    if not pd.api.types.is_numeric_dtype(values.dtype):
        missing = missing | values.isin(MISSING_MARKS).to_numpy()
        values = values.astype(object)
    numbers = pd.to_numeric(values.mask(missing), errors="coerce").to_numpy(float, na_value=np.nan)
    for faulty, what in ((np.isnan(numbers) & ~missing, None), (np.isinf(numbers), "infinity")):
        if faulty.any():
            row = int(np.argmax(faulty))
            found = what or f"{values.iloc[row]!r}, which is no number"
            raise ValueError(
                f"the {kind} {name!r} holds {found}, first in row {values.index[row]} (the first row is 0): correct "
                "the value, or leave it empty"
            )
    return numbers


def as_categories(values: pd.Series, name: str) -> pd.Series:
    """Convert a column to text, NaN where a value is missing.

    Raises
    ------
    ValueError
        If it holds lists, arrays or other containers: it names the column and the row.
    """
    objects = values.astype(object)
    contained = objects.map(lambda value: isinstance(value, list | tuple | dict | set | np.ndarray)).to_numpy(bool)
    if contained.any():
        row = int(np.argmax(contained))
        raise ValueError(
            f"the column {name!r} holds lists or arrays, first in row {values.index[row]}: make a column of each "
            f"of their values, or leave it out (--ignore {shlex.quote(name)})"
        )
    return objects.where(objects.notna(), np.nan).map(text_of, na_action="ignore").astype(object)


def text_of(value: Any) -> str:
    """Write a category as text: 1 and 1.0 are the same."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def is_date(text: str) -> bool:
    """Tell whether text is a date in digits, with or without a time."""
    return DATE.fullmatch(text) is not None


def describe_columns(typed: pd.DataFrame) -> list[Column]:
    """Decide about each column of a typed table of rows to train on: a kind, and a remark."""
    return [_numeric(typed[name]) if typed[name].dtype.kind == "f" else _categorical(typed[name]) for name in typed]


def _numeric(values: pd.Series) -> Column:
    name, known = str(values.name), values.dropna()
    if known.nunique() < 2:
        return Column(name, "dropped", f"constant, {known.iloc[0]:g}" if len(known) else "without any value")
    remarks = []
    if len(known) < len(values):
        remarks.append(f"{len(values) - len(known)} missing, imputed by the median, {known.median():g}")
    if is_identifier(values):
        remarks.append(f"another whole number in each row: if it identifies rows, --ignore {shlex.quote(name)}")
    return Column(name, "numeric", "; ".join(remarks))


def is_identifier(values: pd.Series) -> bool:
    """Tell whether numbers may identify rows: whole ones, another in each row."""
    return bool((values == values.round()).all() and values.is_unique)


def _categorical(values: pd.Series) -> Column:
    name, known = str(values.name), values.dropna()
    counts = known.value_counts()
    n_missing = len(values) - len(known)
    if len(counts) + (n_missing > 0) < 2:
        return Column(name, "dropped", f"constant, {known.iloc[0]!r}")
    if len(counts) > min(MOST_CATEGORIES, len(known) / 2):
        return Column(name, "dropped", _about_texts(values, known, len(counts)))
    categories = sorted(counts.index)
    more = f" and {len(categories) - SHOWN_CATEGORIES} more" if len(categories) > SHOWN_CATEGORIES else ""
    remark = ", ".join(categories[:SHOWN_CATEGORIES]) + more
    return Column(name, "categorical", remark + (f"; {n_missing} missing, a category of their own" * (n_missing > 0)))


def _about_texts(values: pd.Series, known: pd.Series, n_categories: int) -> str:
    plain = pd.to_numeric(known, errors="coerce").notna()
    if plain.mean() > 0.5:
        bad = known[~plain & ~known.isin(MISSING_MARKS)]
        share = f"text, though {plain.mean():.0%} of its values are numbers"
        return f"{share}: correct {bad.iloc[0]!r} in row {bad.index[0]}, or leave it empty"
    return f"{n_categories} different texts in {len(values)} rows, such as {known.iloc[0]!r}: names, or free text"


def numeric_targets(table: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Return target columns as floats, NaN where missing.

    Raises
    ------
    ValueError
        If one is not numeric, holds nothing, or does not vary: it names the column.
    """
    targets = {}
    for name in columns:
        kind = infer_dtype(table[name], skipna=True)
        if not (kind == "empty" or kind in NUMERIC or _is_numeric_text(table[name], name)):
            shown = table[name].dropna().iloc[0]
            raise ValueError(
                f"the target {name!r} is not numeric, its first value is {text_of(shown)!r}: choose another, or "
                f"predict categories by `sparsam classify --label {name}`"
            )
        targets[name] = as_numbers(table[name], name, kind="target")
        known = pd.Series(targets[name]).dropna()
        if known.empty:
            raise ValueError(f"the target {name!r} holds no value at all: choose another")
        if known.nunique() == 1:
            raise ValueError(f"the target {name!r} is constant, {known.iloc[0]:g}: nothing is left to predict")
    return pd.DataFrame(targets, index=table.index)


def numeric_columns(table: pd.DataFrame) -> tuple[pd.DataFrame, list[Column]]:
    """Return the columns of numbers, and what was decided about each column.

    Raises
    ------
    ValueError
        If there is none, or as in `typed_columns`.
    """
    typed, dropped = typed_columns(table)
    text = [name for name in typed if typed[name].dtype.kind != "f"]
    numbers = typed.drop(columns=text)
    if numbers.empty:
        raise ValueError("no column of the table holds numbers")
    decided = {column.name: column for column in dropped} | {name: Column(name, "dropped", "text") for name in text}
    for name in numbers:
        remark = "another whole number in each row: if it identifies rows, leave it out" * is_identifier(numbers[name])
        decided[name] = Column(name, "numeric", remark)
    return numbers, [decided[name] for name in table]
