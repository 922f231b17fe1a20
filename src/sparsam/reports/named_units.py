"""Content of a page whose rows have names: its units in words, and a search for rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsam.inspection.strongest_rows import NO_ROW
from sparsam.inspection.units import UnitStatistics
from sparsam.reports.code import Code
from sparsam.reports.named_rows import RowCodes, UnitsByRows, describe_by_rows, nearest_units, rests_at_zero
from sparsam.reports.row_names import NamedRows, choose_named_rows
from sparsam.reports.typed_arrays import pack, percentages, quantize
from sparsam.reports.unit_pages import troubles_of

__all__ = ["NamedUnits", "describe_named_units"]

Array = NDArray[np.float64]

N_NAMED_FEATURES = 3


@dataclass(frozen=True)
class NamedUnits:
    """Units and rows of a page with names.

    Attributes
    ----------
    data : dict
        Content for the page's script, as JSON.
    by_rows : UnitsByRows
    named : NamedRows
    n_active : float
        Mean number of units that do not rest on a row.
    """

    data: dict[str, Any]
    by_rows: UnitsByRows
    named: NamedRows
    n_active: float

    def strongest_names(self, unit: int) -> list[str]:
        """Return the names of the rows with the highest activation of a unit."""
        return [self.named.names[row] for row in self.by_rows.strongest[unit] if row != NO_ROW]


def describe_named_units(
    code: Code,
    X: Any,
    names: list[str],
    mean_of_code: Array,
    statistics: UnitStatistics,
    losses: Array,
    filters: Array,
    feature_names: Sequence[str] | None,
) -> NamedUnits:
    """Describe the units by the names of rows, and the rows by their units.

    Parameters
    ----------
    code : Code
    X : array or DataFrame of shape (n_samples, n_features)
        Inputs of the network, all of them; the page takes as many as it has room for.
    names : list of str
        Their names.
    mean_of_code : array of shape (n_units,)
        Mean activations.
    statistics : UnitStatistics
    losses : array of shape (n_units,)
        The losses from `losses_without`.
    filters : array of shape (n_units, n_features)
        Weights from the features to the units.
    feature_names : sequence of str, optional
        Without names, the page does not show the weights.
    """
    n_units = len(code.lengths)
    named = choose_named_rows(names, n_units)
    is_whole = len(named.rows) == len(names)
    shown = X if is_whole else X.iloc[named.rows] if hasattr(X, "iloc") else np.asarray(X)[named.rows]
    rests = rests_at_zero(code.hidden_activation)
    rest = np.zeros(n_units) if rests else mean_of_code
    by_rows, rows = describe_by_rows(code, shown, rest, named.n_strongest)
    data = {
        "names": named.names,
        "numbers": None if is_whole else pack(named.rows),
        "nStrongest": named.n_strongest,
        "restsAtZero": rests,
        "rows": _rows_data(rows, n_units),
        "units": _units_data(by_rows, code, statistics, losses, mean_of_code, len(named.rows)),
        "features": None if feature_names is None else [_largest_weights(w, feature_names) for w in filters],
    }
    return NamedUnits(data, by_rows, named, float(rows.n_active.mean()))


def _rows_data(rows: RowCodes, n_units: int) -> dict[str, Any]:
    largest = rows.strengths[:, :1]
    return {
        "units": pack(np.where(rows.units == NO_ROW, n_units, rows.units)),
        "strengths": pack(quantize(rows.strengths, largest)),
        "largest": pack(largest),
        "shares": pack(percentages(rows.shares)),
        "cosines": pack(percentages(rows.cosines)),
        "nActive": pack(rows.n_active),
        "shareOfAll": pack(percentages(rows.share_of_all)),
        "cosineOfAll": pack(percentages(rows.cosine_of_all)),
    }


def _units_data(
    units: UnitsByRows, code: Code, statistics: UnitStatistics, losses: Array, mean: Array, n_rows: int
) -> dict[str, Any]:
    nearest, cosines = nearest_units(code.decoders)
    troubles = [troubles_of(statistics, unit) for unit in range(len(mean))]
    return {
        "strongest": pack(np.where(units.strongest == NO_ROW, n_rows, units.strongest)),
        "activations": pack(quantize(units.activations, units.activations[:, :1])),
        "random": pack(np.where(units.random == NO_ROW, n_rows, units.random)),
        "density": pack(units.density),
        "contribution": pack(units.contribution),
        "coherence": pack(units.coherence),
        "mean": pack(mean),
        "loss": pack(losses),
        "nearest": pack(nearest),
        "nearestCosines": pack(percentages(cosines)),
        "histogram": pack(units.histogram),
        "low": pack(units.low),
        "high": pack(units.high),
        "troubles": {str(unit): found for unit, found in enumerate(troubles) if found},
    }


def _largest_weights(weights: Array, names: Sequence[str]) -> str:
    """Name the features of the largest weights, and these weights."""
    first = np.argsort(-np.abs(weights), kind="stable")[:N_NAMED_FEATURES]
    return ", ".join(f"{names[j]} {weights[j]:+.2g}" for j in first)
