"""``sparsam show``: print the parameters of a saved model, and draw its filters."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from sparsam.cli import image_options
from sparsam.cli.console import print_json, say
from sparsam.cli.models import image_shape_of, load_learned, parameters_of
from sparsam.cli.training_rows import filters_to_draw

PICTURE = "Picture"


def show(
    model: Annotated[Path, typer.Argument(help="Folder of a run of `sparsam learn`, or a model file.")],
    save: Annotated[
        Path | None, typer.Option(help="File for a picture of the filters.", rich_help_panel=PICTURE)
    ] = None,
    show: Annotated[
        bool, typer.Option("--show", help="Open a window with the filters.", rich_help_panel=PICTURE)
    ] = False,
    normalize_each: Annotated[bool, typer.Option(help="Scale each filter separately.", rich_help_panel=PICTURE)] = True,
    normalize_all: Annotated[
        bool, typer.Option(help="Without --normalize-each, scale all filters together.", rich_help_panel=PICTURE)
    ] = True,
    n_columns: Annotated[
        int | None,
        typer.Option(help="Filters in a row.", show_default="nearly square", rich_help_panel=PICTURE),
    ] = None,
    image_width: Annotated[
        int | None,
        typer.Option(help="Width of a filter in pixels.", show_default="square filters", rich_help_panel=PICTURE),
    ] = None,
    image_shape: Annotated[
        str | None,
        typer.Option(
            help="Shape of a filter: HEIGHT,WIDTH, or HEIGHT,WIDTH,3 in color.",
            show_default="square, gray",
            rich_help_panel=PICTURE,
        ),
    ] = None,
    cmap: Annotated[str, typer.Option(help="Name of a Matplotlib color map.", rich_help_panel=PICTURE)] = "gray",
    border_color: Annotated[str, typer.Option(help="Color between the filters.", rich_help_panel=PICTURE)] = "blue",
    border_width: Annotated[
        int, typer.Option(help="Width of the border between the filters, in pixels.", rich_help_panel=PICTURE)
    ] = 1,
    library: Annotated[
        Literal["matplotlib", "PIL"], typer.Option(help="Library that draws the picture.", rich_help_panel=PICTURE)
    ] = "matplotlib",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an existing picture.", rich_help_panel=PICTURE)
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON on standard output.")] = False,
) -> None:
    """Show a saved model: its parameters, the result of its training, and a picture of its filters.

    For a stack, the filters of the first layer are shown; `sparsam report` shows the innermost units.
    """
    if save is not None and save.exists() and not overwrite:
        raise FileExistsError(f"{save} exists: name another file, or replace it with --overwrite")
    shape = None if image_shape is None else image_options.shape_of(image_shape)
    learned = load_learned(model)
    estimator, origin = learned.autoencoder, learned.origin
    figures = _figures(estimator) | ({} if learned.scaler is None else {"scaler": str(learned.scaler)})
    if shape is None and origin:
        shape = image_shape_of(origin, estimator.n_features_in_)
    if save is not None or show:
        import matplotlib as mpl

        if not show:
            mpl.use("Agg")
        elif library == "matplotlib" and mpl.get_backend().lower() == "agg":
            raise ValueError("--show: Matplotlib finds no display for a window; use --save FILE")
        from sparsam.display.filter_display import as_images
        from sparsam.display.filters import plot_filters
        from sparsam.display.weights import plot_weights

        if shape is None and origin:  # rows that are not images
            names = getattr(estimator, "feature_names_in_", None)
            plot_weights(estimator.components_, names=names, save=save, show=show)
        else:
            plot_filters(
                as_images(filters_to_draw(learned.scaler, estimator.components_), shape),
                normalize_each=normalize_each,
                normalize_all=normalize_all,
                n_columns=n_columns,
                image_width=image_width,
                cmap=cmap,
                border_color=border_color,
                border_width=border_width,
                library=library,
                save=save,
                show=show,
            )
    if as_json:
        print_json({name: None if value != value else value for name, value in figures.items()})  # NaN: not known
    else:
        _print_table(figures)
    if save is not None:
        say(f"Wrote {save}")


def _figures(estimator: Any) -> dict[str, Any]:
    parameters = {name: value for name, value in parameters_of(estimator).items() if name != "callback"}
    return {
        "class": type(estimator).__name__,
        "n_features": estimator.n_features_in_,
        **parameters,
        "J": estimator.loss_,
        "gradient_norm": estimator.gradient_norm_,
        "n_iter": estimator.n_iter_,
        "n_evaluations": estimator.n_evaluations_,
        "stop_reason": estimator.stop_reason_,
        "smallest_mean_activation": float(estimator.mean_activation_.min()),
        "largest_mean_activation": float(estimator.mean_activation_.max()),
    }


def _print_table(figures: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(show_header=False)
    for name, value in figures.items():
        table.add_row(name, f"{value:.6g}" if isinstance(value, float) else str(value))
    Console().print(table)
