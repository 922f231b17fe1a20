"""Saving and loading a whole pipeline, transformers and estimator, by skops: types of a fixed list, never pickle."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import skops.io
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline
from skops.io.exceptions import UnsupportedTypeException, UntrustedTypesFoundException

from sparsam._utils.atomic_write import atomic_write

__all__ = ["TableModel", "load_pipeline", "save_pipeline"]

TRUSTED = (
    "numpy.dtype",
    "sparsam.estimators.classifier.NoisyLabelClassifier",
    "sparsam.estimators._labels.noise_estimation.LikelihoodProfile",
    "sparsam.estimators.regressor.MultivariateNormalRegressor",
)
"""Types beside those of scikit-learn and the like, of which skops keeps a list itself."""

FORMAT = "sparsam table model 1"


@dataclass(frozen=True)
class TableModel:
    """A pipeline fitted on a table, and the names of its columns.

    Attributes
    ----------
    pipeline : Pipeline
    inputs, targets : list of str
    """

    pipeline: Pipeline
    inputs: list[str]
    targets: list[str]

    def take_inputs(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return the table's input columns.

        Raises
        ------
        ValueError
            If one is missing.
        """
        missing = [column for column in self.inputs if column not in table]
        if missing:
            raise ValueError(
                f"the table lacks the column {missing[0]!r}"
                + (f" and {len(missing) - 1} more" if len(missing) > 1 else "")
                + f" that the model was trained on; it has {', '.join(map(str, table.columns))}"
            )
        return table[self.inputs]

    def predict(self, table: pd.DataFrame) -> NDArray[Any]:
        """Predict for each row of a table."""
        return self.pipeline.predict(self.take_inputs(table))


def save_pipeline(model: TableModel, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Save a fitted pipeline; the file appears whole or not at all.

    Raises
    ------
    FileExistsError
        If the file exists and ``overwrite`` is False.
    """
    content = {"format": FORMAT, "pipeline": model.pipeline, "inputs": model.inputs, "targets": model.targets}
    with atomic_write(path, overwrite=overwrite) as file:
        file.write(skops.io.dumps(content))


def load_pipeline(path: str | os.PathLike[str]) -> TableModel:
    """Load a pipeline that `save_pipeline` has written.

    Nothing in the file is executed: types that are not on the list of trusted ones are refused.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is damaged, foreign, or holds types that are not trusted.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no model file at {path}")
    try:
        content = skops.io.load(path, trusted=list(TRUSTED))
    except (UntrustedTypesFoundException, UnsupportedTypeException) as error:
        raise ValueError(f"cannot load {path}: it holds types that a model of sparsam never does ({error})") from error
    except Exception as error:  # whatever a damaged archive makes skops, zipfile or json raise
        raise ValueError(f"cannot load {path}: it is no model file, or a damaged one ({error!r})") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f"cannot load {path}: sparsam did not write it, or a newer version did")
    return TableModel(content["pipeline"], list(content["inputs"]), list(content["targets"]))
