"""Two studies of the same settings, side by side."""

from __future__ import annotations

import os
from collections.abc import Collection
from typing import Any

import numpy as np
import pandas as pd

from sparsam.studies.tables import SEED, parameter_columns, read_study

__all__ = ["COMPARED", "compare_studies"]

COMPARED = ("J", "held_out_error", "held_out_score", "held_out_log_likelihood", "quality", "seconds")


def compare_studies(
    one: str | os.PathLike[str] | pd.DataFrame,
    other: str | os.PathLike[str] | pd.DataFrame,
    *,
    ignore: Collection[str] = (),
) -> pd.DataFrame:
    """Join two studies on their hyperparameters and seeds, and tell how results differ.

    Parameters
    ----------
    one, other : path or DataFrame
        What `sparsam.studies.read_study` takes: the folders of studies, files of their tables, or the tables.
    ignore : collection of str
        Hyperparameters that are not compared, ``["solver"]`` for studies that differ in it throughout.

    Returns
    -------
    pandas.DataFrame
        A row a setting that both have: the hyperparameters that vary, seed, and of each of J, held_out_error,
        held_out_score, held_out_log_likelihood, quality and seconds that both have three columns, such as ``J_one``,
        ``J_other`` and ``J_difference``, other minus one.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no study, or the two have no setting in common: the error names what differs throughout.

    Examples
    --------
    >>> one = pd.DataFrame({"rho": [0.1, 0.2], "alpha": [0.0, 0.0], "seed": [0, 0], "J": [1.0, 2.0]})
    >>> other = pd.DataFrame({"rho": [0.2, 0.3], "alpha": [0.0, 0.0], "seed": [0, 0], "J": [2.5, 3.0]})
    >>> compare_studies(one, other)
       rho  seed  J_one  J_other  J_difference
    0  0.2     0    2.0      2.5           0.5
    """
    first, second = read_study(one), read_study(other)
    own = [name for name in parameter_columns(first) if name not in ignore]
    theirs = [name for name in parameter_columns(second) if name not in ignore]
    if set(own) != set(theirs):
        raise ValueError(
            f"the two are studies of different estimators: {', '.join(sorted(set(own) ^ set(theirs)))} is not a "
            "hyperparameter of both; ignore leaves it out"
        )
    keys = [*own, SEED]
    for name, table in (("one", first), ("the other", second)):
        if table.duplicated(keys).any():
            raise ValueError(f"{name} has settings that differ in {', '.join(ignore) or 'nothing'} alone")
    # As text, for what is a number in one may be missing or text in all of the other.
    left, right = (table[keys].map(_text) for table in (first, second))
    positions = pd.merge(
        left.assign(one=np.arange(len(left))), right.assign(other=np.arange(len(right))), on=keys, validate="1:1"
    )
    if positions.empty:
        apart = [name for name in keys if not set(left[name]) & set(right[name])]
        reason = "; ".join(
            f"{name} is {_listed(left[name])} in one, {_listed(right[name])} in the other" for name in apart
        )
        raise ValueError(f"the two studies have no setting in common: {reason or 'no combination is in both'}")
    first, second = first.iloc[positions["one"]], second.iloc[positions["other"]]
    varying = [name for name in own if left[name].nunique() > 1 or right[name].nunique() > 1]
    result: dict[str, Any] = {name: first[name].to_numpy() for name in (*varying, SEED)}
    for name in COMPARED:
        if name in first and name in second:
            before, after = (table[name].to_numpy(dtype=np.float64) for table in (first, second))
            result |= {f"{name}_one": before, f"{name}_other": after, f"{name}_difference": after - before}
    return pd.DataFrame(result)


def _text(value: Any) -> str:
    if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
        return ""
    if isinstance(value, bool | np.bool_):
        return str(bool(value))
    return repr(float(value)) if isinstance(value, int | float | np.number) else str(value)


def _listed(values: pd.Series) -> str:
    return " or ".join(value or "missing" for value in values.unique())
