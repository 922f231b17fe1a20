"""Run a fit as one of several processes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sparsam._utils.interrupts import safe_interrupts
from sparsam.engine.data.devices import all_gather_json, n_processes, name_lost_processes
from sparsam.estimators import _validation as validation
from sparsam.estimators._training.fit_checkpoints import influential_options

__all__ = ["in_all_processes"]


@contextmanager
def in_all_processes(estimator: Any) -> Iterator[None]:
    """Run a fit in this context, as one of the processes of the estimator's mesh, or as the only one.

    Raises
    ------
    ValueError
        If the processes have different hyperparameters.
    ConnectionError
        If a process is lost.
    """
    with safe_interrupts(), name_lost_processes(estimator.mesh):
        mesh = validation.checked_mesh(estimator.mesh)
        if n_processes(mesh) > 1:
            own = influential_options(estimator) | {
                name: getattr(estimator, name) is None for name in ("checkpoint", "time_budget")
            }
            del own["random_state"]  # the first process draws for all
            different = {name for other in all_gather_json(own, mesh) for name in own if other.get(name) != own[name]}
            if different:
                raise ValueError(
                    f"the processes of this run have different hyperparameters: {', '.join(sorted(different))}. Set "
                    "the same values in all processes"
                )
        yield
