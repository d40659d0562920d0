"""The loss of a polynomial net, and its gradients, in one pass from codes on."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from sparsectr.kernels.arrays import as_array
from sparsectr.kernels.cpu.dynint.pin import (
    PART_ROWS,
    count_block_rows,
    descend_sums,
    split_readout,
    stack_up,
)
from sparsectr.kernels.cpu.machine.blocks import (
    add,
    clear,
    grow,
    look_up,
    n_columns,
    prefetch_rows,
    spread,
    step_back,
    store_lookups,
    store_rows,
    sum_fields,
)
from sparsectr.kernels.cpu.machine.jit import compiled
from sparsectr.kernels.cpu.machine.losses import LOSSES
from sparsectr.kernels.cpu.machine.matrix import add_outer, add_up, gemm, gemm_add
from sparsectr.kernels.cpu.machine.segments import zeros_aligned
from sparsectr.kernels.cpu.machine.vectors import SHORT_WIDTH
from sparsectr.kernels.memory import empty
from sparsectr.kernels.nets import Batch, PolynomialNet
from sparsectr.kernels.one_pass import one_pass_loss
from sparsectr.kernels.rows import empty_rows, lookup_gradient
from sparsectr.kernels.threads import run_parts


def polynomial_loss(net: PolynomialNet, batch: Batch) -> Tensor:
    """Compute the mean loss of a batch and all gradients in one pass.

    Parameters
    ----------
    net : PolynomialNet
        Of variant "pin", with one logit.
    batch : Batch
        B rows.

    Returns
    -------
    Tensor of shape ()
    """
    kind = LOSSES.get(batch.loss.name)
    if kind is None:
        return NotImplemented
    codes, targets, row_weights = batch.codes, batch.targets, batch.weights
    offsets, table = net.embedding.offsets, net.embedding.weight
    weights = [weight for (weight,) in net.layer_weights()]
    readout, bias = net.output.weight, net.output.bias
    filled = stack_up([as_array(weight) for weight in weights])
    n_parts, (n_rows, n_fields), dim = -(-len(codes) // PART_ROWS), codes.shape, table.shape[1]
    losses, rows = np.zeros(n_parts), empty_rows(n_fields, n_rows)
    of_lookups = empty(n_fields, n_rows, dim)
    of_weights = np.zeros((n_parts, *filled.shape), np.float32)
    of_readout = np.zeros((n_parts, n_fields + 1), np.float32)
    run_parts(
        _loss_part,
        n_parts,
        kind,
        *(as_array(t) for t in (codes, targets, row_weights, offsets, table)),
        net.n_subspaces,
        filled,
        np.ascontiguousarray(filled.swapaxes(1, 2)),
        as_array(readout),
        as_array(bias),
        losses,
        rows.numpy(),
        of_lookups.numpy(),
        of_weights,
        of_readout,
    )
    n = len(weights[0])
    gradients = [
        lookup_gradient(rows, of_lookups, table.shape),
        *split_readout(of_readout),
        *torch.from_numpy(np.ascontiguousarray(of_weights.sum(0)[:, :n, :n])),
    ]
    return one_pass_loss(losses.sum(), (table, readout, bias, *weights), gradients)


@compiled
def _loss_part(
    part: int,
    kind: int,
    codes: Any,
    targets: Any,
    row_weights: Any,
    offsets: Any,
    table: Any,
    n_subspaces: int,
    weights: Any,
    transposed: Any,
    readout: Any,
    bias: Any,
    losses: Any,
    rows: Any,
    of_lookups: Any,
    of_weights: Any,
    of_readout: Any,
) -> None:
    """Compute the loss of the rows of one part, and all gradients."""
    n_layers, n_fields = len(weights), codes.shape[1]
    dim = table.shape[1] // n_subspaces
    start, stop = part * PART_ROWS, min(len(codes), (part + 1) * PART_ROWS)
    n_block_rows = count_block_rows(stop - start, dim)
    x = zeros_aligned((n_layers + 1, weights.shape[1], n_columns(n_block_rows, dim)))
    factors = zeros_aligned(x.shape)
    scratch = zeros_aligned((3, *x.shape[1:]))
    of_x, of_x0, of_factor = scratch[0], scratch[1], scratch[2]
    sums = np.empty((n_block_rows, n_fields), np.float32)
    partial_sums = zeros_aligned((*weights.shape, SHORT_WIDTH))
    for first in range(start, stop, n_block_rows):
        n = min(stop - first, n_block_rows)
        coming = codes[first + n : first + n + n_block_rows]
        prefetch_rows(coming, offsets, table.ravel(), table.shape[1])
        look_up(codes[first : first + n], offsets, table, dim, x[0])
        for layer in range(n_layers):
            gemm(weights[layer], x[0], factors[layer])
            grow(x[layer], factors[layer], x[layer + 1])
        sum_fields(x[n_layers], dim, sums[:n])
        losses[part] += descend_sums(
            kind,
            sums[:n],
            readout,
            bias,
            targets[first : first + n],
            row_weights[first : first + n],
            len(codes),
            of_readout[part],
        )
        spread(sums[:n], dim, of_x)
        clear(of_x0)
        for layer in range(n_layers - 1, -1, -1):
            step_back(x[layer], factors[layer], of_x, of_factor)
            add_outer(of_factor, x[0], partial_sums[layer])
            gemm_add(transposed[layer], of_factor, of_x0)
        add(of_x, of_x0)
        store_rows(codes[first : first + n], offsets, first, rows)
        store_lookups(of_x0, dim, first, n, of_lookups)
    for layer in range(n_layers):
        add_up(partial_sums[layer], of_weights[part, layer])
