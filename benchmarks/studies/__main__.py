"""The command: ``python -m benchmarks.studies``."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from statistics import median
from typing import Annotated

import numpy as np
import typer

from benchmarks import machine
from benchmarks.progress import say
from benchmarks.records import Records
from benchmarks.report.markdown import seconds, table, times
from benchmarks.studies.ways import SETTINGS, WAYS
from benchmarks.worker import Worker

app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
DEFAULT = "threads"  # what `train_many` does on CPU: ratios are to it


@app.command()
def main(
    rounds: Annotated[int, typer.Option(help="Measured runs of each, after the one that compiles.")] = 3,
    max_iter: Annotated[int, typer.Option(help="Iterations of a fit.")] = 150,
    cores: Annotated[int, typer.Option(min=1, help="Cores that everything may use.")] = 2,
    render_only: Annotated[bool, typer.Option("--render-only", help="Write the page from the records alone.")] = False,
) -> None:
    """Fit 32 settings of the notes' job in four ways, in turns; write STUDIES.md.

    What was measured is kept in studies.jsonl: what was interrupted goes on where it stopped.
    """
    folder = Path(__file__).parents[1]
    records = Records(folder / "studies.jsonl")
    if not render_only:
        used = machine.use_cores(cores)
        if "machine" not in records:
            about = machine.describe(used)
            records.add("machine", section="machine", max_iter=max_iter, **about)
        measure(records, rounds, max_iter, len(used))
    page = folder / "STUDIES.md"
    page.write_text(report(records))
    say(f"wrote {page}")


def measure(records: Records, rounds: int, max_iter: int, cores: int) -> None:
    """Run all ways in turns, beginning with another each time; the first round of a process compiles."""
    names = list(WAYS)
    with contextlib.ExitStack() as stack:
        workers = {}
        for turn in range(rounds + 1):
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                key = f"{name}/{turn}"
                if key in records:
                    continue
                if name not in workers:
                    options = {"way": name, "cores": cores, "max_iter": max_iter}
                    workers[name] = stack.enter_context(Worker("studies.ways:Way", options, cores))
                    if turn > 0:  # an interrupted benchmark goes on: what compiles is not measured again
                        workers[name].ask("fit_all")
                load = os.getloadavg()[0]
                answer = workers[name].ask("fit_all")
                say(f"{key}: {answer['seconds']:.1f} s at a load of {load:.1f}")
                records.add(key, section="runs", way=name, turn=turn, load=round(load, 2), **answer)


def report(records: Records) -> str:
    """STUDIES.md."""
    about, runs = records.rows["machine"], records.of("runs")
    turns = sorted({run["turn"] for run in runs if run["turn"] > 0})
    of = {(run["way"], run["turn"]): run for run in runs}
    rows, base = [], np.array(of["after", 0]["costs"])
    for way, name in WAYS.items():
        warm = [turn for turn in turns if (way, turn) in of]
        paired = [turn for turn in warm if (DEFAULT, turn) in of]
        ratio = [of[way, turn]["seconds"] / of[DEFAULT, turn]["seconds"] for turn in paired]
        difference = max(np.abs(np.array(of[way, 0]["costs"]) / base - 1))
        rows.append(
            [
                name,
                seconds(of[way, 0]["seconds"]),
                seconds(median(of[way, turn]["seconds"] for turn in warm)) if warm else "-",
                times(median(ratio)) if ratio else "-",
                f"{median([of[way, turn]['load'] for turn in (0, *warm)]):.1f}",
                f"{difference:.0e}",
            ]
        )
    head = [
        "way",
        "first, with compilation",
        "again, median",
        "ratio to threads",
        "load before",
        "J differs by at most",
    ]
    return f"""# Many settings at once

Written by `python -m benchmarks.studies`; not to be edited.

{len(SETTINGS)} settings of the notes' job (10,000 patches of 8 x 8 pixels, 25 units; rho in 0.005, 0.01, 0.05, 0.2,
beta in 0.3, 3, alpha in 0, 1e-5, 1e-4, 1e-2), one seed, {about["max_iter"]} iterations at most, on
{about["cores_used"]} cores of {about["processor"]}.

Each way lives in a process of its own; for each round all run once, beginning with another each time. Medians of
{len(turns)} rounds after the first; ratios are of runs of the same round. The load average before a run says how much
else the machine did: absolute times are then too long for all. J is compared with that of one fit after another,
setting by setting. All {len(SETTINGS)} lanes in one program stood still on two cores, and were given up.

Processes import and compile in each of them, which has to be made up for; they take a copy of the data each, and
their fits are not looked at on the way.

{table(head, rows)}
"""


if __name__ == "__main__":
    app(prog_name="python -m benchmarks.studies")
