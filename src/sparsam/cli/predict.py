"""``sparsam predict``: predict with a saved model for the rows of a table."""

from __future__ import annotations

from collections.abc import Collection
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sparsam.cli import table_options
from sparsam.cli.console import require_files, say
from sparsam.cli.models import MODEL_FILE

if TYPE_CHECKING:
    import pandas as pd

    from sparsam.io.tables import CsvFormat

FORMATS = (".csv", ".parquet")


def predict(
    model: Annotated[Path, typer.Argument(help="Folder of a run of regress or classify, or its model.skops.")],
    data: Annotated[Path, typer.Argument(help="Table with the input columns: .csv, .tsv, .parquet or .npz.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="File for the predictions: .csv or .parquet.")],
    proba: Annotated[
        bool, typer.Option("--proba", help="Classification: also write the probability of each class.")
    ] = False,
    conditional: Annotated[
        bool,
        typer.Option("--conditional", help="Regression: fill in missing targets, given those in the table."),
    ] = False,
    coverage: Annotated[
        float | None,
        typer.Option(
            help="Regression: also write bounds of a region that contains all targets with this probability, such as "
            "0.9. Training with `regress --calibration-fraction` makes it hold for any noise.",
            show_default="no bounds",
        ),
    ] = None,
    sep: table_options.Sep = None,
    decimal: table_options.Decimal = ".",
    thousands: table_options.Thousands = None,
    encoding: table_options.Encoding = "utf-8",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = False,
) -> None:
    """Predict the targets of each row: write a column per target and, for a regression, its standard deviation."""
    if out.suffix.lower() not in FORMATS:
        raise ValueError(f"{out}: unknown format; use one of {', '.join(FORMATS)}")
    if out.exists() and not overwrite:
        raise FileExistsError(f"{out} exists: name another file, or replace it with --overwrite")
    is_run = (model / MODEL_FILE).is_file() and not table_options.model_file(model).is_file()
    if is_run or model.suffix == Path(MODEL_FILE).suffix:
        raise ValueError(
            f"{model} is an autoencoder of `sparsam learn`: use `sparsam encode {model} {data} -o codes.csv`"
        )
    model = table_options.model_file(model)
    require_files(model, data)
    from sparsam._utils.atomic_write import atomic_write
    from sparsam.io.pipelines import load_pipeline
    from sparsam.io.tables import read_table

    fitted = load_pipeline(model)
    if hasattr(fitted.pipeline[-1], "offset_"):
        raise ValueError(f"{model} ranks anomalies: use `sparsam anomalies TABLE --model {model.parent} -o ranked.csv`")
    csv_format = table_options.csv_format(sep, decimal, thousands, encoding)
    table = read_table(data, say, csv_format=csv_format, text=fitted.categorical)
    inputs = fitted.pipeline[:-1].transform(fitted.take_inputs(table, say, csv_format))
    estimator = fitted.pipeline[-1]
    if hasattr(estimator, "classes_"):
        for flag, given in (("--conditional", conditional), ("--coverage", coverage is not None)):
            if given:
                raise ValueError(f"{flag} applies to a regression, but this model is a classification")
        predictions = _classes(estimator, inputs, fitted.targets[0], proba)
    else:
        if proba:
            raise ValueError("--proba applies to a classification, but this model is a regression")
        if conditional and coverage is not None:
            raise ValueError("--coverage and --conditional exclude each other: regions are of all targets together")
        predictions = _numbers(estimator, inputs, fitted.targets, table if conditional else None, csv_format)
        if coverage is not None:
            predictions = _with_bounds(predictions, estimator.predict_region(inputs, coverage), fitted.targets)
    predictions.index = table.index
    with atomic_write(out, overwrite=overwrite) as file:
        if out.suffix.lower() == ".csv":
            predictions.to_csv(file, index=False)
        else:
            predictions.to_parquet(file, index=False)
    say(f"Wrote {len(predictions)} rows of {', '.join(predictions)} to {out}")


def _classes(estimator: Any, inputs: Any, name: str, proba: bool) -> pd.DataFrame:
    import pandas as pd

    columns = {name: estimator.predict(inputs)}
    if proba:
        probabilities = estimator.predict_proba(inputs)
        for k, label in enumerate(estimator.classes_):
            columns[_unused(f"P({label})", columns)] = probabilities[:, k]
    return pd.DataFrame(columns)


def _numbers(
    estimator: Any, inputs: Any, names: list[str], table: pd.DataFrame | None, form: CsvFormat
) -> pd.DataFrame:
    import numpy as np
    import pandas as pd

    from sparsam.io.columns import as_numbers

    if table is None:
        means, deviations = estimator.predict(inputs, return_std=True)
    else:
        given = table.reindex(columns=names)
        known = np.column_stack([as_numbers(given[name], name, form, kind="target") for name in names])
        means, deviations = estimator.predict_conditional(inputs, known, return_std=True)
    means, deviations = (np.reshape(values, (len(values), -1)) for values in (means, deviations))
    columns: dict[str, Any] = {}
    for k, name in enumerate(names):
        columns |= {name: means[:, k], _unused(f"{name}_std", {*names, *columns}): deviations[:, k]}
    return pd.DataFrame(columns)


def _with_bounds(predictions: pd.DataFrame, region: Any, names: list[str]) -> pd.DataFrame:
    """Append the bounds of each target."""
    columns: dict[str, Any] = dict(predictions)
    lower, upper = (values.reshape(len(values), -1) for values in (region.lower, region.upper))
    for k, name in enumerate(names):
        for bound, values in (("lower", lower), ("upper", upper)):
            columns[_unused(f"{name}_{bound}", columns)] = values[:, k]
    return type(predictions)(columns)


def _unused(name: str, used: Collection[str]) -> str:
    """Return the name, with a number appended if another column has it."""
    return next(free for free in chain([name], (f"{name}_{k}" for k in count(2))) if free not in used)
