"""The command: ``python -m benchmarks.tangents``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.progress import say
from benchmarks.records import Records
from benchmarks.tangents.report import draw_tangents, write_report
from benchmarks.tangents.study import invariance, study

app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)


@app.command()
def main(
    render_only: Annotated[bool, typer.Option("--render-only", help="Write the page from the records alone.")] = False,
) -> None:
    """Measure the gain from tangent propagation on few digits (SPARSAM_DATA); write TANGENTS.md with its plot.

    Measurements are saved in tangents.jsonl; an interrupted benchmark continues where it stopped.
    """
    folder = Path(__file__).parents[1]
    records = Records(folder / "tangents.jsonl")
    if not render_only:
        if "SPARSAM_DATA" not in os.environ:
            raise typer.BadParameter("set the environment variable SPARSAM_DATA to the folder of the data")
        study(records)
        invariance(records)
        draw_tangents(folder)
    for file in write_report(records, folder):
        say(f"wrote {file}")


if __name__ == "__main__":
    app(prog_name="python -m benchmarks.tangents")
