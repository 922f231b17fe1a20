"""Name the columns of a table that tell most about an anomaly, and what would have been expected there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sparsam.inspection.contributions import LEAST_SHARE, contributions
from sparsam.io.pipelines import CATEGORIES, NUMBERS, TableModel

__all__ = ["reasons"]

DIGITS = 4
ROWS_AT_ONCE = 500


def reasons(model: TableModel, inputs: pd.DataFrame, n_columns: int) -> pd.DataFrame:
    """Explain rows by the columns that contribute most to their errors.

    Parameters
    ----------
    model : TableModel
        Its pipeline is one of `table_pipeline`, and ends with an `AutoencoderOutlierDetector` of a bare autoencoder.
    inputs : DataFrame
        The rows, as `TableModel.take_inputs` returns them.
    n_columns : int
        Number of columns to name for each row, at most that of the inputs.

    Returns
    -------
    DataFrame
        For each row, in their order, and for k = 1, 2, ...: ``column_k``, its ``value_k``, what was ``expected_k`` from
        the others, and ``share_k``, the share of the row's error that goes away with the expected value. They are
        empty where the share is less than 1 %.
    """
    parts = [_explain(model, inputs.iloc[k : k + ROWS_AT_ONCE], n_columns) for k in range(0, len(inputs), ROWS_AT_ONCE)]
    return pd.concat(parts) if parts else _explain(model, inputs, n_columns)


def _explain(model: TableModel, inputs: pd.DataFrame, n_columns: int) -> pd.DataFrame:
    columns = _encoded_columns(model.pipeline[0])
    encoded = np.asarray(model.pipeline[:-1].transform(inputs), np.float64)
    autoencoder = model.pipeline[-1].autoencoder_
    found = contributions(
        encoded,
        lambda rows: np.asarray(autoencoder.predict(rows), np.float64),
        min(n_columns, len(columns)),
        [column.places for column in columns],
        autoencoder._input_mean,
    )
    is_reason = found.shares >= LEAST_SHARE
    result: dict[str, pd.Series] = {}
    for k in range(found.features.shape[1]):
        named = [columns[number] for number in found.features[:, k]]
        of_rows = {
            "column": [column.name for column in named],
            "value": [inputs[column.name].iloc[row] for row, column in enumerate(named)],
            "expected": [column.decode(found.replaced[row, k]) for row, column in enumerate(named)],
            "share": np.round(found.shares[:, k], DIGITS).tolist(),
        }
        for what, values in of_rows.items():
            kept = [value if is_reason[row, k] else None for row, value in enumerate(values)]
            result[f"{what}_{k + 1}"] = pd.Series(kept, inputs.index, dtype=object)
    return pd.DataFrame(result, index=inputs.index)


@dataclass(frozen=True)
class _Number:
    """A standardized column of numbers, and its place among the encoded columns."""

    name: str
    places: list[int]
    mean: float
    scale: float

    def decode(self, row: NDArray[np.float64]) -> float:
        """Return the number in a row of encoded columns, in the unit of the table."""
        return float(f"{row[self.places[0]] * self.scale + self.mean:.{DIGITS}g}")


@dataclass(frozen=True)
class _Category:
    """A column of categories, and the places of its indicators among the encoded columns."""

    name: str
    places: list[int]
    categories: NDArray[Any]

    def decode(self, row: NDArray[np.float64]) -> Any:
        """Return the category with the largest indicator in a row of encoded columns."""
        category = self.categories[int(np.argmax(row[self.places]))]
        return "missing" if pd.isna(category) else category


def _encoded_columns(transformer: Any) -> list[_Number | _Category]:
    """Describe how a fitted ColumnTransformer of `table_pipeline` encodes each column."""
    columns: list[_Number | _Category] = []
    for part, fitted, names in transformer.transformers_:
        place = transformer.output_indices_[part].start
        if part == NUMBERS:
            moments = zip(names, fitted[-1].mean_, fitted[-1].scale_, strict=True)
            columns += [_Number(name, [place + k], mean, scale) for k, (name, mean, scale) in enumerate(moments)]
        elif part == CATEGORIES:
            for name, categories in zip(names, fitted.categories_, strict=True):
                columns.append(_Category(name, list(range(place, place + len(categories))), categories))
                place += len(categories)
    return columns
