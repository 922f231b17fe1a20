"""The command: ``python -m benchmarks.published``."""

from __future__ import annotations

import os
import time
import warnings
from pathlib import Path
from typing import Annotated

import typer

from benchmarks import machine
from benchmarks.problems import data_folder
from benchmarks.progress import say
from benchmarks.published.data import Data
from benchmarks.published.report import write_report
from benchmarks.published.row import Row, Way
from benchmarks.published.rows import ROWS
from benchmarks.records import Records

app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)

NAMES = [row.name for row in ROWS]


@app.command()
def main(
    rows: Annotated[list[str] | None, typer.Argument(help=f"Rows: {', '.join(NAMES)}. All if none is named.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Small parts of the data, in benchmarks/quick/.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Measure these rows again.")] = False,
    seeds: Annotated[int, typer.Option(min=1, help="At most so many seeds of each way.")] = 5,
    render_only: Annotated[bool, typer.Option("--render-only", help="Write the page from the records alone.")] = False,
) -> None:
    """Compute figures that others have published, and write PUBLISHED.md.

    Results are saved in published.jsonl; an interrupted benchmark continues where it stopped. MNIST and abalone are
    files in the folder that the variable SPARSAM_DATA names; without them, their rows are skipped.
    """
    unknown = sorted(set(rows or ()) - set(NAMES))
    if unknown:
        raise typer.BadParameter(f"there is no row {', '.join(unknown)}; rows are {', '.join(NAMES)}")
    folder = Path(__file__).parents[1] / ("quick" if quick else "")
    folder.mkdir(exist_ok=True)
    records = Records(folder / "published.jsonl")
    chosen = [row for row in ROWS if not rows or row.name in rows]
    if not render_only:
        if fresh:
            records.forget([row.name for row in chosen])
        processor = machine.describe(machine.use_cores(2))["processor"]
        data = Data(data_folder(), folder, quick)
        for row in chosen:
            measure(row, data, records, processor, 1 if quick else seeds)
    say(f"wrote {write_report(records, ROWS, folder)}")


def measure(row: Row, data: Data, records: Records, processor: str, n_seeds: int) -> None:
    """Run all ways of a row, unless they are recorded; first each with its first seed, so that an early end has all."""
    if not data.has(row.needs):
        say(f"{row.name}: skipped, SPARSAM_DATA names no folder with {', '.join(row.needs)}")
        return
    for k in range(n_seeds):
        for way in row.ways:
            for seed in way.seeds[k : k + 1]:
                run(row, way, seed, data, records, processor)


def run(row: Row, way: Way, seed: int, data: Data, records: Records, processor: str) -> None:
    """Run a way with a seed, unless it is recorded."""
    key = f"{row.name}/{way.name}/{seed}"
    if key in records:
        return
    load, begun = os.getloadavg()[0], time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # protocols end after a number of iterations
        result = way.run(data, seed)
    seconds = time.perf_counter() - begun
    say(f"{key}: {', '.join(f'{name} {value:.5g}' for name, value in result.items())}; {seconds:.0f} s")
    about = {"section": row.name, "way": way.name, "seed": seed}
    times = {"seconds": seconds, "load": round(load, 2), "processor": processor}
    records.add(key, result=result, **about, **times)


if __name__ == "__main__":
    app(prog_name="python -m benchmarks.published")
