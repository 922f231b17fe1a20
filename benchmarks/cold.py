"""Measure whole processes: from the command line to the written weights, with imports and compilation."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks import problems
from benchmarks.problems import Problem
from benchmarks.progress import say
from benchmarks.records import Records
from benchmarks.worker import environment

__all__ = ["cold", "commands"]

PROGRAMS = Path(__file__).with_name("programs")
LIBRARY = "sparsam, kronecker-lbfgs"
KEPT = "the same, programs kept by an earlier process"
REFERENCE = "NumPy + SciPy"


def cold(
    records: Records, problem: Problem, seeds: list[int], *, cores: int, tol: float, folder: Path, threads: int, m: int
) -> None:
    """Run this library, without and with kept programs, and the reference program alternately, each in its own process.

    Parameters
    ----------
    records : Records
    problem : Problem
    seeds : list of int
    cores : int
        Cores that this library may use.
    tol : float
    folder : Path
        Folder for the data and the weights.
    threads, m : int
        The best settings of the reference program in the warm race.
    """
    todo = [seed for seed in seeds if f"cold/{seed}" not in records]
    if not todo:
        return
    data = problems.make_data(problem)
    patches, start, result = (str(folder / name) for name in ("cold.npy", "theta0.npy", "theta.npy"))
    np.save(patches, data)
    hyperparameters = [str(value) for value in (problem.alpha, problem.rho, problem.beta, tol)]
    for seed in todo:
        np.save(start, problems.initial_weights(problem, seed))
        size = str(problem.n_components)
        ours = [patches, str(seed), result, size, *hyperparameters, "kronecker-lbfgs"]
        processes = {
            LIBRARY: ("library.py", ours, cores, {}),
            KEPT: ("library.py", ours, cores, kept_in(folder)),
            REFERENCE: (
                "notes.py",
                [patches, start, result, size, *hyperparameters, str(m), "as_written"],
                threads,
                {},
            ),
        }
        if seed == todo[0]:  # fill the folder
            timed([sys.executable, str(PROGRAMS / "library.py"), *ours], cores, kept_in(folder))
        pair = {}
        for label, (program, arguments, n_threads, variables) in processes.items():
            seconds, peak = timed([sys.executable, str(PROGRAMS / program), *arguments], n_threads, variables)
            J, gradient_norm = problems.judge(problem, np.load(result), data)
            say(f"cold: {label} seed {seed}: {seconds:.2f} s, {peak / 2**20:.0f} MiB, J = {J:.5f}")
            pair[label] = {
                "seconds": seconds,
                "peak_bytes": peak,
                "J": J,
                "gradient_norm": gradient_norm,
                "threads": n_threads,
            }
        records.add(f"cold/{seed}", section="cold", seed=seed, m=m, pair=pair)


def commands(records: Records, *, rounds: int, cores: int, folder: Path) -> None:
    """Time ``sparsam learn`` with its defaults, the first time and again, in a new cache folder in each round."""
    for turn in range(rounds):
        if f"command/{turn}" in records:
            continue
        own, found = folder / f"command-{turn}", {}
        for name in ("first", "again"):
            command = [sys.executable, "-m", "sparsam", "learn", "--out", str(own / name)]
            found[name], _ = timed(command, cores, kept_in(own))
            say(f"cold: sparsam learn, {name}: {found[name]:.2f} s")
        records.add(f"command/{turn}", section="command", **found)


def kept_in(folder: Path) -> dict[str, str]:
    """Return the environment variables by which compiled programs are kept below a folder."""
    return {"SPARSAM_KEEP_COMPILED_PROGRAMS": "1", "XDG_CACHE_HOME": str(folder / "cache")}


def timed(command: list[str], threads: int, variables: Mapping[str, str]) -> tuple[float, int]:
    """Run a process; return its wall time, measured from outside, and its peak resident memory in bytes."""
    begin = time.perf_counter()
    own = environment(threads) | dict(variables)
    process = subprocess.Popen(command, env=own, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    # Only wait4 returns the peak of this child alone. Read its pipe first, or it may fill up and block the child.
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{' '.join(command[:2])} failed:\n{errors.decode()}")
    return seconds, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
