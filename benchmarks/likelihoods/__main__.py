"""The command: ``python -m benchmarks.likelihoods``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.likelihoods.covariance import covariance
from benchmarks.likelihoods.labels import labels
from benchmarks.likelihoods.noise_of_input import noise_of_input
from benchmarks.likelihoods.report import write_report
from benchmarks.likelihoods.suspects import suspects
from benchmarks.progress import say
from benchmarks.records import Records

SECTIONS = {"covariance": covariance, "noise": noise_of_input, "labels": labels, "suspects": suspects}
ALL = ",".join(SECTIONS)

app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)


@app.command()
def main(
    sections: Annotated[str, typer.Option(help=f"Sections to run, comma-separated: {ALL}.")] = ALL,
    peer_python: Annotated[
        str | None,
        typer.Option(help="Python of an environment with ngboost and cleanlab.", show_default="no peers"),
    ] = None,
    render_only: Annotated[bool, typer.Option("--render-only", help="Write the page from the records alone.")] = False,
) -> None:
    """Measure the gain from the likelihood models on real data (SPARSAM_DATA); write LIKELIHOODS.md with its plot.

    Measurements are saved in likelihoods.jsonl; an interrupted benchmark continues where it stopped.
    """
    folder = Path(__file__).parents[1]
    records = Records(folder / "likelihoods.jsonl")
    if not render_only:
        if "SPARSAM_DATA" not in os.environ:
            raise typer.BadParameter("set the environment variable SPARSAM_DATA to the folder of the data")
        for section in sections.split(","):
            if section not in SECTIONS:
                raise typer.BadParameter(f"no section {section}", param_hint="--sections")
            SECTIONS[section](records, peer_python)
    for file in write_report(records, folder):
        say(f"wrote {file}")


if __name__ == "__main__":
    app(prog_name="python -m benchmarks.likelihoods")
