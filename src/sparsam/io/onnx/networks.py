"""Add the layers of fitted networks to a graph."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsam.io.onnx.graph import Graph, Rows

__all__ = ["add_autoencoder", "add_code", "add_hidden_layers", "add_layers", "row_sums"]


def add_layers(graph: Graph, x: str, model: Any) -> str:
    """Add all layers of a network, z = h(W' z + b)."""
    return _add(graph, x, _activations(model), model.coefs_, model.intercepts_)


def add_hidden_layers(graph: Graph, x: str, model: Any) -> str:
    """Add all layers of a network but the last."""
    return _add(graph, x, _activations(model)[:-1], model.coefs_[:-1], model.intercepts_[:-1])


def add_code(graph: Graph, x: Rows, model: Any) -> Rows:
    """Add the encoder of an autoencoder."""
    return _encode(graph, x, model)[0]


def add_autoencoder(graph: Graph, x: Rows, model: Any) -> tuple[Rows, str, str]:
    """Add an autoencoder; return the code, the reconstruction, and the error of each feature."""
    z, inputs, origin = _encode(graph, x, model)
    n = len(model.coefs_) // 2
    intercepts = [*model.intercepts_[n:-1], model.intercepts_[-1] - origin]
    y = _add(graph, z.name, _activations(model)[n:], model.coefs_[n:], intercepts)
    difference = graph.add("Sub", y, inputs)
    error = graph.add("Mul", graph.add("Mul", difference, difference), graph.constant(0.5))
    if model._input_mean is not None:
        y = graph.add("Add", y, graph.constant(origin[None], "mean"))
    return z, y, error


def _encode(graph: Graph, x: Rows, model: Any) -> tuple[Rows, str, NDArray[np.float64]]:
    """Add an encoder; return the code, the inputs of the network, and their origin m, x - m.

    With linear outputs m is the mean, as in the training, so that no digits are lost in float32; the first bias is then
    b_1 + W_1' m, and the last, for outputs y - m, b_L - m.
    """
    n = len(model.coefs_) // 2
    inputs, origin = x.name, np.zeros(x.width)
    if model._input_mean is not None:
        inputs, rest = graph.subtract(x.name, model._input_mean)
        origin = model._input_mean + rest
    first = model.intercepts_[0] + origin @ np.asarray(model.coefs_[0], np.float64)
    z = _add(graph, inputs, _activations(model)[:n], model.coefs_[:n], [first, *model.intercepts_[1:n]])
    return Rows(z, model.coefs_[n - 1].shape[1]), inputs, origin


def row_sums(graph: Graph, values: str) -> str:
    """Add the sum over the columns."""
    return graph.add("ReduceSum", values, graph.constant(np.array([1], np.int64)), keepdims=0)


def _activations(model: Any) -> list[str]:
    return [activation.name for activation in model._fitted_network().activations]


def _add(graph: Graph, a: str, names: list[str], coefs: Any, intercepts: Any) -> str:
    for name, coef, intercept in zip(names, coefs, intercepts, strict=True):
        a = graph.activation(name, graph.affine(a, coef, intercept))
    return a
