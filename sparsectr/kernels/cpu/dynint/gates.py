"""Gate networks (linear, ReLU, linear) on blocks of batch rows, within compiled functions.

The weights of all layers' networks lie in one array each, filled up with zeros to whole tiles.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from sparsectr.kernels.arrays import as_array
from sparsectr.kernels.cpu.machine.jit import compiled, prefetch_to_read
from sparsectr.kernels.cpu.machine.matrix import TILE_COLUMNS, gemm, gemm_transposed_add
from sparsectr.kernels.cpu.machine.segments import add_segment, copy_segment, zeros_aligned


def pack_networks(networks: Sequence[tuple[Tensor, ...]]) -> tuple[Any, ...]:
    """Lay the weights of L networks out for the functions below.

    Parameters
    ----------
    networks : sequence of L tuples of Tensor
        Weight (H, q) and bias (H,) of the first layer, weight (g, H) and bias (g,) of the second.

    Returns
    -------
    tuple of ndarray
        With H', q', g' filled up to whole tiles: first weights as panels (L H' / 16, q', 16), first
        biases (L, H'), second weights turned, (L, H', g'), and as they are, (L, g', H'), and second
        biases (L, g').
    """
    arrays = [tuple(map(as_array, network)) for network in networks]
    n_hidden, n_inputs = arrays[0][0].shape
    n_gates = len(arrays[0][3])
    hidden, inputs, gates = (
        -(-n // TILE_COLUMNS) * TILE_COLUMNS for n in (n_hidden, n_inputs, n_gates)
    )
    n_panels = hidden // TILE_COLUMNS
    first = zeros_aligned((len(arrays), n_panels, inputs, TILE_COLUMNS))
    first_bias = np.zeros((len(arrays), hidden), np.float32)
    second, turned = (
        zeros_aligned((len(arrays), gates, hidden)),
        zeros_aligned((len(arrays), hidden, gates)),
    )
    second_bias = np.zeros((len(arrays), gates), np.float32)
    for k, (weight, bias, second_weight, second_b) in enumerate(arrays):
        filled = np.zeros((hidden, n_inputs), np.float32)
        filled[:n_hidden] = weight
        first[k, :, :n_inputs] = filled.reshape(n_panels, TILE_COLUMNS, n_inputs).swapaxes(1, 2)
        first_bias[k, :n_hidden] = bias
        second[k, :n_gates, :n_hidden] = second_weight
        second_bias[k, :n_gates] = second_b
    turned[...] = second.swapaxes(1, 2)
    return first.reshape(-1, inputs, TILE_COLUMNS), first_bias, turned, second, second_bias


@compiled
def gather(codes: Any, offsets: Any, table: Any, inputs: Any) -> None:
    """Write the embeddings of every row one after the other; missing rows become zero."""
    n_rows, n_fields = codes.shape
    dim = table.shape[1]
    flat, rows = inputs.ravel(), table.ravel()
    for r in range(n_rows):
        for f in range(n_fields):
            prefetch_to_read(rows, (codes[r, f] + offsets[f]) * dim)
    for r in range(n_rows):
        for f in range(n_fields):
            place = r * inputs.shape[1] + f * dim
            copy_segment(rows, (codes[r, f] + offsets[f]) * dim, flat, place, dim)
    for r in range(n_rows, inputs.shape[0]):
        for k in range(inputs.shape[1]):
            inputs[r, k] = 0


@compiled
def compute_gates(inputs: Any, networks: Any, panel: Any, hidden: Any, gates: Any) -> None:
    """Run all networks: inputs (R, q') to hidden (L, R, H') and gates (L, R, g')."""
    first, first_bias, turned_second, _, second_bias = networks
    n_layers, n_rows, n_hidden = hidden.shape
    n_panels = n_hidden // TILE_COLUMNS
    for layer in range(n_layers):
        for k in range(n_panels):
            gemm(inputs, first[layer * n_panels + k], panel)
            for r in range(n_rows):
                for c in range(TILE_COLUMNS):
                    column = k * TILE_COLUMNS + c
                    hidden[layer, r, column] = max(
                        panel[r, c] + first_bias[layer, column], np.float32(0)
                    )
        gemm(hidden[layer], turned_second[layer], gates[layer])
        flat = gates[layer].ravel()
        for r in range(n_rows):
            add_segment(second_bias[layer], 0, flat, r * gates.shape[2], gates.shape[2])


@compiled
def gates_backward(
    inputs: Any,
    networks: Any,
    hidden: Any,
    of_gates: Any,
    of_hidden: Any,
    of_networks: Any,
) -> None:
    """Add the gradients of all weights; the inputs get none."""
    of_first, of_first_bias, of_second, of_second_bias = of_networks
    for layer in range(len(hidden)):
        gemm(of_gates[layer], networks[3][layer], of_hidden)
        for r in range(of_hidden.shape[0]):
            for c in range(of_hidden.shape[1]):
                if hidden[layer, r, c] == 0:
                    of_hidden[r, c] = 0
        gemm_transposed_add(of_hidden, inputs, of_first[layer])
        _sum_rows(of_hidden, of_first_bias[layer])
        gemm_transposed_add(of_gates[layer], hidden[layer], of_second[layer])
        _sum_rows(of_gates[layer], of_second_bias[layer])


@compiled
def _sum_rows(x: Any, sums: Any) -> None:
    """Add the rows of x to the sums."""
    flat = x.ravel()
    for r in range(x.shape[0]):
        add_segment(flat, r * x.shape[1], sums, 0, x.shape[1])
