"""The application: its commands, ``--version``, and the reporting of errors."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from typing import Annotated, Any

import typer

from sparsam._utils.program_cache import JAX_FOLDER, VARIABLE
from sparsam.cli.anomalies import anomalies
from sparsam.cli.check import check
from sparsam.cli.classify import classify
from sparsam.cli.console import reports_errors
from sparsam.cli.encode import encode
from sparsam.cli.export import export
from sparsam.cli.learn import learn
from sparsam.cli.predict import predict
from sparsam.cli.regress import regress
from sparsam.cli.report import report
from sparsam.cli.show import show
from sparsam.cli.sweep import sweep

app = typer.Typer(
    help="Neural networks as probability models, trained until the gradient vanishes, every gradient verified.",
    epilog="Example: [bold]sparsam learn[/bold] learns 25 edge filters from built-in photographs.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"sparsam {version('sparsam')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


def _add(command: Callable[..., None], example: str, **options: Any) -> None:
    """Add a command with its docstring as help; Rich keeps line breaks, so join the lines of each paragraph."""
    paragraphs = (inspect.getdoc(command) or "").split("\n\n")
    text = "\n\n".join(paragraph.replace("\n", " ") for paragraph in paragraphs)
    app.command(help=text, epilog=f"Example: {example}", **options)(reports_errors(command))


_add(learn, "[bold]sparsam learn photographs/ --n-components 49 --rho 0.05 --out run[/bold]", no_args_is_help=False)
_add(check, "[bold]sparsam check --n-components 10 --json[/bold]")
_add(show, "[bold]sparsam show sparsam-out --save filters.png --cmap viridis[/bold]")
_add(encode, "[bold]sparsam encode sparsam-out photographs/ -o codes.csv[/bold]")
_add(sweep, "[bold]sparsam sweep --rho 0.01,0.05,0.2 --alpha 0,1e-4,1e-2 --seeds 3 --out study[/bold]")
_add(regress, "[bold]sparsam regress houses.csv --target heating --target cooling[/bold]")
_add(classify, "[bold]sparsam classify flowers.csv --label species --epsilon estimate[/bold]")
_add(anomalies, "[bold]sparsam anomalies orders.csv -o ranked.csv[/bold]")
_add(predict, "[bold]sparsam predict sparsam-out/model.skops new.csv -o predictions.csv[/bold]")
_add(export, "[bold]sparsam export sparsam-out -o model.onnx[/bold]")
_add(report, "[bold]sparsam report sparsam-out[/bold] writes sparsam-out/report.html")


def run() -> None:
    """Run the command line."""
    if JAX_FOLDER not in os.environ:
        os.environ.setdefault(VARIABLE, "1")  # read when the first program is compiled
    app(prog_name="sparsam")
