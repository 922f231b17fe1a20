"""The command: ``python -m benchmarks.embeddings``."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
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

System = Callable[..., Dictionary]  # of seed and seconds
Settings = tuple[tuple[float, int], ...]  # rates and batch sizes
Result = Mapping[str, float]  # of the judge

ALPHAS = (0.0, 1e-5, 1e-4)
"""Weight decays of this library, up to its default, to see what they do to held-out rows."""

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
        problem = load(1000, 500) if quick else load()
        times = [0.5, 1.0] if quick else [float(value) for value in seconds.split(",")]
        for n_units in [30] if quick else [int(value) for value in units.split(",")]:
            for beta in [0.05] if quick else [float(value) for value in betas.split(",")]:
                comparison = Comparison(records, problem, n_units, beta, times, 2 if quick else seeds)
                comparison.describe_machine(cores)
                comparison.run()
    say(f"wrote {write_report(records, folder)}")


def cost(result: Result) -> float:
    """Return J."""
    return result["J"]


def unexplained(result: Result) -> float:
    """Return the share of the held-out rows' variance that is lost."""
    return 1 - result["explained"]


class Comparison:
    """All systems on one job: a number of units and a weight of the penalty."""

    def __init__(
        self, records: Records, problem: Problem, n_units: int, beta: float, times: list[float], n_seeds: int
    ) -> None:
        self.records, self.problem, self.times, self.n_seeds = records, problem, times, n_seeds
        self.n_units, self.beta = n_units, beta

    def describe_machine(self, cores: list[int]) -> None:
        """Record the machine with the job, since jobs may be measured on different ones."""
        key = f"machine/{self.n_units}/{self.beta:g}"
        if key not in self.records:
            job = {"units": self.n_units, "beta": self.beta}
            self.records.add(key, section="machine", of="embeddings", **job, **machine.describe(cores))

    def run(self) -> None:
        """Run what is not recorded yet."""
        job, last = (self.problem, self.n_units, self.beta), max(self.times)
        for seconds in self.times:
            self.measure("sparsam", partial(systems.ours, *job), seconds)
            self.measure("L-BFGS (SciPy)", partial(systems.plain_lbfgs, *job), seconds)
            adam = self.best("Adam", partial(systems.adam, *job), systems.ADAM_SETTINGS, seconds, cost)
            self.measure("Adam, the best of six", adam, seconds)
        self.measure("sparsam", partial(systems.ours, *job), np.inf)
        top_k = partial(systems.top_k, self.problem, self.n_units, max(round(self.active_of_ours(last)), 1))
        top_k = self.best("TopK", top_k, systems.TOP_K_SETTINGS, last, unexplained)
        self.measure("TopK, the best of four", top_k, last)
        key = self.key("dictionary learning", last, 0)
        if key not in self.records:
            found = systems.dictionary_learning(*job, 0, last)
            self.add(key, "dictionary learning", last, 0, {"active": found[0], "explained": found[1]})
        for alpha in ALPHAS:
            key = self.key(f"alpha {alpha:g}", last, 0)
            if key not in self.records:
                result = judge(systems.ours(*job, 0, last, alpha=alpha), self.problem, self.beta)
                self.add(key, f"alpha {alpha:g}", last, 0, result)

    def best(
        self, name: str, system: System, settings: Settings, seconds: float, badness: Callable[[Result], float]
    ) -> System:
        """Return a system with the best of some rates and batch sizes, tried with the first seed."""
        found = []
        for rate, batch in settings:
            key = self.key(f"{name} {rate:g} {batch}", seconds, 0)
            with_setting = partial(system, rate=rate, batch=batch)
            if key not in self.records:
                result = judge(with_setting(0, seconds), self.problem, self.beta)
                self.add(key, f"{name} {rate:g} {batch}", seconds, 0, result)
            found.append((badness(self.records.rows[key]), with_setting))
        return min(found, key=lambda pair: pair[0])[1]

    def measure(self, name: str, system: System, seconds: float) -> None:
        """Run a system with all seeds, and compare their dictionaries; what is interrupted begins again."""
        key = self.key(name, seconds, "agreement" if self.n_seeds > 1 else 0)
        if key in self.records:
            return
        decoders = []
        for seed in range(self.n_seeds):
            begun = time.perf_counter()
            dictionary = system(seed, seconds)
            took = time.perf_counter() - begun
            decoders.append(dictionary.decoder)
            result = judge(dictionary, self.problem, self.beta) | {"took": took}
            if dictionary.gradient_norm is not None:
                result["gradient_norm"] = dictionary.gradient_norm
            self.add(self.key(name, seconds, seed), name, seconds, seed, result)
        if self.n_seeds > 1:
            self.add(key, name, seconds, None, {"agreement": dictionary_agreement(*decoders)})

    def active_of_ours(self, seconds: float) -> float:
        """Return the mean number of active units of this library's codes at some time."""
        rows = [self.records.rows[self.key("sparsam", seconds, seed)] for seed in range(self.n_seeds)]
        return float(np.mean([row["active"] for row in rows]))

    def key(self, name: str, seconds: float, seed: int | str) -> str:
        """Return the key of a record."""
        return f"{self.n_units}/{self.beta:g}/{name}/{seconds:g}/{seed}"

    def add(self, key: str, name: str, seconds: float, seed: int | None, result: dict[str, float]) -> None:
        """Record a result."""
        limit = seconds if np.isfinite(seconds) else None  # JSON has no infinity
        job = {"units": self.n_units, "beta": self.beta, "system": name, "seconds": limit, "seed": seed}
        self.records.add(key, section="embeddings", **job, **result)
        say(f"{key}: " + ", ".join(f"{what} {value:.5g}" for what, value in result.items()))


if __name__ == "__main__":
    app(prog_name="python -m benchmarks.embeddings")
