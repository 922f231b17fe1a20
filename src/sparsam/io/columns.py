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

from sparsam.io.csv_format import MISSING_MARKS, PLAIN, CsvFormat, format_hint, is_code, numbers_in

__all__ = [
    "Column",
    "as_categories",
    "as_numbers",
    "class_labels",
    "describe_columns",
    "numeric_columns",
    "numeric_targets",
    "typed_columns",
]

MOST_CATEGORIES = 50  # more are identifiers, or free text
SHOWN_CATEGORIES = 5
DATES_REMARK = "dates or times; make numbers of them first"
NUMERIC = ("integer", "floating", "boolean", "decimal", "mixed-integer-float")
DATES = ("datetime64", "datetime", "date", "time", "timedelta64", "timedelta", "period")
NAMELESS = re.compile(r"Unnamed: \d+|")  # by pandas, where the header has no name
DATE = re.compile(
    r"(\d{4}[-/]\d\d?[-/]\d\d?|\d\d?[-./]\d\d?[-./]\d{2,4}|\d\d?[ -][A-Za-z]{3,9}[ -]\d{2,4})([T ].*)?"
    r"|\d\d?:\d\d(:\d\d)?.*"
)


@dataclass(frozen=True)
class Column:
    """What a table's column is for a model, and a remark for the user."""

    name: str
    kind: Literal["numeric", "categorical", "dropped"]
    remark: str = ""

    def __str__(self) -> str:
        """Write a line about the column."""
        return f"{self.name}: {self.kind}" + f"; {self.remark}" * bool(self.remark)


def typed_columns(table: pd.DataFrame, form: CsvFormat = PLAIN) -> tuple[pd.DataFrame, list[Column]]:
    """Make floats of columns of numbers and text of categories; leave dates out.

    Parameters
    ----------
    table : DataFrame
    form : CsvFormat, default: the plain one
        In which text writes numbers.

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
        elif kind in NUMERIC or (kind != "categorical" and _is_numeric_text(values, name, form)):
            numbers = as_numbers(values, name, form)
            if NAMELESS.fullmatch(name) and (numbers == numbers.round()).all() and (np.diff(numbers) > 0).all():
                dropped.append(Column(name, "dropped", "a counter of the rows, without a name"))
            else:
                typed[name] = numbers
        elif (texts := as_categories(values, name)).map(is_date, na_action="ignore").dropna().all():
            dropped.append(Column(name, "dropped", DATES_REMARK))
        else:
            typed[name] = texts
    return pd.DataFrame(typed, index=table.index), dropped


def _is_numeric_text(values: pd.Series, name: str, form: CsvFormat) -> bool:
    """Tell whether text consists of numbers and marks of missing values; refuse numbers in another format."""
    known = as_categories(values, name).dropna()
    texts = known[~known.isin(MISSING_MARKS)]
    if texts.empty or is_code(texts).any():
        return False
    hint = format_hint(texts, form)
    if hint:
        raise ValueError(f"the column {name!r} seems to hold numbers in another format; {hint}")
    return bool(numbers_in(texts, form).notna().all())


def as_numbers(values: pd.Series, name: str, form: CsvFormat = PLAIN, *, kind: str = "column") -> NDArray[np.float64]:
    """Convert a column to floats, NaN where a value is missing or a mark such as "?" stands for one.

    Raises
    ------
    ValueError
        If a value is no number, or infinite: it names the column, the value and its row.
    """
    texts = pd.Series(dtype=object)
    if pd.api.types.is_numeric_dtype(values.dtype):
        numbers = values.to_numpy(float, na_value=np.nan)
        missing = values.isna().to_numpy()
    else:
        texts = as_categories(values, name)
        missing = (texts.isna() | texts.isin(MISSING_MARKS)).to_numpy()
        numbers = np.where(missing, np.nan, numbers_in(texts, form).to_numpy())
    faulty = (np.isnan(numbers) & ~missing) | np.isinf(numbers)
    if not faulty.any():
        return numbers
    row = int(np.argmax(faulty))
    found = "infinity" if np.isinf(numbers[row]) else f"{values.iloc[row]!r}, which is no number"
    cure = format_hint(texts.dropna(), form) or "correct the value, or leave it empty"
    place = f"first in row {values.index[row]} (the first row is 0)"
    raise ValueError(f"the {kind} {name!r} holds {found}, {place}: {cure}")


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
    if known.empty:
        return Column(name, "dropped", "without any value")
    if len(counts) + (n_missing > 0) < 2:
        return Column(name, "dropped", f"constant, {known.iloc[0]!r}")
    if len(counts) > min(MOST_CATEGORIES, len(known) / 2):
        return Column(name, "dropped", _about_texts(values, known, len(counts)))
    categories = sorted(counts.index)
    more = f" and {len(categories) - SHOWN_CATEGORIES} more" if len(categories) > SHOWN_CATEGORIES else ""
    remark = ", ".join(categories[:SHOWN_CATEGORIES]) + more
    return Column(name, "categorical", remark + (f"; {n_missing} missing, a category of their own" * (n_missing > 0)))


def _about_texts(values: pd.Series, known: pd.Series, n_categories: int) -> str:
    if is_code(known).any() and known.str.isdigit().all():
        return f"{n_categories} different codes with leading zeros"
    plain = numbers_in(known).notna()
    if plain.mean() > 0.5:
        bad = known[~plain & ~known.isin(MISSING_MARKS)]
        share = f"text, though {plain.mean():.0%} of its values are numbers"
        return f"{share}: correct {bad.iloc[0]!r} in row {bad.index[0]}, or leave it empty"
    return f"{n_categories} different texts in {len(values)} rows, such as {known.iloc[0]!r}: names, or free text"


def numeric_targets(table: pd.DataFrame, columns: list[str], form: CsvFormat = PLAIN) -> pd.DataFrame:
    """Return target columns as floats, NaN where missing.

    Raises
    ------
    ValueError
        If one is not numeric, holds nothing, or does not vary: it names the column.
    """
    targets = {}
    for name in columns:
        kind = infer_dtype(table[name], skipna=True)
        if not (kind == "empty" or kind in NUMERIC or _is_numeric_text(table[name], name, form)):
            shown = table[name].dropna().iloc[0]
            raise ValueError(
                f"the target {name!r} is not numeric, its first value is {text_of(shown)!r}: choose another, or "
                f"predict categories by `sparsam classify --label {name}`"
            )
        targets[name] = as_numbers(table[name], name, form, kind="target")
        known = pd.Series(targets[name]).dropna()
        if known.empty:
            raise ValueError(f"the target {name!r} holds no value at all: choose another")
        if known.nunique() == 1:
            raise ValueError(f"the target {name!r} is constant, {known.iloc[0]:g}: nothing is left to predict")
    return pd.DataFrame(targets, index=table.index)


def class_labels(values: pd.Series, name: str) -> pd.Series:
    """Return labels as whole numbers, truth values or text, and NaN where one is missing, whatever has stored them.

    Raises
    ------
    ValueError
        If they are numbers that are not whole, or lists: it names the column.
    """
    kind = infer_dtype(values, skipna=True)
    missing = values.isna() | values.isin(MISSING_MARKS)
    if kind == "boolean" or (kind == "integer" and not missing.any()):
        return values.astype(object).where(~missing, np.nan)
    if kind not in NUMERIC:
        return as_categories(values, name).where(~missing, np.nan)
    numbers = pd.Series(as_numbers(values, name, kind="label"), values.index)
    broken = numbers[numbers != numbers.round()].dropna()
    if len(broken):
        raise ValueError(
            f"the label {name!r} holds numbers that are not whole, such as {broken.iloc[0]:g}: predict numbers by "
            f"`sparsam regress --target {shlex.quote(name)}`, or write classes as text"
        )
    return pd.Series([np.nan if np.isnan(number) else int(number) for number in numbers], values.index, dtype=object)


def numeric_columns(table: pd.DataFrame, form: CsvFormat = PLAIN) -> tuple[pd.DataFrame, list[Column]]:
    """Return the columns of numbers, and what was decided about each column.

    Raises
    ------
    ValueError
        If there is none, or as in `typed_columns`.
    """
    typed, dropped = typed_columns(table, form)
    text = [name for name in typed if typed[name].dtype.kind != "f"]
    numbers = typed.drop(columns=text)
    if numbers.empty:
        raise ValueError("no column of the table holds numbers")
    decided = {column.name: column for column in dropped} | {name: Column(name, "dropped", "text") for name in text}
    for name in numbers:
        remark = "another whole number in each row: if it identifies rows, leave it out" * is_identifier(numbers[name])
        decided[name] = Column(name, "numeric", remark)
    return numbers, [decided[name] for name in table]
