"""Inputs that alone determine a target: often the target again, by another name."""

from __future__ import annotations

import shlex

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import gammaln

__all__ = ["determining_inputs"]

SAMPLE = 1000  # rows to look at first: what does not hold among them does not hold among all
BY_CHANCE = np.log(1e-6)  # for all inputs together


def determining_inputs(inputs: pd.DataFrame, targets: pd.DataFrame) -> list[str]:
    """Describe inputs that are equal to a target, or of which it is a function.

    Rows where either is missing do not count. A target is taken for a function of an input where equal inputs have
    equal targets, and where either so many inputs repeat, or the target never decreases (or never increases) with the
    input, that an unrelated target would do the same with a probability under 1e-6.

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
                cure = f"if it is not known before {target!r} is, leave it out (--ignore {shlex.quote(name)})"
                found.append(f"the input {name!r} {relation} {target!r}: {cure}")
    return found


def _codes(values: pd.Series) -> NDArray[np.intp]:
    """Number the different values of a column: numbers in their order."""
    return pd.factorize(values, sort=pd.api.types.is_numeric_dtype(values))[0]


def _is_function(x: NDArray[np.intp], y: NDArray[np.intp]) -> bool:
    """Tell whether equal x have equal y, which is no constant."""
    if len(y) < 2 or (y == y[0]).all():
        return False
    order = np.argsort(x, kind="stable")
    x, y = x[order], y[order]
    return bool(np.all(y[1:][x[1:] == x[:-1]] == y[:-1][x[1:] == x[:-1]]))


def _chance(x: NDArray[np.intp], y: NDArray[np.intp]) -> float:
    """Bound the logarithm of the probability that y, unrelated to x, were such a function of it, too.

    * Of all n! / prod m_k! arrangements of y, whose values occur m_k times, two are monotone.
    * Let p_k = m_k / n. Of s rows with equal x, all have the same y with the probability
      sum_k p_k^s <= (max p_k)^(s - 1). With G different x this makes (max p_k)^(n - G).
    """
    n, counts = len(y), np.bincount(y)
    chances = [(n - len(np.unique(x))) * np.log(counts.max() / n)]
    steps = np.diff(y[np.argsort(x, kind="stable")])
    if (steps >= 0).all() or (steps <= 0).all():
        chances.append(np.log(2) - gammaln(n + 1) + gammaln(counts + 1).sum())
    return float(min(chances))
