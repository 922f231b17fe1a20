"""Training as an estimator's hyperparameters say: on its devices, with its checkpoints, and where memory is short."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import version
from numbers import Integral
from pathlib import Path
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from sparsam.engine.data.devices import max_of_processes, n_processes, naming_lost, told
from sparsam.engine.data.samples import Samples
from sparsam.engine.objective.objective import Objective
from sparsam.engine.training.checkpoints import Checkpoints, parse_interval
from sparsam.engine.training.polish import polish
from sparsam.engine.training.state import Keeper, NoKeeper
from sparsam.engine.training.streaming import Piece, Stream
from sparsam.engine.training.train import Monitor, Training, train
from sparsam.estimators import _validation as validation
from sparsam.estimators._data.streamed import digest, fingerprint_of
from sparsam.estimators._progress.reporter import Report
from sparsam.estimators._warnings import warn_user

__all__ = ["NO_INFLUENCE", "OnDevices", "checkpoints_of", "in_all_processes", "minimize", "plain"]


@dataclass
class OnDevices:
    """The data of a fit on its devices, in the precision asked for; made once for each.

    Attributes
    ----------
    make : callable
        Takes a precision and the size of a chunk, or None to choose one; returns the data.
    chunk_size : int or None
        As the user asked for it.
    others : tuple of OnDevices
        What is cut into smaller chunks with them.
    tell : callable or None
        Told in every pass over a stream, after each piece, how many rows have passed, and of how many there are; of
        None in the first pass.
    """

    make: Callable[[str, int | None], Samples | Stream]
    chunk_size: int | None
    others: tuple[OnDevices, ...] = ()
    tell: Callable[[int, int | None], None] | None = field(default=None, init=False)
    n_rows: int | None = field(default=None, init=False)
    made: dict[str, Samples | Stream] = field(default_factory=dict, init=False)

    def __call__(self, dtype: str) -> Samples | Stream:
        """Return the data in a precision."""
        if dtype not in self.made:
            data = self.make(dtype, self.chunk_size)
            if isinstance(data, Stream):
                data = replace(data, pieces=partial(self._counted, data.pieces))
            self.made[dtype] = data
        return self.made[dtype]

    def _counted(self, pieces: Callable[[], Iterator[Piece]]) -> Iterator[Piece]:
        passed = 0
        for piece in pieces():
            yield piece
            passed += len(piece.inputs)
            if self.tell is not None:
                self.tell(passed, self.n_rows)
        self.n_rows = passed

    def parts(self) -> Iterator[OnDevices]:
        """These, and what is cut with them."""
        yield self
        for other in self.others:
            yield from other.parts()

    def halve_chunks(self, dtype: str) -> tuple[int, int]:
        """Make them again in chunks of half the size; return the size before and after."""
        data = self(dtype)
        before = data.chunk_size if isinstance(data, Stream) else data.inputs.shape[-1]
        self._begin_again(max(before // 2, 1))
        return before, max(before // 2, 1)

    def _begin_again(self, chunk_size: int) -> None:
        self.chunk_size = chunk_size
        self.made.clear()
        for other in self.others:
            other._begin_again(chunk_size)


def minimize(
    estimator: Any,
    objective: Objective,
    theta: NDArray[np.floating],
    data: OnDevices,
    report: Report,
    monitor: Monitor | None = None,
    checkpoints: Checkpoints | NoKeeper | None = None,
) -> Training:
    """Train from theta as the estimator's hyperparameters say.

    Where a device has too little memory, it is tried once more with chunks of half the size.
    """

    def keeper(dtype: str, *parts: OnDevices) -> Keeper | None:
        def fingerprint() -> int:
            return sum(fingerprint_of(part(dtype)) for part in parts)

        return None if checkpoints is None else checkpoints.stage(fingerprint)

    data.tell = report.passed
    options: dict[str, Any] = {
        "solver": estimator.solver,
        "max_iter": estimator.max_iter,
        "time_budget": estimator.time_budget,
        "callback": estimator.callback,
        "watch": report,
        "every_iteration": weights_wanted(estimator, report),
    }
    first = options | {"dtype": estimator.dtype, "tol": estimator.tol, "monitor": monitor}
    keeps = keeper(estimator.dtype, *data.parts())  # what is held out has a part in when it stops
    sizes = "-".join(map(str, objective.network.layer_sizes))
    report.begin(f"compiling and training a network {sizes} in {estimator.dtype}")
    try:
        training = train(objective, data(estimator.dtype), theta, keeper=keeps, **first)
    except jax.errors.JaxRuntimeError as error:
        # Of several processes one alone would begin again while the others wait.
        if "RESOURCE_EXHAUSTED" not in str(error) or n_processes(data(estimator.dtype).mesh) > 1:
            raise
        before, after = data.halve_chunks(estimator.dtype)
        warn_user(
            f"A device had too little memory for chunks of {before} samples; trying once more with chunks of {after}.",
            UserWarning,
        )
        if monitor is not None:
            monitor.forget()
        training = train(objective, data(estimator.dtype), theta, keeper=keeps, **first)
    if estimator.polish:

        def in_float64() -> Samples | Stream:
            report.begin("polishing in float64")
            return data("float64")

        training = polish(training, objective, in_float64, lambda: keeper("float64", data), **options)
    return training


def weights_wanted(estimator: Any, report: Report) -> bool:
    """Whether a callback wants the weights of every iteration.

    Raises
    ------
    ValueError
        If one does in a distributed run, where what belongs to the weights is known to all processes together only.
    """
    mesh = validation.checked_mesh(estimator.mesh)
    wanted = bool(max_of_processes(report.task.wants_weights, mesh))
    if wanted and n_processes(mesh) > 1:
        raise ValueError("callbacks that ask for the fitted estimator cannot follow a fit of several processes")
    return wanted


@contextmanager
def in_all_processes(estimator: Any) -> Iterator[None]:
    """Do a fit as one of the processes of the estimator's mesh, or as the only one.

    Raises
    ------
    ValueError
        If the processes were given different hyperparameters.
    ConnectionError
        If one of them is lost.
    """
    with naming_lost(estimator.mesh):
        mesh = validation.checked_mesh(estimator.mesh)
        if n_processes(mesh) > 1:
            own = _options(estimator) | {
                name: getattr(estimator, name) is None for name in ("checkpoint", "time_budget")
            }
            del own["random_state"]  # what is drawn, the first process draws for all
            different = {name for other in told(own, mesh) for name in own if other.get(name) != own[name]}
            if different:
                raise ValueError(
                    f"processes of one run were given different hyperparameters: {', '.join(sorted(different))}"
                )
        yield


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
    model = {
        "class": type(estimator).__name__,
        "sparsam": version("sparsam"),
        "devices": 1 if mesh is None else mesh.size,
        "processes": n_processes(mesh),
    }
    folder, every = Path(estimator.checkpoint), parse_interval(estimator.checkpoint_every)
    checkpoints = Checkpoints(folder, every, estimator.resume, model | _options(estimator), mesh)
    with checkpoints.signals.listening():
        yield checkpoints


NO_INFLUENCE = frozenset(
    ("verbose", "callback", "checkpoint", "checkpoint_every", "resume", "time_budget", "mesh", "warm_start")
)
"""Hyperparameters that a resumed fit may change: they say what else is done, or when it ends."""


def _options(estimator: Any) -> dict[str, Any]:
    """Hyperparameters that have an influence on what is found."""
    parameters = estimator.get_params(deep=False).items()
    return {name: plain(value) for name, value in parameters if name not in NO_INFLUENCE}


def plain(value: Any) -> Any:
    """What JSON holds of a hyperparameter: enough to see whether it is the same."""
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple | list):
        return [plain(part) for part in value]
    if hasattr(value, "__array__"):  # a data frame, too
        value = np.asarray(value)
        return [list(value.shape), value.dtype.str, digest(value)]
    return getattr(value, "__qualname__", type(value).__qualname__)
