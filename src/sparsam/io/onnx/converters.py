"""Teach skl2onnx our transformers, so that it converts a ColumnTransformer or FeatureUnion that holds them."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from sparsam.io.onnx.graph import ML_OPSET, OPSET, Graph, Rows
from sparsam.io.onnx.own_steps import OWN_STEPS

__all__ = ["register_converters"]


@cache
def register_converters() -> None:
    """Register a converter for each transformer of sparsam, once."""
    from skl2onnx import update_registered_converter

    for kind in OWN_STEPS:
        update_registered_converter(kind, f"Sparsam{kind.__name__}", _set_shape, _convert, overwrite=True)


def _set_shape(operator: Any) -> None:
    tensor = operator.inputs[0].type
    width = len(operator.raw_operator.get_feature_names_out())
    operator.outputs[0].type = type(tensor)([operator.inputs[0].get_first_dimension(), width])


def _convert(scope: Any, operator: Any, container: Any) -> None:
    """Add the nodes of our graph to skl2onnx's container, with names that it chooses."""
    from onnx import helper, numpy_helper
    from skl2onnx.common.data_types import DoubleTensorType

    step, x = operator.raw_operator, operator.inputs[0]
    graph = Graph(np.dtype(np.float64 if isinstance(x.type, DoubleTensorType) else np.float32))
    y = OWN_STEPS[type(step)](graph, Rows(x.full_name, int(step.n_features_in_)), step)
    names = {x.full_name: x.full_name, y.name: operator.outputs[0].full_name}

    def renamed(given: Any) -> list[str]:
        return [names.setdefault(name, scope.get_unique_variable_name(name)) for name in given]

    for constant in graph.constants:
        values = numpy_helper.to_array(constant)
        container.add_initializer(renamed([constant.name])[0], constant.data_type, values.shape, values.ravel())
    for node in graph.nodes:
        container.add_node(
            node.op_type,
            renamed(node.input),
            renamed(node.output),
            op_domain=node.domain,
            op_version=ML_OPSET if node.domain else OPSET,
            name=scope.get_unique_operator_name(node.op_type),
            **{attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute},
        )
