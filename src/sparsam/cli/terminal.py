"""What the commands share: messages on standard error, results on standard output, exit codes, progress."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import typer

if TYPE_CHECKING:
    from sparsam.train import Callback, Progress

P = ParamSpec("P")
R = TypeVar("R")

FAILED = 1
INTERRUPTED = 130  # 128 + SIGINT, as shells have it


def say(message: str) -> None:
    """Print a message for the person at the terminal, on standard error: standard output is for results."""
    typer.echo(message, err=True)


def print_json(content: Any) -> None:
    """Print a result for another program, on standard output."""
    typer.echo(json.dumps(content, indent=2, allow_nan=False))


def reports_errors(command: Callable[P, R]) -> Callable[P, R]:
    """Turn the errors that users can cause into one line and exit code 1, Ctrl-C into 130."""

    @functools.wraps(command)
    def reporting(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
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
    """Say in a line what went wrong."""
    if isinstance(error, MemoryError):
        return f"not enough memory: {error}".removesuffix(": ")
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error)


@contextmanager
def training_progress(max_iter: int, *, quiet: bool) -> Iterator[Callback | None]:
    """Give a callback that shows iteration, J and gradient: one living line in a terminal, else a line a second."""
    if quiet:
        yield None
    elif sys.stderr.isatty():
        with _living_line(max_iter) as update:
            yield update
    else:
        from sparsam.estimators.fitting import line_a_second

        yield line_a_second(say)


@contextmanager
def _living_line(max_iter: int) -> Iterator[Callback]:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("iteration {task.completed:.0f} of at most {task.total:.0f}"),
        BarColumn(bar_width=20),
        TextColumn("J {task.fields[J]}   gradient {task.fields[gradient]}"),
        TimeElapsedColumn(),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("train", total=max_iter, J="-", gradient="-")

        def update(progress: Progress) -> None:
            bar.update(
                task,
                completed=progress.iteration,
                J=f"{progress.J:.6f}",
                gradient=f"{progress.gradient_norm:.1e}",
            )

        yield update
