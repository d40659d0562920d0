"""Estimators as parts of scikit-learn pipelines that skl2onnx converts."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np
from sklearn.base import RegressorMixin

from sparsectr.export.columns import write_columns
from sparsectr.export.graph import ML, TYPES, OnnxGraph
from sparsectr.export.onnx import label_type, write_predictions

# Names of skl2onnx's types of tensors.
TENSORS = {
    "string": "StringTensorType",
    "int64": "Int64TensorType",
    "float64": "DoubleTensorType",
    "float32": "FloatTensorType",
    "bool": "BooleanTensorType",
}


def register_with_skl2onnx(classes: Sequence[type]) -> None:
    """Tell skl2onnx how classifiers and regressors are converted.

    Parameters
    ----------
    classes : sequence of type
        Classifiers and regressors of this package.

    Raises
    ------
    ImportError
        If skl2onnx is not installed.
    """
    try:
        skl2onnx = import_module("skl2onnx")
        types = import_module("skl2onnx.common.data_types")
    except ImportError as error:
        raise ImportError(
            "register_onnx needs the package skl2onnx; install it by pip install skl2onnx."
        ) from error

    def find_shape_of_numbers(operator: Any) -> None:
        operator.outputs[0].type = types.FloatTensorType([None, 1])

    def find_shapes_of_classes(operator: Any) -> None:
        classes = operator.raw_operator.classes_
        label = getattr(types, TENSORS[label_type(classes)])
        operator.outputs[0].type = label([None])
        operator.outputs[1].type = types.FloatTensorType([None, len(classes)])

    for cls in classes:
        told = (
            {"shape_fct": find_shape_of_numbers}
            if issubclass(cls, RegressorMixin)
            else {
                "shape_fct": find_shapes_of_classes,
                "options": {"zipmap": [True, False, "columns"], "nocl": [True, False]},
            }
        )
        skl2onnx.update_registered_converter(
            cls, f"Sparsectr{cls.__name__}", convert_fct=convert, **told
        )


def convert(scope: Any, operator: Any, container: Any) -> None:
    """Add a classifier or regressor to the container of a conversion."""
    estimator = operator.raw_operator
    graph = _ContainerGraph(scope, container)
    columns = graph.split_columns(operator.inputs)
    encoder = estimator.encoder_
    names = encoder._field_names()
    if len(columns) != len(names):
        raise ValueError(
            f"{type(estimator).__name__} has {len(names)} fields, got {len(columns)} columns."
        )
    if encoder._new_bags() is not None:
        raise ValueError(
            "every field of a pipeline must hold single values, got one whose cells hold several; "
            "sparsectr.to_onnx writes the estimator alone."
        )
    graph.cells = dict(zip(names, columns, strict=True))
    joined = write_columns(graph, names, encoder._fields)
    outputs = ("label", "probabilities") if hasattr(estimator, "classes_") else ("variable",)
    graph.output_names = dict(
        zip(outputs, (out.full_name for out in operator.outputs), strict=True)
    )
    write_predictions(graph, estimator, joined)


class _ContainerGraph(OnnxGraph):
    """Write into the container of a conversion, whose variables are the inputs."""

    def __init__(self, scope: Any, container: Any) -> None:
        super().__init__()
        self.float_lookup = False  # skl2onnx stops at version 3 of these operators
        self.scope, self.container = scope, container
        self.cells: dict[str, str] = {}
        self.output_names: dict[str, str] = {}
        self._kinds: dict[str, str] = {}

    def split_columns(self, variables: Any) -> list[str]:
        """Return the columns (B, 1) of all inputs, each (B, n)."""
        columns = []
        for variable in variables:
            n_columns = variable.type.shape[1]
            for place in range(n_columns):
                column = variable.full_name
                if n_columns > 1:
                    column = self.add("Gather", column, np.array([place]), axis=1)
                columns.append(column)
                self._kinds[column] = type(variable.type).__name__
        return columns

    def add_input(self, name: str, kind: str, shape: list[int | str]) -> str:
        """Return the column that comes, in the type that the field needs."""
        column = self.cells[name]
        came = self._kinds[column]
        if came == TENSORS[kind]:
            return column
        if "string" in (kind, came.removesuffix("TensorType").lower()):
            raise ValueError(f"field {name!r} must come as {kind}, got {came}.")
        return self.add("Cast", column, to=TYPES[kind])

    def add_output(self, name: str, value: str, kind: str, shape: list[int | str]) -> None:
        """Connect an output of the operator."""
        self._append("Identity", [value], [self.output_names[name]], "", {})

    def _name(self, prefix: str) -> str:
        return str(self.scope.get_unique_variable_name(prefix))

    def _append(
        self, operator: str, inputs: list[str], outputs: list[str], domain: str, attributes: Any
    ) -> None:
        version = self.ml_opset if domain == ML else None
        self.container.add_node(
            operator,
            inputs,
            outputs,
            op_domain=domain,
            op_version=version,
            name=self.scope.get_unique_operator_name(operator),
            **attributes,
        )

    def _constant(self, value: Any) -> str:
        name = super()._constant(value)
        self.container.initializers.append(self.constants.pop())
        return name
