"""``sparsam sweep``: fit a sparse autoencoder at every setting of a grid, and draw all filters on a page."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sparsam.cli import image_options, table_options
from sparsam.cli.console import print_json, require_paths, say
from sparsam.cli.hyperparameters import flag_of, hyperparameter_options, refuse_given
from sparsam.cli.image_options import Border, Images, NPatches, PatchSize, Whiten
from sparsam.cli.output import AsJson, Out, Verbose, check_output_folder
from sparsam.cli.panels import COMPARISON, DATA, GRID, OUTPUT
from sparsam.cli.row_options import ImageShape, Rows, only_file
from sparsam.cli.training_rows import TrainingRows, cut_patches, read_rows

if TYPE_CHECKING:
    import pandas as pd

AXES = ("n_components", "alpha", "beta", "rho", "max_iter")  # the last varies fastest
PAGES = ("filters.png", "filters.pdf")
FRONTIER = "frontier.png"
LEAST_HELD_OUT = 2  # rows, for a variance
IMAGE_OPTIONS = ("random_state", "n_patches", "n_held_out", "patch_size", "border", "whiten")
ROW_OPTIONS = ("ignore", "image_shape", "held_out", "sep", "decimal", "thousands", "encoding")


@hyperparameter_options(
    "SparseAutoencoder",
    grid=AXES,
    # --seeds sets the seeds; a study saves each finished setting, and --resume continues it.
    without=("random_state", "checkpoint"),
    help={"max_iter": "Maximum numbers of iterations; several share one training."},
)
def sweep(
    context: typer.Context,
    images: Images = None,
    seeds: Annotated[
        int, typer.Option(min=1, help="Number of random initial weights for each setting.", rich_help_panel=GRID)
    ] = 1,
    n_patches: NPatches = 10_000,
    n_held_out: Annotated[
        int, typer.Option(min=0, help="Number of additional patches for scoring the models.", rich_help_panel=DATA)
    ] = 2_000,
    patch_size: PatchSize = 8,
    border: Border = None,
    whiten: Whiten = None,
    random_state: Annotated[
        int, typer.Option(help="Seed of the patches.", min=0, max=2**32 - 1, rich_help_panel=DATA)
    ] = 0,
    rows: Rows = False,
    ignore: table_options.Ignore = None,
    image_shape: ImageShape = None,
    held_out: Annotated[
        float, typer.Option(help="Share of --rows for scoring the models, in [0, 1).", rich_help_panel=DATA)
    ] = 0.2,
    sep: table_options.Sep = None,
    decimal: table_options.Decimal = ".",
    thousands: table_options.Thousands = None,
    encoding: table_options.Encoding = "utf-8",
    page_rows: Annotated[
        str | None,
        typer.Option(
            help="Option whose values are the rows of the page of filters.",
            show_default="the one with the second most values",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    page_columns: Annotated[
        str | None,
        typer.Option(
            help="Option whose values are the columns of the page of filters.",
            show_default="the one with the most values",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    out: Out = Path("sparsam-sweep"),
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the study in the folder.", rich_help_panel=OUTPUT)
    ] = False,
    parquet: Annotated[
        bool, typer.Option("--parquet", help="Also write the table as Parquet.", rich_help_panel=OUTPUT)
    ] = False,
    compare: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            help="Instead of fitting, compare the results of two studies, given as folders or tables.",
            show_default=False,
            rich_help_panel=COMPARISON,
        ),
    ] = None,
    may_differ: Annotated[
        list[str] | None,
        typer.Option(
            help="Option in which the two studies may differ; can be repeated.",
            show_default=False,
            rich_help_panel=COMPARISON,
        ),
    ] = None,
    verbose: Verbose = 1,
    as_json: AsJson = False,
    **hyperparameters: Any,
) -> None:
    """Fit a sparse autoencoder at every setting of a grid.

    Cuts patches like `sparsam learn`, fits every combination of the values, and writes to the output folder: study.csv
    (one row per setting: J and its terms, error on held-out patches, variance explained, dead and saturated units,
    weakness of the fit, quality of the filters, seconds, stop reason), filters.png and filters.pdf (the filters of all
    settings), study.json, and a model for each setting in models/. An interrupted study keeps its results; --resume
    continues it.

    With --rows, it learns from rows of numbers, as `sparsam learn --rows` does, and writes frontier.png (the variance
    of held-out rows that is explained, and the number of active units) instead of filters, unless the rows have an
    --image-shape.
    """
    if compare is not None:
        why = "cannot be combined with --compare; --may-differ names options in which the studies differ"
        refuse_given(context, ("rows", *IMAGE_OPTIONS, *ROW_OPTIONS), why)
        _compare(compare, [_name(flag) for flag in may_differ or []], as_json)
        return
    grid = {name: hyperparameters.pop(name) for name in AXES}
    axes = {"rows": page_rows and _name(page_rows), "columns": page_columns and _name(page_columns)}
    for role, name in axes.items():
        if name is not None and name not in grid:
            raise ValueError(f"--page-{role} {name}: choose from {', '.join(flag_of(axis) for axis in grid)}")
    if parquet:
        _check_parquet()
    check_output_folder(out, (), overwrite=False)  # an existing study is checked later, when the data are loaded
    shape = None
    if rows:
        refuse_given(context, IMAGE_OPTIONS, "applies to images, not to --rows")
        shape = None if image_shape is None else image_options.shape_of(image_shape)
        if shape is None:
            refuse_given(context, ("page_rows", "page_columns"), "applies to pages of filters: add --image-shape")
    else:
        refuse_given(context, ROW_OPTIONS, "applies to rows: add --rows")
        require_paths(*(images or []))

    from sparsam.estimators.autoencoder import DEFAULT_BETA, SparseAutoencoder
    from sparsam.inspection.weak_fit import WEAKNESSES
    from sparsam.studies.grid import settings_of
    from sparsam.studies.study import parameter_study
    from sparsam.studies.tables import write_table

    model = SparseAutoencoder(**hyperparameters)
    if grid["beta"] == [None]:  # the table has numbers
        grid["beta"] = [DEFAULT_BETA[model.sparsity]]
    n_settings = len(settings_of(model, grid, range(seeds)))  # raises an error for settings that cannot be fitted
    if rows:
        csv_format = table_options.csv_format(sep, decimal, thousands, encoding)
        data = read_rows(only_file(images), csv_format, shape, ignore=ignore or [])
        _check_held_out(held_out, len(data.X))
        unseen = None
    else:
        data, unseen = _patches(images, whiten, border, patch_size, n_patches, n_held_out, random_state)
    say(f"{n_settings} settings on {data.description}")
    table = parameter_study(
        model,
        grid,
        data.X,
        X_held_out=unseen,
        held_out=held_out if rows else 0.0,
        seeds=seeds,
        out=out,
        resume=resume,
        progress=say if verbose else None,
    )
    if parquet:
        write_table(table, out / "study.parquet")
    pages = _draw(out, table, axes, data.image_shape)
    for kind, words in WEAKNESSES.items():
        count = int((table["weakness"] == kind).sum()) if "weakness" in table else 0
        if count:
            say(f"{count} of {len(table)} settings: the network {words} (weakness {kind} in the table)")
    say(f"Wrote study.csv{', study.parquet' if parquet else ''}, {', '.join([*pages, 'models'])} to {out}")
    if as_json:
        print_json(_records(table))


def _patches(
    images: list[Path] | None,
    whiten: bool | None,
    border: int | None,
    patch_size: int,
    n_patches: int,
    n_held_out: int,
    random_state: int,
) -> tuple[TrainingRows, Any]:
    """Cut the patches to learn from, and others to score the models on, None for none."""
    import numpy as np

    loaded, origin = image_options.load(images, whiten, border, patch_size)
    data = cut_patches(loaded, origin, n_patches, patch_size, random_state)
    if not n_held_out:
        return data, None
    other = np.random.RandomState([random_state, 1])
    return data, cut_patches(loaded, origin, n_held_out, patch_size, other, data.scaler).X


def _check_held_out(share: float, n_rows: int) -> None:
    """Raise ValueError unless this share of the rows can be held out."""
    if not 0 <= share < 1:
        raise ValueError(f"--held-out must be in [0, 1), got {share:g}")
    n_held_out = math.ceil(share * n_rows)
    if share and not LEAST_HELD_OUT <= n_held_out < n_rows:
        raise ValueError(f"--held-out {share:g} of {n_rows} rows: at least {LEAST_HELD_OUT}, and not all, are needed")


def _draw(
    out: Path, table: pd.DataFrame, axes: dict[str, str | None], image_shape: tuple[int, ...] | None
) -> list[str]:
    """Draw the filters of images, or the frontier of other rows; return the names of the files."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    from sparsam.studies.figure import draw_study
    from sparsam.studies.frontier import draw_frontier

    if image_shape is not None:
        for page in PAGES:
            plt.close(draw_study(out, image_shape=image_shape, **axes, save=out / page))  # type: ignore[arg-type]
        return list(PAGES)
    if "held_out_active" not in table or table["held_out_active"].isna().all():
        return []
    plt.close(draw_frontier(out, save=out / FRONTIER).figure.figure)
    return [FRONTIER]


def _compare(studies: tuple[Path, Path], ignore: list[str], as_json: bool) -> None:
    from sparsam.studies.comparison import compare_studies

    table = compare_studies(*studies, ignore=ignore)
    if as_json:
        print_json(_records(table))
        return
    typer.echo(table.to_string(index=False, float_format=lambda value: f"{value:.6g}"))
    say(f"{len(table)} settings are in both; median differences, {studies[1]} minus {studies[0]}:")
    for column in table:
        if column.endswith("_difference"):
            say(f"  {column.removesuffix('_difference')}: {table[column].median():.4g}")


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return table.astype(object).where(table.notna(), None).to_dict("records")


def _name(flag: str) -> str:
    return flag.removeprefix("--").replace("-", "_")


def _check_parquet() -> None:
    from importlib.util import find_spec

    if find_spec("pyarrow") is None:
        raise ValueError("--parquet needs pyarrow: pip install 'sparsam[parquet]'")
