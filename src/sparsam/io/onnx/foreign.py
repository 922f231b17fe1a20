"""Add transformers and estimators of scikit-learn, which skl2onnx converts."""

from __future__ import annotations

from typing import Any

import numpy as np

from sparsam.io.onnx.converters import register_converters
from sparsam.io.onnx.graph import ML_OPSET, OPSET, Graph, Rows

__all__ = ["add_foreign"]


def add_foreign(graph: Graph, x: Rows, name: str, step: Any) -> list[Rows]:
    """Add a fitted step of scikit-learn; return its outputs.

    Raises
    ------
    TypeError
        If skl2onnx cannot convert it.
    ImportError
        If skl2onnx is missing.
    """
    try:
        import skl2onnx
        from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType
    except ImportError as error:
        raise ImportError(f"the step {name!r} needs skl2onnx: pip install 'sparsam[onnx]' ({error})") from error
    register_converters()
    tensor = FloatTensorType if graph.dtype == np.float32 else DoubleTensorType
    options = {id(step): {"zipmap": False}} if hasattr(step, "classes_") else None
    try:
        model = skl2onnx.convert_sklearn(
            step,
            initial_types=[("x", tensor([None, x.width]))],
            target_opset={"": OPSET, "ai.onnx.ml": ML_OPSET},
            options=options,
        )
    except Exception as error:  # skl2onnx raises errors of its own kinds
        reason = str(error).strip().split("\n")[0]
        if "find column name" in reason:
            reason = (
                "it chooses columns by name, but the graph has numbered ones there: choose columns by number, or make "
                "it the first step"
            )
        raise TypeError(f"the step {name!r} ({type(step).__name__}) has no graph in ONNX: {reason}") from error
    return _inline(graph, x, model, name, step)


def _inline(graph: Graph, x: Rows, model: Any, name: str, step: Any) -> list[Rows]:
    """Copy the nodes of a model into the graph, with names of their own."""
    own = {model.graph.input[0].name: x.name}

    def renamed(names: Any) -> list[str]:
        return [own.setdefault(name, graph.name(name)) if name else "" for name in names]

    for constant in model.graph.initializer:
        constant.name = renamed([constant.name])[0]
        graph.constants.append(constant)
    for node in model.graph.node:
        inputs, outputs = renamed(node.input), renamed(node.output)
        del node.input[:], node.output[:]
        node.input.extend(inputs)
        node.output.extend(outputs)
        node.name = graph.name(node.name or node.op_type)
        graph.nodes.append(node)
    found = []
    for output in model.graph.output:
        kind = output.type.tensor_type
        sides = kind.shape.dim
        width = sides[1].dim_value if len(sides) > 1 else 1
        value = own[output.name]
        if hasattr(step, "transform"):
            expected = _width(step, x.width)
            if width not in (0, expected):
                raise TypeError(
                    f"the step {name!r} ({type(step).__name__}) has no graph in ONNX: it makes {expected} columns, and "
                    f"skl2onnx {width}"
                )
            width = expected
            if kind.elem_type != graph.float_type:
                value = graph.add("Cast", value, to=graph.float_type)
        found.append(Rows(value, width))
    return found


def _width(step: Any, width: int) -> int:
    """Return the number of columns that a transformer makes."""
    try:
        return len(step.get_feature_names_out())
    except (AttributeError, TypeError, ValueError):
        return int(np.shape(step.transform(np.zeros((1, width))))[1])
