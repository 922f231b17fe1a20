"""The command: ``python -m benchmarks.embeddings``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from benchmarks import machine
from benchmarks.embeddings import systems
from benchmarks.embeddings.problem import Dictionary, Problem, judge, load
from benchmarks.embeddings.report import write_report
from benchmarks.progress import say
from benchmarks.records import Records
from sparsam.inspection import dictionary_agreement

app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)


@app.command()
def main(
    units: Annotated[str, typer.Option(help="Numbers of units.")] = "400,2000",
    betas: Annotated[str, typer.Option(help="Weights of the penalty.")] = "0.03,0.05,0.1",
    seconds: Annotated[str, typer.Option(help="Times to compare at.")] = "10,30,60",
    seeds: Annotated[int, typer.Option(min=1, help="Number of seeds.")] = 5,
    quick: Annotated[bool, typer.Option("--quick", help="Tiny jobs, in benchmarks/quick/.")] = False,
    render_only: Annotated[bool, typer.Option("--render-only", help="Write the page from the records alone.")] = False,
) -> None:
    """Learn dictionaries of word vectors (glove.npz in SPARSAM_DATA) by several systems; write EMBEDDINGS.md.

    Results are saved in embeddings.jsonl; an interrupted benchmark continues where it stopped.
    """
    folder = Path(__file__).parents[1] / ("quick" if quick else "")
    folder.mkdir(exist_ok=True)
    records = Records(folder / "embeddings.jsonl")
    if not render_only:
        cores = machine.use_cores(2)
        if "machine" not in records:
            records.add("machine", section="machine", of="embeddings", **machine.describe(cores))
        problem = load(1000, 500) if quick else load()
        times = [0.5, 1.0] if quick else [float(value) for value in seconds.split(",")]
        for n_units in [30] if quick else [int(value) for value in units.split(",")]:
            for beta in [0.05] if quick else [float(value) for value in betas.split(",")]:
                Comparison(records, problem, n_units, beta, times, 2 if quick else seeds).run()
    say(f"wrote {write_report(records, folder)}")


class Comparison:
    """All systems on one job: a number of units and a weight of the penalty."""

    def __init__(
        self, records: Records, problem: Problem, n_units: int, beta: float, times: list[float], n_seeds: int
    ) -> None:
        self.records, self.problem, self.times, self.n_seeds = records, problem, times, n_seeds
        self.n_units, self.beta = n_units, beta

    def run(self) -> None:
        """Run what is not recorded yet. The best of Adam's settings, by J at each time with the first seed, goes on."""
        system = partial(systems.ours, self.problem, self.n_units, self.beta)
        self.measure("sparsam", system)
        self.measure("L-BFGS (SciPy)", partial(systems.plain_lbfgs, self.problem, self.n_units, self.beta))
        best = {}
        for rate, batch in systems.ADAM_SETTINGS:
            system = partial(systems.adam, self.problem, self.n_units, self.beta, rate=rate, batch=batch)
            for seconds in self.times:
                J = self.one(f"Adam {rate:g} {batch}", system, seconds, 0)[1]["J"]
                best[seconds] = min(best.get(seconds, (np.inf, 0.0, 0)), (J, rate, batch))
        for seconds in self.times:
            _, rate, batch = best[seconds]
            system = partial(systems.adam, self.problem, self.n_units, self.beta, rate=rate, batch=batch)
            self.measure("Adam, the best of six", system, [seconds])
        active = self.active_of_ours()
        system = partial(systems.top_k, self.problem, self.n_units, max(round(active), 1))
        self.measure("TopK", system, [max(self.times)])
        key = self.key("dictionary learning", max(self.times), 0)
        if key not in self.records:
            found = systems.dictionary_learning(self.problem, self.n_units, self.beta, 0, max(self.times))
            self.add(key, "dictionary learning", max(self.times), 0, {"active": found[0], "explained": found[1]})

    def measure(self, name: str, system: Callable[[int, float], Dictionary], times: list[float] | None = None) -> None:
        """Run a system with all seeds at some times, and compare the dictionaries of the seeds."""
        for seconds in times or self.times:
            found = [self.one(name, system, seconds, seed) for seed in range(self.n_seeds)]
            key = self.key(name, seconds, "agreement")
            decoders = [dictionary.decoder for dictionary, _ in found if dictionary is not None]
            if key not in self.records and len(decoders) == self.n_seeds > 1:
                self.add(key, name, seconds, None, {"agreement": dictionary_agreement(*decoders)})

    def one(
        self, name: str, system: Callable[[int, float], Dictionary], seconds: float, seed: int
    ) -> tuple[Dictionary | None, dict[str, float]]:
        """Run a system once, unless it is recorded."""
        key = self.key(name, seconds, seed)
        if key in self.records:
            return None, self.records.rows[key]
        dictionary = system(seed, seconds)
        result = judge(dictionary, self.problem, self.beta)
        self.add(key, name, seconds, seed, result)
        return dictionary, result

    def active_of_ours(self) -> float:
        """Return the mean number of active units of this library's codes at the last time."""
        rows = [self.records.rows[self.key("sparsam", max(self.times), seed)] for seed in range(self.n_seeds)]
        return float(np.mean([row["active"] for row in rows]))

    def key(self, name: str, seconds: float, seed: int | str) -> str:
        """Return the key of a record."""
        return f"{self.n_units}/{self.beta:g}/{name}/{seconds:g}/{seed}"

    def add(self, key: str, name: str, seconds: float, seed: int | None, result: dict[str, float]) -> None:
        """Record a result."""
        job = {"units": self.n_units, "beta": self.beta, "system": name, "seconds": seconds, "seed": seed}
        self.records.add(key, section="embeddings", **job, **result)
        say(f"{key}: " + ", ".join(f"{what} {value:.5g}" for what, value in result.items()))


if __name__ == "__main__":
    app(prog_name="python -m benchmarks.embeddings")
