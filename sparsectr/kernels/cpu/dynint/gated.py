"""What loss and prediction of nets with gates share: layouts, gates, the factors of the layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from sparsectr.kernels.arrays import as_array
from sparsectr.kernels.cpu.dynint.instances import instance_factor
from sparsectr.kernels.cpu.dynint.layers import generated_factor, scaled_factor
from sparsectr.kernels.cpu.dynint.pin import stack_up
from sparsectr.kernels.cpu.machine.jit import compiled
from sparsectr.kernels.cpu.machine.matrix import TILE_ROWS

# What gates are: u of A = u * (W X_0); u and v of `instance_factor`; s of `generated_factor`.
ACTIVATION, VECTORS, GENERATED = range(3)
KINDS = {"da": ACTIVATION, "dwp": VECTORS, "dgp": GENERATED}
# Batch rows of a part. Each part sums gradients of the gate networks of its own, which are larger
# than everything else.
PART_ROWS = 512
# Batch rows that go through the gate networks together.
GATE_ROWS = 64


def pack_layers(kind: int, layers: Sequence[Sequence[Tensor]]) -> tuple[Any, ...]:
    """Stack the factors of L layers, W or U and V, and add zeros up to whole tiles.

    Returns
    -------
    tuple of four ndarray
        First and second factors (L, ...), and their transposes. "No second factor" has a length of
        zero.
    """
    factors = [
        stack_up([as_array(weight) for weight in weights], wide=kind == VECTORS)
        for weights in zip(*layers, strict=True)
    ]
    factors += [np.zeros((len(layers), 0, 0), np.float32)] * (2 - len(factors))
    return *factors, *(np.ascontiguousarray(factor.swapaxes(1, 2)) for factor in factors)


def find_rank(kind: int, n_gates: int, n_rows: int) -> int:
    """Return the rank of layers over ``n_rows`` interaction rows from their number of gates."""
    return n_gates if kind == GENERATED else max(1, n_gates // (2 * n_rows))


@compiled
def count_group_rows(n_rows: int) -> int:
    """Return how many of a part's rows go through the gate networks together, in whole tiles."""
    return min(GATE_ROWS, -(-n_rows // TILE_ROWS) * TILE_ROWS)


@compiled
def open_gates(kind: int, rank: int, gates: Any) -> None:
    """Turn the outputs of the gate networks into u, into u and v, or into s, in place."""
    flat = gates.ravel()
    if kind == ACTIVATION:
        for k in range(len(flat)):
            flat[k] = np.float32(2) / (np.float32(1) + np.exp(-flat[k]))
    else:
        offset = np.float32(1 if kind == GENERATED else rank**-0.5)
        for k in range(len(flat)):
            flat[k] += offset


@compiled
def compute_factor(
    sizes: Any, layers: Any, k: int, x0: Any, values: Any, scratch: Any, factor: Any
) -> None:
    """Compute A of layer k, and the terms that its way back needs."""
    kind, rank, n, dim = sizes
    terms, scaled, instances = scratch
    weight = layers[0][k]
    if kind == GENERATED:
        generated_factor(weight, layers[3][k], x0, values, rank, dim, terms[0], scaled, factor)
    elif kind == VECTORS:
        left, right = values[:, : rank * n], values[:, rank * n :]
        instance_factor(weight, x0, left, right, n, dim, instances, factor)
    else:
        scaled_factor(weight, x0, values, n, dim, terms, factor)
