"""Statistics of crosses as operators of ONNX."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsectr.encoding.vocabulary import N_RESERVED, UNKNOWN, Vocabulary
from sparsectr.export.graph import ML, OnnxGraph
from sparsectr.nn.graph import take

WRITTEN = ("target", "count", "codes")


def write_features(graph: OnnxGraph, features: Any, codes: str) -> str:
    """Add a fitted `InteractionFeatures`: codes (B, F) of the fields to columns (B, m), float64.

    Raises
    ------
    ValueError
        If its columns are not numbers that depend on one field or cross each.
    """
    if features.encoder not in WRITTEN:
        raise ValueError(
            f"encoder must be one of {WRITTEN} to be written as a graph, got {features.encoder!r}."
        )
    columns = [_write_cross(graph, cross, codes) for cross in features._crosses]
    if features.keep_original:
        columns.insert(0, codes)
    joined = graph.add("Concat", *columns, axis=1)
    if features.encoder == "codes":
        return graph.add("Cast", joined, to=11)
    parts = []
    for numbers in numbers_of_codes(features):
        for place, of_column in enumerate(numbers):
            parts.append(graph.add("Gather", of_column, take(graph, joined, [place])))
    return graph.add("Concat", *parts, axis=1)


def numbers_of_codes(features: Any) -> list[list[NDArray[np.float64]]]:
    """Return the number of every code, for each column, once for every encoder."""
    if features.encoder == "count":
        return [features._counts]
    sizes = [int(size) for size in features._sizes()]
    found: list[list[NDArray[np.float64]]] = [[] for _ in features.encoders_]
    for place, size in enumerate(sizes):
        rows = np.zeros((size, len(sizes)), dtype=np.int32)
        rows[:, place] = np.arange(size)
        encoded = features._encode(rows, None)
        for numbers, block in zip(found, np.split(encoded, len(found), axis=1), strict=True):
            numbers.append(np.ascontiguousarray(block[:, place], dtype=np.float64))
    return found


def _write_cross(graph: OnnxGraph, cross: Any, codes: str) -> str:
    """Add the code of a combination, (B, 1)."""
    if not isinstance(cross.field, Vocabulary):
        raise ValueError(
            "a cross is hashed, and ONNX has no operator for the hash; raise hash_buckets."
        )
    if prod(cross.sizes) > np.iinfo(np.int64).max:
        raise ValueError(
            "a cross has more combinations than 64 bits can number; leave it out by a smaller "
            "n_interactions or orders."
        )
    keys, *others = (take(graph, codes, [position]) for position in cross.positions)
    for size, digits in zip(cross.sizes[1:], others, strict=True):
        keys = graph.add("Add", graph.add("Mul", keys, np.array(size)), digits)
    values = cross.field.values.astype(np.int64)
    return graph.add(
        "LabelEncoder",
        keys,
        domain=ML,
        keys_int64s=values.tolist(),
        values_int64s=list(range(N_RESERVED, N_RESERVED + len(values))),
        default_int64=UNKNOWN,
    )
