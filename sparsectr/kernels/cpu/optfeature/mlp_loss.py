"""The loss of an MLP on embeddings and pairs of them, from codes to gradients in one pass.

Inputs of a row are the embeddings of its fields and, behind them, inner products of pairs, each
times a scale: a gate, perhaps.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sparsectr.kernels.arrays import as_array
from sparsectr.kernels.cpu.machine.blocks import prefetch_rows, store_rows
from sparsectr.kernels.cpu.machine.jit import compiled
from sparsectr.kernels.cpu.machine.losses import LOSSES
from sparsectr.kernels.cpu.machine.segments import copy_segment, fill_segment
from sparsectr.kernels.cpu.optfeature.mlp import (
    BLOCK_ROWS,
    descend_outputs,
    go_down,
    go_up,
    open_columns,
    open_rows,
    pack,
    start_of_activations,
    start_of_gradient,
    turn,
    unpack,
)
from sparsectr.kernels.memory import empty
from sparsectr.kernels.nets import Batch, PairsNet
from sparsectr.kernels.one_pass import one_pass_loss
from sparsectr.kernels.rows import empty_rows, lookup_gradient
from sparsectr.kernels.threads import run_parts

# A batch is cut into parts of so many rows or more, but few: each has gradients of all weights.
PART_ROWS = 128
MOST_PARTS = 8
# More weights are in no cache; then torch's products, which pack what they multiply, are faster.
MOST_WEIGHTS = 1 << 18
NO_SCALES = np.empty((0, 0), np.float32)


def mlp_loss(
    net: PairsNet, batch: Batch, gates: Tensor | None, *, of_gates: bool = False
) -> Tensor:
    """Compute the mean loss of a batch and gradients in one pass.

    NotImplemented for MLPs of more than `MOST_WEIGHTS` weights, and for losses not built here.

    Parameters
    ----------
    net : PairsNet
        With one logit and P' pairs, without dropout.
    batch : Batch
        B rows.
    gates : Tensor of shape (P') or (B, P'), or None
        What the products are multiplied by; ones if None.
    of_gates : bool, default=False
        Whether the gradient is that of gates (B, P'), or that of embeddings and MLP.

    Returns
    -------
    Tensor of shape ()
    """
    layers, kind = net.mlp_layers(), LOSSES.get(batch.loss.name)
    if kind is None or sum(weight.numel() for weight, _ in layers) > MOST_WEIGHTS:
        return NotImplemented
    codes, targets, row_weights = batch.codes, batch.targets, batch.weights
    offsets, table = net.embedding.offsets, net.embedding.weight
    dim, pairs = net.widths[0], cast("NDArray[np.int64]", net.pairs)
    n_rows, n_fields = codes.shape
    n_parts = min(MOST_PARTS, -(-n_rows // PART_ROWS))
    widths = np.array([weight.shape[1] for weight, _ in layers])
    weights, vectors = pack(layers)
    losses, of_vectors = np.zeros(n_parts), np.zeros((n_parts, len(vectors)), np.float32)
    n_wanted = 0 if of_gates else n_rows
    rows, of_lookups = empty_rows(n_fields, n_wanted), empty(n_fields, n_wanted, table.shape[1])
    n_numbers = 0 if of_gates else start_of_gradient(widths, len(widths) - 1)
    of_weights = empty(n_parts, n_numbers).numpy()
    of_pairs = empty(n_rows if of_gates else 0, len(pairs))
    # As large as weights: a part would get it from the system in every step.
    scratch = empty(n_parts, 3, start_of_activations(widths, len(widths))).numpy()
    run_parts(
        _loss_part,
        n_parts,
        n_parts,
        kind,
        *(as_array(t) for t in (codes, targets, row_weights, offsets, table)),
        dim,
        pairs,
        NO_SCALES if gates is None else as_array(gates).reshape(-1, len(pairs)),
        widths,
        weights,
        vectors,
        scratch,
        losses,
        rows.numpy(),
        of_lookups.numpy(),
        of_weights,
        of_vectors,
        of_pairs.numpy(),
    )
    if of_gates:
        return one_pass_loss(losses.sum(), [gates], [of_pairs])  # type: ignore[list-item]
    total = of_weights[0] if n_parts == 1 else of_weights.sum(0)
    gradients = [
        lookup_gradient(rows, of_lookups, table.shape),
        *unpack(total, of_vectors.sum(0), layers, widths),
    ]
    parameters = [parameter for layer in layers for parameter in layer]
    return one_pass_loss(losses.sum(), [table, *parameters], gradients)


@compiled
def _loss_part(
    part: int,
    n_parts: int,
    kind: int,
    codes: Any,
    targets: Any,
    row_weights: Any,
    offsets: Any,
    table: Any,
    dim: int,
    pairs: Any,
    scales: Any,
    widths: Any,
    weights: Any,
    vectors: Any,
    scratch: Any,
    losses: Any,
    rows: Any,
    of_lookups: Any,
    of_weights: Any,
    of_vectors: Any,
    of_pairs: Any,
) -> None:
    """Compute the loss of the rows of one part, and the gradients that are wanted."""
    start, stop = part * len(codes) // n_parts, (part + 1) * len(codes) // n_parts
    last, n_embedded = len(widths) - 1, len(offsets) * dim
    columns, in_rows, of_columns = scratch[part, 0], scratch[part, 1], scratch[part, 2]
    products = np.empty((len(pairs), BLOCK_ROWS), np.float32)
    fill_segment(in_rows, 0, np.float32(0), len(in_rows))
    fill_segment(of_weights[part], 0, np.float32(0), of_weights.shape[1])
    for first in range(start, stop, BLOCK_ROWS):
        n = min(stop - first, BLOCK_ROWS)
        some = codes[first : first + n]
        lying, standing = (
            open_columns(columns, widths, 0, n),
            open_rows(in_rows, widths, 0, n),
        )
        _look_up(some, offsets, table, dim, standing)
        turn(standing, lying, 0, len(standing), n_embedded)
        _multiply(dim, pairs, scales, first, n, lying, lying[n_embedded:], products)
        if of_weights.size > 0:
            turn(lying, standing, n_embedded, len(lying), lying.shape[1])
        go_up(columns, widths, weights, vectors, n)
        losses[part] += descend_outputs(
            open_columns(columns, widths, last, n),
            vectors,
            kind,
            targets,
            row_weights,
            first,
            n,
            len(codes),
            open_columns(of_columns, widths, last, n),
            of_vectors[part],
        )
        go_down(
            columns, in_rows, of_columns, widths, weights, n, of_weights[part], of_vectors[part]
        )
        of_lying = open_columns(of_columns, widths, 0, n)
        if of_pairs.size > 0:
            for p in range(len(pairs)):
                for r in range(n):
                    of_pairs[first + r, p] = of_lying[n_embedded + p, r] * products[p, r]
        if rows.size > 0:
            _multiply_back(dim, pairs, scales, first, n, lying, of_lying, of_lying[n_embedded:])
            turn(of_lying, standing, 0, n_embedded, n)
            store_rows(some, offsets, first, rows)
            _store_lookups(standing, dim, first, n, of_lookups)


@compiled
def _look_up(codes: Any, offsets: Any, table: Any, dim: int, standing: Any) -> None:
    """Store the embeddings of rows of codes, side by side; those of missing rows are zero."""
    flat, target = table.ravel(), standing.ravel()
    length, width, n_rows = table.shape[1], standing.shape[1], len(codes)
    prefetch_rows(codes, offsets, flat, length)
    for r in range(n_rows):
        for f in range(codes.shape[1]):
            row = codes[r, f] + offsets[f]
            copy_segment(flat, row * length, target, r * width + f * dim, dim)
    fill_segment(target, n_rows * width, np.float32(0), (len(standing) - n_rows) * width)


@compiled
def _multiply(
    dim: int,
    pairs: Any,
    scales: Any,
    first: int,
    n_rows: int,
    lying: Any,
    scaled: Any,
    products: Any,
) -> None:
    """Store the products of pairs, and the products times their scales, each (P, R)."""
    n_columns = lying.shape[1]
    for p in range(len(pairs)):
        i, j = pairs[p, 0] * dim, pairs[p, 1] * dim
        for c in range(n_columns):
            products[p, c] = lying[i, c] * lying[j, c]
        for k in range(1, dim):
            for c in range(n_columns):
                products[p, c] += lying[i + k, c] * lying[j + k, c]
        for c in range(n_columns):
            scaled[p, c] = products[p, c]
        _scale(scales, p, first, n_rows, scaled)


@compiled
def _scale(scales: Any, p: int, first: int, n_rows: int, x: Any) -> None:
    """Multiply the numbers x[p] of a pair by its scale in every row."""
    if len(scales) == 1:
        for c in range(x.shape[1]):
            x[p, c] *= scales[0, p]
    elif scales.size > 0:
        for r in range(n_rows):
            x[p, r] *= scales[first + r, p]


@compiled
def _multiply_back(
    dim: int,
    pairs: Any,
    scales: Any,
    first: int,
    n_rows: int,
    lying: Any,
    of_lying: Any,
    of_scaled: Any,
) -> None:
    """Add what comes back through the products to the gradients of the embeddings."""
    n_columns = lying.shape[1]
    for p in range(len(pairs)):
        _scale(scales, p, first, n_rows, of_scaled)
        i, j = pairs[p, 0] * dim, pairs[p, 1] * dim
        for k in range(dim):
            for c in range(n_columns):
                of_lying[i + k, c] += of_scaled[p, c] * lying[j + k, c]
            for c in range(n_columns):
                of_lying[j + k, c] += of_scaled[p, c] * lying[i + k, c]


@compiled
def _store_lookups(standing: Any, dim: int, first: int, n_rows: int, of_lookups: Any) -> None:
    """Store the gradients of the lookups (F, B, length) of the rows from ``first`` on."""
    flat, target, width = standing.ravel(), of_lookups.ravel(), standing.shape[1]
    n_fields, n_batch_rows, length = of_lookups.shape
    for f in range(n_fields):
        for r in range(n_rows):
            place = (f * n_batch_rows + first + r) * length
            copy_segment(flat, r * width + f * dim, target, place, dim)
            fill_segment(target, place + dim, np.float32(0), length - dim)
