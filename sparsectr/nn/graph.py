"""How a net writes itself down as a graph of operators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

# A name of something in the graph, or the numbers of a constant.
Value: TypeAlias = str | Tensor | NDArray[Any] | float


class CellValues(NamedTuple):
    """Hold the values of a column of codes whose cells have several.

    Attributes
    ----------
    column : int
        Number of the column.
    codes : str
        Codes of the values of every cell, (B, L), int64.
    shares : str
        How much of the mean of a cell each value is, (B, 1, L), float32; all add up to 1.
    """

    column: int
    codes: str
    shares: str


class Graph(Protocol):
    """Take operators of ONNX one after the other; see `sparsectr.export.graph.OnnxGraph`.

    A net has a method ``write(graph, codes)`` beside its `forward`, which adds what `forward`
    computes in evaluation mode and returns the name of the logits. Shapes must hold for any number
    of rows: the first axis is never named, and kept in a reshape by 0.
    """

    @property
    def cell_values(self) -> Sequence[CellValues]:
        """Columns, rising, of which means are looked up; their codes do not matter."""
        ...

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


def write_lookup(graph: Graph, table: Tensor, rows: str, first_rows: Sequence[int]) -> str:
    """Look up the rows (B, F) of a table (V, D): vectors (B, F, D), means where cells have several.

    The values of each column begin at the row ``first_rows[column]``.
    """
    vectors = graph.add("Gather", table, rows)
    if not graph.cell_values:
        return vectors
    parts, done = [], 0
    for column, codes, shares in graph.cell_values:
        if column > done:
            parts.append(take(graph, vectors, range(done, column)))
        offset = np.array(first_rows[column], dtype=np.int64)
        values = graph.add("Gather", table, graph.add("Add", codes, offset))  # (B, L, D)
        parts.append(graph.add("MatMul", shares, values))
        done = column + 1
    if done < len(first_rows):
        parts.append(take(graph, vectors, range(done, len(first_rows))))
    return graph.add("Concat", *parts, axis=1)


def affine(graph: Graph, x: str, weight: Tensor, bias: Tensor) -> str:
    """Compute ``x @ weight.T + bias`` of rows (B, n), with weight (m, n) and bias (m,)."""
    return graph.add("Gemm", x, weight, bias, transB=1)


def multiply_sets(graph: Graph, x: str, sets: Sequence[Sequence[int]]) -> str:
    """Multiply the vectors of P sets of one size: (B, F, D) to (B, P, D)."""
    product, *factors = (take(graph, x, fields) for fields in zip(*sets, strict=True))
    for factor in factors:
        product = graph.add("Mul", product, factor)
    return product
