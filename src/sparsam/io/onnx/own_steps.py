"""Add fitted transformers of sparsam to a graph."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from sparsam.estimators.autoencoder import SparseAutoencoder
from sparsam.estimators.encoders import last_step
from sparsam.estimators.stacked_autoencoder import StackedAutoencoder
from sparsam.io.onnx.graph import Graph, Rows
from sparsam.io.onnx.networks import add_code
from sparsam.preprocessing.convolutional_features import ConvolutionalFeatures, region_edges
from sparsam.preprocessing.patch_normalizer import PatchNormalizer
from sparsam.preprocessing.whitening import Whitening

__all__ = ["OWN_STEPS", "Add"]

Add = Callable[[Graph, Rows, Any], Rows]
"""A function that adds a fitted transformer, and returns its result."""


def _whitening(graph: Graph, x: Rows, step: Whitening) -> Rows:
    centered, rest = graph.subtract(x.name, step.mean_)
    W = step.whitening_.T
    return Rows(graph.affine(centered, W, rest @ W), W.shape[1])


def _patch_normalizer(graph: Graph, x: Rows, step: PatchNormalizer) -> Rows:
    mean = graph.add("ReduceMean", x.name, axes=[1], keepdims=1)
    deviation = graph.add("Div", graph.add("Sub", x.name, mean), graph.constant(max(step.limit_, TINY)))
    clipped = graph.add("Clip", deviation, graph.constant(-1.0), graph.constant(1.0))
    scaled = graph.add("Mul", clipped, graph.constant(0.4))
    return Rows(graph.add("Add", scaled, graph.constant(0.5)), x.width)


TINY = float(np.finfo(np.float32).tiny)  # patches without any contrast have the limit 0


def _convolutional_features(graph: Graph, x: Rows, step: ConvolutionalFeatures) -> Rows:
    height, width, channels = step.image_shape_
    (h, w), (coef, intercept), *others = step.patch_shape_, *step._layers
    shape = graph.constant(np.array([-1, height, width, channels], np.int64))
    images = graph.add("Sub", graph.add("Reshape", x.name, shape), graph.constant(step._center))
    z = graph.add("Transpose", images, perm=[0, 3, 1, 2])  # channels first
    names = [activation.name for activation in last_step(step.autoencoder_)._fitted_network().activations]
    filters = [coef.T.reshape(-1, h, w, channels).transpose(0, 3, 1, 2)]
    filters += [coef.T[:, :, None, None] for coef, _ in others]
    biases = [intercept, *(intercept for _, intercept in others)]
    for name, W, b in zip(names, filters, biases, strict=False):
        z = graph.activation(name, graph.add("Conv", z, graph.constant(W, "filters"), graph.constant(b, "intercept")))
    reduce = "ReduceMean" if step.kind == "mean" else "ReduceMax"
    positions = (height - h + 1, width - w + 1)
    edges = [pairwise(region_edges(n, pool)) for n, pool in zip(positions, step.pool_, strict=True)]
    rows, columns = (list(pairs) for pairs in edges)
    regions = []
    for top, bottom in rows:
        for left, right in columns:
            bounds = [graph.constant(np.array(pair, np.int64)) for pair in ((top, left), (bottom, right), (2, 3))]
            regions.append(graph.add(reduce, graph.add("Slice", z, *bounds), axes=[2, 3], keepdims=0))
    return Rows(graph.add("Concat", *regions, axis=1), step._n_features_out)


OWN_STEPS: dict[type, Add] = {
    Whitening: _whitening,
    PatchNormalizer: _patch_normalizer,
    ConvolutionalFeatures: _convolutional_features,
    SparseAutoencoder: add_code,
    StackedAutoencoder: add_code,
}
