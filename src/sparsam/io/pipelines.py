"""Save and load a whole pipeline, transformers and estimator, with skops: types from a fixed list, never pickle."""

from __future__ import annotations

import copy
import io
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, ZipFile

import numpy as np
import pandas as pd
import skops.io
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from skops.io.exceptions import UnsupportedTypeException, UntrustedTypesFoundException

from sparsam._utils.atomic_write import atomic_write
from sparsam._utils.listed import listed
from sparsam.io.columns import Column, as_categories, as_numbers, text_of
from sparsam.io.csv_format import PLAIN, CsvFormat
from sparsam.io.schemas import LAYOUTS, MOVED, Layout

__all__ = ["TableModel", "load_pipeline", "save_pipeline", "table_pipeline"]

TRUSTED = (
    "numpy.dtype",
    "sparsam.estimators.autoencoder.SparseAutoencoder",
    "sparsam.estimators.stacked_autoencoder.StackedAutoencoder",
    "sparsam.estimators.classifier.NoisyLabelClassifier",
    "sparsam.estimators._labels.likelihood_profile.LikelihoodProfile",
    "sparsam.estimators.outlier_detector.AutoencoderOutlierDetector",
    "sparsam.estimators.regressor.MultivariateNormalRegressor",
)
"""Types to trust, besides those of scikit-learn and others that skops trusts by itself."""

FORMAT = "sparsam table model 1"
OBSERVERS = {"callback", "mesh", "checkpoint"}  # hyperparameters that are not saved
HISTORIES = ("_history", "_sample_history")
NUMBERS, CATEGORIES = "numbers", "categories"  # transformers in the pipeline's first step
SCHEMA = "schema.json"  # member of the archive that names the types


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

    def take_inputs(
        self,
        table: pd.DataFrame,
        say: Callable[[str], None] = lambda message: None,
        form: CsvFormat = PLAIN,
    ) -> pd.DataFrame:
        """Return the table's input columns, each with the type that it had in training.

        Parameters
        ----------
        table : DataFrame
            A table read with ``text=model.categorical``, so that codes such as 01 keep their leading zeros.
        say : callable, default: silent
            Called with a message about categories that did not occur in training; they count as no category.
        form : CsvFormat, default: the plain one
            Format of numbers written as text.

        Raises
        ------
        ValueError
            If a column is missing, or holds text or infinity instead of numbers. The message names the column.
        """
        missing = [column for column in self.inputs if column not in table]
        if missing:
            raise ValueError(
                f"the table lacks the column {listed([repr(name) for name in missing], most=1)} that the model was "
                f"trained on; it has {listed(table.columns)}"
            )
        numeric, categories = self._columns(NUMBERS), self._categories
        taken: dict[str, Any] = {}
        for name in self.inputs:
            if name in categories:
                taken[name] = _with_categories(table[name], categories[name], say)
            elif name in numeric:
                taken[name] = as_numbers(table[name], name, form)
                if len(table) and np.isnan(taken[name]).all():
                    say(f"{name}: missing in all rows, imputed as in training")
            else:  # training dropped it
                taken[name] = table[name]
        return pd.DataFrame(taken, index=table.index)

    @property
    def categorical(self) -> list[str]:
        """Names of the columns of categories."""
        return self._columns(CATEGORIES)

    @property
    def _categories(self) -> dict[str, NDArray[Any]]:
        """Categories that occurred in training, by column."""
        if not self.categorical:
            return {}
        encoder = self.pipeline[0].named_transformers_[CATEGORIES]
        if isinstance(encoder, Pipeline):  # 0.1.0 had an imputer in front
            encoder = encoder[-1]
        return dict(zip(self.categorical, encoder.categories_, strict=True))

    def _columns(self, part: str) -> list[str]:
        parts = {name: columns for name, _, columns in getattr(self.pipeline[0], "transformers_", ())}
        return list(parts.get(part, ()))

    def predict(self, table: pd.DataFrame) -> NDArray[Any]:
        """Predict for each row of a table."""
        return self.pipeline.predict(self.take_inputs(table))


def _with_categories(values: pd.Series, categories: NDArray[Any], say: Callable[[str], None]) -> pd.Series:
    """Replace values by the training's categories of the same text; report values that are not among them."""
    texts = as_categories(values, str(values.name))
    known = {text_of(category): category for category in categories if not pd.isna(category)}
    unknown = texts.notna() & ~texts.isin(list(known))
    if unknown.any():
        shown = listed([repr(text) for text in texts[unknown].unique()], most=5)
        say(f"{values.name}: {shown} (rows: {int(unknown.sum())}) did not occur in training, counts as no category")
    n_missing = int(texts.isna().sum())
    if n_missing and not pd.isna(categories).any():
        say(f"{values.name}: missing in {n_missing} rows but never in training, counts as no category")
    # A column without any value is one of numbers to pandas, which the encoder of texts would refuse.
    return texts.map(lambda text: known.get(text, text), na_action="ignore").astype(object)


def table_pipeline(columns: list[Column], estimator: BaseEstimator) -> Pipeline:
    """Make a pipeline from typed columns to an estimator.

    Numbers are standardized; missing ones are imputed by the median. Each category becomes an indicator column. Missing
    values are a category of their own if they occur in training; unknown categories set no indicator.

    Raises
    ------
    ValueError
        If all columns were dropped.
    """
    numbers = [column.name for column in columns if column.kind == "numeric"]
    categories = [column.name for column in columns if column.kind == "categorical"]
    if not numbers and not categories:
        raise ValueError(f"no input column is left: {listed(columns)}")
    parts = [
        (NUMBERS, make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
        (CATEGORIES, OneHotEncoder(handle_unknown="ignore", sparse_output=False), categories),
    ]
    transformer = ColumnTransformer([part for part in parts if part[2]], verbose_feature_names_out=False)
    return Pipeline([("columns", transformer), ("model", estimator)])


def save_pipeline(model: TableModel, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Save a fitted pipeline; the file is written completely or not at all.

    Raises
    ------
    FileExistsError
        If the file exists and ``overwrite`` is False.
    ValueError, TypeError
        If `load_pipeline` would reject it: its last step is not an estimator of sparsam, or is not consistent.
    """
    layout = _layout_of(model.pipeline[-1])
    model.pipeline[-1].check_fitted()
    *others, (name, estimator) = model.pipeline.steps
    pipeline = Pipeline([*others, (name, _to_save(estimator, layout))])
    content = {"format": FORMAT, "pipeline": pipeline, "inputs": model.inputs, "targets": model.targets}
    with atomic_write(path, overwrite=overwrite) as file:
        file.write(skops.io.dumps(content))


def _to_save(estimator: Any, layout: Layout) -> Any:
    """Copy an estimator, without parameters that do not influence a fit, and with compact histories, in its parts, too.

    Skops needs hundreds of bytes for each number of a list.
    """
    copied = copy.copy(estimator)
    copied.set_params(**dict.fromkeys(OBSERVERS & set(layout.not_saved)))
    if layout.is_network:
        for name in HISTORIES:
            setattr(copied, name, {column: np.array(values) for column, values in getattr(copied, name).items()})
        copied.loss_curve_ = np.array(copied.loss_curve_)
    for name in layout.parts:
        part = getattr(copied, name)
        if isinstance(part, list):
            setattr(copied, name, [_to_save(one, _layout_of(one)) for one in part])
        elif part is not None:
            setattr(copied, name, _to_save(part, _layout_of(part)))
    if isinstance(getattr(copied, "pretraining", None), FrozenEstimator):  # it is the same, and stored once
        copied.pretraining = FrozenEstimator(copied.pretraining_)
    return copied


def load_pipeline(path: str | os.PathLike[str]) -> TableModel:
    """Load a pipeline that `save_pipeline` wrote.

    Nothing in the file is executed: types that are not trusted are rejected.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is damaged, not a model file, or holds types that are not trusted.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no model file at {path}")
    try:
        content = skops.io.loads(_with_current_names(path.read_bytes()), trusted=list(TRUSTED))
    except (UntrustedTypesFoundException, UnsupportedTypeException) as error:
        raise ValueError(f"cannot load {path}: it holds types that no sparsam model has ({error})") from error
    except Exception as error:  # a damaged archive can make skops, zipfile or json raise anything
        raise ValueError(f"cannot load {path}: it is damaged or not a model file ({error!r})") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f"cannot load {path}: sparsam did not write it, or a newer version did")
    try:
        return _checked(content)
    except Exception as error:  # attributes of unexpected types can make the checks raise anything
        raise ValueError(f"cannot load {path}: its content is not what sparsam writes ({error!r})") from error


def _with_current_names(archive: bytes) -> bytes:
    """Rename, in an archive of skops, the classes that moved since an older version wrote it.

    Only names change; skops decides afterwards whether they are trusted.

    Raises
    ------
    ValueError
        If members are compressed, or larger than the archive. `save_pipeline` never compresses, and uncompressed
        members cannot expand to fill the memory.
    """
    with ZipFile(io.BytesIO(archive)) as old:
        members = {member.filename: member for member in old.infolist()}
        if any(member.compress_type != ZIP_STORED for member in old.infolist()):
            raise ValueError("it is compressed, but sparsam never compresses")
        if sum(member.file_size for member in old.infolist()) > len(archive):
            raise ValueError("its members are larger than the archive")
        schema = json.loads(old.read(SCHEMA))
        if not _rename_moved(schema):
            return archive
        renamed = io.BytesIO()
        with ZipFile(renamed, "w") as new:
            for name, member in members.items():
                new.writestr(name, json.dumps(schema) if name == SCHEMA else old.read(member))
    return renamed.getvalue()


def _rename_moved(tree: Any) -> bool:
    """Rename moved classes in a tree of JSON values, in place; return whether there were any."""
    found = False
    if isinstance(tree, dict):
        module, name = tree.get("__module__"), tree.get("__class__")
        if isinstance(module, str) and isinstance(name, str) and f"{module}.{name}" in MOVED:
            tree["__module__"], _, tree["__class__"] = MOVED[f"{module}.{name}"].rpartition(".")
            found = True
    for part in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        found |= _rename_moved(part)
    return found


def _checked(content: dict[str, Any]) -> TableModel:
    """Update the estimator's hyperparameters to this version, and check that everything is consistent."""
    pipeline, inputs, targets = content["pipeline"], list(content["inputs"]), list(content["targets"])
    if not isinstance(pipeline, Pipeline):
        raise TypeError(f"it holds a {type(pipeline).__name__} instead of a pipeline")
    _restore(pipeline[-1])
    pipeline[-1].check_fitted()
    return TableModel(pipeline, inputs, targets)


def _restore(estimator: Any) -> None:
    """Update the attributes of an estimator and of its parts to this version."""
    layout = _layout_of(estimator)
    attributes = layout.up_to_date(vars(estimator))
    vars(estimator).clear()
    vars(estimator).update(attributes)
    if layout.is_network:
        for name in HISTORIES:
            columns = getattr(estimator, name, {})
            setattr(estimator, name, {column: np.asarray(values).tolist() for column, values in columns.items()})
        estimator.loss_curve_ = np.asarray(estimator.loss_curve_).tolist()
    layout.complete(estimator)
    for name in layout.parts:
        part = getattr(estimator, name)
        for one in part if isinstance(part, list) else [] if part is None else [part]:
            _restore(one)


def _layout_of(estimator: Any) -> Layout:
    layout = LAYOUTS.get(type(estimator).__name__)
    if layout is None or type(estimator) is not layout.estimator:
        raise TypeError(f"its estimator is a {type(estimator).__name__}, which is not one of sparsam's")
    return layout
