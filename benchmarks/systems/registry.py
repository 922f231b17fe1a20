"""Registry of the systems: the races, with the settings and the number of threads of each system.

README.md describes the choice of the peers' settings. `TUNING` has the grids that they were chosen from;
``--sections tuning`` runs them again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import product
from typing import Any

__all__ = ["RACES", "SYSTEMS", "TUNING", "Spec", "missing_packages"]


@dataclass(frozen=True)
class Spec:
    """A system with its settings.

    Attributes
    ----------
    name : str
        Key in the records.
    label : str
        Name in tables and plots.
    role : {"library", "reference", "in place", "peer"}
        "in place" is the reference program with its cost rewritten for speed.
    path : str
        ``module:Class`` within the package `benchmarks`.
    options : dict
        Keyword arguments of the class.
    threads : int or None
        Threads of its BLAS and of OpenMP; None for all cores that the benchmark uses. XLA always has one thread per
        core.
    needs : tuple of str
        Required packages, which may be missing.
    max_seconds : float or None
        Its own time budget, for systems that are known not to profit from more.
    """

    name: str
    label: str
    role: str
    path: str
    options: dict[str, Any] = field(default_factory=dict)
    threads: int | None = None
    needs: tuple[str, ...] = ()
    max_seconds: float | None = None


def _counted(threads: int) -> str:
    return f"{threads} thread{'s' if threads > 1 else ''}"


def _library(solver: str, dtype: str = "float32") -> Spec:
    suffix = "" if dtype == "float32" else f" {dtype}"
    return Spec(
        f"sparsam-{solver}{suffix.replace(' ', '-')}",
        f"sparsam, {solver}{suffix}",
        "library",
        "systems.estimator:Estimator",
        {"solver": solver, "dtype": dtype},
    )


def _notes(m: int, threads: int, cost: str = "as_written") -> Spec:
    name, role, words = ("notes", "reference", "") if cost == "as_written" else ("in-place", "in place", " in place")
    label = f"NumPy + SciPy{words}, m={m}, {_counted(threads)}"
    options = {"m": m, "cost": cost}
    return Spec(f"{name}-m{m}-t{threads}", label, role, "systems.notes:NotesProgram", options, threads)


def _torch_lbfgs(dtype: str, history_size: int, threads: int) -> Spec:
    name = f"torch-lbfgs-{dtype}-h{history_size}-t{threads}"
    label = f"PyTorch LBFGS {dtype}, {_counted(threads)}"
    options = {"dtype": dtype, "history_size": history_size}
    return Spec(name, label, "peer", "systems.torch_lbfgs:TorchLBFGS", options, threads, needs=("torch",))


def _torch_adam(dtype: str, learning_rate: float, threads: int) -> Spec:
    name = f"torch-adam-{dtype}-lr{learning_rate:g}-t{threads}"
    label = f"PyTorch Adam {dtype}, {_counted(threads)}"
    options = {"dtype": dtype, "learning_rate": learning_rate}
    return Spec(
        name, label, "peer", "systems.torch_adam:TorchAdam", options, threads, needs=("torch",), max_seconds=20.0
    )


def _jax_scipy(dtype: str, m: int) -> Spec:
    return Spec(
        f"jax-scipy-{dtype}-m{m}",
        f"JAX {dtype} + SciPy",
        "peer",
        "systems.jax_scipy:JaxScipy",
        {"dtype": dtype, "m": m},
        # XLA has its own threads, one per core; more BLAS threads only slow down SciPy's L-BFGS-B.
        threads=1,
    )


def _jax_optax(dtype: str, memory_size: int, approx_dec_rtol: float) -> Spec:
    name, label = f"optax-{dtype}-m{memory_size}-a{approx_dec_rtol:g}", f"JAX + optax.lbfgs {dtype}"
    options = {"dtype": dtype, "memory_size": memory_size, "approx_dec_rtol": approx_dec_rtol}
    return Spec(name, label, "peer", "systems.jax_optax:JaxOptax", options, needs=("optax",))


LIBRARY = (_library("kronecker-lbfgs"), _library("lbfgs"))

RACES: dict[str, tuple[Spec, ...]] = {
    "notes": (
        *LIBRARY,
        *(_notes(m, threads) for m, threads in product((10, 20), (1, 2))),
        _notes(20, 1, "in_place"),
        _jax_scipy("float64", 20),
        _jax_scipy("float32", 20),
        _jax_optax("float64", 20, 1e-6),
        *(_jax_optax("float32", m, 1e-5) for m in (10, 20, 50)),
        *(_torch_lbfgs(dtype, 50, threads) for dtype, threads in product(("float64", "float32"), (1, 2))),
        *(_torch_adam("float32", 3e-2, threads) for threads in (1, 2)),
    ),
    "mnist": (
        *LIBRARY,
        _notes(10, 1),
        _notes(10, 2),
        _notes(10, 2, "in_place"),
        *(_jax_optax("float32", m, 1e-5) for m in (10, 20)),
    ),
    "plain": (
        *LIBRARY,
        Spec("sklearn-t1", "scikit-learn MLPRegressor, 1 thread", "peer", "systems.sklearn_mlp:SklearnMLP", threads=1),
        Spec("sklearn-t2", "scikit-learn MLPRegressor, 2 threads", "peer", "systems.sklearn_mlp:SklearnMLP", threads=2),
    ),
}
"""The systems in each race."""

TUNING: tuple[Spec, ...] = (
    *(_notes(m, threads) for m, threads in product((5, 10, 20, 50), (1, 2))),
    *(_jax_scipy(dtype, m) for dtype, m in product(("float64", "float32"), (10, 20, 50))),
    *(_jax_optax(dtype, m, a) for dtype, m, a in product(("float64", "float32"), (10, 20, 50), (1e-6, 1e-5, 1e-4))),
    *(_torch_lbfgs(dtype, h, 1) for dtype, h in product(("float64", "float32"), (10, 20, 50, 100))),
    *(_torch_adam("float32", lr, threads) for lr, threads in product((1e-3, 3e-3, 1e-2, 3e-2), (1, 2))),
)
"""The settings of the peers that were compared, on the job "notes" with a seed that no race uses."""

SYSTEMS = {spec.name: spec for spec in (*TUNING, *(spec for race in RACES.values() for spec in race))}


def missing_packages(spec: Spec) -> list[str]:
    """Return the packages that a system needs and that are not installed."""
    return [package for package in spec.needs if find_spec(package) is None]
