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
from benchmarks.validity.regions import PREDICTION_REGIONS
from benchmarks.validity.report import report
from benchmarks.validity.run import run

SUBJECTS = (LIKELIHOOD_RATIO, COVERAGE_OF_DEFAULTS, PREDICTION_REGIONS, PLANTED_ERRORS, RIGHT_LABELS, FEW_LABELS)
QUICK = 3  # draws

app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)


@app.command()
def main(
    cells: Annotated[str, typer.Option(help="Run only cells whose subject or name contains this text.")] = "",
    draws: Annotated[
        int | None, typer.Option(min=1, help="Maximum number of draws of each cell.", show_default="all of each cell")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help=f"{QUICK} draws of each cell, written to benchmarks/quick/.")
    ] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Delete the records of the selected cells.")] = False,
    render_only: Annotated[bool, typer.Option("--render-only", help="Write the page from the records alone.")] = False,
) -> None:
    """Check the library's claims on draws from known truths; write VALIDITY.md.

    Draws are saved in validity.jsonl; an interrupted run continues where it stopped.
    """
    folder = Path(__file__).parents[1] / ("quick" if quick else "")
    records = Records(folder / "validity.jsonl")
    selected = [cell for subject in SUBJECTS for cell in subject.cells if cells in f"{subject.title}, {cell.name}"]
    if not selected:
        raise typer.BadParameter(f"no cell has {cells!r} in its name", param_hint="--cells")
    if not render_only:
        if fresh:
            records.forget([cell.name for cell in selected])
        most, revision = QUICK if quick else draws, machine.revision()
        for cell in selected:
            run(cell, records, min(cell.n_draws, most or cell.n_draws), revision)
    page = folder / "VALIDITY.md"
    page.write_text(report(SUBJECTS, records))
    say(f"wrote {page}")


if __name__ == "__main__":
    app(prog_name="python -m benchmarks.validity")
