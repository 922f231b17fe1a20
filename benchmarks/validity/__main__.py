"""The command: ``python -m benchmarks.validity``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from benchmarks import machine
from benchmarks.progress import say
from benchmarks.records import Records
from benchmarks.validity.coverage import COVERAGE_OF_DEFAULTS
from benchmarks.validity.label_noise import FEW_LABELS, PLANTED_ERRORS, RIGHT_LABELS
from benchmarks.validity.likelihood_ratio import LIKELIHOOD_RATIO
from benchmarks.validity.report import report
from benchmarks.validity.run import run

SUBJECTS = (LIKELIHOOD_RATIO, COVERAGE_OF_DEFAULTS, PLANTED_ERRORS, RIGHT_LABELS, FEW_LABELS)
QUICK = 3  # draws

app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)


@app.command()
def main(
    cells: Annotated[str, typer.Option(help="Only those whose subject or name has this text in it.")] = "",
    draws: Annotated[
        int | None, typer.Option(min=1, help="At most so many of each cell.", show_default="all of each cell")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help=f"{QUICK} draws of each, into benchmarks/quick/.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget the records of the cells asked for.")] = False,
    render_only: Annotated[bool, typer.Option("--render-only", help="Write the page from the records alone.")] = False,
) -> None:
    """Count over draws from known truths what the library claims; write VALIDITY.md.

    What was drawn is kept in validity.jsonl: what was interrupted goes on where it stopped.
    """
    folder = Path(__file__).parents[1] / ("quick" if quick else "")
    records = Records(folder / "validity.jsonl")
    asked = [cell for subject in SUBJECTS for cell in subject.cells if cells in f"{subject.title}, {cell.name}"]
    if not asked:
        raise typer.BadParameter(f"no cell has {cells!r} in its name", param_hint="--cells")
    if not render_only:
        if fresh:
            records.forget([cell.name for cell in asked])
        most, revision = QUICK if quick else draws, machine.revision()
        for cell in asked:
            run(cell, records, min(cell.n_draws, most or cell.n_draws), revision)
    page = folder / "VALIDITY.md"
    page.write_text(report(SUBJECTS, records))
    say(f"wrote {page}")


if __name__ == "__main__":
    app(prog_name="python -m benchmarks.validity")
