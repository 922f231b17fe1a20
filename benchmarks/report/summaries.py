"""Summarize the runs of a system: medians over seeds, counts of verdicts, ratios of paired runs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks.records import Records

__all__ = ["Summary", "fastest", "ratio", "summaries"]

DEFAULT = "sparsam-kronecker-lbfgs"


@dataclass(frozen=True)
class Summary:
    """The runs of a system in a race.

    Attributes
    ----------
    system, label, role : str
        As in the registry.
    runs : dict of int to record
        By seed.
    """

    system: str
    label: str
    role: str
    runs: dict[int, dict[str, Any]]

    def times(self, measure: str) -> dict[int, float]:
        """Return the seconds to convergence ("seconds") or to the target ("seconds_to_target"), by seed.

        Runs that stalled or used up their budget are left out.
        """
        if measure == "seconds":
            return {seed: run["seconds"] for seed, run in self.runs.items() if run["verdict"] == "converged"}
        return {seed: run[measure] for seed, run in self.runs.items() if run[measure] is not None}

    def median_time(self, measure: str) -> float | None:
        """Compute the median of `times`; None unless more than half of the runs have a time."""
        times = self.times(measure).values()
        return median(times) if 2 * len(times) > len(self.runs) else None

    def median(self, what: str) -> float | None:
        """Compute the median of a number over all runs; None if it was not recorded."""
        values = [run[what] for run in self.runs.values() if run[what] is not None]
        return median(values) if values else None

    @property
    def verdicts(self) -> str:
        """Counts of the verdicts: "5 converged", "3 stalled, 2 budget"."""
        return ", ".join(
            f"{n} {word}" for word, n in Counter(run["verdict"] for run in self.runs.values()).most_common()
        )

    def median_seed(self) -> int:
        """Return the seed of the run with the median time."""
        by_time = sorted(self.runs, key=lambda seed: self.runs[seed]["seconds"])
        return by_time[(len(by_time) - 1) // 2]


def summaries(records: Records, section: str) -> list[Summary]:
    """Summarize all systems of a race, in the order of the first round."""
    runs: dict[str, dict[int, dict[str, Any]]] = {}
    for row in records.of(section):
        runs.setdefault(row["system"], {})[row["seed"]] = row
    return [
        Summary(system, (first := next(iter(by_seed.values())))["label"], first["role"], by_seed)
        for system, by_seed in runs.items()
    ]


def fastest(candidates: list[Summary], measure: str = "seconds") -> Summary | None:
    """Return the system with the smallest median time, among those that have one."""
    return min(
        (summary for summary in candidates if summary.median_time(measure) is not None),
        key=lambda summary: summary.median_time(measure),
        default=None,
    )


def ratio(slow: Summary, fast: Summary, measure: str = "seconds") -> float | None:
    """Compute the median ratio of paired times, over the seeds for which both systems have a time."""
    a, b = slow.times(measure), fast.times(measure)
    pairs = [a[seed] / b[seed] for seed in a.keys() & b.keys()]
    return median(pairs) if pairs else None


def best_library(all_: list[Summary], measure: str = "seconds") -> Summary | None:
    """Return the library's default solver, or its fastest solver if the default has no time."""
    library = [summary for summary in all_ if summary.role == "library"]
    default = [summary for summary in library if summary.system == DEFAULT]
    return fastest(default, measure) or fastest(library, measure)
