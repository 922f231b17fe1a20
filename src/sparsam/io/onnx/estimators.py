"""Add fitted networks to a graph, with their predictions as outputs."""

from __future__ import annotations

from typing import Any

import numpy as np

from sparsam.estimators.autoencoder import SparseAutoencoder
from sparsam.estimators.classifier import NoisyLabelClassifier
from sparsam.estimators.outlier_detector import AutoencoderOutlierDetector
from sparsam.estimators.regressor import MultivariateNormalRegressor
from sparsam.estimators.stacked_autoencoder import StackedAutoencoder
from sparsam.io.onnx.covariances import add_deviations
from sparsam.io.onnx.graph import Graph, Rows
from sparsam.io.onnx.networks import add_autoencoder, add_layers, row_sums
from sparsam.io.onnx.steps import add_steps

__all__ = ["add_estimator", "is_network"]


NETWORKS = (
    SparseAutoencoder,
    StackedAutoencoder,
    NoisyLabelClassifier,
    MultivariateNormalRegressor,
    AutoencoderOutlierDetector,
)


def is_network(model: Any) -> bool:
    """Return whether this is an estimator of sparsam that `add_estimator` can add."""
    return isinstance(model, NETWORKS)


def add_estimator(graph: Graph, x: Rows, model: Any) -> None:
    """Add an estimator, and make its predictions outputs of the graph."""
    if isinstance(model, SparseAutoencoder | StackedAutoencoder):
        z, y, error = add_autoencoder(graph, x, model)
        graph.output("code", z.name, z.width)
        graph.output("reconstruction", y, x.width)
        graph.output("score", graph.add("Neg", row_sums(graph, error)))
    elif isinstance(model, NoisyLabelClassifier):
        _classifier(graph, x, model)
    elif isinstance(model, MultivariateNormalRegressor):
        mean = add_layers(graph, x.name, model)
        width = model.n_outputs_
        graph.output("mean", mean, width)
        graph.output("std", add_deviations(graph, x.name, mean, model), width)
    else:
        _detector(graph, x, model)


def _classifier(graph: Graph, x: Rows, model: NoisyLabelClassifier) -> None:
    y = add_layers(graph, x.name, model)
    n_classes = len(model.classes_)
    if n_classes == 2:
        y = graph.add("Concat", graph.add("Sub", graph.constant(1.0), y), y, axis=1)
    kinds: dict[str, Any] = {"U": object, "O": object, "i": np.int64, "u": np.int64, "b": np.bool_, "f": graph.dtype}
    dtype = kinds[model.classes_.dtype.kind]
    classes = graph.constant(model.classes_.astype(dtype), "classes")
    label = graph.add("Gather", classes, graph.add("ArgMax", y, axis=1, keepdims=0))
    graph.output("label", label, dtype=dtype)
    graph.output("probabilities", y, n_classes)


def _detector(graph: Graph, x: Rows, model: AutoencoderOutlierDetector) -> None:
    steps = getattr(model.autoencoder_, "steps", [("autoencoder", model.autoencoder_)])
    inputs = add_steps(graph, x, steps[:-1])
    *_, error = add_autoencoder(graph, inputs, steps[-1][1])
    score = graph.add("Neg", row_sums(graph, error))
    decision = graph.add("Sub", score, graph.constant(model.offset_))
    signs = graph.constant(np.array(1, np.int64)), graph.constant(np.array(-1, np.int64))
    label = graph.add("Where", graph.add("GreaterOrEqual", decision, graph.constant(0.0)), *signs)  # NaN is an outlier
    graph.output("label", label, dtype=np.int64)
    graph.output("score", score)
    graph.output("decision", decision)
    graph.output("errors", error, inputs.width)
