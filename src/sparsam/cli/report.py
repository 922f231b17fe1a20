"""``sparsam report``: a run as a page for the browser."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sparsam.cli import image_options, learn, table_options
from sparsam.cli.console import say

if TYPE_CHECKING:
    import pandas as pd

PAGE = "report.html"
ROUNDING = 1e-4  # relative, of J or a likelihood: data that are no others; on another machine float32 differs by less


def report(
    run: Annotated[
        Path, typer.Argument(help="Folder that `sparsam learn`, `sparsam regress` or `sparsam classify` wrote.")
    ],
    images: Annotated[
        list[Path] | None,
        typer.Option(help="Of learn: the images, if they have moved; may be given again.", show_default="the run's"),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Of regress and classify: the table, if it has moved.", show_default="the run's")
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
    metrics = _metrics(run)
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
        if (run / learn.MODEL_FILE).exists():
            if data is not None:
                raise ValueError("--data is about tables, and this run has learned from images: name them by --images")
            model, X, remarks = _learned(run, metrics, images)
            if image_shape == "auto":
                shape = image_options.shape_of_patches(metrics["data"]["patch_size"], X.shape[1])
            arguments: dict[str, Any] = {"model": model, "X": X, "remarks": remarks}
        else:
            if images:
                raise ValueError("--images is about a run of learn, and this one has a table: name it by --data")
            arguments = _of_table(run, metrics, data)
    except KeyError as error:
        raise ValueError(f"{run / learn.METRICS_FILE} says nothing of {error}: another program wrote it") from error
    make(**arguments, image_shape=shape, title=f"Report on {run.absolute().name}", path=page, overwrite=overwrite)
    say(f"Wrote {page}")


def _metrics(run: Path) -> dict[str, Any]:
    if not run.is_dir():
        raise FileNotFoundError(f"no such folder: {run}")
    files = [run / name for name in (learn.MODEL_FILE, table_options.MODEL_FILE) if (run / name).exists()]
    path = run / learn.METRICS_FILE
    if not files or not path.is_file():
        raise FileNotFoundError(
            f"{run} holds no run: expected a model ({learn.MODEL_FILE} or {table_options.MODEL_FILE}) and "
            f"{learn.METRICS_FILE}, as sparsam learn, regress and classify write them"
        )
    if len(files) > 1:
        raise ValueError(f"{run} holds two runs, {files[0].name} and {files[1].name}: move one of them elsewhere")
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: cannot be read: {error}") from error
    if not isinstance(metrics, dict) or not isinstance(metrics.get("data"), dict):
        raise ValueError(f"{path} says nothing of the data: another program wrote it")
    return metrics


def _learned(run: Path, metrics: dict[str, Any], images: list[Path] | None) -> tuple[Any, Any, list[str]]:
    """The model, and its patches cut again."""
    from sparsam.images import normalize_patches, sample_patches
    from sparsam.io.persistence import load

    model = load(run / learn.MODEL_FILE)
    of_run = metrics["data"]
    paths = images or (
        None if of_run["images"] == image_options.BUILT_IN else [Path(path) for path in of_run["images"]]
    )
    _still_there(paths or [], "--images")
    loaded, _ = image_options.load(paths, _whiten(of_run), of_run["border"], color=of_run.get("color", False))
    n_patches, size = of_run["n_patches"], of_run["patch_size"]
    seed = metrics["parameters"]["random_state"]
    patches = normalize_patches(sample_patches(loaded, n_patches, size, seed, border=of_run["border"]))
    J, now = metrics["J_float64"], model.cost(patches)
    if math.isclose(now, J, rel_tol=ROUNDING):
        return model, patches, []
    remark = (
        f"The patches of this page are others than those of the training: J of them is {now:.6g}, and was {J:.6g}. "
        "The images have changed, or are others."
    )
    return model, patches, [remark]


def _whiten(of_run: dict[str, Any]) -> bool | None:
    """Return the run's --whiten; older runs did not record it, but how many images were whitened."""
    if "whiten" in of_run or of_run["images"] == image_options.BUILT_IN:
        return of_run.get("whiten")
    return {0: False, of_run["n_images"]: True}.get(of_run["n_whitened"])


def _of_table(run: Path, metrics: dict[str, Any], data: Path | None) -> dict[str, Any]:
    """The pipeline, and the rows that it was trained on and scored with."""
    from sparsam.io.pipelines import load_pipeline
    from sparsam.io.tables import CsvFormat, read_table

    fitted = load_pipeline(run / table_options.MODEL_FILE)
    of_run = metrics["data"]
    path = data or Path(of_run["table"])
    _still_there([path], "--data")
    csv_format = CsvFormat(**of_run.get("csv_format", {}))  # runs until 0.1.0 did not record it
    table = read_table(path, say, csv_format=csv_format, text=fitted.categorical)
    inputs, targets, labels = _rows(fitted, table)
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


def _rows(fitted: Any, table: pd.DataFrame) -> tuple[pd.DataFrame, Any, Any]:
    """Inputs, targets, and of a classification the labels by which it was split."""
    from sparsam.cli.classify import with_labels
    from sparsam.cli.regress import with_targets
    from sparsam.io.columns import numeric_targets

    if hasattr(fitted.pipeline[-1], "classes_"):
        table = with_labels(table, fitted.targets[0])
        labels = table[fitted.targets[0]].to_numpy()
        return fitted.take_inputs(table), labels, labels
    targets = numeric_targets(table, fitted.targets)
    inputs, targets = with_targets(fitted.take_inputs(table), targets)
    return inputs, targets.to_numpy(), None


def _still_there(paths: list[Path], option: str) -> None:
    gone = [path for path in paths if not path.exists()]
    if gone:
        raise FileNotFoundError(
            f"the data of the run are gone: there is no {gone[0]}. If they have moved, name them by {option}"
        )
