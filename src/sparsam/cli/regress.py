"""``sparsam regress``: regression with a noise covariance on a raw table."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sparsam.cli import table_options
from sparsam.cli.console import print_json, require_files, say
from sparsam.cli.hyperparameters import hyperparameter_options
from sparsam.cli.interrupts import INTERRUPTED
from sparsam.cli.output import AsJson, Out, Overwrite, Verbose, check_output_folder
from sparsam.cli.panels import DATA
from sparsam.cli.pretraining import Pretraining, pretraining_metrics, unfitted_autoencoder
from sparsam.cli.table_options import MODEL_FILE

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

PICTURES = ("residuals.png", "cost.png")
HELP = table_options.HELP | {
    "alpha": "Weight decay.",
    "cv": "Number of folds for estimating the covariance of predictions; 0 for none.",
}


@hyperparameter_options("MultivariateNormalRegressor", help=HELP)
def regress(
    data: table_options.Table,
    target: Annotated[
        list[str],
        typer.Option(
            help="Column to predict; can be repeated. Missing values are allowed.",
            show_default=False,
            rich_help_panel=DATA,
        ),
    ],
    ignore: table_options.Ignore = None,
    sep: table_options.Sep = None,
    decimal: table_options.Decimal = ".",
    thousands: table_options.Thousands = None,
    encoding: table_options.Encoding = "utf-8",
    test_fraction: table_options.TestFraction = 0.2,
    pretraining: Pretraining = None,
    verbose: Verbose = 1,
    out: Out = Path("sparsam-out"),
    overwrite: Overwrite = False,
    as_json: AsJson = False,
    **hyperparameters: Any,
) -> None:
    """Predict numeric columns of a raw table, with the covariance of their noise.

    Imputes, standardizes and encodes the other columns; trains a network by maximum likelihood, with normal noise and
    a covariance between the targets (PRML exercise 5.3); estimates the covariance of predictions by cross-validation;
    scores held-out rows; and writes to the output folder: residuals.png, cost.png, model.skops, metrics.json. Ctrl-C
    stops the last training and saves the current model; before it, during cross-validation, there is none to save.

    With --pretraining, an autoencoder learns from the rows first, also from those without any target, which are left
    out otherwise.
    """
    check_output_folder(out, (*PICTURES, MODEL_FILE, table_options.METRICS_FILE), overwrite)
    require_files(data)
    from sparsam.io.columns import numeric_targets
    from sparsam.io.tables import read_table, take_columns

    csv_format = table_options.csv_format(sep, decimal, thousands, encoding)
    table = read_table(data, say, csv_format=csv_format)
    targets = numeric_targets(table, take_columns(table, target), csv_format)
    rows = table.drop(columns=[*targets, *take_columns(table, ignore or [])])
    inputs, targets = with_targets(rows, targets, pretraining=pretraining is not None)
    unlabeled = rows.drop(index=inputs.index if pretraining else rows.index)
    from sparsam.estimators.regressor import MultivariateNormalRegressor
    from sparsam.io.pipelines import TableModel, save_pipeline, table_pipeline

    model = MultivariateNormalRegressor(**hyperparameters)
    model.check_hyperparameters()
    training, test = table_options.split(inputs, test_fraction, hyperparameters["random_state"])
    autoencoder = None if pretraining is None else unfitted_autoencoder(pretraining, hyperparameters)
    inputs, unlabeled, columns = table_options.usable_columns(inputs, unlabeled, training, csv_format)
    pipeline = table_pipeline(columns, model)
    table_options.warn_of_gross_values(inputs.join(targets))
    table_options.warn_of_determining_inputs(inputs, targets)
    n_targets = "1 target" if targets.shape[1] == 1 else f"{targets.shape[1]} targets"
    say(f"{len(training)} training rows, {len(test)} held-out rows, {n_targets}; compiling")
    seconds = table_options.train(
        pipeline, inputs.iloc[training], targets.iloc[training].to_numpy(), unlabeled, autoencoder, verbose
    )

    metrics = {
        "data": {
            "table": str(data.absolute()),
            "csv_format": asdict(csv_format),
            "columns": {column.name: str(column) for column in columns},
            "targets": list(targets),
            "n_training": len(training),
            "n_test": len(test),
        },
        "parameters": table_options.parameters_of(model),
        "training": _scores(pipeline, inputs.iloc[training], targets.iloc[training]),
        "test": _scores(pipeline, inputs.iloc[test], targets.iloc[test]) if len(test) else None,
        "covariance": _numbers(model.covariance_),
        "predictive_covariance": _numbers(model.predictive_covariance_),
        "alpha": model.alpha_,
        "covariance_alpha": model.covariance_alpha_,
        "pretraining": pretraining_metrics(model.pretraining_),
        **table_options.training_metrics(model, seconds),
    }
    for part in ("training", "test"):
        if metrics[part]:
            scores: Any = metrics[part]
            each = ", ".join(f"{name} {value:.3f}" for name, value in scores["R2"].items())
            say(f"{part}: mean log-likelihood {scores['mean_log_likelihood']:.4f} nats; R^2 {each}")
    out.mkdir(parents=True, exist_ok=True)
    save_pipeline(TableModel(pipeline, list(inputs), list(targets)), out / MODEL_FILE, overwrite=overwrite)
    table_options.write_metrics(metrics, out, overwrite)
    shown = test if len(test) else training
    _draw(pipeline, inputs.iloc[shown], targets.iloc[shown], out)
    say(f"Wrote {', '.join((*PICTURES, MODEL_FILE, table_options.METRICS_FILE))} to {out}")
    if as_json:
        print_json(metrics)
    if model.stop_reason_ == "interrupted":
        raise typer.Exit(INTERRUPTED)


def with_targets(
    inputs: pd.DataFrame, targets: pd.DataFrame, *, pretraining: bool = False
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Drop rows without any target, and report them."""
    known = targets.notna().any(axis=1)
    if not known.all():
        use = "Only for the pretraining" if pretraining else "Left out"
        say(f"{use}: {int((~known).sum())} rows without any target")
    return inputs[known], targets[known]


def _numbers(matrix: NDArray[np.float64]) -> list[list[float | None]]:
    """Convert a matrix to JSON values, with None for NaN."""
    return [[None if value != value else value for value in row] for row in matrix.tolist()]


def _predicted(pipeline: Any, inputs: pd.DataFrame) -> NDArray[np.float64]:
    return pipeline.predict(inputs).reshape(len(inputs), -1)


def _scores(pipeline: Any, inputs: pd.DataFrame, targets: pd.DataFrame) -> dict[str, Any]:
    from sklearn.metrics import r2_score

    Y, predicted, scores = targets.to_numpy(), _predicted(pipeline, inputs), {}
    for k, name in enumerate(targets):
        seen = targets[name].notna().to_numpy()
        if seen.sum() > 1:
            scores[name] = float(r2_score(Y[seen, k], predicted[seen, k]))
    return {"mean_log_likelihood": table_options.mean_log_likelihood(pipeline, inputs, Y), "R2": scores}


def _draw(pipeline: Any, inputs: pd.DataFrame, targets: pd.DataFrame, out: Path) -> None:
    """Draw the residuals of these rows, and the cost curve of the fit."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt
    import numpy as np

    from sparsam import display
    from sparsam.display.covariance_display import CovarianceDisplay
    from sparsam.display.figure_io import finish_figure

    residuals_file, cost_file = (out / name for name in PICTURES)
    residuals = CovarianceDisplay.from_estimator(pipeline, inputs, targets)
    finish_figure(np.ravel(residuals.ax_)[0], save=residuals_file, show=False)
    display.plot_cost_curve(pipeline[-1].history_, save=cost_file)
    plt.close("all")
