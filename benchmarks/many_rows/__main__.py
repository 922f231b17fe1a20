"""The command: ``python -m benchmarks.many_rows``."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import numpy as np
import typer

from benchmarks import machine, problems
from benchmarks.problems import NOTES, Problem
from benchmarks.progress import say
from benchmarks.protocol import Limits, Start
from benchmarks.records import Records
from benchmarks.report.markdown import number, seconds, table
from benchmarks.worker import Worker

app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)

TOL, TUNING_SEED, LONGEST = 1e-5, 1000, 900.0
HUNDRED = replace(NOTES, name="100,000 patches", n_samples=100_000, target=None)
PLAIN = replace(HUNDRED, name="100,000 patches, plain", beta=0.0, output_activation="identity")
MILLION = replace(HUNDRED, name="1,000,000 patches", n_samples=1_000_000)
RATES, BATCHES = (1e-3, 3e-3, 1e-2), (256, 1024)


@dataclass(frozen=True)
class Cell:
    """A system on a job.

    Attributes
    ----------
    problem : Problem
    name : str
    system : str
        Class in `systems`.
    seeds : int
        Number of initial weights.
    options : list of dict
        Settings; if there are several, a seed that is not measured chooses the one of the lowest J.
    max_seconds : float
    """

    problem: Problem
    name: str
    system: str
    seeds: int
    options: list[dict[str, Any]] = field(default_factory=lambda: [{}])
    max_seconds: float = LONGEST


def _ours(problem: Problem, n_seeds: int, streamed: bool = False) -> list[Cell]:
    where = ", streamed" if streamed else ""
    return [
        Cell(
            problem, f"sparsam{where}, {begins}", "Library", n_seeds, [{"start_on_sample": flag, "streamed": streamed}]
        )
        for begins, flag in (("begins on a sample", True), ("begins on all rows", False))
    ]


GRID = [{"learning_rate": rate, "batch_size": size} for rate in RATES for size in BATCHES]
CELLS = [
    *_ours(HUNDRED, 20),
    *(Cell(HUNDRED, f"torch Adam, mini-batches, {t} s", "BatchAdam", 3, GRID, float(t)) for t in (2, 6, 20)),
    *_ours(PLAIN, 3),
    Cell(
        PLAIN, "scikit-learn MLPRegressor, Adam", "BatchMLP", 3, [grid for grid in GRID if grid["learning_rate"] < 0.01]
    ),
    *_ours(MILLION, 3),
    *_ours(MILLION, 2, streamed=True),
]


@app.command()
def main(
    cells: Annotated[str, typer.Option(help="Cells whose job or system contains this text.")] = "",
    cores: Annotated[int, typer.Option(min=1, help="Number of cores to use.")] = 2,
    quick: Annotated[bool, typer.Option("--quick", help="One seed of small jobs, in benchmarks/quick/.")] = False,
    render_only: Annotated[bool, typer.Option("--render-only", help="Write the page from the records alone.")] = False,
) -> None:
    """Time fits of many rows that begin on a sample, fits on all rows, and mini-batches; write MANY_ROWS.md.

    Measurements are saved in many_rows.jsonl; an interrupted benchmark continues where it stopped.
    """
    folder = Path(__file__).parents[1] / ("quick" if quick else "")
    folder.mkdir(exist_ok=True)
    chosen = [cell for cell in CELLS if cells in f"{cell.problem.name} / {cell.name}"]
    if quick:
        chosen = [_quick(cell) for cell in chosen]
    records = Records(folder / "many_rows.jsonl")
    if not render_only:
        used = machine.use_cores(cores)
        if "machine" not in records:
            records.add("machine", section="machine", **machine.describe(used))
        for problem in dict.fromkeys(cell.problem for cell in chosen):
            measure([cell for cell in chosen if cell.problem == problem], records, len(used))
    page = folder / "MANY_ROWS.md"
    page.write_text(report(chosen, records))
    say(f"wrote {page}")


def _quick(cell: Cell) -> Cell:
    problem = replace(cell.problem, n_samples=cell.problem.n_samples // 20, n_components=5)
    return replace(cell, problem=problem, seeds=1, options=cell.options[:2], max_seconds=min(cell.max_seconds, 1.0))


def measure(cells: Sequence[Cell], records: Records, cores: int) -> None:
    """Run the systems on one job in turns, starting with a different one for each seed."""
    todo = [(cell, seed) for seed in range(max(cell.seeds for cell in cells)) for cell in cells if seed < cell.seeds]
    if all(_key(cell, seed) in records for cell, seed in todo):
        return
    problem = cells[0].problem
    data = problems.make_data(problem)
    with TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        data_file = str(Path(folder) / "data.npy")
        np.save(data_file, data.astype(np.float32))
        workers: dict[str, Worker] = {}
        for cell, seed in todo:
            if _key(cell, seed) in records:
                continue
            if cell.name not in workers:
                options = _best(cell, records, data, data_file, cores)
                workers[cell.name] = stack.enter_context(_worker(cell, options, data_file, cores))
            records.add(_key(cell, seed), section="runs", **_run(cell, workers[cell.name], seed, data))


def _best(cell: Cell, records: Records, data: np.ndarray, data_file: str, cores: int) -> dict[str, Any]:
    """Return the setting of the lowest J with the tuning seed."""
    if len(cell.options) == 1:
        return cell.options[0]
    found = []
    for options in cell.options:
        key = f"{_key(cell, TUNING_SEED)}/{options}"
        if key not in records:
            with _worker(cell, options, data_file, cores) as worker:
                records.add(key, section="tuning", options=options, **_run(cell, worker, TUNING_SEED, data))
        found.append(records.rows[key])
    best: dict[str, Any] = min(found, key=lambda row: row["J"])["options"]
    if f"best/{_name(cell)}" not in records:
        records.add(f"best/{_name(cell)}", section="best", options=best)
    return best


def _worker(cell: Cell, options: dict[str, Any], data_file: str, cores: int) -> Worker:
    worker = Worker(f"many_rows.systems:{cell.system}", options, cores)
    worker.prepare(cell.problem, data_file)
    start = Start(TUNING_SEED, problems.initial_weights(cell.problem, TUNING_SEED))
    worker.run(start, Limits(TOL, 1.0, warm_up=True))
    return worker


def _run(cell: Cell, worker: Worker, seed: int, data: np.ndarray) -> dict[str, Any]:
    load = os.getloadavg()[0]
    start = Start(seed, problems.initial_weights(cell.problem, seed))
    run = worker.run(start, Limits(TOL, cell.max_seconds))
    J, gradient_norm = problems.judge(cell.problem, run.theta, data)
    say(f"{_name(cell)} {seed}: {run.seconds:.1f} s, J {J:.5f}, gradient {gradient_norm:.1e}, {run.extra}")
    return {
        "cell": _name(cell),
        "seed": seed,
        "seconds": run.seconds,
        "evaluations": run.evaluations,
        "J": J,
        "gradient_norm": gradient_norm,
        "reason": run.reason,
        "load": round(load, 2),
        **run.extra,
    }


def _name(cell: Cell) -> str:
    return f"{cell.problem.name} / {cell.name}"


def _key(cell: Cell, seed: int) -> str:
    return f"{_name(cell)} / {seed}"


def report(cells: Sequence[Cell], records: Records) -> str:
    """Return MANY_ROWS.md."""
    about = records.rows["machine"]
    sections = []
    for problem in dict.fromkeys(cell.problem for cell in cells):
        rows = [_row(cell, records) for cell in cells if cell.problem == problem]
        sections.append(f"## {problem.name}\n\n{table(HEADER, [row for row in rows if row])}\n")
    return PAGE.format(
        processor=about["processor"],
        cores=about["cores_used"],
        data=problems.describe(HUNDRED),
        body="\n".join(sections),
    )


def _row(cell: Cell, records: Records) -> list[str]:
    runs = [row for row in records.of("runs") if row["cell"] == _name(cell)]
    if not runs:
        return []
    best = records.rows.get(f"best/{_name(cell)}")
    setting = "" if best is None else " ({learning_rate:g}, {batch_size})".format(**best["options"])
    evaluations = [run["evaluations"] + run["on_sample"] for run in runs if run["evaluations"] is not None]
    passes = [run["passes"] for run in runs if run.get("passes")]
    J = [run["J"] for run in runs]
    return [
        cell.name + setting,
        str(len(runs)),
        seconds(median(run["seconds"] for run in runs)),
        f"{median(evaluations):.0f} ({min(evaluations):.0f} ... {max(evaluations):.0f})" if evaluations else "-",
        number(median(passes) if passes else None, ".0f"),
        f"{median(J):.5f} ({max(J):.5f})",
        f"{median(run['gradient_norm'] for run in runs):.0e}",
        f"{median(run['load'] for run in runs):.1f}",
    ]


HEADER = [
    "system",
    "runs",
    "time",
    "evaluations, in units of all rows",
    "passes",
    "J, median (worst)",
    "gradient",
    "load before",
]
PAGE = """# Many rows

Generated by `python -m benchmarks.many_rows`; do not edit.

The data are {data}; then a million.

The job is that of the notes (64-25-64, rho 0.01, beta 3, alpha 1e-4); "plain" is without sparsity and with linear
outputs. On {cores} cores of {processor}, every system has its own process, which has compiled before, and starts
each seed from the same weights (scikit-learn's draws its own). Times are medians over seeds, of whole
calls of `fit`; J and the max-norm of its gradient are computed at the final weights in float64, by the derivation by
hand. Evaluations on a sample count by its share of the rows. A pass is one reading of a stream.

The library ends where its gradient is at most 1e-5. Adam takes mini-batches for a given time, with a learning rate that
falls linearly to zero; the penalty is that of the batch. scikit-learn's network stops by its own rule (tol 1e-6), or
after 100 epochs. Of six learning rates and batch sizes (four for scikit-learn) each peer has the one of the lowest J,
in brackets, chosen with another seed, for each time.

{body}"""


if __name__ == "__main__":
    app(prog_name="python -m benchmarks.many_rows")
