"""The logits of a polynomial net with gates in one pass from codes on, every row by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from sparsectr.kernels.arrays import as_array
from sparsectr.kernels.cpu.dynint.gated import (
    GENERATED,
    KINDS,
    PART_ROWS,
    VECTORS,
    compute_factor,
    count_group_rows,
    find_rank,
    open_gates,
    pack_layers,
)
from sparsectr.kernels.cpu.dynint.gates import compute_gates, gather, pack_networks
from sparsectr.kernels.cpu.dynint.instances import make_instance_scratch
from sparsectr.kernels.cpu.dynint.pin import count_block_rows
from sparsectr.kernels.cpu.machine.blocks import (
    copy,
    grow,
    look_up,
    n_columns,
    read_out,
)
from sparsectr.kernels.cpu.machine.jit import compiled
from sparsectr.kernels.cpu.machine.segments import zeros_aligned
from sparsectr.kernels.nets import PolynomialNet
from sparsectr.kernels.threads import run_parts


def gated_logits(net: PolynomialNet, codes: Tensor) -> Any:
    """Return the logits of codes.

    Parameters
    ----------
    net : PolynomialNet
        With gates and K logits.
    codes : Tensor of shape (B, F)

    Returns
    -------
    ndarray of shape (B, K), float32
    """
    offsets, table = net.embedding.offsets, net.embedding.weight
    readout, bias = net.output.weight, net.output.bias
    variant, n_subspaces = net.variant, net.n_subspaces
    layers, networks = net.layer_weights(), net.gate_weights()
    kind, logits = KINDS[variant], np.empty((len(codes), len(bias)), np.float32)
    rank = find_rank(kind, networks[0][2].shape[0], codes.shape[1] * n_subspaces)
    run_parts(
        _logits_part,
        -(-len(codes) // PART_ROWS),
        as_array(codes),
        (as_array(offsets), as_array(table)),
        (kind, rank, n_subspaces),
        pack_layers(kind, layers),
        pack_networks(networks),
        (as_array(readout), as_array(bias)),
        logits,
    )
    return logits


@compiled
def _logits_part(
    part: int,
    codes: Any,
    embedding: Any,
    settings: Any,
    layers: Any,
    networks: Any,
    output: Any,
    logits: Any,
) -> None:
    """Compute the logits of the rows of one part."""
    (offsets, table), (kind, rank, n_subspaces) = embedding, settings
    n, dim = codes.shape[1] * n_subspaces, table.shape[1] // n_subspaces
    sizes = kind, rank, n, dim
    start, stop = part * PART_ROWS, min(len(codes), (part + 1) * PART_ROWS)
    n_layers, height = layers[0].shape[:2]
    n_group_rows, (n_hidden, n_gates) = count_group_rows(stop - start), networks[2].shape[1:]
    inputs = zeros_aligned((n_group_rows, networks[0].shape[1]))
    panel = zeros_aligned((n_group_rows, networks[0].shape[2]))
    hidden = zeros_aligned((n_layers, n_group_rows, n_hidden))
    values = zeros_aligned((n_layers, n_group_rows, n_gates))
    n_block_rows = min(n_group_rows, count_block_rows(stop - start, dim))
    x = zeros_aligned((2, height, n_columns(n_block_rows, dim)))
    factor = zeros_aligned(x.shape[1:])
    inner = zeros_aligned((2, layers[0].shape[2] if kind == GENERATED else height, x.shape[2]))
    scratch = (
        inner[:1],
        inner[1],
        make_instance_scratch(n_block_rows, height, dim, rank if kind == VECTORS else 0),
    )
    total = np.empty(x.shape[2], np.float32)
    for group in range(start, stop, n_group_rows):
        end = min(stop, group + n_group_rows)
        gather(codes[group:end], offsets, table, inputs)
        compute_gates(inputs, networks, panel, hidden, values)
        open_gates(kind, rank, values)
        for first in range(group, end, n_block_rows):
            last = min(end, first + n_block_rows)
            look_up(codes[first:last], offsets, table, dim, x[0])
            copy(x[0], x[1])
            for k in range(n_layers):
                of_rows = values[k, first - group : last - group]
                compute_factor(sizes, layers, k, x[0], of_rows, scratch, factor)
                grow(x[1], factor, x[1])
            read_out(x[1], dim, output[0], output[1], total, logits[first:last])
