"""Options, split, training and metrics of the commands for tables (``regress``, ``classify``)."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sparsam.cli.console import progress_shown, say
from sparsam.cli.convergence import convergence_advice, library_advice_ignored
from sparsam.cli.panels import DATA
from sparsam.cli.pretraining import pretrain

if TYPE_CHECKING:
    import pandas as pd

    from sparsam.io.columns import Column
    from sparsam.io.tables import CsvFormat

MODEL_FILE, METRICS_FILE = "model.skops", "metrics.json"
TABLES = (".csv", ".tsv", ".parquet")  # suffixes of files that are tables, not images

HELP = {"random_state": "Seed of the splits and of the initial weights."}

Table = Annotated[Path, typer.Argument(help="Table: .csv or .tsv with a header, .parquet, or .npz of arrays.")]
Ignore = Annotated[
    list[str] | None,
    typer.Option(help="Column not to use as an input; can be repeated.", show_default=False, rich_help_panel=DATA),
]
TestFraction = Annotated[
    float, typer.Option(help="Fraction of the rows to hold out for scoring; 0 for none.", rich_help_panel=DATA)
]
Sep = Annotated[
    str | None,
    typer.Option(help=r"Separator in a text table, such as ';' or '\t'.", show_default="comma", rich_help_panel=DATA),
]
Decimal = Annotated[str, typer.Option(help="Decimal point in a text table.", rich_help_panel=DATA)]
Thousands = Annotated[
    str | None,
    typer.Option(help="Thousands separator in a text table.", show_default="none", rich_help_panel=DATA),
]
Encoding = Annotated[str, typer.Option(help="Encoding of a text table, such as cp1252.", rich_help_panel=DATA)]

MOST_LINES = 40  # with more columns, those without a remark are only counted


def model_file(path: Path) -> Path:
    """Return the model in the folder of a run for a table, or the path itself if it is a file."""
    return path / MODEL_FILE if path.is_dir() else path


def csv_format(sep: str | None, decimal: str, thousands: str | None, encoding: str) -> CsvFormat:
    r"""Make the format of text tables from the options; ``\t`` on the command line is a tab."""
    from sparsam.io.tables import CsvFormat

    return CsvFormat("\t" if sep == r"\t" else sep, decimal, thousands, encoding)


def usable_columns(
    inputs: pd.DataFrame, unlabeled: pd.DataFrame, training: Any, form: CsvFormat
) -> tuple[pd.DataFrame, pd.DataFrame, list[Column]]:
    """Convert the columns to types for a model, choose their kinds from the training rows, and report the decisions.

    ``unlabeled`` are rows without a target, of the same columns; they may be empty.
    """
    import pandas as pd

    from sparsam.io.columns import describe_columns, typed_columns

    n_labeled = len(inputs)
    if len(unlabeled):
        inputs = pd.concat([inputs, unlabeled])
    typed, dropped = typed_columns(inputs, form)
    decided = {column.name: column for column in (*describe_columns(typed.iloc[training]), *dropped)}
    columns = [decided[name] for name in inputs]
    say(f"{len(columns)} columns:")
    for column in columns:
        if len(columns) <= MOST_LINES or column.remark:
            say(f"  {column}")
    if len(columns) > MOST_LINES:
        say(f"  {sum(not column.remark for column in columns)} others: numeric")
    usable = typed[[column.name for column in columns if column.kind != "dropped"]]
    return usable.iloc[:n_labeled], usable.iloc[n_labeled:], columns


def warn_of_gross_values(table: pd.DataFrame) -> None:
    """Warn of numbers that look like slips: an input with one suppresses the other values, and spoils scores."""
    from sparsam.io.gross_columns import gross_columns

    for description in gross_columns(table):
        say(f"Warning: {description}")


def warn_of_determining_inputs(inputs: pd.DataFrame, targets: pd.DataFrame) -> None:
    """Warn of inputs that alone determine a target."""
    from sparsam.io.determined_targets import determining_inputs

    for description in determining_inputs(inputs, targets):
        say(f"Warning: {description}")


def split(table: pd.DataFrame, fraction: float, seed: int, labels: Any = None) -> tuple[Any, Any]:
    """Return the positions of the training rows and of the held-out rows; a fraction of 0 holds out none."""
    import math

    if not 0 <= fraction < 1:
        raise ValueError(f"--test-fraction must be in [0, 1), got {fraction}")
    none = round(fraction * len(table)) == 0
    return split_at(len(table), 0 if none else math.ceil(fraction * len(table)), seed, labels)


def split_at(n_rows: int, n_test: int, seed: int, labels: Any = None) -> tuple[Any, Any]:
    """Split off a given number of held-out rows; the same number and seed reproduce a split."""
    import numpy as np
    from sklearn.model_selection import train_test_split

    rows = np.arange(n_rows)
    if n_test == 0:
        return rows, rows[:0]
    training, test = train_test_split(rows, test_size=n_test, random_state=seed, stratify=labels)
    return np.sort(training), np.sort(test)


def train(
    pipeline: Any, inputs: pd.DataFrame, targets: Any, unlabeled: pd.DataFrame, autoencoder: Any, verbose: int
) -> float:
    """Fit a pipeline whose estimator is its last step, with progress; return the seconds.

    With an autoencoder the estimator is pretrained on these rows and on those without a target, ``unlabeled``.
    """
    start = time.perf_counter()
    estimator = pipeline[-1]
    with progress_shown(quiet=verbose == 0), library_advice_ignored():
        if autoencoder is not None:
            pretrain(pipeline, autoencoder, inputs, unlabeled)
        pipeline.fit(inputs, targets)
    seconds = time.perf_counter() - start
    _say_how_it_ended(estimator, seconds, has_checkpoint=estimator.checkpoint is not None)
    estimator.set_params(checkpoint=None)  # not part of the model
    return seconds


def train_detector(pipeline: Any, inputs: pd.DataFrame, verbose: int) -> float:
    """Fit a pipeline whose last step is a detector, with progress; return the seconds."""
    start = time.perf_counter()
    with progress_shown(quiet=verbose == 0), library_advice_ignored():
        pipeline.fit(inputs)
    seconds = time.perf_counter() - start
    _say_how_it_ended(pipeline[-1].autoencoder_, seconds, has_checkpoint=False)
    return seconds


def _say_how_it_ended(network: Any, seconds: float, *, has_checkpoint: bool) -> None:
    """Print why a training stopped and, if it did not converge, a remedy."""
    from sparsam.estimators._progress.displays import summary_line

    advice = convergence_advice(network, has_checkpoint=has_checkpoint)
    say(f"Stopped: {summary_line(network)}, {seconds:.1f} s")
    if advice is not None:
        say(f"Not converged: {advice}")


def mean_log_likelihood(pipeline: Any, inputs: pd.DataFrame, targets: Any) -> float:
    """Compute the mean log-likelihood of targets or labels under the last step of a pipeline, in nats per row."""
    return float(pipeline[-1].mean_log_likelihood(pipeline[:-1].transform(inputs), targets))


def parameters_of(estimator: Any) -> dict[str, Any]:
    """Return the hyperparameters as JSON values; those of the pretraining are among the metrics of the training."""
    left_out = ("callback", "pretraining")
    return {name: value for name, value in estimator.get_params(deep=False).items() if name not in left_out}


def training_metrics(estimator: Any, seconds: float) -> dict[str, Any]:
    """Return the metrics that all trainings have."""
    return {
        "J": estimator.loss_,
        "gradient_norm": estimator.gradient_norm_,
        "n_iter": estimator.n_iter_,
        "n_evaluations": estimator.n_evaluations_,
        "stop_reason": estimator.stop_reason_,
        "seconds": seconds,
    }


def write_metrics(metrics: dict[str, Any], out: Path, overwrite: bool) -> None:
    """Write metrics.json."""
    from sparsam._utils.atomic_write import atomic_write

    with atomic_write(out / METRICS_FILE, overwrite=overwrite) as file:
        file.write(json.dumps(metrics, indent=2, allow_nan=False).encode())
