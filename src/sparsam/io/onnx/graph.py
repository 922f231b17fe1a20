"""Build an ONNX graph, node by node."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["ML_OPSET", "OPSET", "Graph", "Rows"]

OPSET, ML_OPSET = 17, 3
IR_VERSION = 8  # of that opset, so that runtimes of 2022 take the file

ACTIVATIONS = {"logistic": "Sigmoid", "tanh": "Tanh", "relu": "Relu"}


@dataclass(frozen=True)
class Rows:
    """A tensor of the graph whose rows are samples: its name and number of columns."""

    name: str
    width: int


@dataclass
class Graph:
    """Nodes, constants, inputs and outputs of a graph.

    Attributes
    ----------
    dtype : dtype
        Floating type of the computation.
    """

    dtype: np.dtype[Any]
    nodes: list[Any] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)
    inputs: list[Any] = field(default_factory=list)
    outputs: list[Any] = field(default_factory=list)
    n_names: int = 0

    def name(self, stem: str) -> str:
        """Return a name that is not in use."""
        self.n_names += 1
        return f"/{stem}_{self.n_names}"  # the slash keeps it apart from names of columns

    def constant(self, values: Any, stem: str = "constant") -> str:
        """Add a constant; floating numbers get the type of the graph."""
        from onnx import numpy_helper

        array = np.asarray(values)
        if array.dtype.kind == "f":
            array = array.astype(self.dtype)
        name = self.name(stem)
        if array.dtype.kind in "UO":
            array = array.astype(object)
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def add(self, operator: str, *inputs: str, domain: str = "", stem: str | None = None, **attributes: Any) -> str:
        """Add a node with one output, and return its name."""
        from onnx import helper

        output = self.name(stem or operator.lower())
        self.nodes.append(
            helper.make_node(operator, list(inputs), [output], name=f"{output}_node", domain=domain, **attributes)
        )
        return output

    def concat(self, parts: Sequence[Rows]) -> Rows:
        """Add the columns of all parts, side by side."""
        if len(parts) == 1:
            return parts[0]
        name = self.add("Concat", *(part.name for part in parts), axis=1)
        return Rows(name, sum(part.width for part in parts))

    def affine(self, x: str, coef: Any, intercept: Any) -> str:
        """Add x W + b."""
        return self.add("Gemm", x, self.constant(coef, "coef"), self.constant(intercept, "intercept"))

    def split(self, x: str, n_columns: int) -> list[str]:
        """Add the columns of x, each with one column."""
        axis = self.constant(np.array([1], np.int64))
        ends = [self.constant(np.array([k], np.int64)) for k in range(n_columns + 1)]
        return [self.add("Slice", x, ends[k], ends[k + 1], axis) for k in range(n_columns)]

    def subtract(self, x: str, mean: NDArray[np.float64]) -> tuple[str, NDArray[np.float64]]:
        """Add x - m, with m the mean rounded to the type of the graph; return it and m - mean.

        The difference of near numbers of this type is exact, so that nothing is lost if the caller adds m - mean.
        """
        rounded = mean.astype(self.dtype).astype(np.float64)
        return self.add("Sub", x, self.constant(rounded[None], "mean")), rounded - mean

    def activation(self, name: str, a: str) -> str:
        """Add z = h(a)."""
        if name == "identity":
            return a
        if name == "softmax":
            return self.add("Softmax", a, axis=1)
        if name == "satlin":
            return self.add("Clip", a, self.constant(0.0), self.constant(1.0))
        return self.add(ACTIVATIONS[name], a)

    def input(self, name: str, width: int, dtype: Any = None) -> Rows:
        """Add an input of any number of rows; its type is that of the graph unless given."""
        from onnx import helper

        self.inputs.append(helper.make_tensor_value_info(name, self._type(dtype), ["N", width]))
        return Rows(name, width)

    def output(self, name: str, value: str, width: int | None = None, dtype: Any = None) -> None:
        """Make a value an output of this name, with rows of ``width`` numbers, or with None a number for each row.

        If a column of a table has that name, the output is called ``name_output``.
        """
        from onnx import helper

        while any(given.name == name for given in self.inputs):
            name = f"{name}_output"
        self.nodes.append(helper.make_node("Identity", [value], [name], name=f"{name}_node"))
        shape: Sequence[Any] = ["N"] if width is None else ["N", width]
        self.outputs.append(helper.make_tensor_value_info(name, self._type(dtype), shape))

    def model(self, name: str, properties: dict[str, str]) -> Any:
        """Return the checked model."""
        import onnx
        from onnx import helper

        graph = helper.make_graph(self.nodes, name, self.inputs, self.outputs, initializer=self.constants)
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
        model = helper.make_model(
            graph,
            opset_imports=opsets,
            ir_version=IR_VERSION,
            producer_name="sparsam",
            producer_version=version("sparsam"),
        )
        helper.set_model_props(model, properties)
        try:
            onnx.checker.check_model(model)
            onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
        except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
            reason = str(error).strip().split("\n")[0]
            raise TypeError(
                f"a step of scikit-learn has no graph in {self.dtype}, although skl2onnx makes one: {reason}"
            ) from error
        return model

    @property
    def float_type(self) -> int:
        """ONNX's number of the floating type."""
        return self._type(self.dtype)

    def _type(self, dtype: Any) -> int:
        from onnx import helper

        return helper.np_dtype_to_tensor_dtype(np.dtype(self.dtype if dtype is None else dtype))
