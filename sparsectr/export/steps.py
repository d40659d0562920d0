"""Functions that are constant between cuts, as one operator of ONNX."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sparsectr.export.graph import ML, OnnxGraph

# Cuts (m,) in rising order, and what is returned between them, (m + 1,).
Steps: TypeAlias = tuple[NDArray[Any], NDArray[Any]]


def write_steps(graph: OnnxGraph, numbers: str, functions: Sequence[Steps]) -> str:
    """Add a step function of every column: float64 (B, P) to float32 (B, P).

    Each is a balanced binary tree, all of them one ensemble. Comparing a number with all cuts takes
    five operators, and for many rows more time.
    """
    nodes = [
        (tree, *node)
        for tree, (cuts, values) in enumerate(functions)
        for node in _grow(cuts.tolist(), values.tolist(), 0, len(values), 0)
    ]
    trees, places, modes, cuts, left, right, leaves = map(list, zip(*nodes, strict=True))
    tensor = graph.onnx.numpy_helper.from_array
    ends = [k for k, mode in enumerate(modes) if mode == "LEAF"]
    return graph.add(
        "TreeEnsembleRegressor",
        numbers,
        domain=ML,
        n_targets=len(functions),
        nodes_treeids=trees,
        nodes_nodeids=places,
        nodes_featureids=trees,
        nodes_modes=modes,
        nodes_values_as_tensor=tensor(np.array(cuts, np.float64), "cuts"),
        nodes_truenodeids=left,
        nodes_falsenodeids=right,
        target_treeids=[trees[k] for k in ends],
        target_nodeids=[places[k] for k in ends],
        target_ids=[trees[k] for k in ends],
        target_weights_as_tensor=tensor(np.array([leaves[k] for k in ends], np.float64), "values"),
    )


Node: TypeAlias = tuple[int, str, float, int, int, float]


def _grow(cuts: list[float], values: list[Any], first: int, last: int, place: int) -> list[Node]:
    """Return the tree of the values between two places, root first.

    A node is its number, mode, cut, the numbers of both branches, and the value of a leaf.
    """
    if last - first == 1:
        return [(place, "LEAF", 0.0, 0, 0, float(values[first]))]
    middle = (first + last) // 2
    below = _grow(cuts, values, first, middle, place + 1)
    above = _grow(cuts, values, middle, last, place + 1 + len(below))
    root = (place, "BRANCH_LEQ", float(cuts[middle - 1]), place + 1, above[0][0], 0.0)
    return [root, *below, *above]
