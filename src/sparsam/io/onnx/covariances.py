"""Add the standard deviations of a regression to a graph."""

from __future__ import annotations

from typing import Any

import numpy as np

from sparsam.io.onnx.graph import Graph
from sparsam.io.onnx.networks import add_hidden_layers

__all__ = ["add_deviations"]


def add_deviations(graph: Graph, x: str, mean: str, model: Any) -> str:
    """Add the roots of the diagonal of `MultivariateNormalRegressor.predict_covariance`."""
    if model.covariance_factor_ is None:
        deviation = graph.constant(np.sqrt(np.diag(model.predictive_covariance_))[None])
        return graph.add("Expand", deviation, graph.add("Shape", mean))
    F = model.covariance_factor_
    n_outputs, K = F.shape
    z = add_hidden_layers(graph, x, model)
    outputs = graph.affine(z, model.covariance_coef_, model.covariance_intercept_)
    columns = graph.split(outputs, model.covariance_coef_.shape[1])
    elements = _relative_factor(graph, columns, K)
    # C_kk is the sum of squares of row k of F M, whose elements are linear in those of M.
    places = list(elements)
    linear = np.zeros((len(places), n_outputs, K))
    for place, (row, column) in enumerate(places):
        linear[place, :, column] = F[:, row]
    all_elements = graph.add("Concat", *elements.values(), axis=1)
    product = graph.add("MatMul", all_elements, graph.constant(linear.reshape(len(places), -1)))
    sums = graph.constant(np.kron(np.eye(n_outputs), np.ones((K, 1))))
    return graph.add("Sqrt", graph.add("MatMul", graph.add("Mul", product, product), sums))


def _relative_factor(graph: Graph, columns: list[str], K: int) -> dict[tuple[int, int], str]:
    """Add the elements of M = T^-1 D, by T M = D: M_kk = exp d_k, and M_kj = sum_(j<=i<k) o_ki M_ij below."""
    places = [(k, i) for k in range(K) for i in range(k)]
    o = dict(zip(places, columns[K:], strict=True))
    M: dict[tuple[int, int], str] = {}
    for k in range(K):
        for j in range(k):
            products = [graph.add("Mul", o[k, i], M[i, j]) for i in range(j, k)]
            M[k, j] = products[0] if len(products) == 1 else graph.add("Sum", *products)
        M[k, k] = graph.add("Exp", columns[k])
    return M
