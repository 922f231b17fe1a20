"""Find columns with a few values so far from all others that they look like slips, such as a decimal point."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sparsam.inspection.gross_values import has_gross_value

__all__ = ["gross_columns"]

FAR, APART = 20.0, 2.0
"""Robust deviations from the median, and the factor to the farthest of the other values: tails are continuous. A factor
of 10 makes a typical value of a column with a coefficient of variation of 0.4 that far."""

FAR_LOG = 5.0  # robust deviations of the logarithms of positive values: skewed columns have no gross ones

MOST = 0.01  # of a column's values, but at least one: more than that are not slips


def gross_columns(table: pd.DataFrame) -> list[str]:
    """Describe numeric columns with values more than 20 robust deviations from the median; a sentence for each.

    The values must also be twice as far as all others, and if all are positive, their logarithms more than 5 robust
    deviations: a heavy tail has values at any distance, and a skewed column one tail.

    Examples
    --------
    >>> gross_columns(pd.DataFrame({"area": [*np.linspace(60, 80, 30), 700.0]}))
    ["'area' has 1 value more than 20 robust deviations from its median, such as 700 in row 30: check it"]
    """
    found = []
    for name in table.select_dtypes("number"):
        values = table[name].astype(np.float64)
        most = max(MOST, 1 / len(values))
        is_gross = has_gross_value(values.to_numpy()[:, np.newaxis], FAR, most)
        if (values.dropna() > 0).all():
            is_gross &= has_gross_value(np.log(values.to_numpy())[:, np.newaxis], FAR_LOG, most)
        distances = (values - values.median()).abs()
        if not is_gross.any() or distances[is_gross].min() < APART * distances[~is_gross].max():
            continue
        n, farthest = int(is_gross.sum()), distances[is_gross].idxmax()
        found.append(
            f"{name!r} has {n} value{'s' if n > 1 else ''} more than {FAR:g} robust deviations from its median, such "
            f"as {values[farthest]:g} in row {farthest}: check {'them' if n > 1 else 'it'}"
        )
    return found
