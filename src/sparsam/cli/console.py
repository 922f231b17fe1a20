"""Console output of the commands: messages on standard error, results on standard output, exit codes, progress."""

from __future__ import annotations

import functools
import json
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import typer

from sparsam.cli.interrupts import INTERRUPTED

if TYPE_CHECKING:
    from sparsam.estimators._progress.progress_display import ProgressDisplay

P = ParamSpec("P")
R = TypeVar("R")

FAILED = 1


def say(message: str) -> None:
    """Print a message for the user on standard error; standard output is for results."""
    typer.echo(message, err=True)


def print_json(content: Any) -> None:
    """Print a result for another program, on standard output."""
    typer.echo(json.dumps(content, indent=2, allow_nan=False))


def reports_errors(command: Callable[P, R]) -> Callable[P, R]:
    """Convert errors that users can cause to one line and exit code 1, and Ctrl-C to exit code 130."""

    @functools.wraps(command)
    def reporting(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            with warnings_shown():
                return command(*args, **kwargs)
        except (ValueError, TypeError, OSError, FloatingPointError, MemoryError) as error:
            typer.secho("Error: ", fg="red", bold=True, nl=False, err=True)
            say(message_of(error))
            raise typer.Exit(FAILED) from error
        except KeyboardInterrupt:
            say("Interrupted.")
            raise typer.Exit(INTERRUPTED) from None

    return reporting


def message_of(error: Exception) -> str:
    """Describe an error in one line."""
    if isinstance(error, MemoryError):
        return f"not enough memory: {error}".removesuffix(": ")
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error)


@contextmanager
def warnings_shown() -> Iterator[None]:
    """Print each user warning as one line, once; pass other warnings, such as deprecations, to Python's handler."""
    printed: set[str] = set()

    def show(message: Warning | str, category: type[Warning], *place: Any, **kwargs: Any) -> None:
        if not issubclass(category, UserWarning):
            python_handler(message, category, *place, **kwargs)
        elif str(message) not in printed:
            printed.add(str(message))
            say(f"Warning: {message}")

    with warnings.catch_warnings():
        python_handler = warnings.showwarning
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = show
        yield


def require_files(*paths: Path) -> None:
    """Check that files exist, before imports that take seconds.

    Raises
    ------
    FileNotFoundError
        If a file is missing, or is a folder.
    """
    for path in paths:
        if not path.is_file():
            raise FileNotFoundError(f"no such file: {path}" + " (it is a folder)" * path.is_dir())


def require_paths(*paths: Path) -> None:
    """Check that files or folders exist, before imports that take seconds.

    Raises
    ------
    FileNotFoundError
        If one is missing.
    """
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(f"no such file or folder: {path}")


@contextmanager
def progress_shown(*, quiet: bool) -> Iterator[ProgressDisplay]:
    """Show the progress of long tasks on standard error: bars in a terminal, otherwise a line per second."""
    from sparsam.estimators._progress.displays import Lines, show_fits_on
    from sparsam.estimators._progress.progress_display import ProgressDisplay

    if quiet:
        yield ProgressDisplay()
    elif sys.stderr.isatty():
        from rich.console import Console

        from sparsam.estimators._progress.bars import Bars, table_of_bars

        with table_of_bars(console=Console(stderr=True), transient=True) as table:
            bars = Bars(table, lambda now: None)  # rich redraws the table by itself
            with show_fits_on(bars):
                yield bars
    else:
        lines = Lines(say)
        with show_fits_on(lines):
            yield lines
