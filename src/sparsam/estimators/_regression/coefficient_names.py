"""Names of the coefficients of a linear model: pairs of an output and an input, from the columns of tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["INTERCEPT", "coefficient_names"]

INTERCEPT = "intercept"


def coefficient_names(X: Any, y: Any, free: NDArray[np.bool_]) -> pd.MultiIndex:
    """Name the free coefficients by their output and input, output by output, each intercept last.

    Inputs and outputs are named as the columns of X and y if these are frames, otherwise "x0", "x1", ... and "y0",
    "y1", ...

    Parameters
    ----------
    X, y : arrays or frames
    free : array of shape (n_outputs, n_features + 1)
        True where a coefficient exists; the last column is for the intercepts.

    Raises
    ------
    ValueError
        If names occur twice, or an input is called "intercept".

    Examples
    --------
    >>> free = np.array([[True, False, True], [True, True, True]])
    >>> coefficient_names(np.zeros((5, 2)), pd.DataFrame(np.zeros((5, 2)), columns=["a", "b"]), free).tolist()
    [('a', 'x0'), ('a', 'intercept'), ('b', 'x0'), ('b', 'x1'), ('b', 'intercept')]
    """
    outputs = _column_names(y, "y", free.shape[0])
    inputs = [*_column_names(X, "x", free.shape[1] - 1), INTERCEPT]
    for names, where in ((outputs, "y"), (inputs, "X")):
        twice = sorted({str(name) for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(
                f"names of coefficients must differ, but {', '.join(map(repr, twice))} occurs twice among the columns "
                f"of {where} (and {INTERCEPT!r} names the intercepts): rename these columns"
            )
    pairs = [(outputs[k], inputs[i]) for k, i in zip(*np.nonzero(free), strict=True)]
    return pd.MultiIndex.from_tuples(pairs, names=["output", "input"])


def _column_names(table: Any, prefix: str, n_columns: int) -> list[Any]:
    if isinstance(table, pd.DataFrame):
        return list(table.columns)
    if isinstance(table, pd.Series) and table.name is not None:
        return [table.name]
    return [f"{prefix}{column}" for column in range(n_columns)]
