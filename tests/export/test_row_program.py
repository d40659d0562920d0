"""The operators of a net as NumPy calls: what onnxruntime makes of them, for one row."""

import numpy as np
import pytest
import torch
from onnx_runs import run_feeds

from sparsectr.export.graph import OnnxGraph
from sparsectr.export.row_program import RowProgram
from sparsectr.nn.graph import affine, insert_axis, multiply_sets, reshape, sum_over, take

pytest.importorskip("onnx")

RNG = np.random.default_rng(0)
TABLE = RNG.normal(size=(9, 4)).astype(np.float32)
SQUARE = RNG.normal(size=(4, 4)).astype(np.float32)
WEIGHT = torch.from_numpy(RNG.normal(size=(2, 12)).astype(np.float32))
BIAS = torch.tensor([0.5, -1.0])


class EveryOperator:
    """Writes every operator that nets use; codes (B, 3) to (B, 2)."""

    def write(self, graph, codes):
        x = graph.add("Gather", TABLE, graph.add("Add", codes, np.array([0, 3, 6])))  # (B, 3, 4)
        x = graph.add("Add", x, multiply_sets(graph, x, [(0, 1), (0, 2), (1, 2)]))
        x = graph.add("Mul", graph.add("MatMul", x, SQUARE), graph.add("Sigmoid", x))
        turned = graph.add("Transpose", x, perm=[0, 2, 1])  # (B, 4, 3)
        sums = insert_axis(graph, sum_over(graph, turned, 2), 1)  # (B, 1, 4)
        x = graph.add("Concat", take(graph, x, range(1, 3)), sums, axis=1)
        x = graph.add("Where", np.array([True, False, True, True]), x, graph.add("Mul", x, 2.0))
        x = reshape(graph, reshape(graph, x, 0, 0, 2, 2), 0, -1)  # (B, 12)
        is_large = graph.add("Cast", graph.add("Greater", x, 0.1), to=1)
        x = affine(graph, graph.add("Mul", x, is_large), WEIGHT, BIAS)
        return graph.add("Mean", graph.add("Relu", x), x, x)


def test_every_operator():
    graph = OnnxGraph()
    codes = graph.add_input("codes", "int64", ["rows", 3])
    graph.add_output("x", EveryOperator().write(graph, codes), "float32", ["rows", 2])
    model, program = graph.make_model({}, "0"), RowProgram(EveryOperator())
    for row in RNG.integers(0, 3, (20, 3)):
        (expected,) = run_feeds(model, {"codes": row[None]}, "x")
        found = program(row.tolist())
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_an_operator_that_it_does_not_know():
    class Other:
        def write(self, graph, codes):
            return graph.add("Erf", codes)

    with pytest.raises(KeyError, match="Erf"):
        RowProgram(Other())
