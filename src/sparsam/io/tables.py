"""Raw tables: reading them, and making numbers of their columns around an estimator.

A table becomes inputs by scikit-learn's own transformers, which impute, standardize and encode; what is decided about
each column is said aloud.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

__all__ = ["TABLES", "numeric_targets", "read_table", "table_pipeline", "take_columns"]

TABLES = (".csv", ".parquet", ".npz")
MOST_CATEGORIES = 50  # of a column that is to be encoded; more are identifiers, or free text


def read_table(path: Path, say: Callable[[str], None] = lambda message: None) -> pd.DataFrame:
    """Read a table with named columns.

    Of an .npz file every array of one or two dimensions is a column, or columns NAME_0, NAME_1, ...; those of fewer
    rows than the longest are left out, as is said.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it cannot be read, or holds no table.
    """
    suffix = path.suffix.lower()
    if suffix not in TABLES:
        raise ValueError(f"{path}: unknown format; use one of {', '.join(TABLES)}")
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    try:
        if suffix == ".csv":
            table = pd.read_csv(path)
        elif suffix == ".parquet":
            table = pd.read_parquet(path)
        else:
            table = _read_arrays(path, say)
    except ImportError as error:
        raise ValueError(f"{path}: Parquet files need pyarrow; pip install 'sparsam[parquet]'") from error
    except (ValueError, OSError, pd.errors.ParserError) as error:
        raise ValueError(f"{path}: cannot be read: {error}") from error
    if table.empty:
        raise ValueError(f"{path}: the table has no rows, or no columns")
    table.columns = table.columns.map(str)
    return table


def _read_arrays(path: Path, say: Callable[[str], None]) -> pd.DataFrame:
    columns: dict[str, Any] = {}
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    n_rows = max((len(array) for array in arrays.values() if array.ndim), default=0)
    left_out = [name for name, array in arrays.items() if array.ndim not in (1, 2) or len(array) != n_rows]
    if left_out:
        say(f"Left out of {path.name}, for they are no columns of {n_rows} rows: {_listed(left_out)}")
    for name in arrays.keys() - set(left_out):
        array = arrays[name]
        columns |= {name: array} if array.ndim == 1 else {f"{name}_{k}": array[:, k] for k in range(array.shape[1])}
    return pd.DataFrame({name: columns[name] for name in sorted(columns, key=_natural)})


def _natural(name: str) -> tuple[str, int]:
    """Sort X_2 before X_10."""
    stem, _, number = name.rpartition("_")
    return (stem, int(number)) if number.isdigit() else (name, -1)


def take_columns(table: pd.DataFrame, names: list[str]) -> list[str]:
    """Return the columns of that name; or, of a two-dimensional array of that name, all its columns.

    Raises
    ------
    ValueError
        If there is none.
    """
    taken: list[str] = []
    for name in names:
        matches = (
            [name] if name in table else [c for c in table if c.startswith(f"{name}_") and c[len(name) + 1 :].isdigit()]
        )
        if not matches:
            raise ValueError(f"no column {name!r} in the table; its columns are {_listed(list(table))}")
        taken += [column for column in matches if column not in taken]
    return taken


def numeric_targets(table: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Return target columns as floats, NaN where missing.

    Raises
    ------
    ValueError
        If one is not numeric, holds nothing, or does not vary: it names the column.
    """
    targets = {}
    for column in columns:
        try:
            values = pd.to_numeric(table[column]).astype(float)
        except (ValueError, TypeError) as error:
            raise ValueError(
                f"the target {column!r} is not numeric ({error}): choose another, or `sparsam classify`"
            ) from error
        if values.isna().all():
            raise ValueError(f"the target {column!r} holds no value at all: choose another")
        if np.isinf(values).any():
            raise ValueError(f"the target {column!r} holds infinity, first in row {int(np.argmax(np.isinf(values)))}")
        if values.nunique() == 1:
            raise ValueError(
                f"the target {column!r} is constant, {values.dropna().iloc[0]:g}: nothing is left to predict"
            )
        targets[column] = values
    return pd.DataFrame(targets)


def table_pipeline(inputs: pd.DataFrame, estimator: BaseEstimator, say: Callable[[str], None]) -> Pipeline:
    """Make a pipeline that takes a table like this one to the estimator.

    Numbers are imputed by their median and standardized; categories, imputed by the most frequent, become an
    indicator each, of which one never seen sets none. Columns that do not vary are dropped, and those that have a
    category for nearly every row, and dates.

    Raises
    ------
    ValueError
        If no column is left.
    """
    numbers, categories = [], []
    dropped: dict[str, list[str]] = {}
    for column in inputs:
        values = inputs[column]
        if values.nunique(dropna=True) + (values.isna().any() and not _is_number(values)) < 2:
            dropped.setdefault("constant", []).append(column)
        elif _is_number(values):
            numbers.append(column)
        elif pd.api.types.is_datetime64_any_dtype(values):
            dropped.setdefault("dates; make numbers of them first", []).append(column)
        elif values.nunique() > MOST_CATEGORIES:
            dropped.setdefault(f"more than {MOST_CATEGORIES} categories, as names have", []).append(column)
        else:
            categories.append(column)
    for reason, columns in dropped.items():
        say(f"Dropped ({reason}): {_listed(columns)}")
    if not numbers and not categories:
        raise ValueError(f"no column is left to learn from; there were {_listed(list(inputs))}")
    say(f"Inputs: {len(numbers)} numeric" + (f", {len(categories)} categorical" if categories else ""))
    missing = [column for column in (*numbers, *categories) if inputs[column].isna().any()]
    if missing:
        say(f"Imputed where missing: {_listed(missing)}")
    parts = [
        ("numbers", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
        (
            "categories",
            make_pipeline(
                SimpleImputer(strategy="most_frequent"),
                OneHotEncoder(handle_unknown="ignore", sparse_output=False, drop="if_binary"),
            ),
            categories,
        ),
    ]
    columns = ColumnTransformer([part for part in parts if part[2]], verbose_feature_names_out=False)
    return Pipeline([("columns", columns), ("model", estimator)])


def _is_number(values: pd.Series) -> bool:
    return bool(pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values))


def _listed(columns: list[str], most: int = 12) -> str:
    more = f" and {len(columns) - most} more" if len(columns) > most else ""
    return ", ".join(columns[:most]) + more
