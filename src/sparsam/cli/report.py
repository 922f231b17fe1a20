"""``sparsam report``: a run as a page for the browser."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sparsam.cli import image_options, table_options
from sparsam.cli.console import require_paths, say
from sparsam.cli.models import MODEL_FILE, image_shape_of, load_learned, read_metrics, whiten_of
from sparsam.cli.table_options import METRICS_FILE
from sparsam.cli.training_rows import cut_patches, read_rows

if TYPE_CHECKING:
    import pandas as pd

    from sparsam.io.tables import CsvFormat

PAGE = "report.html"
ROUNDING = 1e-4  # relative, of J or a likelihood: data that are no others; on another machine float32 differs by less


def report(
    run: Annotated[
        Path,
        typer.Argument(
            help="Folder that `sparsam learn`, `sparsam regress` or `sparsam classify` wrote, or the model file in it."
        ),
    ],
    images: Annotated[
        list[Path] | None,
        typer.Option(help="Of learn: the images, if they have moved; may be given again.", show_default="the run's"),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="The table, or the rows, if they have moved.", show_default="the run's")
    ] = None,
    image_shape: Annotated[
        str,
        typer.Option(
            help="HEIGHT,WIDTH of rows that are pictures, or HEIGHT,WIDTH,3 in color; none; or auto: that of the "
            "patches of learn, and none of tables."
        ),
    ] = "auto",
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The page.", show_default=f"RUN/{PAGE}")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing page.")] = False,
) -> None:
    """Make a page of a run: one HTML file, to be opened in a browser, which needs no network.

    Of learn: filters, to be sorted and clicked, units, reconstructions, mean activations, a gradient certificate. Of
    regress: covariance, residuals, calibration. Of classify: noise, labels that are probably wrong, calibration. Of
    all: the course of the training, and warnings. The data are read again from where the run had them, and split again
    into rows to train on and to score.
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
        if not (run / MODEL_FILE).exists():
            if images:
                raise ValueError("--images is about a run of learn, and this one has a table: name it by --data")
            arguments = _of_table(run, metrics, data)
        elif "rows" in metrics["data"]:
            if images:
                raise ValueError("--images is about patches, and this run has learned from rows: name them by --data")
            arguments = _learned(run, metrics, None if data is None else [data])
        else:
            if data is not None:
                raise ValueError("--data is about tables, and this run has learned from images: name them by --images")
            arguments = _learned(run, metrics, images)
        if image_shape == "auto" and (run / MODEL_FILE).exists():
            shape = image_shape_of(metrics["data"], arguments["X"].shape[1])
    except KeyError as error:
        raise ValueError(f"{run / METRICS_FILE} says nothing of {error}: another program wrote it") from error
    make(**arguments, image_shape=shape, title=f"Report on {run.absolute().name}", path=page, overwrite=overwrite)
    say(f"Wrote {page}")


def _run_of(path: Path) -> Path:
    """Return the folder of the run that is named by itself or by its model file.

    Raises
    ------
    FileNotFoundError
        If there is none, or no run in it.
    ValueError
        If it holds two.
    """
    require_paths(path)
    run = path if path.is_dir() else path.absolute().parent
    files = [run / name for name in (MODEL_FILE, table_options.MODEL_FILE) if (run / name).exists()]
    if not files or not (run / METRICS_FILE).is_file():
        raise FileNotFoundError(
            f"{run} holds no run: expected a model ({MODEL_FILE} or {table_options.MODEL_FILE}) and {METRICS_FILE}, as "
            "sparsam learn, regress and classify write them; of a model alone, sparsam.report(model, X) makes a page"
        )
    if len(files) > 1:
        raise ValueError(f"{run} holds two runs, {files[0].name} and {files[1].name}: move one of them elsewhere")
    return run


def _learned(run: Path, metrics: dict[str, Any], moved: list[Path] | None) -> dict[str, Any]:
    """The model, and the rows that it was trained on, made again and scaled as then."""
    learned = load_learned(run)
    model, origin = learned.autoencoder, learned.origin
    if "rows" in origin:
        [path] = moved or [Path(origin["rows"])]
        _still_there([path], "--data")
        X = read_rows(path, _csv_format(origin), None, learned.scaler).X
    else:
        built_in = origin["images"] == image_options.BUILT_IN
        paths = moved or (None if built_in else [Path(path) for path in origin["images"]])
        _still_there(paths or [], "--images")
        size, color = origin["patch_size"], origin.get("color", False)
        images, _ = image_options.load(paths, whiten_of(origin), origin["border"], size, color=color)
        seed = metrics["parameters"]["random_state"]
        X = cut_patches(images, origin, origin["n_patches"], size, seed, learned.scaler).X
    J, now = metrics["J_float64"], model.cost(X)
    if math.isclose(now, J, rel_tol=ROUNDING):
        return {"model": model, "X": X, "remarks": []}
    remark = (
        f"The rows of this page are others than those of the training: J of them is {now:.6g}, and was {J:.6g}. "
        "The data have changed, or are others."
    )
    return {"model": model, "X": X, "remarks": [remark]}


def _csv_format(origin: dict[str, Any]) -> CsvFormat:
    from sparsam.io.tables import CsvFormat

    return CsvFormat(**origin.get("csv_format", {}))  # runs until 0.1.0 did not record it


def _of_table(run: Path, metrics: dict[str, Any], data: Path | None) -> dict[str, Any]:
    """The pipeline, and the rows that it was trained on and scored with."""
    from sparsam.io.pipelines import load_pipeline
    from sparsam.io.tables import read_table

    fitted = load_pipeline(run / table_options.MODEL_FILE)
    of_run = metrics["data"]
    path = data or Path(of_run["table"])
    _still_there([path], "--data")
    csv_format = _csv_format(of_run)
    table = read_table(path, say, csv_format=csv_format, text=fitted.categorical)
    inputs, targets, labels = _rows(fitted, table, csv_format)
    n_test, n = of_run["n_test"], of_run["n_training"] + of_run["n_test"]
    if len(inputs) != n:
        raise ValueError(
            f"{path} has {len(inputs)} rows with targets, and the run had {n}: it is another table, or has changed"
        )
    training, test = table_options.split_at(n, n_test, metrics["parameters"]["random_state"], labels)
    arguments = {"model": fitted.pipeline, "X": inputs.iloc[training], "y": targets[training]}
    told = metrics["training"]["mean_log_likelihood"]
    now = table_options.mean_log_likelihood(fitted.pipeline, arguments["X"], arguments["y"])
    if not math.isclose(now, told, rel_tol=ROUNDING, abs_tol=ROUNDING):
        arguments["remarks"] = [
            f"The rows of this page are others than those of the training: their mean log-likelihood is {now:.6g}, and "
            f"was {told:.6g}. {path.name} has changed, or is another table."
        ]
    if labels is None:
        arguments["names"] = fitted.targets
    return arguments | ({"test": (inputs.iloc[test], targets[test])} if n_test else {})


def _rows(fitted: Any, table: pd.DataFrame, form: CsvFormat) -> tuple[pd.DataFrame, Any, Any]:
    """Inputs, targets, and of a classification the labels by which it was split."""
    from sparsam.cli.classify import with_labels
    from sparsam.cli.regress import with_targets
    from sparsam.io.columns import numeric_targets

    if hasattr(fitted.pipeline[-1], "classes_"):
        table = with_labels(table, fitted.targets[0])
        labels = table[fitted.targets[0]].to_numpy()
        return fitted.take_inputs(table, form=form), labels, labels
    targets = numeric_targets(table, fitted.targets, form)
    inputs, targets = with_targets(fitted.take_inputs(table, form=form), targets)
    return inputs, targets.to_numpy(), None


def _still_there(paths: list[Path], option: str) -> None:
    gone = [path for path in paths if not path.exists()]
    if gone:
        raise FileNotFoundError(
            f"the data of the run are gone: there is no {gone[0]}. If they have moved, name them by {option}"
        )
