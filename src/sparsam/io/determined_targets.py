"""Find inputs that alone determine a target: often the target itself under another name."""

from __future__ import annotations

import shlex

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import gammaln

__all__ = ["determining_inputs"]

SAMPLE = 1000  # rows to check first: if these do not fit a function, all rows do not
BY_CHANCE = np.log(1e-6)  # logarithm of the probability of a false alarm, for all inputs together


def determining_inputs(inputs: pd.DataFrame, targets: pd.DataFrame) -> list[str]:
    """Describe inputs that are equal to a target or determine it.

    Rows with a missing input or target do not count. An input determines a target if equal inputs have equal targets,
    and an unrelated target would show the same with a probability below 1e-6: because many inputs repeat, or because
    the target never decreases (or never increases) with the input.

    Parameters
    ----------
    inputs : DataFrame
        Columns of floats or of text.
    targets : DataFrame
        Columns of floats, or of labels.

    Returns
    -------
    descriptions : list of str
        A sentence for each pair.
    """
    limit = BY_CHANCE - np.log(max(inputs.shape[1], 1))
    found = []
    for target in targets:
        for name in inputs:
            both = (inputs[name].notna() & targets[target].notna()).to_numpy()
            x, y = _codes(inputs[name][both]), _codes(targets[target][both])
            if _is_function(x[:SAMPLE], y[:SAMPLE]) and _is_function(x, y) and _chance(x, y) < limit:
                same = np.array_equal(inputs[name][both].to_numpy(), targets[target][both].to_numpy())
                relation = "is equal to" if same else "alone determines"
                cure = f"leave it out unless it is known before {target!r} (--ignore {shlex.quote(name)})"
                found.append(f"the input {name!r} {relation} {target!r}: {cure}")
    return found


def _codes(values: pd.Series) -> NDArray[np.intp]:
    """Replace the values of a column by integer codes; codes of numbers are in their order."""
    return pd.factorize(values, sort=pd.api.types.is_numeric_dtype(values))[0]


def _is_function(x: NDArray[np.intp], y: NDArray[np.intp]) -> bool:
    """Return whether equal x have equal y, and y is not constant."""
    if len(y) < 2 or (y == y[0]).all():
        return False
    order = np.argsort(x, kind="stable")
    x, y = x[order], y[order]
    return bool(np.all(y[1:][x[1:] == x[:-1]] == y[:-1][x[1:] == x[:-1]]))


def _chance(x: NDArray[np.intp], y: NDArray[np.intp]) -> float:
    """Bound the logarithm of the probability that an unrelated y would be such a function of x, too.

    * Let the values of y occur m_k times each. Two of the n! / prod m_k! arrangements of y are monotone.
    * Let p_k = m_k / n. The probability that s rows with equal x all have the same y is
      sum_k p_k^s <= (max p_k)^(s - 1). For G different x the product is (max p_k)^(n - G).
    """
    n, counts = len(y), np.bincount(y)
    chances = [(n - len(np.unique(x))) * np.log(counts.max() / n)]
    steps = np.diff(y[np.argsort(x, kind="stable")])
    if (steps >= 0).all() or (steps <= 0).all():
        chances.append(np.log(2) - gammaln(n + 1) + gammaln(counts + 1).sum())
    return float(min(chances))
