"""Step functions as trees return what a search among the cuts returns."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx_runs import run_feeds

from sparsectr.export.graph import OnnxGraph
from sparsectr.export.steps import write_steps

onnx = pytest.importorskip("onnx")

CUTS = st.lists(st.floats(-1e300, 1e300), max_size=20, unique=True).map(sorted)


@settings(max_examples=30)
@given(st.lists(CUTS, min_size=1, max_size=3))
def test_steps_are_a_search_among_cuts(columns):
    functions = [(np.array(cuts), np.arange(len(cuts) + 1) * 3 % 7 + 2) for cuts in columns]
    # At the cuts, as near to them as can be, and far away.
    rows = np.column_stack([np.resize([*cuts, 0.0, np.inf, -np.inf], 23) for cuts in columns])
    numbers = np.vstack([rows, np.nextafter(rows, np.inf), np.nextafter(rows, -np.inf)])
    graph = OnnxGraph()
    cells = graph.add_input("numbers", "float64", ["rows", len(columns)])
    steps = write_steps(graph, cells, functions)
    graph.add_output("steps", steps, "float32", ["rows", len(columns)])
    (found,) = run_feeds(graph.make_model({}, "0"), {"numbers": numbers}, "steps")
    for (cuts, values), column, some in zip(functions, numbers.T, found.T, strict=True):
        np.testing.assert_array_equal(some, values[np.searchsorted(cuts, column)])
