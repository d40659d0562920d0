"""How a net writes itself down as a graph of operators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

# A name of something in the graph, or the numbers of a constant.
Value: TypeAlias = str | Tensor | NDArray[Any] | float


class Graph(Protocol):
    """Take operators of ONNX one after the other; see `sparsectr.export.graph.OnnxGraph`.

    A net has a method ``write(graph, codes)`` beside its `forward`, which adds what `forward`
    computes in evaluation mode and returns the name of the logits. Shapes must hold for any number
    of rows: the first axis is never named, and kept in a reshape by 0.
    """

    def add(self, operator: str, *inputs: Value, **attributes: Any) -> str:
        """Add an operator, return the name of its output; numbers become constants."""
        ...


def reshape(graph: Graph, x: str, *shape: int) -> str:
    """Reshape: 0 keeps an axis, -1 takes the rest."""
    return graph.add("Reshape", x, np.array(shape, dtype=np.int64))


def sum_over(graph: Graph, x: str, axis: int) -> str:
    """Sum over one axis, which is lost."""
    return graph.add("ReduceSum", x, np.array([axis], dtype=np.int64), keepdims=0)


def insert_axis(graph: Graph, x: str, axis: int) -> str:
    """Insert an axis of length 1."""
    return graph.add("Unsqueeze", x, np.array([axis], dtype=np.int64))


def take(graph: Graph, x: str, places: Sequence[int], axis: int = 1) -> str:
    """Take places along an axis."""
    return graph.add("Gather", x, np.array(places, dtype=np.int64), axis=axis)


def affine(graph: Graph, x: str, weight: Tensor, bias: Tensor) -> str:
    """Compute ``x @ weight.T + bias`` of rows (B, n), with weight (m, n) and bias (m,)."""
    return graph.add("Gemm", x, weight, bias, transB=1)


def multiply_sets(graph: Graph, x: str, sets: Sequence[Sequence[int]]) -> str:
    """Multiply the vectors of P sets of one size: (B, F, D) to (B, P, D)."""
    product, *factors = (take(graph, x, fields) for fields in zip(*sets, strict=True))
    for factor in factors:
        product = graph.add("Mul", product, factor)
    return product
