"""Cells of several values as operators of ONNX."""

from __future__ import annotations

from itertools import count

import numpy as np
from numpy.typing import NDArray

from sparsectr.encoding.bags import BagVocabulary
from sparsectr.encoding.vocabulary import MISSING, UNKNOWN
from sparsectr.export.graph import ML, OnnxGraph
from sparsectr.nn.graph import insert_axis, sum_over

# Splitting strings, and the axes of ReduceMax and ReduceMin as an input.
OPSET_OF_SEVERAL = 20
# The weight of a place without a value, beside the 1 of a value: rounding swallows it. Where a
# cell has no value all places are missing, and share alike.
NO_WEIGHT = 1e-30
# onnxruntime adds integers up in float64, which is exact below this one.
LARGEST_SUM = 2**53


def write_split(graph: OnnxGraph, cells: str, separator: str) -> str:
    """Add the parts (B, L) of strings (B, 1); the empty string fills places without one."""
    parts = graph.add("StringSplit", cells, n_outputs=2, delimiter=separator)  # (B, 1, L)
    return graph.add("Squeeze", parts, np.array([1]))


def write_padding(graph: OnnxGraph, codes: str) -> str:
    """Add a missing value behind the codes of every cell: int64 (B, L) to (B, L + 1).

    So each cell has a place, even where none of the rows has a value.
    """
    graph.opset = OPSET_OF_SEVERAL
    return graph.add("Pad", codes, np.array([0, 0, 0, 1]), np.array(MISSING))


def write_shares(graph: OnnxGraph, codes: str) -> str:
    """Add what each value is of the mean of its cell: codes (B, L) to float32 (B, 1, L)."""
    is_missing = graph.add("Equal", codes, np.array(MISSING))
    weights = graph.add("Where", is_missing, NO_WEIGHT, 1.0)
    total = insert_axis(graph, sum_over(graph, weights, 1), 1)
    return insert_axis(graph, graph.add("Div", weights, total), 1)


def write_sets(graph: OnnxGraph, codes: str, column: BagVocabulary) -> str:
    """Add the code of the set of values of every cell: codes (B, L) to (B, 1).

    A set is known by the sum of one random number per value, which is the same in any order.
    """
    keys, of_known = _draw_keys(column)
    sums = insert_axis(graph, sum_over(graph, graph.add("Gather", keys, codes), 1), 1)
    of_sets = graph.add(
        "LabelEncoder",
        sums,
        domain=ML,
        keys_int64s=[*of_known.tolist(), -1],  # where no set has a code, too, there is a key
        values_int64s=[*range(column.vocabulary.size, column.size), UNKNOWN],
        default_int64=UNKNOWN,
    )
    # Values that are all equal have the code of one; cells without any are missing.
    is_missing = graph.add("Equal", codes, np.array(MISSING))
    axes, above = np.array([1]), np.array(column.size)
    largest = graph.add("ReduceMax", graph.add("Where", is_missing, np.array(-1), codes), axes)
    least = graph.add("ReduceMin", graph.add("Where", is_missing, above, codes), axes)
    found = graph.add("Where", graph.add("Equal", largest, least), largest, of_sets)
    return graph.add("Where", graph.add("Equal", largest, np.array(-1)), np.array(MISSING), found)


def _draw_keys(column: BagVocabulary) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draw a key for every value, (n_values,), so that sums differ for all sets, (n_bags,)."""
    longest = int(np.diff(column.starts).max(initial=1))
    for seed in count():
        rng = np.random.default_rng(seed)
        keys = rng.integers(1, LARGEST_SUM // longest, column.vocabulary.size)
        keys[MISSING] = 0
        ends = np.concatenate([[0], keys[column.lookups].cumsum()])
        sums = np.diff(ends[column.starts])
        if len(np.unique(sums)) == len(sums):
            break
    return keys, sums
