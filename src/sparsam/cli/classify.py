"""``sparsam classify``: classify the rows of a raw table with noisy labels."""

from __future__ import annotations

import math
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
    import pandas as pd

PROFILE, COST, ERRORS = "likelihood-profile.png", "cost.png", "label-errors.csv"


@hyperparameter_options(
    "NoisyLabelClassifier",
    help=table_options.HELP
    | {
        "epsilon": "Probability that a label is wrong: a number; P(1|0),P(0|1) for two classes; estimate; or "
        "estimate_matrix, to estimate one for each pair of classes."
    },
)
def classify(
    data: table_options.Table,
    label: Annotated[str, typer.Option(help="Column of the labels.", show_default=False, rich_help_panel=DATA)],
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
    """Classify the rows of a raw table, some of whose labels may be wrong.

    Imputes, standardizes and encodes the other columns; trains a network by maximum likelihood, with labels that are
    wrong with probability epsilon (PRML exercise 5.4); scores held-out rows; and writes to the output folder:
    label-errors.csv (the labels that are probably wrong), likelihood-profile.png (if epsilon is estimated), cost.png,
    model.skops, metrics.json. Ctrl-C stops the training and saves the current model; while epsilon is being estimated,
    there is none to save.

    With --pretraining, an autoencoder learns from the rows first, also from those without a label, which are left out
    otherwise.
    """
    hyperparameters["epsilon"] = _epsilon(hyperparameters["epsilon"])
    files = (
        *((PROFILE,) if isinstance(hyperparameters["epsilon"], str) else ()),
        COST,
        ERRORS,
        MODEL_FILE,
        table_options.METRICS_FILE,
    )
    check_output_folder(out, files, overwrite)
    require_files(data)
    from sparsam.io.tables import read_table, take_columns

    csv_format = table_options.csv_format(sep, decimal, thousands, encoding)
    rows = read_table(data, say, csv_format=csv_format)
    table = with_labels(rows, label, pretraining=pretraining is not None)
    n_classes = _count_classes(table[label])
    labels = table[label].to_numpy()
    inputs = table.drop(columns=[label, *take_columns(table, ignore or [])])
    unlabeled = rows.drop(index=table.index if pretraining else rows.index)[list(inputs)]
    from sparsam.estimators.classifier import NoisyLabelClassifier
    from sparsam.io.pipelines import TableModel, save_pipeline, table_pipeline

    model = NoisyLabelClassifier(**hyperparameters)
    model.check_hyperparameters()
    training, test = table_options.split(inputs, test_fraction, hyperparameters["random_state"], labels)
    autoencoder = None if pretraining is None else unfitted_autoencoder(pretraining, hyperparameters)
    inputs, unlabeled, columns = table_options.usable_columns(inputs, unlabeled, training, csv_format)
    pipeline = table_pipeline(columns, model)
    table_options.warn_of_gross_values(inputs)
    table_options.warn_of_determining_inputs(inputs, table[[label]])
    say(f"{len(training)} training rows, {len(test)} held-out rows, {n_classes} classes; compiling")
    seconds = table_options.train(pipeline, inputs.iloc[training], labels[training], unlabeled, autoencoder, verbose)
    profile = model.likelihood_profile_
    if profile is not None:
        low, high = profile.interval
        say(f"epsilon = {model.epsilon_:.3f} (95 % interval {low:.3f} to {high:.3f})")

    suspects = _suspects(pipeline, inputs, labels)
    metrics = {
        "data": {
            "table": str(data.absolute()),
            "csv_format": asdict(csv_format),
            "columns": {column.name: str(column) for column in columns},
            "label": label,
            "n_training": len(training),
            "n_test": len(test),
        },
        "parameters": table_options.parameters_of(model),
        "classes": model.classes_.tolist(),
        "epsilon": model.epsilon_,
        "epsilon_interval": None if profile is None else list(profile.interval),
        "transition_matrix": model.transition_matrix_.tolist(),
        "training": _scores(pipeline, inputs.iloc[training], labels[training]),
        "test": _scores(pipeline, inputs.iloc[test], labels[test]) if len(test) else None,
        "n_label_errors": len(suspects),
        "pretraining": pretraining_metrics(model.pretraining_),
        **table_options.training_metrics(model, seconds),
    }
    _say_scores(metrics, model, labels[training], labels[test])
    say(f"{len(suspects)} labels are more probably wrong than right")
    out.mkdir(parents=True, exist_ok=True)
    save_pipeline(TableModel(pipeline, list(inputs), [label]), out / MODEL_FILE, overwrite=overwrite)
    table_options.write_metrics(metrics, out, overwrite)
    _write(model, suspects, out, overwrite)
    written = [file for file in files if file != PROFILE or profile is not None]
    say(f"Wrote {', '.join(written)} to {out}")
    if as_json:
        print_json(metrics)
    if model.stop_reason_ == "interrupted":
        raise typer.Exit(INTERRUPTED)


def _epsilon(text: str) -> Any:
    if text in ("estimate", "estimate_matrix"):
        return text
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if not 1 <= len(numbers) <= 2:
        raise ValueError(
            f"--epsilon {text}: expected a number, two comma-separated numbers, estimate, or estimate_matrix"
        )
    return numbers[0] if len(numbers) == 1 else tuple(numbers)


def _count_classes(labels: pd.Series) -> int:
    """Return the number of classes.

    Raises
    ------
    ValueError
        If there is only one, or one of them has a single row.
    """
    counts = labels.value_counts()
    if len(counts) == 0:
        raise ValueError(f"the label {labels.name!r} has no value in any row")
    if len(counts) < 2:
        only = str(counts.index[0])
        raise ValueError(f"the label {labels.name!r} is constant, {only!r}: there is nothing to predict")
    if counts.iloc[-1] < 2:
        rarest = str(counts.index[-1])
        raise ValueError(
            f"the label {labels.name!r} has only one row of the class {rarest!r}, but needs two, for training and "
            "scoring; to predict a number, use `sparsam regress`"
        )
    return len(counts)


def _say_scores(metrics: dict[str, Any], model: Any, training: Any, test: Any) -> None:
    """Print the scores of training and held-out labels, and whether the network is overfitted."""
    for part in ("training", "test"):
        if metrics[part]:
            scores = metrics[part]
            say(
                f"{part}: accuracy on the given labels {scores['accuracy']:.4f}, their mean log-likelihood "
                f"{scores['mean_log_likelihood']:.4f} nats"
            )
    learned, tested = (part and part["mean_log_likelihood"] for part in (metrics["training"], metrics["test"]))
    if tested is not None and is_overfitted(model, training, test, learned, tested):
        say(
            "test: the held-out labels are less likely under the network than under a guess without X: the network is "
            "overfitted to the training labels. Try early stopping, a greater --alpha, or fewer hidden units"
        )


def _scores(pipeline: Any, inputs: pd.DataFrame, labels: Any) -> dict[str, float]:
    return {
        "accuracy": float(pipeline.score(inputs, labels)),
        "mean_log_likelihood": table_options.mean_log_likelihood(pipeline, inputs, labels),
    }


def is_overfitted(model: Any, training: Any, test: Any, learned: float, tested: float) -> bool:
    """Return whether test labels are less likely than guesses, and training labels much more likely.

    Much more is half of what could be gained: a network that predicts nothing may be a little worse than guesses.
    """
    return learned > guessing(model, training, training) / 2 and tested < guessing(model, training, test)


def guessing(model: Any, training: Any, test: Any) -> float:
    """Compute the mean log-likelihood of test labels by their shares in the training; if weighted, by equal ones."""
    import pandas as pd

    if model.class_weight is not None:
        return -math.log(len(model.classes_))
    shares = pd.Series(training).value_counts(normalize=True)
    return sum(math.log(shares.get(label, 1 / len(training))) for label in test) / len(test)


def _suspects(pipeline: Any, inputs: pd.DataFrame, labels: Any) -> pd.DataFrame:
    """Make a table of the labels that are probably wrong, most probable first."""
    import pandas as pd

    X, model = pipeline[:-1].transform(inputs), pipeline[-1]
    wrong = model.label_error_proba(X, labels)
    rows = model.find_label_errors(X, labels)
    return pd.DataFrame(
        {
            "row": inputs.index[rows],
            "given": labels[rows],
            "probably": model.predict(X)[rows],
            "probability_wrong": wrong[rows],
        }
    )


def _write(model: Any, suspects: pd.DataFrame, out: Path, overwrite: bool) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    from sparsam import display
    from sparsam._utils.atomic_write import atomic_write

    with atomic_write(out / ERRORS, overwrite=overwrite) as file:
        suspects.to_csv(file, index=False)
    display.plot_cost_curve(model.history_, save=out / COST)
    if model.likelihood_profile_ is not None:
        display.plot_likelihood_profile(model.likelihood_profile_, save=out / PROFILE)
    plt.close("all")


def with_labels(table: pd.DataFrame, label: str, *, pretraining: bool = False) -> pd.DataFrame:
    """Drop rows without a label, and convert the labels to integers, booleans or text."""
    from sparsam._utils.listed import listed
    from sparsam.io.columns import class_labels
    from sparsam.io.tables import take_columns

    columns = take_columns(table, [label])
    if columns != [label]:
        raise ValueError(f"--label {label} matches {len(columns)} columns, {listed(columns)}: name one of them")
    labels = class_labels(table[label], label)
    known = labels.notna()
    if not known.all():
        use = "Only for the pretraining" if pretraining else "Left out"
        say(f"{use}: {int((~known).sum())} rows without a label")
    return table[known].assign(**{label: labels[known].infer_objects()})
