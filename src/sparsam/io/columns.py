"""Classify the columns of a raw table: numeric, categorical, or dropped because no model can learn from them.

The content of a column decides, not its storage type: text that consists of numbers is numeric in every file format.
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

from sparsam._utils.listed import listed
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

MOST_CATEGORIES = 50  # a column with more holds identifiers or free text
SHOWN_CATEGORIES = 5
STRONG_SKEW = 2.0  # that of an exponential distribution
DATES_REMARK = "dates or times; convert them to numbers first"
NUMERIC = ("integer", "floating", "boolean", "decimal", "mixed-integer-float")
DATES = ("datetime64", "datetime", "date", "time", "timedelta64", "timedelta", "period")
NAMELESS = re.compile(r"Unnamed: \d+|")  # pandas' name for a column without one in the header
DATE = re.compile(
    r"(\d{4}[-/]\d\d?[-/]\d\d?|\d\d?[-./]\d\d?[-./]\d{2,4}|\d\d?[ -][A-Za-z]{3,9}[ -]\d{2,4})([T ].*)?"
    r"|\d\d?:\d\d(:\d\d)?.*"
)


@dataclass(frozen=True)
class Column:
    """Kind of a table's column, and a remark for the user."""

    name: str
    kind: Literal["numeric", "categorical", "dropped"]
    remark: str = ""

    def __str__(self) -> str:
        """Describe the column in a line."""
        return f"{self.name}: {self.kind}" + f"; {self.remark}" * bool(self.remark)


def typed_columns(table: pd.DataFrame, form: CsvFormat = PLAIN) -> tuple[pd.DataFrame, list[Column]]:
    """Convert columns of numbers to floats and categories to text; drop dates.

    Parameters
    ----------
    table : DataFrame
    form : CsvFormat, default: the plain one
        Format of numbers written as text.

    Returns
    -------
    typed : DataFrame
        The columns that a model can use: float64 with NaN, or text with NaN.
    dropped : list of Column
        The other columns.

    Raises
    ------
    ValueError
        If a column holds infinity, lists or complex numbers, or numbers in another format. The message names the
        column.
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
                dropped.append(Column(name, "dropped", "a row counter without a name"))
            else:
                typed[name] = numbers
        elif (texts := as_categories(values, name)).map(is_date, na_action="ignore").dropna().all():
            dropped.append(Column(name, "dropped", DATES_REMARK))
        else:
            typed[name] = texts
    return pd.DataFrame(typed, index=table.index), dropped


def _is_numeric_text(values: pd.Series, name: str, form: CsvFormat) -> bool:
    """Return whether text consists of numbers and marks of missing values; reject numbers in another format."""
    known = as_categories(values, name).dropna()
    texts = known[~known.isin(MISSING_MARKS)]
    if texts.empty or is_code(texts).any():
        return False
    hint = format_hint(texts, form)
    if hint:
        raise ValueError(f"the column {name!r} seems to hold numbers in another format; {hint}")
    return bool(numbers_in(texts, form).notna().all())


def as_numbers(values: pd.Series, name: str, form: CsvFormat = PLAIN, *, kind: str = "column") -> NDArray[np.float64]:
    """Convert a column to floats; missing values and marks of them, such as "?", become NaN.

    Raises
    ------
    ValueError
        If a value is not a number, or is infinite. The message names the column, the value and its row.
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
    found = "infinity" if np.isinf(numbers[row]) else f"{values.iloc[row]!r}, which is not a number"
    cure = format_hint(texts.dropna(), form) or "correct the value, or leave it empty"
    place = f"first in row {values.index[row]} (the first row is 0)"
    raise ValueError(f"the {kind} {name!r} holds {found}, {place}: {cure}")


def as_categories(values: pd.Series, name: str) -> pd.Series:
    """Convert a column to text; missing values become NaN.

    Raises
    ------
    ValueError
        If it holds lists, arrays or other containers. The message names the column and the row.
    """
    objects = values.astype(object)
    contained = objects.map(lambda value: isinstance(value, list | tuple | dict | set | np.ndarray)).to_numpy(bool)
    if contained.any():
        row = int(np.argmax(contained))
        raise ValueError(
            f"the column {name!r} holds lists or arrays, first in row {values.index[row]}: split them into one column "
            f"per value, or leave the column out (--ignore {shlex.quote(name)})"
        )
    return objects.where(objects.notna(), np.nan).map(text_of, na_action="ignore").astype(object)


def text_of(value: Any) -> str:
    """Convert a category to text; 1 and 1.0 give the same."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def is_date(text: str) -> bool:
    """Return whether text is a date in digits, with or without a time, or a time."""
    return DATE.fullmatch(text) is not None


def describe_columns(typed: pd.DataFrame) -> list[Column]:
    """Decide the kind of each column of a typed table of training rows, and add a remark."""
    return [_numeric(typed[name]) if typed[name].dtype.kind == "f" else _categorical(typed[name]) for name in typed]


def _numeric(values: pd.Series) -> Column:
    name, known = str(values.name), values.dropna()
    if known.nunique() < 2:
        return Column(name, "dropped", f"constant, {known.iloc[0]:g}" if len(known) else "without any value")
    remarks = []
    if len(known) < len(values):
        remarks.append(f"{len(values) - len(known)} missing, imputed by the median, {known.median():g}")
    if is_identifier(values):
        remarks.append(f"a different integer in each row: if it identifies rows, use --ignore {shlex.quote(name)}")
    elif is_log_normal(known):
        remarks.append("strongly skewed: its logarithm may predict better")
    return Column(name, "numeric", "; ".join(remarks))


def is_identifier(values: pd.Series) -> bool:
    """Return whether numbers may identify rows: integers, a different one in each row."""
    return bool((values == values.round()).all() and values.is_unique)


def is_log_normal(known: pd.Series) -> bool:
    """Return whether positive numbers are strongly skewed, and their logarithms are not."""
    return bool((known > 0).all() and known.skew() > STRONG_SKEW and abs(np.log(known).skew()) < STRONG_SKEW / 3)


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
    remark = listed(categories, most=SHOWN_CATEGORIES)
    return Column(name, "categorical", remark + (f"; {n_missing} missing, kept as a category" * (n_missing > 0)))


def _about_texts(values: pd.Series, known: pd.Series, n_categories: int) -> str:
    if is_code(known).any() and known.str.isdigit().all():
        return f"{n_categories} different codes with leading zeros"
    numeric = numbers_in(known).notna()
    if numeric.mean() > 0.5:
        bad = known[~numeric & ~known.isin(MISSING_MARKS)]
        share = f"text, although {numeric.mean():.0%} of its values are numbers"
        return f"{share}: correct {bad.iloc[0]!r} in row {bad.index[0]}, or leave it empty"
    return f"{n_categories} different texts in {len(values)} rows, such as {known.iloc[0]!r}: names, or free text"


def numeric_targets(table: pd.DataFrame, columns: list[str], form: CsvFormat = PLAIN) -> pd.DataFrame:
    """Return target columns as floats, NaN where missing.

    Raises
    ------
    ValueError
        If one is not numeric, has no values, or is constant. The message names the column.
    """
    targets = {}
    for name in columns:
        kind = infer_dtype(table[name], skipna=True)
        if not (kind == "empty" or kind in NUMERIC or _is_numeric_text(table[name], name, form)):
            known = table[name].dropna()
            text = known[numbers_in(known.map(text_of), form).isna()]
            bad = known if text.empty else text  # codes with leading zeros are text
            raise ValueError(
                f"the target {name!r} holds text in {len(bad)} of {len(table)} rows, such as {text_of(bad.iloc[0])!r} "
                f"in row {bad.index[0]} (the first row is 0): correct these values or leave them empty, choose another "
                f"target, or predict categories with `sparsam classify --label {shlex.quote(name)}`"
            )
        targets[name] = as_numbers(table[name], name, form, kind="target")
        known = pd.Series(targets[name]).dropna()
        if known.empty:
            raise ValueError(f"the target {name!r} has no values: choose another target")
        if known.nunique() == 1:
            raise ValueError(f"the target {name!r} is constant, {known.iloc[0]:g}: there is nothing to predict")
    return pd.DataFrame(targets, index=table.index)


def class_labels(values: pd.Series, name: str) -> pd.Series:
    """Return labels as integers, booleans or text, with NaN for missing ones, independent of the storage type.

    Raises
    ------
    ValueError
        If they are fractional numbers, or lists. The message names the column.
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
            f"the label {name!r} holds fractional numbers, such as {broken.iloc[0]:g}: predict numbers with "
            f"`sparsam regress --target {shlex.quote(name)}`, or write the classes as text"
        )
    return pd.Series([np.nan if np.isnan(number) else int(number) for number in numbers], values.index, dtype=object)


def numeric_columns(table: pd.DataFrame, form: CsvFormat = PLAIN) -> tuple[pd.DataFrame, list[Column]]:
    """Return the columns of numbers, and the decision about each column.

    Raises
    ------
    ValueError
        If no column holds numbers, or as in `typed_columns`.
    """
    typed, dropped = typed_columns(table, form)
    text = [name for name in typed if typed[name].dtype.kind != "f"]
    numbers = typed.drop(columns=text)
    if numbers.empty:
        raise ValueError("no column of the table holds numbers")
    decided = {column.name: column for column in dropped} | {name: Column(name, "dropped", "text") for name in text}
    for name in numbers:
        remark = "a different integer in each row: if it identifies rows, leave it out" * is_identifier(numbers[name])
        decided[name] = Column(name, "numeric", remark)
    return numbers, [decided[name] for name in table]
