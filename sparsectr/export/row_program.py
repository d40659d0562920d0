"""A net as a list of NumPy calls, for single rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from torch import Tensor

from sparsectr.nn.graph import CellValues, Value

Array: TypeAlias = NDArray[Any]
Call: TypeAlias = Callable[..., Any]

ELEMENTWISE = {"Add": np.add, "Mul": np.multiply, "Greater": np.greater, "MatMul": np.matmul}
# Types of ONNX by their numbers.
CAST = {1: np.float32, 7: np.int64}


class RowProgram:
    """Take the operators of a net, see `sparsectr.nn.graph.Graph`, and compute them with NumPy.

    For one row, calls of torch cost more than what they compute: 5 to 10 microseconds each, those
    of NumPy one.

    Parameters
    ----------
    net : object
        With a method ``write(graph, codes)``, in evaluation mode.
    several : sequence of int, default=()
        The columns whose cells have several values, rising.
    """

    def __init__(self, net: Any, several: Sequence[int] = ()) -> None:
        # What comes with a row is first: codes, and for each such column values and shares.
        self.cell_values = [CellValues(j, f"values_{j}", f"shares_{j}") for j in several]
        came = ["codes", *(name for one in self.cell_values for name in (one.codes, one.shares))]
        self._slots: list[Any] = [None] * len(came)
        self._steps: list[tuple[int, Call, tuple[int, ...]]] = []
        self._places = {name: place for place, name in enumerate(came)}
        self._output = self._places[net.write(self, "codes")]

    def add(self, operator: str, *inputs: Value, **attributes: Any) -> str:
        """Add an operator, return the name of its output; numbers become constants."""
        constants = [None if isinstance(value, str) else _as_array(value) for value in inputs]
        call, n_used = _make_call(operator, constants, attributes)
        places = [
            self._places[value] if isinstance(value, str) else self._keep(constant)
            for value, constant in zip(inputs[:n_used], constants[:n_used], strict=True)
        ]
        place = self._keep(None)
        self._steps.append((place, call, tuple(places)))
        name = f"value_{place}"
        self._places[name] = place
        return name

    def _keep(self, value: Any) -> int:
        self._slots.append(value)
        return len(self._slots) - 1

    def __call__(self, codes: Sequence[int], several: Sequence[Sequence[int]] = ()) -> Array:
        """Return the logits (1, K) of a row.

        Parameters
        ----------
        codes : sequence of int, length F
            The codes of its cells; those of cells of several values do not matter.
        several : sequence of sequences of int
            For each column of such cells the codes of the values, at least one.
        """
        slots = self._slots.copy()  # so that threads do not share what they compute
        slots[0] = np.array([codes])
        for place, values in enumerate(several):
            slots[2 * place + 1] = np.array([values])
            slots[2 * place + 2] = np.full((1, 1, len(values)), 1 / len(values), np.float32)
        for place, call, places in self._steps:
            slots[place] = call(*[slots[k] for k in places])
        logits: Array = slots[self._output]
        return logits


def _as_array(value: Any) -> Array:
    if isinstance(value, Tensor):
        value = value.detach().cpu().numpy()
    if isinstance(value, float):  # a plain number is of the type of weights
        return np.array(value, dtype=np.float32)
    return np.ascontiguousarray(value)


def _make_call(
    operator: str, constants: list[Any], attributes: dict[str, Any]
) -> tuple[Call, int | None]:
    """Return a function of the first inputs, and how many these are; None for all of them."""
    if operator in ELEMENTWISE:
        return ELEMENTWISE[operator], None
    second: Any = constants[1] if len(constants) > 1 else None
    if operator == "Gather" and constants[0] is None:
        return _make_take(second, attributes.get("axis", 0)), 1
    if operator == "Gemm":
        weight, bias = np.ascontiguousarray(second.T), constants[2]
        return lambda x: x.dot(weight) + bias, 1
    if operator == "Reshape":
        return _make_reshape(second.tolist()), 1
    if operator == "ReduceSum":
        axis = int(second[0])
        return lambda x: np.add.reduce(x, axis), 1
    if operator == "Unsqueeze":
        index = (*[slice(None)] * int(second[0]), None)
        return lambda x: x[index], 1
    return _make_other(operator, **attributes), None


def _make_take(places: Array, axis: int) -> Call:
    """Return a function that takes places along an axis; neighbours without a copy."""
    first, n_places = int(places[0]), len(places)
    if (places == np.arange(first, first + n_places)).all():
        index = (*[slice(None)] * axis, slice(first, first + n_places))
        return lambda x: x[index]
    return lambda x: x.take(places, axis)


def _make_reshape(shape: list[int]) -> Call:
    if 0 not in shape[1:]:
        fixed = (1, *shape[1:])
        return lambda x: x.reshape(fixed)
    return lambda x: x.reshape([size or x.shape[axis] for axis, size in enumerate(shape)])


def _make_other(
    operator: str, *, axis: int = 0, to: int = 1, perm: Sequence[int] | None = None
) -> Call:
    calls: dict[str, Call] = {
        "Cast": lambda x: x.astype(CAST[to]),
        "Concat": lambda *parts: np.concatenate(parts, axis),
        "Gather": lambda table, rows: table.take(rows, 0),
        "Mean": lambda *parts: sum(parts) / len(parts),
        "Relu": lambda x: np.maximum(x, 0),
        "Sigmoid": expit,
        "Transpose": lambda x: np.ascontiguousarray(x.transpose(perm)),
        "Where": np.where,
    }
    return calls[operator]
