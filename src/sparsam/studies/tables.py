"""Table of a study: make it, with its columns and types, write it, and read it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from sparsam._utils.atomic_write import atomic_write
from sparsam.io.tables import read_table
from sparsam.studies.storage import StudyFolder, read_identity

__all__ = ["RESULTS", "SEED", "parameter_columns", "read_study", "study_table", "write_table"]

SEED = "seed"
"""The last column of the parameters; the columns after it are results."""

RESULTS = (
    *("held_out_error", "held_out_explained_variance", "held_out_active"),
    *("held_out_score", "held_out_log_likelihood", "explained_variance_ratio"),
    *("rho_hat_mean", "rho_hat_std", "dead", "saturated", "weakness", "quality"),
    *("iterations", "evaluations", "seconds", "gradient_norm", "stop_reason", "model"),
)


def study_table(parameters: Iterable[Mapping[str, Any]], rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Make a table of the parameters, with the seed last, and the results."""
    left = pd.DataFrame(parameters)
    for name in left:
        if (
            left[name].map(type).nunique() > 1
            and not left[name].map(lambda value: isinstance(value, int | float)).all()
        ):
            left[name] = left[name].map(lambda value: value if value is None else str(value))
    right = pd.DataFrame(rows)
    last = [name for name in RESULTS if name in right]
    terms = [name for name in right if name not in (*last, "J")]
    right = right[["J", *terms, *last]]
    # A term that a setting does not have, such as KL sparsity with beta = 0, adds nothing to J.
    right.loc[right["J"].notna(), terms] = right.loc[right["J"].notna(), terms].fillna(0.0)
    for name in ("iterations", "evaluations"):
        if name in right:
            right[name] = right[name].astype("Int64")
    return pd.concat([left, right], axis=1)


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table in the format of the suffix, .csv or .parquet; an existing file is replaced.

    Raises
    ------
    ValueError
        If the format is Parquet and pyarrow is missing.
    """
    with atomic_write(path) as file:
        if path.suffix == ".csv":
            table.to_csv(file, index=False)
            return
        try:
            table.to_parquet(file, index=False)
        except ImportError as error:
            raise ValueError(f"{path}: Parquet files need pyarrow: pip install 'sparsam[parquet]'") from error


def read_study(source: str | os.PathLike[str] | pd.DataFrame) -> pd.DataFrame:
    """Read the table of a study.

    Parameters
    ----------
    source : path or DataFrame
        The folder of a finished or interrupted study; its table, .csv or .parquet; or a DataFrame, which is returned
        unchanged.

    Returns
    -------
    pandas.DataFrame
        The table as `parameter_study` returns it; for an interrupted study, the rows that are done.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no study, no setting of it is done, or a file is damaged.
    """
    if isinstance(source, pd.DataFrame):
        table = source
    elif Path(source).is_dir():
        folder = StudyFolder(Path(source))
        numbered = enumerate(read_identity(folder.path)["settings"])
        done = [(parameters, row) for number, parameters in numbered if (row := folder.read_row(number)) is not None]
        if not done:
            raise ValueError(f"no setting of the study in {source} is done")
        table = study_table(*zip(*done, strict=True))
    elif not Path(source).exists():
        raise FileNotFoundError(f"no such folder or file: {os.fspath(source)}")
    else:
        table = read_table(Path(source))
    if SEED not in table or "J" not in table:
        raise ValueError(f"{source} is not the table of a study: it lacks the column {SEED} or J")
    return table


def parameter_columns(table: pd.DataFrame) -> list[str]:
    """Return the columns of the parameters, without the seed."""
    return list(table.columns[: list(table.columns).index(SEED)])
