"""Fused version of `sparsectr.methods.profit.symmetric.symmetric_sums`.

As in the reference, the polynomials of ``y_m = beta[r, m] x[m]`` come from power sums, which are
products of matrices, by Newton's identities; so do their gradients, by Horner's rule. Here all
orders go through a block of batch rows that stays in the cache: the power sums p_j of all orders
above j are one product.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from sparsectr.kernels.arrays import as_array
from sparsectr.kernels.cpu.machine.blocks import (
    count_product_columns,
    count_product_rows,
    load,
    store,
)
from sparsectr.kernels.cpu.machine.jit import compiled
from sparsectr.kernels.cpu.machine.matrix import (
    TILE_ROWS,
    add_outer,
    descend_by_transposed_product,
    gemm,
)
from sparsectr.kernels.cpu.machine.segments import (
    copy_segment,
    dot,
    empty_aligned,
    fill_segment,
    scale_segment,
    sum_segment,
    zeros_aligned,
)
from sparsectr.kernels.cpu.machine.vectors import PAIR_WIDTH, SHORT_WIDTH
from sparsectr.kernels.cpu.profit.power_sums import convert_power_sums, dot_of_three, start_total
from sparsectr.kernels.memory import empty
from sparsectr.kernels.threads import run_parts

# Batch rows of a part. Gradients of betas are summed per part and then over parts, so that they
# do not depend on the number of threads.
PART_ROWS = 512


def symmetric_sums(embeddings: Tensor, betas: list[Tensor]) -> Tensor:
    """Sum the weighted products of all orders; see the reference."""
    return _SymmetricSums.apply(embeddings, *betas)  # type: ignore[no-any-return,no-untyped-call]


class _SymmetricSums(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, embeddings: Tensor, *betas: Tensor) -> Tensor:
        ctx.save_for_backward(embeddings, *betas)
        sums = embeddings.new_empty(len(embeddings), embeddings.shape[2])
        run_parts(
            _forward_part,
            -(-len(embeddings) // PART_ROWS),
            as_array(embeddings),
            join_betas(betas),
            sums.numpy(),
        )
        return sums

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        embeddings, *betas = ctx.saved_tensors  # type: ignore[attr-defined]
        for_embeddings, *for_betas = ctx.needs_input_grad  # type: ignore[attr-defined]
        of_embeddings = (
            empty(*embeddings.shape) if for_embeddings else embeddings.new_empty(0, 0, 0)
        )
        n_parts = -(-len(embeddings) // PART_ROWS)
        of_betas = start_of_betas(n_parts, betas, for_betas)
        run_parts(
            _backward_part,
            n_parts,
            as_array(embeddings),
            join_betas(betas),
            lowest_wanted(for_betas),
            as_array(gradients[0]),
            of_embeddings.numpy(),
            of_betas,
        )
        return (
            of_embeddings if for_embeddings else None,
            *split_of_betas(of_betas, for_betas),
        )


def join_betas(betas: Any) -> Any:
    """Return all betas, (O, R, F)."""
    return np.stack([as_array(beta) for beta in betas])


def lowest_wanted(for_betas: Any) -> int:
    """Return the lowest order that wants a gradient of its beta, and 1 if there is none."""
    return 1 + next((k for k, wanted in enumerate(for_betas) if wanted), 0)


def start_of_betas(n_parts: int, betas: Any, for_betas: Any) -> Any:
    """Return zeros for the gradients of all betas, one set for every part."""
    return np.zeros((n_parts * any(for_betas), len(betas), *betas[0].shape), np.float32)


def split_of_betas(of_betas: Any, for_betas: Any) -> list[Tensor | None]:
    """Add the parts up to one gradient per beta, None where none is wanted."""
    if not any(for_betas):
        return [None] * len(for_betas)
    whole = torch.from_numpy(of_betas.sum(0))
    return [whole[k] if wanted else None for k, wanted in enumerate(for_betas)]


# What a part of the batch works with ---------------------------------------------------------
#
# ``powers`` (O - 1, n, F') and ``sums`` (O - 1, n, C) have a matrix for every power j from 1 on: R'
# rows for every order o above j, then one for all components together. The former holds beta_o^j,
# and in that one row the sum of beta_j^j; the latter p_j, then e_{o - j}, and in that one row what
# comes down. A number with a stroke is filled up to whole tiles, with zeros.


@compiled
def make_factors(betas: Any) -> Any:
    """Return betas (O, R, F), powers, what belongs to x^o, and R'.

    That is the sum of beta_o^o over the components, and its share ``+-1 / o``, both (O, F').
    """
    n_orders, rank, n_fields = betas.shape
    n_filled = _fill_up(rank)
    shape = max(1, n_orders - 1), (n_orders - 1) * n_filled + TILE_ROWS, _fill_up(n_fields)
    powers = zeros_aligned(shape)
    highest, shares = zeros_aligned((n_orders, shape[2])), zeros_aligned((n_orders, shape[2]))
    for o in range(1, n_orders + 1):
        for r in range(rank):
            for f in range(n_fields):
                power = betas[o - 1, r, f]
                for j in range(1, o):
                    powers[j - 1, (o - j - 1) * n_filled + r, f] = power
                    power *= betas[o - 1, r, f]
                highest[o - 1, f] += power
        for f in range(n_fields):
            shares[o - 1, f] = (highest[o - 1, f] if o % 2 else -highest[o - 1, f]) / np.float32(o)
    for j in range(1, n_orders):
        copy_segment(highest[j - 1], 0, powers[j - 1, (n_orders - j) * n_filled], 0, shape[2])
    return betas, powers, (highest, shares), n_filled


@compiled
def empty_scratch(factors: Any, n_columns: int) -> Any:
    """Return scratch for the powers of x, (O - 1, F', C), for sums, and for a number per column."""
    powers = factors[1]
    x = zeros_aligned((powers.shape[0], powers.shape[2], n_columns))
    sums = zeros_aligned((powers.shape[0], powers.shape[1], n_columns))
    return x, sums, empty_aligned(n_columns)


@compiled
def empty_outer(factors: Any, is_wanted: bool) -> Any:
    """Return zeros for what `descend_to_betas` adds up."""
    _, powers, (highest, _), _ = factors
    n_products = len(powers) * is_wanted
    products = zeros_aligned((n_products, powers.shape[1], powers.shape[2], SHORT_WIDTH))
    return products, zeros_aligned(highest.shape)


@compiled
def _fill_up(n: int) -> int:
    return -(-n // TILE_ROWS) * TILE_ROWS


# What is done with a block -------------------------------------------------------------------


@compiled
def sum_polynomials(factors: Any, scratch: Any) -> None:
    """Compute the sums of all orders, and the polynomials of lower degree, of the block x[0]."""
    betas, powers, (_, shares), n_filled = factors
    x, sums, total = scratch
    n_orders, rank = betas.shape[:2]
    powers_of_x, rows = x.reshape(-1, x.shape[2]), sums.reshape(-1, sums.shape[2])
    for column in range(0, len(total), PAIR_WIDTH):
        start_total(powers_of_x, shares, total, column)
    for j in range(1, n_orders):
        end = (n_orders - j) * n_filled
        gemm(powers[j - 1][:end], x[j - 1], sums[j - 1][:end])
    for order in range(2, n_orders + 1):
        for r in range(rank):
            first, step = (order - 2) * n_filled + r, sums.shape[1] - n_filled
            convert_power_sums(rows, total, first, step, order)


@compiled
def direct(factors: Any, direction: Any, scratch: Any) -> None:
    """Multiply the polynomials by the gradient of their sums, and put that in the row behind."""
    n_orders, n_filled, sums = len(factors[0]), factors[3], scratch[1]
    for j in range(1, n_orders):
        end = (n_orders - j) * n_filled
        for i in range(end):
            row = sums[j - 1, i]
            for k in range(len(direction)):
                row[k] *= direction[k]
        copy_segment(direction, 0, sums[j - 1, end], 0, len(direction))


@compiled
def descend_to_x(factors: Any, direction: Any, scratch: Any, of_x: Any) -> None:
    """Compute the gradient of the sums by x, after `direct`.

    The derivative of order o by ``y_m`` is ``sum_j (-y_m)^(j-1) e_{o-j}``: Horner's rule in x, from
    the highest power down.
    """
    betas, powers, (highest, _), n_filled = factors
    x, sums, _ = scratch
    n_orders = len(betas)
    for f in range(len(of_x)):
        scale_segment(direction, 0, highest[n_orders - 1, f], of_x[f], 0, len(direction))
    for j in range(n_orders - 1, 0, -1):
        end = (n_orders - j) * n_filled + 1
        descend_by_transposed_product(powers[j - 1][:end], sums[j - 1][:end], x[0], of_x)


@compiled
def descend_to_betas(factors: Any, direction: Any, lowest: int, scratch: Any, outer: Any) -> None:
    """Add what the gradient of the betas from an order on is made of, after `direct`."""
    n_orders, n_filled = len(factors[0]), factors[3]
    x, sums, _ = scratch
    products, of_highest = outer
    for j in range(1, n_orders):
        first, end = max(0, lowest - j - 1) * n_filled, (n_orders - j) * n_filled
        if j >= lowest:
            end += TILE_ROWS
        add_outer(sums[j - 1][first:end], x[j - 1], products[j - 1][first:end])
    powers_of_x, n_filled_fields = x.reshape(-1, x.shape[2]), x.shape[1]
    for f in range(n_filled_fields):
        if n_orders == 1:
            found = dot(direction, 0, x[0, f], 0, len(direction))
        else:
            power = (n_orders - 2) * n_filled_fields + f
            found = dot_of_three(direction, powers_of_x, f, power)
        of_highest[n_orders - 1, f] += found


@compiled
def finish_betas(factors: Any, lowest: int, outer: Any, of_betas: Any) -> None:
    """Store the gradient of the betas from an order on, by Horner's rule in beta."""
    betas, _, _, n_filled = factors
    products, of_highest = outer
    n_orders, rank, n_fields = betas.shape
    for o in range(lowest, n_orders + 1):
        for f in range(n_fields):
            start = of_highest[o - 1, f]
            if o < n_orders:
                row = products[o - 1, (n_orders - o) * n_filled, f]
                start = sum_segment(row, 0, SHORT_WIDTH)
            for r in range(rank):
                total = start
                for j in range(o - 1, 0, -1):
                    row = products[j - 1, (o - j - 1) * n_filled + r, f]
                    total = sum_segment(row, 0, SHORT_WIDTH) - betas[o - 1, r, f] * total
                of_betas[o - 1, r, f] = total


# Parts ---------------------------------------------------------------------------------------


@compiled
def _forward_part(part: int, embeddings: Any, betas: Any, sums: Any) -> None:
    """Compute the sums of the rows of one part."""
    dim, flat = embeddings.shape[2], sums.ravel()
    n_block_rows, factors = count_product_rows(dim), make_factors(betas)
    scratch = empty_scratch(factors, count_product_columns(n_block_rows, dim))
    x, _, total = scratch
    stop = min(len(embeddings), (part + 1) * PART_ROWS)
    for first in range(part * PART_ROWS, stop, n_block_rows):
        last = min(stop, first + n_block_rows)
        load(embeddings[first:last], dim, x[0])
        sum_polynomials(factors, scratch)
        copy_segment(total, 0, flat, first * dim, (last - first) * dim)


@compiled
def _backward_part(
    part: int,
    embeddings: Any,
    betas: Any,
    lowest: int,
    gradient: Any,
    of_embeddings: Any,
    of_betas: Any,
) -> None:
    """Compute the gradients of the rows of one part."""
    dim, flat = embeddings.shape[2], gradient.ravel()
    n_block_rows, factors = count_product_rows(dim), make_factors(betas)
    n_columns = count_product_columns(n_block_rows, dim)
    scratch, outer = empty_scratch(factors, n_columns), empty_outer(factors, len(of_betas) > 0)
    x, direction = scratch[0], empty_aligned(n_columns)
    of_x = zeros_aligned(x.shape[1:])
    stop = min(len(embeddings), (part + 1) * PART_ROWS)
    for first in range(part * PART_ROWS, stop, n_block_rows):
        last = min(stop, first + n_block_rows)
        load(embeddings[first:last], dim, x[0])
        sum_polynomials(factors, scratch)
        # Of missing rows nothing is wanted.
        fill_segment(direction, 0, np.float32(0), n_columns)
        copy_segment(flat, first * dim, direction, 0, (last - first) * dim)
        direct(factors, direction, scratch)
        if len(of_embeddings) > 0:
            descend_to_x(factors, direction, scratch, of_x)
            store(of_x, dim, of_embeddings[first:last])
        if len(of_betas) > 0:
            descend_to_betas(factors, direction, lowest, scratch, outer)
    if len(of_betas) > 0:
        finish_betas(factors, lowest, outer, of_betas[part])
