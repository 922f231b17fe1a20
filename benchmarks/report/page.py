"""RESULTS.md as a whole."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt

from benchmarks import problems
from benchmarks.records import Records
from benchmarks.report.costs import evaluation_section, scaling_section
from benchmarks.report.markdown import table
from benchmarks.report.plots import draw_race, draw_scaling
from benchmarks.report.races import cold_section, headlines, plain_note, race_table
from benchmarks.systems.registry import RACES, missing_packages
from sparsam._utils.atomic_write import atomic_write

__all__ = ["write_report"]

PLOTS = {"notes": "race-notes.png", "mnist": "race-mnist.png", "scaling": "scaling.png"}


def write_report(records: Records, folder: Path) -> list[Path]:
    """Write the page and its plots into a folder; return their paths."""
    drawn = {section: _draw(records, section, folder / file) for section, file in PLOTS.items()}
    page = folder / "RESULTS.md"
    with atomic_write(page) as file:
        file.write(_page(records, drawn).encode())
    return [page, *(folder / PLOTS[section] for section, there in drawn.items() if there)]


def _draw(records: Records, section: str, path: Path) -> bool:
    figure = draw_scaling(records) if section == "scaling" else draw_race(records, section)
    if figure is None:
        return False
    figure.savefig(path, dpi=200)
    plt.close(figure)
    return True


def _page(records: Records, drawn: dict[str, bool]) -> str:
    blocks = [
        "# Results",
        "Written by `python -m benchmarks` from `results.jsonl`; not to be edited. How it is measured, and every "
        "system's settings: [README.md](README.md).",
        *_quick_warning(records),
        "## In short",
        headlines(records),
        "A ratio is the other's time divided by ours, run by run from the same initial weights; the median over seeds "
        "is shown. Only runs count that the judge (J and its gradient by hand, in float64) found converged, or that "
        'reached the target; "stalled" is who stopped by itself before, "budget" who was still on the way when the '
        "time was over. A median needs more than half of a system's runs.",
        "## Machine",
        _machine(records),
        "## The notes' job",
        _job("notes"),
        *_image(drawn, "notes", "J against wall time for every system on the notes' job."),
        race_table(records, "notes"),
        "Warm: each system has compiled before, in a process of its own, and idles while others run. In bold, this "
        "library. " + _threads(records, "notes"),
        "### Whole processes",
        cold_section(records),
        "From the command line to the written weights: start of Python, imports, compilation (nothing is cached from "
        "process to process), training.",
        "## MNIST",
        _job("mnist"),
        *_image(drawn, "mnist", "J against wall time on MNIST."),
        race_table(records, "mnist"),
        "A run ends at the target; J and gradient are those of its last weights. This library looks at J between "
        "bursts of its compiled loop, so it may stop somewhat later than it was there.",
        "## Against scikit-learn",
        _job("plain") + " scikit-learn has no sparsity penalty, and linear outputs only.",
        race_table(records, "plain"),
        plain_note(records),
        "## One evaluation of J and its gradient",
        "float32, against its floor: the five matrix products that no way around is known for (X W1, Z W2, delta2' Z, "
        "delta2 W2', delta1' X), by whichever library and chunk size is fastest here, and the (M + D) N logistics by "
        "whichever is fastest here. Everybody is measured in turns; medians.",
        evaluation_section(records),
        "## Growth with N, D and M",
        *_image(drawn, "scaling", "Time and memory against N, D and M."),
        scaling_section(records, "cpu") or "Not run.",
        "float32, on the CPU. Memory is the peak of what `fit` takes beyond the caller's data.",
        "### On a GPU",
        scaling_section(records, "cuda") or "Not run: there was no GPU.",
        *_tuning(records),
        *_missing(),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _quick_warning(records: Records) -> list[str]:
    if any(row["quick"] for row in records.of("machine")):
        return ["**Made with --quick: tiny jobs and budgets; the figures mean nothing.**"]
    return []


def _machine(records: Records) -> str:
    rows = records.of("machine")
    if not rows:
        return "Not recorded."
    about = rows[0]
    frequency = f", {about['megahertz']} MHz" if about["megahertz"] else ""
    packages = ", ".join(f"{name} {version or '(missing)'}" for name, version in about["packages"].items())
    loads = ", ".join(f"{row['of']} {row['load_average']}" for row in rows)
    lines = [
        ["processor", f"{about['processor']}{frequency}"],
        ["cores", f"{about['cores']} ({about['logical_cores']} logical); {about['cores_used']} used, by affinity"],
        ["memory", f"{about['memory_gib']} GiB"],
        ["system", f"{about['system']}, Python {about['python']}"],
        ["packages", packages],
        ["last commit to `src`", ", ".join(dict.fromkeys(str(row["revision"]) for row in rows))],
        ["load average when a section began", loads],
    ]
    if about["removed_variables"]:
        lines.append(["variables kept from the workers", ", ".join(about["removed_variables"])])
    return table(["", ""], lines).replace("| --- | ---: |", "| --- | --- |")


def _job(section: str) -> str:
    problem = problems.PROBLEMS[section]
    sizes = "-".join(map(str, problem.layer_sizes))
    sparsity = f"rho {problem.rho:g}, beta {problem.beta:g}, " if problem.beta else "beta 0, "
    target = f" Target: J <= {problem.target:g}." if problem.target else ""
    return f"{sizes}, {sparsity}alpha {problem.alpha:g}, on {problems.describe(problem)}.{target}"


def _image(drawn: dict[str, bool], section: str, text: str) -> list[str]:
    return [f"![{text}]({PLOTS[section]})"] if drawn[section] else []


def _threads(records: Records, section: str) -> str:
    found: dict[str, list[str]] = {}
    for row in records.of(section):
        labels = found.setdefault(", ".join(row["thread_pools"]), [])
        if row["label"] not in labels:
            labels.append(row["label"])
    if not found:
        return ""
    lines = [f"- {pools}: {'; '.join(labels)}" for pools, labels in found.items()]
    return (
        "Threads as the loaded libraries report them (XLA's own pool, which does not report, has one thread for each "
        "core used):\n\n" + "\n".join(lines)
    )


def _tuning(records: Records) -> list[str]:
    if not records.of("tuning"):
        return []
    return ["## The peers' settings", "From a seed that no race uses.", race_table(records, "tuning")]


def _missing() -> list[str]:
    packages = sorted({name for race in RACES.values() for spec in race for name in missing_packages(spec)})
    return [f"Not installed when this page was written, so left out: {', '.join(packages)}."] if packages else []
