"""``sparsam report``: make a page about a run for the browser."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sparsam.cli import image_options, table_options
from sparsam.cli.console import require_paths, say
from sparsam.cli.models import MODEL_FILE, image_shape_of, load_learned, read_metrics, whiten_of
from sparsam.cli.row_names import NAMES_FILE, read_names
from sparsam.cli.table_options import METRICS_FILE
from sparsam.cli.training_rows import cut_patches, read_numbers, read_rows, whitens

if TYPE_CHECKING:
    import pandas as pd

    from sparsam.io.tables import CsvFormat

PAGE = "report.html"
ROUNDING = 1e-4  # relative tolerance of J or a likelihood on the same data; float32 on another machine differs less


def report(
    run: Annotated[
        Path,
        typer.Argument(
            help="Folder of a run of `sparsam learn`, `regress`, `classify` or `anomalies`, or the model file in it."
        ),
    ],
    images: Annotated[
        list[Path] | None,
        typer.Option(
            help="Runs of learn: the images, if they have moved; can be repeated.", show_default="those of the run"
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="The table or array of rows, if it has moved.", show_default="that of the run"),
    ] = None,
    names: Annotated[
        Path | None,
        typer.Option(
            help="Runs of learn --rows: text file, UTF-8, with a name for each row, one a line.",
            show_default="those of the run, if it has any",
        ),
    ] = None,
    image_shape: Annotated[
        str,
        typer.Option(
            help="Shape of rows that are images: HEIGHT,WIDTH, or HEIGHT,WIDTH,3 in color; none if they are not; or "
            "auto: the shape of the patches of learn, none for tables."
        ),
    ] = "auto",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="File for the page.", show_default=f"RUN/{PAGE}")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing page.")] = False,
) -> None:
    """Make a page about a run: one HTML file for the browser, which needs no network.

    The page shows, for learn: filters, to sort and click, units, reconstructions, mean activations, and a gradient
    certificate; if its rows have names, units by the names of their strongest rows, and a search; for regress:
    covariance, residuals, and calibration; for classify: label noise, labels that are probably wrong, and calibration;
    for anomalies: the outliers with the columns responsible; for all: the training history, and warnings. The data are
    read again from the files of the run, and split again into training rows and held-out rows.
    """
    run = _run_of(run)
    metrics = read_metrics(run)
    page = out or run / PAGE
    if page.exists() and not overwrite:
        raise FileExistsError(f"{page} exists: name another file with --out, or replace it with --overwrite")
    if not page.parent.is_dir():
        raise FileNotFoundError(f"--out {page}: there is no folder {page.parent}")
    shape = None if image_shape in ("auto", "none") else image_options.shape_of(image_shape)
    from sparsam.reports.page import require_libraries

    try:
        require_libraries()
    except ImportError as error:
        raise ValueError(str(error)) from error
    from sparsam.reports import report as make

    try:
        if names is not None and "rows" not in metrics["data"]:
            raise ValueError("--names applies to runs of learn --rows: it names rows")
        if not (run / MODEL_FILE).exists():
            if images:
                raise ValueError("--images applies to runs of learn; name the table of this run with --data")
            is_ranking = "n_outliers" in metrics
            arguments = (_ranking_arguments if is_ranking else _table_arguments)(run, metrics, data)
        elif "rows" in metrics["data"]:
            if images:
                raise ValueError("--images applies to patches, but this run used --rows: name its table with --data")
            arguments = _autoencoder_arguments(run, metrics, None if data is None else [data], names)
        else:
            if data is not None:
                raise ValueError("--data applies to tables, but this run used images: name them with --images")
            arguments = _autoencoder_arguments(run, metrics, images)
        if image_shape == "auto" and (run / MODEL_FILE).exists():
            shape = image_shape_of(metrics["data"], arguments["X"].shape[1])
    except KeyError as error:
        raise ValueError(f"{run / METRICS_FILE} has no entry {error}: another program wrote it") from error
    make(**arguments, image_shape=shape, title=f"Report on {run.absolute().name}", path=page, overwrite=overwrite)
    say(f"Wrote {page}")


def _run_of(path: Path) -> Path:
    """Return the folder of a run, from its own path or that of its model file.

    Raises
    ------
    FileNotFoundError
        If there is no such folder, or no run in it.
    ValueError
        If the folder holds two runs.
    """
    require_paths(path)
    run = path if path.is_dir() else path.absolute().parent
    files = [run / name for name in (MODEL_FILE, table_options.MODEL_FILE) if (run / name).exists()]
    if not files or not (run / METRICS_FILE).is_file():
        raise FileNotFoundError(
            f"{run} holds no run: expected a model ({MODEL_FILE} or {table_options.MODEL_FILE}) and {METRICS_FILE}, as "
            "sparsam learn, regress, classify and anomalies write them; for a model outside a run, use "
            "sparsam.report(model, X) in Python"
        )
    if len(files) > 1:
        raise ValueError(f"{run} holds two runs, {files[0].name} and {files[1].name}: move one to another folder")
    return run


def _autoencoder_arguments(
    run: Path, metrics: dict[str, Any], moved: list[Path] | None, names_file: Path | None = None
) -> dict[str, Any]:
    """Load an autoencoder, and make its training rows again, with the same scale."""
    learned = load_learned(run)
    model, origin = learned.autoencoder, learned.origin
    names: list[str] | None = None
    remarks: list[str] = []
    if "rows" in origin:
        [path] = moved or [Path(origin["rows"])]
        _require_data([path], "--data")
        csv_format = _csv_format(origin)
        if names_file is not None:
            names = read_names(names_file)
        elif origin.get("has_names", False):
            names, remarks = _names_of_run(run / NAMES_FILE, path, csv_format)
        data = read_rows(path, csv_format, None, learned.scaler, names, origin.get("ignored", []))
        X, names = data.X, data.names
    else:
        built_in = origin["images"] == image_options.BUILT_IN
        paths = moved or (None if built_in else [Path(path) for path in origin["images"]])
        _require_data(paths or [], "--images")
        size, color = origin["patch_size"], origin.get("color", False)
        images, _ = image_options.load(paths, whiten_of(origin), origin["border"], size, color=color)
        seed = metrics["parameters"]["random_state"]
        X = cut_patches(images, origin, origin["n_patches"], size, seed, learned.scaler).X
    J, now = metrics["J_float64"], model.cost(X)
    if whitens(learned.scaler):
        from sklearn.pipeline import make_pipeline

        model, X = make_pipeline(learned.scaler, model), learned.scaler.inverse_transform(X)
    if not math.isclose(now, J, rel_tol=ROUNDING):
        remark = (
            f"The rows of this page differ from those of the training: their J is {now:.6g}, but was {J:.6g}. "
            "The data have changed, or are other data."
        )
        remarks = [remark, *remarks]
    return {"model": model, "X": X, "names": names, "remarks": remarks}


def _names_of_run(path: Path, rows: Path, csv_format: CsvFormat) -> tuple[list[str] | None, list[str]]:
    """Read the names of a run's rows; if they are no longer those of the rows, return a remark instead."""
    if not path.is_file():
        return None, [f"Rows are shown without names, since {path.name} of the run is missing: add --names."]
    names, n_rows = read_names(path), len(read_numbers(rows, csv_format))
    if len(names) == n_rows:
        return names, []
    return None, [
        f"Rows are shown without names: the run has {len(names):,} names, but {rows.name} has {n_rows:,} rows. Pass "
        "the file of its names with --names."
    ]


def _csv_format(origin: dict[str, Any]) -> CsvFormat:
    from sparsam.io.tables import CsvFormat

    return CsvFormat(**origin.get("csv_format", {}))  # version 0.1.0 did not record it


def _table_arguments(run: Path, metrics: dict[str, Any], data: Path | None) -> dict[str, Any]:
    """Load a pipeline, and split its table again into training rows and held-out rows."""
    from sparsam.io.pipelines import load_pipeline
    from sparsam.io.tables import read_table

    fitted = load_pipeline(run / table_options.MODEL_FILE)
    origin = metrics["data"]
    path = data or Path(origin["table"])
    _require_data([path], "--data")
    csv_format = _csv_format(origin)
    table = read_table(path, say, csv_format=csv_format, text=fitted.categorical)
    inputs, targets, labels = _rows(fitted, table, csv_format)
    n_test, n = origin["n_test"], origin["n_training"] + origin["n_test"]
    if len(inputs) != n:
        raise ValueError(
            f"{path} has {len(inputs)} rows with targets, but the run had {n}: it has changed, or is another table"
        )
    training, test = table_options.split_at(n, n_test, metrics["parameters"]["random_state"], labels)
    arguments = {"model": fitted.pipeline, "X": inputs.iloc[training], "y": targets[training]}
    recorded = metrics["training"]["mean_log_likelihood"]
    now = table_options.mean_log_likelihood(fitted.pipeline, arguments["X"], arguments["y"])
    if not math.isclose(now, recorded, rel_tol=ROUNDING, abs_tol=ROUNDING):
        arguments["remarks"] = [
            f"The rows of this page differ from those of the training: their mean log-likelihood is {now:.6g}, but was "
            f"{recorded:.6g}. {path.name} has changed, or is another table."
        ]
    if labels is None:
        arguments["names"] = fitted.targets
    return arguments | ({"test": (inputs.iloc[test], targets[test])} if n_test else {})


def _ranking_arguments(run: Path, metrics: dict[str, Any], data: Path | None) -> dict[str, Any]:
    """Load the pipeline of a run of anomalies, and its table."""
    from sparsam.io.pipelines import load_pipeline
    from sparsam.io.tables import read_table

    fitted = load_pipeline(run / table_options.MODEL_FILE)
    path = data or Path(metrics["data"]["table"])
    _require_data([path], "--data")
    csv_format = _csv_format(metrics["data"])
    table = read_table(path, say, csv_format=csv_format, text=fitted.categorical)
    inputs = fitted.take_inputs(table, say, csv_format)
    remarks = []
    if len(inputs) != metrics["data"]["n_rows"]:
        remarks.append(
            f"The rows of this page differ from those of the training: {path.name} has {len(inputs)} rows, but the "
            f"run had {metrics['data']['n_rows']}."
        )
    return {"model": fitted.pipeline, "X": inputs, "remarks": remarks}


def _rows(fitted: Any, table: pd.DataFrame, form: CsvFormat) -> tuple[pd.DataFrame, Any, Any]:
    """Return inputs and targets, and for a classification the labels that stratify the split, otherwise None."""
    from sparsam.cli.classify import with_labels
    from sparsam.cli.regress import with_targets
    from sparsam.io.columns import numeric_targets

    pretraining = fitted.pipeline[-1].pretraining_ is not None
    if hasattr(fitted.pipeline[-1], "classes_"):
        table = with_labels(table, fitted.targets[0], pretraining=pretraining)
        labels = table[fitted.targets[0]].to_numpy()
        return fitted.take_inputs(table, form=form), labels, labels
    targets = numeric_targets(table, fitted.targets, form)
    inputs, targets = with_targets(fitted.take_inputs(table, form=form), targets, pretraining=pretraining)
    return inputs, targets.to_numpy(), None


def _require_data(paths: list[Path], option: str) -> None:
    missing = [path for path in paths if not path.exists()]
    if missing:
        raise FileNotFoundError(
            f"the data of the run are missing: there is no {missing[0]}. If they have moved, name them with {option}"
        )
