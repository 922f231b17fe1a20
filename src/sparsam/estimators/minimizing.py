"""Training as an estimator's hyperparameters say: on its devices, with its checkpoints, and where memory is short."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from numbers import Integral
from pathlib import Path
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from sparsam.checkpoints import Checkpoints, parse_interval
from sparsam.devices import n_processes
from sparsam.estimators import validation
from sparsam.estimators.fitting import reporting
from sparsam.estimators.read_rows import digest, fingerprint_of
from sparsam.keeping import Keeper, NoKeeper
from sparsam.objective import Objective
from sparsam.polish import polish
from sparsam.samples import Samples
from sparsam.stream import Stream
from sparsam.train import Monitor, Training, train

__all__ = ["NO_INFLUENCE", "OnDevices", "checkpoints_of", "minimize", "plain"]


@dataclass
class OnDevices:
    """The data of a fit on its devices, in the precision asked for; made once for each.

    Attributes
    ----------
    make : callable
        Takes a precision and the size of a chunk, or None to choose one; returns the data.
    chunk_size : int or None
        As the user asked for it.
    """

    make: Callable[[str, int | None], Samples | Stream]
    chunk_size: int | None
    made: dict[str, Samples | Stream] = field(default_factory=dict, init=False)

    def __call__(self, dtype: str) -> Samples | Stream:
        """Return the data in a precision."""
        if dtype not in self.made:
            self.made[dtype] = self.make(dtype, self.chunk_size)
        return self.made[dtype]

    def halve_chunks(self, dtype: str) -> tuple[int, int]:
        """Make them again in chunks of half the size; return the size before and after."""
        data = self(dtype)
        before = data.chunk_size if isinstance(data, Stream) else data.inputs.shape[-1]
        self.chunk_size = max(before // 2, 1)
        self.made.clear()
        return before, self.chunk_size


def minimize(
    estimator: Any,
    objective: Objective,
    theta: NDArray[np.floating],
    data: OnDevices,
    monitor: Monitor | None = None,
    checkpoints: Checkpoints | NoKeeper | None = None,
) -> Training:
    """Train from theta as the estimator's hyperparameters say.

    Where a device has too little memory, it is tried once more with chunks of half the size.
    """

    def keeper(dtype: str) -> Keeper | None:
        return None if checkpoints is None else checkpoints.stage(lambda: fingerprint_of(data(dtype)))

    options: dict[str, Any] = {
        "solver": estimator.solver,
        "max_iter": estimator.max_iter,
        "time_budget": estimator.time_budget,
        "callback": reporting(estimator.verbose, estimator.callback),
    }
    first = options | {"dtype": estimator.dtype, "tol": estimator.tol, "monitor": monitor}
    keeps = keeper(estimator.dtype)
    try:
        training = train(objective, data(estimator.dtype), theta, keeper=keeps, **first)
    except jax.errors.JaxRuntimeError as error:
        # Of several processes one alone would begin again while the others wait.
        if "RESOURCE_EXHAUSTED" not in str(error) or n_processes(data(estimator.dtype).mesh) > 1:
            raise
        before, after = data.halve_chunks(estimator.dtype)
        warnings.warn(
            f"A device had too little memory for chunks of {before} samples; trying once more with chunks of {after}.",
            UserWarning,
            stacklevel=3,
        )
        training = train(objective, data(estimator.dtype), theta, keeper=keeps, **first)
    if estimator.polish:
        training = polish(training, objective, lambda: data("float64"), lambda: keeper("float64"), **options)
    return training


@contextmanager
def checkpoints_of(estimator: Any, *, draws: bool = False) -> Iterator[Checkpoints | NoKeeper | None]:
    """Keep checkpoints of a fit as the estimator's hyperparameters say, and listen to signals.

    Without a folder only the processes of a distributed run listen, which must end together. ``draws`` is whether the
    fit draws what it trains on, which a resumed fit must draw again.
    """
    mesh = validation.checked_mesh(estimator.mesh)
    if estimator.checkpoint is None:
        if estimator.resume:
            raise ValueError("resume=True needs the folder to go on from: give checkpoint")
        if n_processes(mesh) == 1:
            yield None
            return
        alone = NoKeeper()
        with alone.signals.listening():
            yield alone
        return
    if draws and not isinstance(estimator.random_state, Integral):
        raise ValueError(
            "checkpoint needs an integer random_state here: the rows held out are drawn, and a fit that is resumed "
            f"must draw the same again; random_state is {estimator.random_state!r}"
        )
    options = {
        name: plain(value) for name, value in estimator.get_params(deep=False).items() if name not in NO_INFLUENCE
    }
    model = {
        "class": type(estimator).__name__,
        "sparsam": version("sparsam"),
        "devices": 1 if mesh is None else mesh.size,
        "processes": n_processes(mesh),
    }
    folder, every = Path(estimator.checkpoint), parse_interval(estimator.checkpoint_every)
    checkpoints = Checkpoints(folder, every, estimator.resume, model | options, mesh)
    with checkpoints.signals.listening():
        yield checkpoints


NO_INFLUENCE = frozenset(
    ("verbose", "callback", "checkpoint", "checkpoint_every", "resume", "time_budget", "mesh", "warm_start")
)
"""Hyperparameters that a resumed fit may change: they say what else is done, or when it ends."""


def plain(value: Any) -> Any:
    """What JSON holds of a hyperparameter: enough to see whether it is the same."""
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple | list):
        return [plain(part) for part in value]
    if isinstance(value, np.ndarray):
        return [list(value.shape), value.dtype.str, digest(value)]
    return getattr(value, "__qualname__", type(value).__qualname__)
