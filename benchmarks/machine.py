"""Describe the machine and the installed packages."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

from benchmarks.worker import REMOVED_VARIABLES, environment

__all__ = ["describe", "gpu", "revision", "use_cores"]

PACKAGES = ("sparsam", "jax", "jaxlib", "numpy", "scipy", "scikit-learn", "torch", "optax")


def use_cores(count: int) -> list[int]:
    """Bind this process and its children to the first ``count`` cores; return these cores."""
    if not hasattr(os, "sched_setaffinity"):
        return list(range(count))
    cores = sorted(os.sched_getaffinity(0))[:count]
    os.sched_setaffinity(0, cores)
    return cores


def describe(cores: list[int]) -> dict[str, Any]:
    """Return the facts about the machine that matter to a reader."""
    frequency = psutil.cpu_freq()
    return {
        "processor": _processor(),
        "cores": psutil.cpu_count(logical=False),
        "logical_cores": psutil.cpu_count(),
        "cores_used": len(cores),
        "megahertz": round(frequency.max or frequency.current) if frequency else None,
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": {package: _version(package) for package in PACKAGES},
        "revision": revision(),
        "removed_variables": [name for name in REMOVED_VARIABLES if name in os.environ],
        "load_average": round(os.getloadavg()[0], 2),
    }


def gpu() -> str | None:
    """Return the name of the GPU that JAX would use, or None; a separate process finds out."""
    variables = {name: value for name, value in environment(1).items() if name != "JAX_PLATFORMS"}
    program = "import jax; d = jax.devices()[0]; print(d.platform, d.device_kind, sep='|')"
    finished = subprocess.run(
        [sys.executable, "-c", program], env=variables, capture_output=True, text=True, check=False
    )
    if finished.returncode != 0 or not finished.stdout.strip():
        return None
    platform_name, kind = finished.stdout.strip().splitlines()[-1].split("|")
    return None if platform_name == "cpu" else kind


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        fields = dict(
            tuple(part.strip() for part in line.split(":", 1))
            for line in cpuinfo.read_text().splitlines()
            if ":" in line
        )
        if {"model name", "cpu family", "model"} <= fields.keys():
            return f"{fields['model name']} (family {fields['cpu family']}, model {fields['model']})"
    return platform.processor() or platform.machine()


def revision() -> str | None:
    """Return the last commit that changed the library, marked if there are later changes; None outside a clone."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(Path(__file__).parents[1]), *arguments, "--", "src"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return git("log", "-1", "--format=%h") + (" with changes" if git("status", "--porcelain") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
