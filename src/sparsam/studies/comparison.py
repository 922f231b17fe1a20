"""Compare two studies of the same settings."""

from __future__ import annotations

import os
from collections.abc import Collection
from typing import Any

import numpy as np
import pandas as pd

from sparsam.studies.tables import SEED, parameter_columns, read_study

__all__ = ["COMPARED", "compare_studies"]

COMPARED = (
    *("J", "held_out_error", "held_out_explained_variance", "held_out_active"),
    *("held_out_score", "held_out_log_likelihood", "quality", "seconds"),
)


def compare_studies(
    one: str | os.PathLike[str] | pd.DataFrame,
    other: str | os.PathLike[str] | pd.DataFrame,
    *,
    ignore: Collection[str] = (),
) -> pd.DataFrame:
    """Join two studies on their hyperparameters and seeds, and compute the differences of their results.

    Parameters
    ----------
    one, other : path or DataFrame
        The folders of the studies, files of their tables, or the tables, as `sparsam.studies.read_study` takes them.
    ignore : collection of str
        Hyperparameters to ignore in the comparison, such as ``["solver"]`` for studies with different solvers.

    Returns
    -------
    pandas.DataFrame
        One row per setting in both: the hyperparameters that vary, seed, and three columns for each of J,
        held_out_error, held_out_explained_variance, held_out_active, held_out_score, held_out_log_likelihood, quality
        and seconds that both have, such as ``J_one``, ``J_other`` and ``J_difference``, other minus one.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no study, or the two have no setting in common. The error names the hyperparameters that differ.

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
            "the studies are of different estimators: they do not share the hyperparameters "
            f"{', '.join(sorted(set(own) ^ set(theirs)))}; pass them in `ignore` to compare anyway"
        )
    keys = [*own, SEED]
    for name, table in (("one", first), ("the other", second)):
        if table.duplicated(keys).any():
            raise ValueError(f"{name} has settings that differ only in {', '.join(ignore) or 'nothing'}")
    # Compare as text: a column of numbers in one study may be all missing, or text, in the other.
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
