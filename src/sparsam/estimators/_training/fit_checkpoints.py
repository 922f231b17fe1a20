"""Folder of a fit's checkpoints: the user's folder, or a subfolder for each fit."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from numbers import Integral
from pathlib import Path
from typing import Any

import jax
from filelock import FileLock, Timeout
from jax.sharding import Mesh
from sklearn.base import BaseEstimator

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

EXTENDED_BY = ("max_iter", "tol")  # may change when a fit is resumed
LOCK = ".lock"


@contextmanager
def checkpointer_of(estimator: Any, dataset: Dataset, *, held_out: int | None = None) -> Iterator[Checkpointer | None]:
    """Save checkpoints of a fit as the estimator's hyperparameters specify, and defer signals.

    Without a folder only the processes of a distributed run defer signals, since they must end together. ``held_out``
    is a number that determines which samples are held out, a seed or a checksum, or None if none are. It must be the
    same when the fit is resumed.
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
    # The first process draws for all.
    if held_out is not None and not all_gather(isinstance(estimator.random_state, Integral), mesh)[0]:
        raise ValueError(
            "checkpoint needs an integer random_state here, because a resumed fit must draw the same held-out rows, or "
            f"the same corrupted copies, again; random_state is {estimator.random_state!r}"
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


def influential_options(estimator: Any, without: Collection[str] = ()) -> dict[str, Any]:
    """Return the hyperparameters that influence the result, also those of estimators among them.

    ``without`` are names to leave out.
    """
    left_out = NO_INFLUENCE | set(without)
    parameters = estimator.get_params(deep=False).items()
    return {name: _describe(value, without) for name, value in parameters if name not in left_out}


def _describe(value: Any, without: Collection[str]) -> Any:
    """Convert a hyperparameter to JSON values; an estimator to its class and hyperparameters."""
    if isinstance(value, list | tuple):
        return [_describe(part, without) for part in value]
    if isinstance(value, BaseEstimator):
        return [type(value).__name__, influential_options(value, without)]
    return to_jsonable(value)


def _fingerprint(estimator: Any, dataset: Dataset, held_out: int | None, mesh: Mesh | None) -> dict[str, Any]:
    """Return the properties that must be the same when a fit is resumed; they are those of the first process."""
    options = influential_options(estimator, EXTENDED_BY)
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
    """Lock the folder of a fit; yield None, with a warning, if another fit has locked its subfolder.

    The first of several processes takes the lock for all.
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
                "This fit runs without checkpoints: another fit with the same data and hyperparameters is using "
                f"{folder}.",
                UserWarning,
            )
            yield None
    finally:
        lock.release()
