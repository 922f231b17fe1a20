"""The command: ``python -m benchmarks``."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from benchmarks import machine, problems
from benchmarks.progress import say
from benchmarks.race import race
from benchmarks.records import Records
from benchmarks.systems.registry import RACES, TUNING, Spec

SECTIONS = ("notes", "cold", "mnist", "plain", "evaluation", "scaling")
TOL = 1e-5
MAX_SECONDS = {"notes": 30.0, "mnist": 300.0, "plain": 30.0, "tuning": 60.0}
MOST_SEEDS = {"mnist": 1, "plain": 3, "tuning": 1}
TUNING_SEED = 1001

app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)


@app.command()
def main(
    sections: Annotated[
        str, typer.Option(help=f"Sections to run, comma-separated: {', '.join(SECTIONS)}; or tuning.")
    ] = ",".join(SECTIONS),
    seeds: Annotated[int, typer.Option(min=1, help="Number of initial weights for each job.")] = 5,
    cores: Annotated[int, typer.Option(min=1, help="Cores and threads that all systems may use.")] = 2,
    out: Annotated[
        Path | None, typer.Option(help="Folder of results.jsonl, RESULTS.md and the plots.", show_default="benchmarks/")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Tiny budgets, written to benchmarks/quick/, to test that everything runs.")
    ] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Delete earlier records of the sections and measure again.")
    ] = False,
    render_only: Annotated[
        bool, typer.Option("--render-only", help="Write RESULTS.md and the plots from the records; measure nothing.")
    ] = False,
) -> None:
    """Run all systems in turns, and write RESULTS.md with its plots.

    Measurements are saved in results.jsonl; an interrupted benchmark continues where it stopped.
    """
    wanted = [section.strip() for section in sections.split(",")]
    if unknown := set(wanted) - {*SECTIONS, "tuning"}:
        raise typer.BadParameter(f"no section {', '.join(sorted(unknown))}", param_hint="--sections")
    out = out or Path(__file__).parent / ("quick" if quick else "")
    out.mkdir(parents=True, exist_ok=True)
    path = out / "results.jsonl"
    if fresh and not render_only:
        Records(path).forget(wanted)
    records = Records(path)
    if not render_only:
        measure(records, wanted, list(range(2 if quick else seeds)), cores, quick)
    from benchmarks.report.page import write_report

    for file in write_report(records, out):
        say(f"wrote {file}")


def measure(records: Records, sections: list[str], seeds: list[int], cores: int, quick: bool) -> None:
    """Run the sections."""
    used = machine.use_cores(cores)
    about = machine.describe(used)
    check_same_machine(records, about, quick)
    for section in sections:
        # Record the load at the start of each section; a record with the same key is replaced.
        records.add(f"machine/{section}", section="machine", quick=quick, tol=TOL, of=section, **machine.describe(used))
        with tempfile.TemporaryDirectory() as folder:
            run_section(records, section, seeds, len(used), quick, Path(folder))


def run_section(records: Records, section: str, seeds: list[int], cores: int, quick: bool, folder: Path) -> None:
    """Run one section."""
    if section == "evaluation":
        from benchmarks.evaluation.section import evaluation

        evaluation(records, cores=cores, quick=quick)
    elif section == "scaling":
        from benchmarks.scaling import scaling

        scaling(records, cores=cores, platform="cpu", quick=quick)
        if (device := machine.gpu()) is not None:
            say(f"scaling: the same on {device}")
            scaling(records, cores=cores, platform="cuda", quick=quick)
    elif section == "cold":
        from benchmarks.cold import cold, commands

        threads, m = best_reference(records)
        problem = problems.load("notes", quick)
        cold(records, problem, seeds, cores=cores, tol=tolerance(quick), folder=folder, threads=threads, m=m)
        commands(records, rounds=1 if quick else 3, cores=cores, folder=folder)
    else:
        run_race(records, section, seeds, cores, quick, folder)


def run_race(records: Records, section: str, seeds: list[int], cores: int, quick: bool, folder: Path) -> None:
    """Run the race of a job, or the tuning of the peers on the notes' job."""
    problem = problems.load("notes" if section == "tuning" else section, quick)
    if not problems.available(problem):
        say(f"{section}: its data is missing, see SPARSAM_DATA in README.md")
        return
    specs: tuple[Spec, ...] = TUNING if section == "tuning" else RACES[section]
    if section == "tuning":
        seeds = [TUNING_SEED]
    if section == "mnist":  # the reference program takes minutes here, so use only its best thread count
        threads, _ = best_reference(records)
        specs = tuple(spec for spec in specs if spec.role != "reference" or spec.threads == threads)
    if section == "plain":
        from benchmarks.plain_check import plain_check

        plain_check(records, problem)
    race(
        records,
        section,
        problem,
        specs,
        seeds[: MOST_SEEDS.get(section)],
        cores=cores,
        tol=tolerance(quick),
        max_seconds=5.0 if quick else MAX_SECONDS[section],
        folder=folder,
    )


def tolerance(quick: bool) -> float:
    """Return the tolerance of the gradient's max-norm."""
    return 1e-3 if quick else TOL


def best_reference(records: Records) -> tuple[int, int]:
    """Return the best thread count and m of the reference program in the notes' race, (1, 20) without a race."""
    from benchmarks.report.summaries import fastest, summaries

    best = fastest([summary for summary in summaries(records, "notes") if summary.role == "reference"])
    if best is None:
        return 1, 20
    spec = next(spec for spec in RACES["notes"] if spec.name == best.system)
    return spec.threads or 1, spec.options["m"]


def check_same_machine(records: Records, about: dict, quick: bool) -> None:
    """Raise an error rather than mix records of two machines, or quick records with others."""
    for row in records.of("machine"):
        changed = [name for name in ("processor", "cores_used", "python", "packages") if row[name] != about[name]]
        if changed or row["quick"] != quick:
            different = ", ".join(changed) or "quick"
            raise typer.BadParameter(
                f"{records.path} holds records made with another {different}: choose another --out, or remove it",
                param_hint="--out",
            )


if __name__ == "__main__":
    app(prog_name="python -m benchmarks")
