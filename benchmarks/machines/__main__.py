"""The command: ``python -m benchmarks.machines``."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.progress import say
from benchmarks.report.markdown import table
from sparsam.engine import Network

app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
COUNTS = (1, 2, 3)


@app.command()
def main(n_rows: Annotated[int, typer.Option(help="Rows of all processes together.")] = 600_000) -> None:
    """Time an evaluation with 1, 2 and 3 processes of one core each, and compare with a model; write MACHINES.md."""
    cores = sorted(os.sched_getaffinity(0))
    measured = {}
    for count in COUNTS:
        measured[count] = run(count, [6, n_rows], cores)
        say(f"{count} processes: {measured[count]}")
    page = Path(__file__).parents[1] / "MACHINES.md"
    page.write_text(report(measured, n_rows, len(cores)))
    say(f"wrote {page}")


def run(count: int, row_counts: list[int], cores: list[int]) -> dict[int, float]:
    """Seconds of an evaluation, by the rows, with so many processes."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    module = [sys.executable, "-m", "benchmarks.machines.worker", address, str(count)]
    processes = []
    for k in range(count):

        def pin(core: int = cores[k % len(cores)]) -> None:
            os.sched_setaffinity(0, {core})

        processes.append(
            subprocess.Popen(
                [*module, str(k), *map(str, row_counts)],
                stdout=subprocess.PIPE if k == 0 else subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                text=True,
                preexec_fn=pin,
            )
        )
    lines = processes[0].communicate()[0].splitlines()
    for process in processes[1:]:
        process.wait()
    return {int(rows): seconds for rows, seconds in json.loads(lines[-1]).items()}


def report(measured: dict[int, dict[int, float]], n_rows: int, n_cores: int) -> str:
    """MACHINES.md."""
    alone = measured[1]
    per_row = (alone[n_rows] - alone[6]) / (n_rows - 6)
    n_bytes = 4 * (Network((64, 25, 64)).n_parameters + 2 * 25 + 3)
    rows = []
    for count in COUNTS:
        wires = measured[count][6] - alone[6]
        in_turns = -(-count // n_cores)  # processes on the core that has the most of them
        model = per_row * n_rows / count * in_turns + measured[count][6]
        got = measured[count][n_rows]
        rows.append([str(count), *(f"{1e3 * value:.2f}" for value in (wires, model, got)), f"{got / model - 1:+.0%}"])
    head = ["processes", "wires / ms", "model / ms", "measured / ms", "off by"]
    return f"""# What several machines cost and gain

Written by `python -m benchmarks.machines`; not to be edited.

An evaluation of J and its gradient takes, with N rows on n devices, P parameters and m numbers of moments (of KL
sparsity two a hidden unit):

    t(n) = c N / n  +  2 (n - 1)/n * 4 (P + m) bytes / bandwidth  +  2 latencies

c is the time of a row on one device. What crosses the wires does not depend on N: the moments after the first pass,
the gradient and the terms' sums after the second, each in one message. Every ten iterations come the Kronecker factors,
a few times the weights at most, and once a burst a few numbers by which the processes agree on what follows.

So machines pay where c N / n is more than the wires cost. At 64-25-64 (P = {Network((64, 25, 64)).n_parameters},
{n_bytes / 1024:.0f} KiB) c is {1e9 * per_row:.0f} ns, measured here on one core; two messages between machines, of a
millisecond each, are the work of {2e-3 / per_row:,.0f} rows.

Checked with {n_rows:,} rows in all, and processes of one core each on a machine of {n_cores} cores, over loopback with
gloo, whose messages take milliseconds while a core is busy. The wires' share is measured by itself, with 6 rows.
Processes that share a core take turns.

{table(head, rows)}
"""


if __name__ == "__main__":
    app(prog_name="python -m benchmarks.machines")
