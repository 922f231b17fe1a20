"""Devices and processes: samples are spread over them, and everything else is on each.

A mesh is JAX's own. Along all of its axes together the samples are divided: each device holds some of them, sums over
these alone, and only the sums cross the wires (`jax.lax.psum`). Weights, the minimizer's state and its decisions are
the same everywhere, so no device ever waits for another's but in these sums.

The processes of a distributed run (`jax.distributed`) bring their own rows each, as many as they have; what all must
know of them together, a sum or the largest of something, goes through `sum_of_processes` and `max_of_processes`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from numpy.typing import ArrayLike, NDArray

from sparsam._utils.jax_settings import own_settings

__all__ = [
    "all_devices",
    "all_gather",
    "all_gather_json",
    "all_gather_rows",
    "default_mesh",
    "from_local",
    "local_devices",
    "max_of_processes",
    "n_processes",
    "name_lost_processes",
    "replicated",
    "spread",
    "sum_of_processes",
]


def default_mesh() -> Mesh | None:
    """All devices of this process; None for a single one, which needs no mesh."""
    devices = jax.local_devices()
    return Mesh(np.array(devices), ("samples",)) if len(devices) > 1 else None


def all_devices() -> Mesh:
    """All devices of all processes of a distributed run, for the parameter ``mesh`` of an estimator.

    Returns
    -------
    jax.sharding.Mesh
        One axis, "samples".

    Examples
    --------
    >>> from sparsam.engine.data.devices import all_devices
    >>> all_devices().axis_names
    ('samples',)
    """
    return Mesh(np.array(jax.devices()), ("samples",))


def spread(mesh: Mesh) -> PartitionSpec:
    """Divided over all devices, along the first axis."""
    return PartitionSpec(mesh.axis_names)


def local_devices(mesh: Mesh) -> list[Any]:
    """Devices of the mesh that are this process's, in their order."""
    return [device for device in mesh.devices.flat if device.process_index == jax.process_index()]


def n_processes(mesh: Mesh | None) -> int:
    """How many processes take part."""
    return 1 if mesh is None else len({device.process_index for device in mesh.devices.flat})


def from_local(array: NDArray[Any], mesh: Mesh) -> jax.Array:
    """Put a host array, equal parts of its first axis for each local device, on the devices."""
    return jax.make_array_from_process_local_data(NamedSharding(mesh, spread(mesh)), array)


def replicated(array: NDArray[Any], mesh: Mesh) -> jax.Array:
    """Put a host array, the same in every process, on every device."""
    return jax.make_array_from_process_local_data(NamedSharding(mesh, PartitionSpec()), array, array.shape)


def sum_of_processes(value: ArrayLike, mesh: Mesh | None) -> NDArray[Any]:
    """Sum over the processes of the mesh, in the precision of the host."""
    return all_gather(value, mesh).sum(axis=0)


def max_of_processes(value: ArrayLike, mesh: Mesh | None) -> NDArray[Any]:
    """Largest over the processes of the mesh."""
    return np.asarray(all_gather(value, mesh).max(axis=0))


def all_gather(value: ArrayLike, mesh: Mesh | None) -> NDArray[Any]:
    """All-gather an array of each process of the mesh: (n_processes, ...), in their order."""
    array = np.asarray(value)
    if n_processes(mesh) == 1:
        return array[None]
    from jax.experimental import multihost_utils

    try:
        with own_settings(np.float64):  # 64 bits stay 64 bits
            return np.asarray(multihost_utils.process_allgather(array)).reshape(-1, *array.shape)
    except ValueError as error:  # so the runtime says at times that a connection is closed
        raise jax.errors.JaxRuntimeError(str(error)) from error


def all_gather_rows(array: NDArray[Any], mesh: Mesh | None) -> NDArray[Any]:
    """All-gather the rows of each process, of any number: one process's after another's."""
    if n_processes(mesh) == 1:
        return array
    counts = all_gather(len(array), mesh)
    padded = np.zeros((int(counts.max()), *array.shape[1:]), array.dtype)
    padded[: len(array)] = array
    return np.concatenate([rows[:n] for rows, n in zip(all_gather(padded, mesh), counts, strict=True)])


def all_gather_json(value: Any, mesh: Mesh | None) -> list[Any]:
    """All-gather JSON values of each process of the mesh, in their order."""
    if n_processes(mesh) == 1:
        return [value]
    text = np.frombuffer(json.dumps(value).encode(), np.uint8)
    longest = int(max_of_processes(len(text), mesh))
    padded = np.full(longest, ord(" "), np.uint8)
    padded[: len(text)] = text
    return [json.loads(row.tobytes()) for row in all_gather(padded, mesh)]


@contextmanager
def name_lost_processes(mesh: Mesh | None) -> Iterator[None]:
    """Name the lost process of a distributed run, where one was lost.

    Raises
    ------
    ConnectionError
        In the place of what the runtime raises then.
    """
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        lost = _lost_processes(mesh)
        if not lost:
            raise
        raise ConnectionError(
            f"process {', '.join(map(str, lost))} of {n_processes(mesh)} was lost: it has died, or cannot be reached. "
            "Start all processes again, with resume=True where there is a checkpoint"
        ) from error


def _lost_processes(mesh: Mesh | None) -> list[int]:
    """Which processes of a distributed run are no longer there, once something has failed.

    It waits until the runtime knows, a heartbeat's timeout at most. Where process 0 is lost, which holds the runtime
    together, this one is ended too.
    """
    count = n_processes(mesh)
    if count == 1:
        return []
    from jax._src import distributed  # the runtime's own; JAX shows it only in part

    client: Any = distributed.global_state.client
    try:
        living = client.get_live_nodes(list(range(count)))
    except (AttributeError, RuntimeError):
        return []
    return sorted(set(range(count)) - set(living))
