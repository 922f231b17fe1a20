"""``sparsam anomalies``: rank the rows of a raw table by reconstruction error, with the columns responsible."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sparsam.cli import table_options
from sparsam.cli.console import print_json, require_files, say
from sparsam.cli.hyperparameters import hyperparameter_options, refuse_given
from sparsam.cli.interrupts import INTERRUPTED
from sparsam.cli.output import AsJson, Out, Overwrite, Verbose, check_output_folder
from sparsam.cli.panels import DATA, OUTPUT
from sparsam.cli.table_options import METRICS_FILE, MODEL_FILE

if TYPE_CHECKING:
    import pandas as pd

    from sparsam.io.pipelines import TableModel

RANKED = "anomalies.csv"
DIGITS = 6  # of errors; they have the precision of float32
N_REASONS = 3  # columns named for each row
LEAST_EXPLAINED = 100  # rows with reasons, if fewer are outliers
OF_TRAINING = ("ignore", "contamination", "validation_fraction", "random_state", "out")


@hyperparameter_options(
    "AutoencoderOutlierDetector",
    only=("contamination", "validation_fraction", "random_state"),
    help={"random_state": "Seed of the initial weights, and of the rows to hold out."},
)
def anomalies(
    context: typer.Context,
    data: table_options.Table,
    ignore: table_options.Ignore = None,
    sep: table_options.Sep = None,
    decimal: table_options.Decimal = ".",
    thousands: table_options.Thousands = None,
    encoding: table_options.Encoding = "utf-8",
    model: Annotated[
        Path | None,
        typer.Option(
            help="Folder of an earlier run, or its model.skops: rank the rows of this table with that model.",
            show_default="learn from this table",
            rich_help_panel=DATA,
        ),
    ] = None,
    ranked: Annotated[
        Path | None,
        typer.Option(
            "--ranked",
            "-o",
            help="File for the ranked rows: .csv.",
            show_default=f"{RANKED} in the folder",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    verbose: Verbose = 1,
    out: Out = Path("sparsam-out"),
    overwrite: Overwrite = False,
    as_json: AsJson = False,
    **hyperparameters: Any,
) -> None:
    """Rank the rows of a raw table by their reconstruction error, and name the columns responsible.

    Imputes, standardizes and encodes the columns; learns with an autoencoder what they have in common; and ranks the
    rows by the error of their reconstruction, largest first. Writes to the output folder: anomalies.csv, with the
    three columns that contribute most to the error of each outlier and their expected values, model.skops,
    metrics.json. `sparsam report` makes a page of it.

    With --model, it ranks the rows of another table by a model that was saved.
    """
    hyperparameters["contamination"] = _contamination(hyperparameters["contamination"])
    if ranked is not None:
        _check_ranked(ranked, data, overwrite)
    csv_format = table_options.csv_format(sep, decimal, thousands, encoding)
    if model is not None:
        refuse_given(context, OF_TRAINING, "applies to training, and cannot be combined with --model")
        if ranked is None:
            raise ValueError("--model needs a file for the ranked rows: add -o ranked.csv")
        rows = _rank_by(model, data, csv_format, ranked, overwrite)
        if as_json:
            print_json({"n_rows": len(rows), "n_outliers": int(rows["outlier"].sum())})
        return
    files = (*((RANKED,) if ranked is None else ()), MODEL_FILE, METRICS_FILE)
    check_output_folder(out, files, overwrite)
    require_files(data)
    import numpy as np

    from sparsam.io.pipelines import TableModel, save_pipeline, table_pipeline
    from sparsam.io.tables import read_table, take_columns

    table = read_table(data, say, csv_format=csv_format)
    inputs = table.drop(columns=take_columns(table, ignore or []))
    inputs, _, columns = table_options.usable_columns(inputs, inputs.iloc[:0], np.arange(len(inputs)), csv_format)
    detector = _detector(columns, inputs, hyperparameters)
    pipeline = table_pipeline(columns, detector)
    is_gross = _gross_rows(columns, inputs)
    say(f"{len(inputs)} rows; compiling")
    seconds = table_options.train_detector(pipeline, inputs[~is_gross], verbose)
    fitted = TableModel(pipeline, list(inputs), [])
    rows = rank(fitted, inputs, table)
    autoencoder = detector.autoencoder_
    n_outliers = int(rows["outlier"].sum())
    metrics = {
        "data": {
            "table": str(data.absolute()),
            "csv_format": asdict(csv_format),
            "columns": {column.name: str(column) for column in columns},
            "n_rows": len(inputs),
        },
        "parameters": hyperparameters,
        "threshold": -detector.offset_,
        "n_outliers": n_outliers,
        "explained_variance_ratio": autoencoder.explained_variance_ratio_,
        **table_options.training_metrics(autoencoder, seconds),
    }
    say(f"{n_outliers} of {len(inputs)} rows have errors above the threshold {-detector.offset_:.4g}")
    out.mkdir(parents=True, exist_ok=True)
    save_pipeline(fitted, out / MODEL_FILE, overwrite=overwrite)
    table_options.write_metrics(metrics, out, overwrite)
    _write(rows, ranked or out / RANKED, overwrite)
    say(f"Wrote {', '.join(str(path) for path in (ranked or out / RANKED, out / MODEL_FILE, out / METRICS_FILE))}")
    if as_json:
        print_json(metrics)
    if autoencoder.stop_reason_ == "interrupted":
        raise typer.Exit(INTERRUPTED)


def _contamination(text: str) -> str | float:
    if text == "auto":
        return text
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"--contamination {text}: expected auto, or a share in (0, 0.5] such as 0.05") from None


def _detector(columns: list[Any], inputs: pd.DataFrame, hyperparameters: dict[str, Any]) -> Any:
    """Make the unfitted detector for the encoded columns, which are standardized already."""
    from sparsam.estimators.outlier_detector import AutoencoderOutlierDetector, default_autoencoder
    from sparsam.io.pipelines import table_pipeline

    detector = AutoencoderOutlierDetector(**hyperparameters)
    detector.check_hyperparameters()
    encoder = table_pipeline(columns, detector)[:-1].fit(inputs)
    autoencoder = default_autoencoder(len(encoder.get_feature_names_out()))
    return detector.set_params(autoencoder=autoencoder.set_params(random_state=hyperparameters["random_state"]))


def _gross_rows(columns: list[Any], inputs: pd.DataFrame) -> Any:
    """Find and report the rows with a number far from all others: ranked, but left out of the training."""
    import numpy as np

    from sparsam.inspection.gross_values import has_gross_value

    numbers = [column.name for column in columns if column.kind == "numeric"]
    if not numbers:
        return np.zeros(len(inputs), bool)
    is_gross = has_gross_value(inputs[numbers].to_numpy(np.float64))
    if is_gross.any():
        say(
            f"Left out of the training: {int(is_gross.sum())} rows with a number more than 10 robust deviations from "
            "the median of its column"
        )
    return is_gross


def _check_ranked(ranked: Path, data: Path, overwrite: bool) -> None:
    """Raise an error, before any work, if the ranked rows cannot be written, or would replace the table."""
    if ranked.suffix.lower() != ".csv":
        raise ValueError(f"--ranked {ranked}: expected a name that ends with .csv")
    if ranked.absolute() == data.absolute() or (ranked.exists() and data.exists() and ranked.samefile(data)):
        raise ValueError(f"--ranked {ranked} is the table itself: name another file")
    if ranked.exists() and not overwrite:
        raise FileExistsError(f"{ranked} exists: name another file, or replace it with --overwrite")
    if not ranked.absolute().parent.is_dir():
        raise FileNotFoundError(f"--ranked {ranked}: there is no folder {ranked.absolute().parent}")


def _rank_by(run: Path, data: Path, csv_format: Any, ranked: Path, overwrite: bool) -> pd.DataFrame:
    """Rank the rows of a table by a saved model, and write them."""
    path = table_options.model_file(run)
    require_files(path, data)
    from sparsam.io.pipelines import load_pipeline
    from sparsam.io.tables import read_table

    fitted = load_pipeline(path)
    if not hasattr(fitted.pipeline[-1], "offset_"):
        raise ValueError(f"--model {run} is a model of regress or classify: name a run of `sparsam anomalies`")
    table = read_table(data, say, csv_format=csv_format, text=fitted.categorical)
    rows = rank(fitted, fitted.take_inputs(table, say, csv_format), table)
    _write(rows, ranked, overwrite)
    say(f"{int(rows['outlier'].sum())} of {len(rows)} rows have errors above the threshold. Wrote {ranked}")
    return rows


def rank(model: TableModel, inputs: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Rank rows, with the reasons of outliers, or of the first ones if they are few; then the columns of the table."""
    import numpy as np
    import pandas as pd

    from sparsam.io.reasons import reasons

    encoded, detector = model.pipeline[:-1].transform(inputs), model.pipeline[-1]
    scores = detector.score_samples(encoded)
    order = np.argsort(scores, kind="stable")
    errors = [float(f"{-score:.{DIGITS}g}") for score in scores[order]]
    found = {"row": table.index[order], "error": errors, "outlier": scores[order] < detector.offset_}
    result = pd.DataFrame(found, index=table.index[order])
    explained = order[: max(int(result["outlier"].sum()), LEAST_EXPLAINED)]
    result = result.join(reasons(model, inputs.iloc[explained], N_REASONS))
    names: list[str] = list(result)
    for name in table:
        while name in names:  # the table may hold a table that was ranked before
            name = f"{name} (column)"
        names.append(name)
    return result.join(table.set_axis(names[len(result.columns) :], axis=1))


def _write(rows: pd.DataFrame, path: Path, overwrite: bool) -> None:
    from sparsam._utils.atomic_write import atomic_write

    with atomic_write(path, overwrite=overwrite) as file:
        rows.to_csv(file, index=False)
