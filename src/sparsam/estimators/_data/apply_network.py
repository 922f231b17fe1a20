"""Apply a compiled function of the network to data, a chunk of rows at a time."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from numpy.typing import NDArray

from sparsam._utils.jit import quick_jit
from sparsam.engine.data.samples import choose_chunk_size
from sparsam.engine.jax_settings import precision
from sparsam.engine.network.network import Network, Parameters
from sparsam.engine.objective.objective import Objective
from sparsam.estimators._data.dataset import Dataset

__all__ = ["Compiled", "apply_in_chunks", "apply_to_dataset", "network_outputs", "unscaled_parameters"]

Compiled = Callable[[Network, Parameters, Any], jax.Array]
"""A compiled function of the network, its weights and rows of inputs."""


@partial(quick_jit, static_argnums=0)
def network_outputs(network: Network, parameters: Parameters, X: jax.Array) -> jax.Array:
    """Compute the outputs of the network, (n_rows, n_outputs), for rows of inputs.

    JAX compiles it once for each architecture. The rows are transposed, since the engine has samples in columns.
    """
    return network.forward(parameters, X.T).outputs.T


def unscaled_parameters(objective: Objective, theta: NDArray[np.floating]) -> Parameters:
    """Return the weights for unscaled inputs, in float64, since b_1 needs the precision for inputs far from 0."""
    return objective.unscaled_parameters(cast(jax.Array, theta.astype(np.float64)))  # returns NumPy arrays


def apply_in_chunks(
    function: Compiled,
    network: Network,
    parameters: Parameters,
    rows: NDArray[np.floating],
    *,
    dtype: DTypeLike,
    chunk_size: int | None = None,
) -> NDArray[np.floating]:
    """Apply a compiled function to a chunk of rows at a time.

    The memory used, except for the result, does not grow with the number of rows. The last chunk is padded, so that the
    function is compiled only once.
    """
    n_samples = len(rows)
    size = choose_chunk_size(max(n_samples, 1), network.layer_sizes, chunk_size)
    result: NDArray[np.floating] | None = None
    with precision(dtype):
        weights = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), parameters)
        for start in range(0, max(n_samples, 1), size):  # at least once, for the shape of the result
            chunk = _padded(rows[start : start + size], size, dtype)
            count = min(size, n_samples - start)
            part = np.asarray(function(network, weights, chunk))[:count]
            if result is None:
                result = np.empty((n_samples, *part.shape[1:]), dtype=part.dtype)
            result[start : start + count] = part
    assert result is not None
    return result


def apply_to_dataset(
    function: Compiled,
    network: Network,
    parameters: Parameters,
    dataset: Dataset,
    *,
    dtype: DTypeLike,
    chunk_size: int | None = None,
    then: Callable[[NDArray[Any]], NDArray[Any]] = lambda results: results,
    out: Any = None,
) -> Any:
    """Apply a compiled function to the inputs of a dataset, and ``then`` to its results; write into ``out``, if given.

    Raises
    ------
    ValueError
        If ``out`` does not have the shape of the result.
    """
    results, row, width = [], 0, None
    for batch in dataset.batches():
        part = then(apply_in_chunks(function, network, parameters, batch.inputs, dtype=dtype, chunk_size=chunk_size))
        if out is None:
            results.append(part)
            continue
        if width is None:
            width = part.shape[1:]
            if tuple(out.shape) != (dataset.n_rows, *width):
                raise ValueError(
                    f"out must have the shape {(dataset.n_rows, *width)}, got an array of shape {tuple(out.shape)}"
                )
        out[row : row + len(part)] = part
        row += len(part)
    if out is not None:
        return out
    return results[0] if len(results) == 1 else np.concatenate(results)


def _padded(rows: NDArray[np.floating], size: int, dtype: DTypeLike) -> NDArray[np.floating]:
    """Pad rows with zeros to a chunk of the given size and type."""
    if len(rows) == size and rows.dtype == dtype:
        return rows
    padded = np.zeros((size, *rows.shape[1:]), dtype=dtype)
    padded[: len(rows)] = rows
    return padded
