"""The table of a study: its columns and their types, as a file, and read again."""

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
"""The column that ends the parameters; what follows are results."""

RESULTS = (
    *("held_out_error", "held_out_score", "held_out_log_likelihood", "explained_variance_ratio"),
    *("rho_hat_mean", "rho_hat_std", "dead", "saturated", "weakness", "quality"),
    *("iterations", "evaluations", "seconds", "gradient_norm", "stop_reason", "model"),
)


def study_table(parameters: Iterable[Mapping[str, Any]], rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Make a table of parameters, the seed among them last, and of what was measured."""
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
    # A term that a setting does not have, KL sparsity of beta = 0, adds nothing to J.
    right.loc[right["J"].notna(), terms] = right.loc[right["J"].notna(), terms].fillna(0.0)
    for name in ("iterations", "evaluations"):
        if name in right:
            right[name] = right[name].astype("Int64")
    return pd.concat([left, right], axis=1)


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table, in the format of the suffix: .csv or .parquet; a file that is there is replaced.

    Raises
    ------
    ValueError
        If Parquet is asked for without pyarrow.
    """
    with atomic_write(path) as file:
        if path.suffix == ".csv":
            table.to_csv(file, index=False)
            return
        try:
            table.to_parquet(file, index=False)
        except ImportError as error:
            raise ValueError(f"{path}: Parquet files need pyarrow; pip install 'sparsam[parquet]'") from error


def read_study(source: str | os.PathLike[str] | pd.DataFrame) -> pd.DataFrame:
    """Read the table of a study.

    Parameters
    ----------
    source : path or DataFrame
        The folder of a study, done or interrupted; a table of one, .csv or .parquet; or a table, which is handed back.

    Returns
    -------
    pandas.DataFrame
        As `parameter_study` returns it; of an interrupted study the rows that are done.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no study, nothing of it is done, or a file is damaged.
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
        raise ValueError(f"{source} is no table of a study: it has no columns {SEED} and J")
    return table


def parameter_columns(table: pd.DataFrame) -> list[str]:
    """Columns of the parameters, without the seed."""
    return list(table.columns[: list(table.columns).index(SEED)])
