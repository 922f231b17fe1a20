"""Devices and processes: samples are divided over them, and everything else is replicated.

The samples are divided over all axes of a JAX mesh: each device holds some of them and sums over these, and only the
sums are communicated (`jax.lax.psum`). Weights, the minimizer's state and its decisions are the same everywhere, so
devices wait for each other in these sums only.

In a distributed run (`jax.distributed`) each process reads its own rows, any number of them. `sum_of_processes` and
`max_of_processes` compute a sum or a maximum over all processes.
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

from sparsam.engine.jax_settings import precision

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
    """Make a mesh of all devices of this process; None for a single device, which needs no mesh."""
    devices = jax.local_devices()
    return Mesh(np.array(devices), ("samples",)) if len(devices) > 1 else None


def all_devices() -> Mesh:
    """Make a mesh of all devices of all processes, for the parameter ``mesh`` of an estimator in a distributed run.

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
    """Return the partition that divides the first axis over all devices."""
    return PartitionSpec(mesh.axis_names)


def local_devices(mesh: Mesh) -> list[Any]:
    """List the devices of the mesh that belong to this process, in the mesh's order."""
    return [device for device in mesh.devices.flat if device.process_index == jax.process_index()]


def n_processes(mesh: Mesh | None) -> int:
    """Count the processes of the mesh."""
    return 1 if mesh is None else len({device.process_index for device in mesh.devices.flat})


def from_local(array: NDArray[Any], mesh: Mesh) -> jax.Array:
    """Divide the first axis of a host array equally over the local devices."""
    return jax.make_array_from_process_local_data(NamedSharding(mesh, spread(mesh)), array)


def replicated(array: NDArray[Any], mesh: Mesh) -> jax.Array:
    """Copy a host array, which is the same in every process, to every device."""
    return jax.make_array_from_process_local_data(NamedSharding(mesh, PartitionSpec()), array, array.shape)


def sum_of_processes(value: ArrayLike, mesh: Mesh | None) -> NDArray[Any]:
    """Sum over the processes of the mesh, in the host's precision."""
    return all_gather(value, mesh).sum(axis=0)


def max_of_processes(value: ArrayLike, mesh: Mesh | None) -> NDArray[Any]:
    """Compute the maximum over the processes of the mesh."""
    return np.asarray(all_gather(value, mesh).max(axis=0))


def all_gather(value: ArrayLike, mesh: Mesh | None) -> NDArray[Any]:
    """All-gather an array of each process of the mesh: (n_processes, ...), in the order of the processes."""
    array = np.asarray(value)
    if n_processes(mesh) == 1:
        return array[None]
    from jax.experimental import multihost_utils

    try:
        with precision(np.float64):  # otherwise JAX would round 64-bit numbers
            return np.asarray(multihost_utils.process_allgather(array)).reshape(-1, *array.shape)
    except ValueError as error:  # the runtime raises this at times if a connection is closed
        raise jax.errors.JaxRuntimeError(str(error)) from error


def all_gather_rows(array: NDArray[Any], mesh: Mesh | None) -> NDArray[Any]:
    """Concatenate the rows of all processes, whose numbers may differ, in the order of the processes."""
    if n_processes(mesh) == 1:
        return array
    counts = all_gather(len(array), mesh)
    padded = np.zeros((int(counts.max()), *array.shape[1:]), array.dtype)
    padded[: len(array)] = array
    return np.concatenate([rows[:n] for rows, n in zip(all_gather(padded, mesh), counts, strict=True)])


def all_gather_json(value: Any, mesh: Mesh | None) -> list[Any]:
    """All-gather a JSON value of each process of the mesh, in the order of the processes."""
    if n_processes(mesh) == 1:
        return [value]
    text = np.frombuffer(json.dumps(value).encode(), np.uint8)
    longest = int(max_of_processes(len(text), mesh))
    padded = np.full(longest, ord(" "), np.uint8)
    padded[: len(text)] = text
    return [json.loads(row.tobytes()) for row in all_gather(padded, mesh)]


@contextmanager
def name_lost_processes(mesh: Mesh | None) -> Iterator[None]:
    """Raise an error that names the lost processes if a distributed run loses any.

    Raises
    ------
    ConnectionError
        Instead of the runtime's error.
    """
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        lost = _lost_processes(mesh)
        if not lost:
            raise
        raise ConnectionError(
            f"process {', '.join(map(str, lost))} of {n_processes(mesh)} was lost: it has died, or cannot be reached. "
            "Start all processes again, with resume=True if there is a checkpoint"
        ) from error


def _lost_processes(mesh: Mesh | None) -> list[int]:
    """List the processes that are no longer alive after a failure in a distributed run.

    Waits until the runtime knows, at most until a heartbeat times out. Process 0 runs the coordinator: if that cannot
    be asked, process 0 is lost. The runtime will end this process too, but later.
    """
    count = n_processes(mesh)
    if count == 1:
        return []
    from jax._src import distributed  # private: JAX's public interface does not offer the client

    client: Any = distributed.global_state.client
    try:
        living = client.get_live_nodes(list(range(count)))
    except AttributeError:  # not in this version of JAX
        return []
    except RuntimeError:
        return [0] if jax.process_index() else []
    return sorted(set(range(count)) - set(living))
