"""The folder of a fit's checkpoints: the one that the user names, or one of its own within it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from numbers import Integral
from pathlib import Path
from typing import Any

import jax
from filelock import FileLock, Timeout
from jax.sharding import Mesh

from sparsam._utils.digests import to_jsonable
from sparsam.engine.data.devices import all_gather, all_gather_json, n_processes
from sparsam.engine.training.checkpoints import Checkpointer
from sparsam.estimators import NO_INFLUENCE
from sparsam.estimators import _validation as validation
from sparsam.estimators._data.dataset import Dataset, on_all_processes
from sparsam.estimators._data.dataset_fingerprint import fingerprint_of
from sparsam.estimators._warnings import warn_user
from sparsam.estimators.checkpoint import Checkpoint, as_checkpoint

__all__ = ["checkpointer_of", "influential_options"]

EXTENDED_BY = ("max_iter", "tol")  # a resumed fit may have others
LOCK = ".lock"


@contextmanager
def checkpointer_of(estimator: Any, dataset: Dataset, *, held_out: int | None = None) -> Iterator[Checkpointer | None]:
    """Save checkpoints of a fit to a dataset as the estimator's hyperparameters say, and defer signals.

    Without a folder only the processes of a distributed run defer signals, which must end together. ``held_out`` is a
    number that determines which samples are held out, of a fit that holds some out: a seed, or a checksum. It must be
    the same where the fit is resumed.
    """
    mesh = validation.checked_mesh(estimator.mesh)
    checkpoint = as_checkpoint(estimator.checkpoint)
    if checkpoint is None and n_processes(mesh) == 1:
        yield None
        return
    if checkpoint is None:
        checkpointer = Checkpointer()
        with checkpointer.signals.deferred():
            yield checkpointer
        return
    if (
        held_out is not None and not all_gather(isinstance(estimator.random_state, Integral), mesh)[0]
    ):  # the first draws for all
        raise ValueError(
            "checkpoint needs an integer random_state here: the rows held out are drawn, and a fit that is resumed "
            f"must draw the same again; random_state is {estimator.random_state!r}"
        )
    fingerprint = _fingerprint(estimator, dataset, held_out, mesh)
    with _folder_of(checkpoint, fingerprint, mesh) as folder:
        checkpointer = Checkpointer(
            folder,
            checkpoint.seconds,
            checkpoint.resume,
            fingerprint,
            mesh,
            optional=checkpoint.per_fit,
        )
        with checkpointer.signals.deferred():
            yield checkpointer


def influential_options(estimator: Any) -> dict[str, Any]:
    """Return the hyperparameters that have an influence on the result."""
    parameters = estimator.get_params(deep=False).items()
    return {name: to_jsonable(value) for name, value in parameters if name not in NO_INFLUENCE}


def _fingerprint(estimator: Any, dataset: Dataset, held_out: int | None, mesh: Mesh | None) -> dict[str, Any]:
    """Return what must be the same of a fit that is resumed: by the first process, which draws for all."""
    options = {name: value for name, value in influential_options(estimator).items() if name not in EXTENDED_BY}
    model = {
        "class": type(estimator).__name__,
        "sparsam": version("sparsam"),
        "devices": 1 if mesh is None else mesh.size,
        "processes": n_processes(mesh),
        "data": fingerprint_of(dataset),
        **({} if held_out is None else {"rows held out": held_out}),
    }
    return dict(all_gather_json(model | options, mesh)[0])


@contextmanager
def _folder_of(checkpoint: Checkpoint, fingerprint: Mapping[str, Any], mesh: Mesh | None) -> Iterator[Path | None]:
    """Hold the folder of a fit; None where it is one of its own that another fit holds at this time.

    Of several processes the first one locks it, and the others follow.
    """
    if not checkpoint.per_fit:
        yield Path(checkpoint.folder)
        return
    digest = hashlib.sha256(json.dumps(fingerprint, sort_keys=True).encode()).hexdigest()
    folder = Path(checkpoint.folder) / digest[:16]
    lock = FileLock(folder / LOCK)

    def take() -> bool:
        if n_processes(mesh) > 1 and jax.process_index() > 0:
            return False
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return False
        return True

    try:
        if all_gather(on_all_processes(take, mesh), mesh)[0]:
            yield folder
        else:
            warn_user(
                f"This fit goes without checkpoints: another fit to the same data with the same hyperparameters holds "
                f"{folder}.",
                UserWarning,
            )
            yield None
    finally:
        lock.release()
