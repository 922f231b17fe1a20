"""The environment of a fit: as one of several processes, with a folder of checkpoints, all or nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from numbers import Integral
from pathlib import Path
from typing import Any

from sparsam._utils.digests import to_jsonable
from sparsam.engine.data.devices import all_gather_json, n_processes, name_lost_processes
from sparsam.engine.training.checkpoints import Checkpointer, parse_interval
from sparsam.estimators import NO_INFLUENCE
from sparsam.estimators import _validation as validation

__all__ = ["checkpointer_of", "in_all_processes"]


@contextmanager
def in_all_processes(estimator: Any) -> Iterator[None]:
    """Fit as one of the processes of the estimator's mesh, or as the only one.

    Raises
    ------
    ValueError
        If the processes were given different hyperparameters.
    ConnectionError
        If one of them is lost.
    """
    with name_lost_processes(estimator.mesh):
        mesh = validation.checked_mesh(estimator.mesh)
        if n_processes(mesh) > 1:
            own = _options(estimator) | {
                name: getattr(estimator, name) is None for name in ("checkpoint", "time_budget")
            }
            del own["random_state"]  # what is drawn, the first process draws for all
            different = {name for other in all_gather_json(own, mesh) for name in own if other.get(name) != own[name]}
            if different:
                raise ValueError(
                    f"processes of one run were given different hyperparameters: {', '.join(sorted(different))}"
                )
        yield


@contextmanager
def checkpointer_of(estimator: Any, *, draws: bool = False) -> Iterator[Checkpointer | None]:
    """Save checkpoints of a fit as the estimator's hyperparameters say, and defer signals.

    Without a folder only the processes of a distributed run defer signals, which must end together. ``draws`` is
    whether the fit draws what it trains on, which a resumed fit must draw again.
    """
    mesh = validation.checked_mesh(estimator.mesh)
    if estimator.checkpoint is None:
        if estimator.resume:
            raise ValueError("resume=True needs the folder to go on from: give checkpoint")
        if n_processes(mesh) == 1:
            yield None
            return
        checkpointer = Checkpointer()
    else:
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
        checkpointer = Checkpointer(
            Path(estimator.checkpoint),
            parse_interval(estimator.checkpoint_every),
            estimator.resume,
            model | _options(estimator),
            mesh,
        )
    with checkpointer.signals.deferred():
        yield checkpointer


def _options(estimator: Any) -> dict[str, Any]:
    """Return the hyperparameters that have an influence on the result."""
    parameters = estimator.get_params(deep=False).items()
    return {name: to_jsonable(value) for name, value in parameters if name not in NO_INFLUENCE}
