"""A graph of ONNX operators, written one after the other."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsectr.nn.graph import CellValues, Value

# What the graphs need; LabelEncoder of version 2 takes lists, of version 4 also float64.
OPSET, ML_OPSET, ML_OPSET_OF_FLOATS = 17, 3, 4
IR_VERSIONS = {17: 8, 20: 9}
ML = "ai.onnx.ml"
TYPES = {"string": 8, "int64": 7, "int32": 6, "float32": 1, "float64": 11, "bool": 9}


class OnnxGraph:
    """Collect operators and constants; see `sparsectr.nn.graph.Graph`."""

    def __init__(self) -> None:
        self.onnx = load_onnx()
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []
        self.opset, self.ml_opset = OPSET, ML_OPSET
        self.cell_values: list[CellValues] = []
        # Whether LabelEncoder of version 4, which takes float64, may be used.
        self.float_lookup = True

    def add(
        self,
        operator: str,
        *inputs: Value,
        domain: str = "",
        n_outputs: int = 1,
        **attributes: Any,
    ) -> str:
        """Add an operator, return the name of its first output; numbers become constants."""
        names = [value if isinstance(value, str) else self._constant(value) for value in inputs]
        output = self._name(operator.lower())
        outputs = [output, *(f"{output}_{place}" for place in range(1, n_outputs))]
        self._append(operator, names, outputs, domain, attributes)
        return output

    def add_output(self, name: str, value: str, kind: str, shape: list[int | str]) -> None:
        """Make what the last operators have computed an output of the graph, by a name."""
        for node in reversed(self.nodes):
            for names in (node.input, node.output):
                for place, known in enumerate(names):
                    if known == value:
                        names[place] = name
            if name in node.output:
                break
        self.outputs.append(self._describe(name, kind, shape))

    def add_input(self, name: str, kind: str, shape: list[int | str]) -> str:
        """Add an input of the graph, return its name."""
        self.inputs.append(self._describe(name, kind, shape))
        return name

    def make_model(self, metadata: dict[str, str], version: str) -> Any:
        """Return the model, an `onnx.ModelProto`."""
        helper = self.onnx.helper
        graph = helper.make_graph(
            self.nodes, "sparsectr", self.inputs, self.outputs, self.constants
        )
        model = helper.make_model(
            graph,
            opset_imports=[
                helper.make_opsetid("", self.opset),
                helper.make_opsetid(ML, self.ml_opset),
            ],
            ir_version=IR_VERSIONS[self.opset],
            producer_name="sparsectr",
            producer_version=version,
        )
        helper.set_model_props(model, metadata)
        return model

    def _name(self, prefix: str) -> str:
        """Return a name that nothing else has."""
        return f"{prefix}_{len(self.nodes)}_{len(self.constants)}"

    def _append(
        self, operator: str, inputs: list[str], outputs: list[str], domain: str, attributes: Any
    ) -> None:
        name = f"{operator}_{len(self.nodes)}"
        self.nodes.append(
            self.onnx.helper.make_node(
                operator, inputs, outputs, name=name, domain=domain, **attributes
            )
        )

    def _describe(self, name: str, kind: str, shape: list[int | str]) -> Any:
        return self.onnx.helper.make_tensor_value_info(name, TYPES[kind], shape)

    def _constant(self, value: Any) -> str:
        name = self._name("constant")
        self.constants.append(self.onnx.numpy_helper.from_array(_as_array(value), name))
        return name


def _as_array(value: Any) -> NDArray[Any]:
    """Return a constant; a plain number is of the type of weights."""
    if isinstance(value, float):
        return np.array(value, dtype=np.float32)
    if not isinstance(value, np.ndarray):  # a tensor
        value = value.detach().cpu().numpy()
    return np.ascontiguousarray(value) if value.ndim else value


def load_onnx() -> Any:
    """Import onnx, or say what to install."""
    try:
        onnx = import_module("onnx")
        for part in ("helper", "numpy_helper"):
            import_module(f"onnx.{part}")
    except ImportError as error:
        raise ImportError(
            "to_onnx needs the package onnx; install it by pip install 'sparsectr[onnx]'."
        ) from error
    return onnx
