"""Fused version of `sparsectr.kernels.pin`.

A few batch rows at a time, transposed (`sparsectr.kernels.cpu.machine.blocks`), go through all
layers: a layer is one product of matrices that lie in the cache. What happens to a batch row
does not depend on the others of its block.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx
from torch.nn import functional

from sparsectr.kernels.arrays import as_array
from sparsectr.kernels.cpu.dynint.instances import (
    instance_backward,
    instance_factor,
    load_instances,
    make_instance_scratch,
)
from sparsectr.kernels.cpu.dynint.layers import scaled_backward, scaled_factor
from sparsectr.kernels.cpu.machine.blocks import (
    add,
    clear,
    copy,
    grow,
    load,
    look_up,
    n_columns,
    prefetch_rows,
    read_out,
    spread,
    step_back,
    store,
    sum_fields,
)
from sparsectr.kernels.cpu.machine.jit import compiled
from sparsectr.kernels.cpu.machine.losses import weighted_loss
from sparsectr.kernels.cpu.machine.matrix import (
    TILE_COLUMNS,
    TILE_ROWS,
    add_outer,
    add_up,
    gemm,
    gemm_add,
    grow_by_product,
)
from sparsectr.kernels.cpu.machine.segments import zeros_aligned
from sparsectr.kernels.cpu.machine.vectors import SHORT_WIDTH
from sparsectr.kernels.nets import PolynomialNet
from sparsectr.kernels.threads import run_parts

# Numbers of an interaction row in a block: with 39 fields, X_0 is then 20 KB and stays in the
# fastest cache.
BLOCK_COLUMNS = 128
# Batch rows of a part. Gradients of weights are summed per part and then over parts, so that
# they do not depend on the number of threads.
PART_ROWS = 256


def polynomial_sums(
    embeddings: Tensor,
    weights: Tensor,
    left: Tensor | None = None,
    right: Tensor | None = None,
    n_subspaces: int = 1,
) -> Tensor:
    """Run all layers; see the reference."""
    # The kernels know "no vectors" by a length of zero.
    none = weights.new_zeros(len(weights), len(embeddings), 0)
    return _PolynomialSums.apply(  # type: ignore[no-any-return,no-untyped-call]
        embeddings,
        weights,
        none if left is None else left.flatten(2),
        none if right is None else right.flatten(2),
        n_subspaces,
    )


def polynomial_logits(net: PolynomialNet, codes: Tensor) -> Any:
    """Return the logits of codes.

    Parameters
    ----------
    net : PolynomialNet
        Of variant "pin", with K logits.
    codes : Tensor of shape (B, F)

    Returns
    -------
    ndarray of shape (B, K), float32
    """
    offsets, table, readout, bias, *weights = net.views.arrays()
    logits = np.empty((len(codes), len(bias)), np.float32)
    run_parts(
        _logits_part,
        -(-len(codes) // PART_ROWS),
        as_array(codes),
        offsets,
        table,
        stack_up(weights),
        readout,
        bias,
        net.n_subspaces,
        logits,
    )
    return logits


class _PolynomialSums(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: FunctionCtx,
        embeddings: Tensor,
        weights: Tensor,
        left: Tensor,
        right: Tensor,
        n_subspaces: int,
    ) -> Tensor:
        ctx.save_for_backward(embeddings, weights, left, right)
        ctx.n_subspaces = n_subspaces  # type: ignore[attr-defined]
        sums = embeddings.new_empty(embeddings.shape[:2])
        run_parts(
            _forward_part,
            -(-len(embeddings) // PART_ROWS),
            as_array(embeddings),
            n_subspaces,
            as_array(fill_up(weights, wide=right.numel() > 0)),
            as_array(left),
            as_array(right),
            sums.numpy(),
        )
        return sums

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        embeddings, weights, left, right = ctx.saved_tensors  # type: ignore[attr-defined]
        filled = fill_up(weights, wide=right.numel() > 0)
        n_parts = -(-len(embeddings) // PART_ROWS)
        of_embeddings = embeddings.new_empty(embeddings.shape)
        of_weights = filled.new_zeros(n_parts, *filled.shape)
        of_left, of_right = left.new_empty(left.shape), right.new_empty(right.shape)
        run_parts(
            _backward_part,
            n_parts,
            as_array(embeddings),
            ctx.n_subspaces,  # type: ignore[attr-defined]
            as_array(filled),
            as_array(filled.mT),
            as_array(left),
            as_array(right),
            as_array(gradients[0]),
            of_embeddings.numpy(),
            of_weights.numpy(),
            of_left.numpy(),
            of_right.numpy(),
        )
        n_rows = weights.shape[1]
        return of_embeddings, of_weights.sum(0)[:, :n_rows, :n_rows], of_left, of_right, None


def fill_up(weights: Tensor, wide: bool = False) -> Tensor:
    """Add rows and columns of zeros up to whole tiles; wide ones are a matrix of products, too."""
    n = weights.shape[1]
    n_missing = -n % TILE_ROWS
    n_columns = -n % TILE_COLUMNS if wide else n_missing
    return functional.pad(weights, (0, n_columns, 0, n_missing))


def stack_up(weights: Sequence[Any], wide: bool = False) -> Any:
    """Stack arrays (n, m), filled up as by `fill_up`, which takes as long as some rows."""
    n, m = weights[0].shape
    n_columns = m + -m % (TILE_COLUMNS if wide else TILE_ROWS)
    filled = np.zeros((len(weights), n + -n % TILE_ROWS, n_columns), np.float32)
    for layer, weight in enumerate(weights):
        filled[layer, :n, :m] = weight
    return filled


def split_readout(of_readout: Any) -> tuple[Tensor, Tensor]:
    """Return the gradients by readout (1, F) and bias (1,) from those of all parts (P, F + 1)."""
    total = torch.from_numpy(of_readout.sum(0))
    return total[None, :-1], total[-1:]


# Parts and blocks of a batch ---------------------------------------------------------------


@compiled
def _forward_part(
    part: int,
    embeddings: Any,
    n_subspaces: int,
    weights: Any,
    left: Any,
    right: Any,
    sums: Any,
) -> None:
    """Compute the sums of the rows of one part."""
    dim = embeddings.shape[2] // n_subspaces
    start, stop = part * PART_ROWS, min(len(embeddings), (part + 1) * PART_ROWS)
    n_block_rows = count_block_rows(stop - start, dim)
    x = zeros_aligned((2, weights.shape[1], n_columns(n_block_rows, dim)))
    factor = zeros_aligned(x.shape[1:])
    n = embeddings.shape[1] * n_subspaces
    n_terms = left.shape[2] // n
    terms = zeros_aligned((n_terms, *x.shape[1:]))
    scratch = make_instance_scratch(n_block_rows, weights.shape[1], dim, right.shape[2] // n)
    for first in range(start, stop, n_block_rows):
        last = min(stop, first + n_block_rows)
        load(embeddings[first:last], dim, x[0])
        copy(x[0], x[1])
        for layer in range(len(weights)):
            u, v = left[layer, first:last], right[layer, first:last]
            if n_terms == 0:
                gemm(weights[layer], x[0], factor)
            elif right.shape[2] == 0:
                scaled_factor(weights[layer], x[0], u, n, dim, terms, factor)
            else:
                instance_factor(weights[layer], x[0], u, v, n, dim, scratch, factor)
            grow(x[1], factor, x[1])
        sum_fields(x[1], dim, sums[first:last])


@compiled
def _logits_part(
    part: int,
    codes: Any,
    offsets: Any,
    table: Any,
    weights: Any,
    readout: Any,
    bias: Any,
    n_subspaces: int,
    logits: Any,
) -> None:
    """Compute the logits of the rows of one part, without vectors."""
    dim = table.shape[1] // n_subspaces
    start, stop = part * PART_ROWS, min(len(codes), (part + 1) * PART_ROWS)
    n_block_rows = count_block_rows(stop - start, dim)
    x = zeros_aligned((2, weights.shape[1], n_columns(n_block_rows, dim)))
    total = np.empty(x.shape[2], np.float32)
    for first in range(start, stop, n_block_rows):
        last = min(stop, first + n_block_rows)
        coming = codes[last : last + n_block_rows]
        prefetch_rows(coming, offsets, table.ravel(), table.shape[1])
        look_up(codes[first:last], offsets, table, dim, x[0])
        for layer in range(len(weights)):
            grow_by_product(weights[layer], x[0], x[min(layer, 1)], x[1])
        read_out(x[1], dim, readout, bias, total, logits[first:last])


@compiled
def _backward_part(
    part: int,
    embeddings: Any,
    n_subspaces: int,
    weights: Any,
    transposed: Any,
    left: Any,
    right: Any,
    gradient: Any,
    of_embeddings: Any,
    of_weights: Any,
    of_left: Any,
    of_right: Any,
) -> None:
    """Compute all gradients of the rows of one part."""
    n_layers = len(weights)
    dim = embeddings.shape[2] // n_subspaces
    start, stop = part * PART_ROWS, min(len(embeddings), (part + 1) * PART_ROWS)
    n_block_rows = count_block_rows(stop - start, dim)
    x = zeros_aligned((n_layers + 1, weights.shape[1], n_columns(n_block_rows, dim)))
    factors = zeros_aligned(x.shape)
    n = embeddings.shape[1] * n_subspaces
    n_terms = left.shape[2] // n
    terms = zeros_aligned((n_layers, n_terms, *x.shape[1:]))
    scratch = make_instance_scratch(n_block_rows, weights.shape[1], dim, right.shape[2] // n)
    spare = zeros_aligned((4, *x.shape[1:]))
    of_x, of_x0, of_factor, of_term = spare[0], spare[1], spare[2], spare[3]
    partial_sums = zeros_aligned((*weights.shape, SHORT_WIDTH))
    for first in range(start, stop, n_block_rows):
        last = min(stop, first + n_block_rows)
        load(embeddings[first:last], dim, x[0])
        if right.shape[2] > 0:
            load_instances(x[0], last - first, n, dim, scratch)
        for layer in range(n_layers):
            u, v, of_a = left[layer, first:last], right[layer, first:last], factors[layer]
            if n_terms == 0:
                gemm(weights[layer], x[0], of_a)
            elif right.shape[2] == 0:
                scaled_factor(weights[layer], x[0], u, n, dim, terms[layer], of_a)
            else:
                instance_factor(weights[layer], x[0], u, v, n, dim, scratch, of_a)
            grow(x[layer], factors[layer], x[layer + 1])
        spread(gradient[first:last], dim, of_x)
        clear(of_x0)
        for layer in range(n_layers - 1, -1, -1):
            step_back(x[layer], factors[layer], of_x, of_factor)
            u, v = left[layer, first:last], right[layer, first:last]
            of_u, of_v = of_left[layer, first:last], of_right[layer, first:last]
            if n_terms == 0:
                add_outer(of_factor, x[0], partial_sums[layer])
                gemm_add(transposed[layer], of_factor, of_x0)
            elif right.shape[2] == 0:
                state = u, terms[layer], x[0], transposed[layer], of_factor
                scaled_backward(state, of_term, n, dim, partial_sums[layer], of_x0, of_u)
            else:
                inputs, of_weight = (weights[layer], u, v, of_factor), of_weights[part, layer]
                instance_backward(inputs, n, dim, scratch, of_weight, of_x0, of_u, of_v)
        add(of_x, of_x0)
        store(of_x0, dim, of_embeddings[first:last])
    for layer in range(n_layers if right.shape[2] == 0 else 0):
        add_up(partial_sums[layer], of_weights[part, layer])


@compiled
def count_block_rows(n_rows: int, dim: int) -> int:
    """Return how many of a part's rows go into a block."""
    return min(n_rows, max(1, BLOCK_COLUMNS // dim))


@compiled
def descend_sums(
    kind: int,
    sums: Any,
    readout: Any,
    bias: Any,
    targets: Any,
    row_weights: Any,
    n_rows: int,
    of_readout: Any,
) -> Any:
    """Compute what rows with these sums (R, F) of their fields add to the loss of a batch.

    ``kind`` is a number of `LOSSES`. The sums become the gradient by the sums; that of the
    readout (1, F) and, behind it, of the bias is added to ``of_readout``.
    """
    total, n_fields = 0.0, sums.shape[1]
    for r in range(sums.shape[0]):
        logit = bias[0]
        for f in range(n_fields):
            logit += readout[0, f] * sums[r, f]
        loss, slope = weighted_loss(kind, logit, targets[r], row_weights[r], n_rows)
        total += loss
        of_readout[n_fields] += slope
        for f in range(n_fields):
            of_readout[f] += slope * sums[r, f]
            sums[r, f] = slope * readout[0, f]
    return total
