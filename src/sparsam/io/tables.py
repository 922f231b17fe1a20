"""Read raw tables, and choose their columns by name."""

from __future__ import annotations

import csv
import difflib
import re
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sparsam._utils.listed import listed
from sparsam.io.csv_format import MISSING_MARKS, CsvFormat, is_code, numbers_in

__all__ = ["TABLES", "CsvFormat", "has_header", "read_table", "take_columns"]

TABLES = (".csv", ".tsv", ".parquet", ".npz")
SEPARATORS = {";": "';'", "\t": r"'\t'", "|": "'|'", ",": "','", " ": r"'\s+'"}
"""Separators to look for if a file has one column, and how to write them on the command line."""
ENCODINGS = ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))  # by the first bytes of a file
ARRAYS, NO_HEADER = "arrays", "no header"  # keys of DataFrame.attrs: columns of two-dimensional arrays; True


def read_table(
    path: Path,
    say: Callable[[str], None] = lambda message: None,
    *,
    csv_format: CsvFormat | None = None,
    text: Collection[str] = (),
    needs_header: bool = True,
) -> pd.DataFrame:
    """Read a table with named columns.

    In an .npz file, every array of one dimension is a column, and every array of two dimensions the columns NAME_0,
    NAME_1, ...; arrays whose number of rows differs from that of most are left out, with a message. In text files,
    digits with leading zeros are codes and stay text.

    Parameters
    ----------
    path : Path
        A .csv or .tsv file whose first line is a header, a .parquet file, or an .npz file of arrays.
    say : callable, default: silent
        Called with a message for the user.
    csv_format : CsvFormat or None, default=None
        Format of a .csv or .tsv file; None: the usual one.
    text : collection of str, default=()
        Columns of a .csv or .tsv file that are text even if they look like numbers.
    needs_header : bool, default=True
        Whether the first line of a .csv or .tsv file is a header even if it consists of numbers. If False, such a line
        is data, and the columns are named 0, 1, ...

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it cannot be read, holds no table, or two columns have the same name.
    """
    suffix = path.suffix.lower()
    if suffix not in TABLES:
        raise ValueError(f"{path}: unknown format; use one of {', '.join(TABLES)}")
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    try:
        if suffix == ".parquet":
            table = _with_row_numbers(pd.read_parquet(path))
        elif suffix == ".npz":
            table = _read_arrays(path, say)
        else:
            table = _read_text(path, csv_format or CsvFormat(), text, needs_header, say)
    except ImportError as error:
        raise ValueError(f"{path}: Parquet files need pyarrow: pip install 'sparsam[parquet]'") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: its text is not {error.encoding}: {_encoding_hint(path)}") from error
    except (ValueError, OSError, pd.errors.ParserError) as error:
        raise ValueError(f"{path}: cannot be read: {error}") from error
    if table.empty:
        raise ValueError(f"{path}: the table has no rows or no columns")
    table.columns = table.columns.map(str)
    _refuse_duplicates(path, list(table.columns))
    return table


def has_header(table: pd.DataFrame) -> bool:
    """Return whether the file had column names."""
    return not table.attrs.get(NO_HEADER, False)


def _with_row_numbers(table: pd.DataFrame) -> pd.DataFrame:
    """Replace the index by row numbers from 0; an index with a name becomes a column."""
    return table.reset_index(drop=table.index.names == [None])


def _read_text(
    path: Path, form: CsvFormat, text: Collection[str], needs_header: bool, say: Callable[[str], None]
) -> pd.DataFrame:
    sep = form.sep or ("\t" if path.suffix.lower() == ".tsv" else ",")
    header, row = _first_rows(path, sep, form.encoding)
    if header and not needs_header and _is_data(header, form):
        say(f"{path.name} has no header: its first line consists of numbers")
        table = _parse(path, sep, form, header=None)
        table.attrs[NO_HEADER] = True
        return table
    _refuse_duplicates(path, [name for name in header if name])
    if len(row) > len(header) > 0:  # pandas would read the first values as an index
        raise ValueError(
            f"its first row has {len(row)} values, but its header has {len(header)} names: name every column, and do "
            f"not end rows with a separator{_separator_hint(header, sep)}"
        )
    if len(header) > 1 and numbers_in(pd.Series(header), form).notna().all():
        say(f"Warning: the first line of {path.name} is read as a header, although it consists of numbers")
    try:
        table = _parse(path, sep, form, dtype={name: str for name in text if name in header})
    except pd.errors.ParserError as error:
        raise ValueError(f"{str(error).strip()}{_separator_hint(header, sep)}") from error
    if table.shape[1] == 1 and _separator_hint(header, sep):
        raise ValueError(f"it has one column, {header[0]!r}{_separator_hint(header, sep)}")
    codes = {name: column for name, column in _codes(path, sep, form, table).items() if name not in text}
    read = {name: _read_column(table[name], form) for name in table if name not in text}
    return table.assign(**{str(name): values for name, values in (read | codes).items()})


def _parse(path: Path, sep: str, form: CsvFormat, **options: Any) -> pd.DataFrame:
    # Not in pieces (low_memory): a column could have different types in different pieces.
    marks = {"decimal": form.decimal, "thousands": form.thousands, "encoding": form.encoding}
    return pd.read_csv(path, sep=sep, low_memory=False, **marks, **options)


def _codes(path: Path, sep: str, form: CsvFormat, table: pd.DataFrame) -> dict[str, pd.Series]:
    """Return as text the columns of digits with leading zeros: codes, which pandas reads as numbers."""
    numeric = [k for k, name in enumerate(table) if table[name].dtype.kind in "iuf"]
    if not numeric or not _has_leading_zeros(path, form):
        return {}
    texts = _parse(path, sep, form, dtype=str, usecols=numeric)
    return {name: texts[name] for name in texts if is_code(texts[name].dropna()).any()}


def _has_leading_zeros(path: Path, form: CsvFormat) -> bool:
    """Return whether a 0 before another digit occurs at the start of a number."""
    leading_zero = re.compile(rf"(?:^|[^0-9{re.escape(form.decimal)}])0[0-9]")
    with path.open(encoding=form.encoding, newline="") as file:
        return any(leading_zero.search(line) for line in file)


def _read_column(values: pd.Series, form: CsvFormat) -> pd.Series:
    """Parse text that consists of numbers, or of true and false, and marks of missing values."""
    if values.dtype.kind in "iufb":
        return values
    known = values.dropna()
    if not known.map(lambda value: isinstance(value, str)).all():
        return values  # booleans with missing values
    texts = known[~known.isin(MISSING_MARKS)]
    if texts.empty or is_code(texts).any():
        return values
    numbers = numbers_in(texts, form)
    if numbers.isna().any():
        return values
    if texts.str.lower().isin(("true", "false")).all():
        return (numbers == 1).astype(object).reindex(values.index)
    return numbers.reindex(values.index)


def _is_data(header: list[str], form: CsvFormat) -> bool:
    """Return whether a first line is data: numbers, but not column numbers from 0 or a run of three or more years."""
    numbers = numbers_in(pd.Series(header), form)
    consecutive = len(header) > 1 and bool((np.diff(numbers) == 1).all())
    return bool(numbers.notna().all()) and not (consecutive and (numbers[0] == 0 or len(header) > 2))


def _first_rows(path: Path, sep: str, encoding: str) -> tuple[list[str], list[str]]:
    """Return the values of the header and of the first row; an empty list if there is none."""
    utf8 = encoding.lower() in ("utf-8", "utf8")
    with path.open(encoding="utf-8-sig" if utf8 else encoding, newline="") as file:
        rows = (line.split() for line in file) if sep == r"\s+" else csv.reader(file, delimiter=sep)
        filled = (row for row in rows if row)
        return next(filled, []), next(filled, [])


def _separator_hint(header: list[str], sep: str) -> str:
    """Suggest the separator, if a header of one name seems to contain it."""
    if len(header) != 1:
        return ""
    counts = {mark: header[0].count(mark) for mark in SEPARATORS if mark != sep}
    mark = max(counts, key=counts.__getitem__)
    return f"; its values seem to have another separator: try --sep {SEPARATORS[mark]}" if counts[mark] else ""


def _encoding_hint(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(4)
    found = [encoding for mark, encoding in ENCODINGS if start.startswith(mark)]
    return f"use --encoding {found[0] if found else 'cp1252 (Western European), or the encoding of the file'}"


def _refuse_duplicates(path: Path, names: list[str]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ValueError(
            f"{path}: several columns are named {listed([repr(name) for name in twice])}: rename all but one"
        )


def _read_arrays(path: Path, say: Callable[[str], None]) -> pd.DataFrame:
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    lengths = Counter(len(array) for array in arrays.values() if array.ndim)
    n_rows = max(lengths, key=lambda length: (lengths[length], length), default=0)
    left_out = [name for name, array in arrays.items() if array.ndim not in (1, 2) or len(array) != n_rows]
    if left_out:
        say(f"Left out of {path.name}, since they are not columns of {n_rows} rows: {listed(left_out)}")
    columns: list[tuple[str, Any]] = []
    parts: dict[str, list[str]] = {}
    for name in sorted(arrays.keys() - set(left_out), key=_natural):
        array = arrays[name]
        if array.ndim == 1:
            columns.append((name, array))
        else:
            parts[name] = [f"{name}_{k}" for k in range(array.shape[1])]
            columns += zip(parts[name], array.T, strict=True)
    _refuse_duplicates(path, [name for name, _ in columns])
    table = pd.DataFrame(dict(columns))
    table.attrs[ARRAYS] = parts
    return table


def _natural(name: str) -> tuple[str, int]:
    """Return a key that sorts X_2 before X_10."""
    stem, _, number = name.rpartition("_")
    return (stem, int(number)) if number.isdigit() else (name, -1)


def take_columns(table: pd.DataFrame, names: Sequence[str]) -> list[str]:
    """Return the columns with these names; for a two-dimensional array of an .npz file, all its columns.

    Raises
    ------
    ValueError
        If there is no column of a name.
    """
    taken: list[str] = []
    for name in names:
        if name in table:
            taken.append(name)
        elif name in table.attrs.get(ARRAYS, {}):
            taken += table.attrs[ARRAYS][name]
        else:
            raise ValueError(f"no column {name!r} in the table; {_suggestion(name, list(table))}")
    return list(dict.fromkeys(taken))


def _suggestion(name: str, columns: list[str]) -> str:
    parts = [column for column in columns if re.fullmatch(rf"{re.escape(name)}[_.]?\d+", column)]
    close = parts or difflib.get_close_matches(name, columns, cutoff=0.7)
    return (f"did you mean {listed(close)}? " if close else "") + f"its columns are {listed(columns)}"
