"""Fused version of `sparsectr.nn.symmetric.symmetric_sums`.

For one component r, the polynomials e_1, ..., e_o of the products ``y_m = beta[r, m] x[m]`` grow
field by field, ``e_k += e_{k-1} y_m``, in registers: a vector of coordinates at a time, all orders
at once. Order 1 is linear, so its components are added up beforehand.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from torch import Tensor
from torch.autograd.function import FunctionCtx

from sparsectr.kernels.compiled import vectors
from sparsectr.kernels.compiled.arrays import as_array
from sparsectr.kernels.compiled.blocks import (
    clear,
    count_product_columns,
    count_product_rows,
    empty_block,
    load,
    store,
)
from sparsectr.kernels.compiled.jit import compiled
from sparsectr.kernels.compiled.pieces import copy_piece, empty_lines, fill_piece
from sparsectr.kernels.compiled.vectors import PAIR_VECTOR, PAIR_WIDTH
from sparsectr.kernels.memory import empty
from sparsectr.kernels.threads import run_parts

# Batch rows of a part. Gradients of betas are summed per part and then over parts, so that they
# do not depend on the number of threads.
PART_ROWS = 512
# How many there are of a tuple tells the compiler an order.
ONE, TWO = (0,), (0, 0)


def symmetric_sums(embeddings: Tensor, betas: list[Tensor]) -> Tensor:
    """Sum the weighted products of all orders; see the reference."""
    return _SymmetricSums.apply(embeddings, *betas)  # type: ignore[no-any-return,no-untyped-call]


class _SymmetricSums(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, embeddings: Tensor, *betas: Tensor) -> Tensor:
        ctx.save_for_backward(embeddings, *betas)
        sums = torch.empty(len(embeddings), embeddings.shape[2])
        run_parts(
            _forward_part,
            -(-len(embeddings) // PART_ROWS),
            as_array(embeddings),
            join_betas(betas),
            as_type(len(betas)),
            sums.numpy(),
        )
        return sums

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        embeddings, *betas = ctx.saved_tensors  # type: ignore[attr-defined]
        for_embeddings, *for_betas = ctx.needs_input_grad  # type: ignore[attr-defined]
        of_embeddings = empty(*embeddings.shape) if for_embeddings else torch.empty(0, 0, 0)
        n_parts = -(-len(embeddings) // PART_ROWS)
        of_betas = start_of_betas(n_parts, betas, for_betas)
        run_parts(
            _backward_part,
            n_parts,
            as_array(embeddings),
            join_betas(betas),
            as_type(len(betas)),
            as_type(lowest_wanted(for_betas)),
            as_array(gradients[0]),
            of_embeddings.numpy(),
            of_betas,
        )
        return (
            of_embeddings if for_embeddings else None,
            *split_of_betas(of_betas, betas, for_betas),
        )


def join_betas(betas: Any) -> Any:
    """Return the summed betas of order 1 (1, F), and those of all others below each other."""
    first, *others = betas
    higher = as_array(torch.cat(others)) if others else np.empty((0, first.shape[1]), np.float32)
    return as_array(first.sum(0, keepdim=True)), higher


def as_type(order: int) -> tuple[int, ...]:
    """Return a tuple of this length: its type tells the compiler the order."""
    return (0,) * order


def lowest_wanted(for_betas: Any) -> int:
    """Return the lowest order that wants a gradient of its beta, and 1 if there is none."""
    return 1 + next((k for k, wanted in enumerate(for_betas) if wanted), 0)


def start_of_betas(n_parts: int, betas: Any, for_betas: Any) -> Any:
    """Return zeros for the gradients of all joined betas: one row of sums per number."""
    first, *others = betas
    n_joined = first.shape[1] + sum(beta.numel() for beta in others)
    n_numbers = n_joined if any(for_betas) else 0
    return np.zeros((n_parts if n_numbers else 0, n_numbers, PAIR_WIDTH), np.float32)


def split_of_betas(of_betas: Any, betas: Any, for_betas: Any) -> list[Tensor | None]:
    """Add the sums up to one gradient per beta, None where none is wanted."""
    if not any(for_betas):
        return [None] * len(betas)
    whole = torch.from_numpy(of_betas.sum((0, 2)))
    first, *others = betas
    pieces = whole.split([first.shape[1], *(beta.numel() for beta in others)])
    return [
        # Every component of order 1 has the gradient of their sum.
        piece.view(-1, beta.shape[1]).expand(beta.shape).clone() if wanted else None
        for piece, beta, wanted in zip(pieces, betas, for_betas, strict=True)
    ]


@compiled
def empty_lower(betas: Any, orders: Any, n_columns: int) -> Any:
    """Return room for the polynomials of lower degree of a block."""
    n = max(1, count_components(betas, orders) * len(orders) ** 2)
    n_vectors = n_columns // PAIR_WIDTH
    return empty_lines(n_vectors * n * PAIR_WIDTH).reshape(n_vectors, n, PAIR_WIDTH)


@compiled
def count_components(betas: Any, orders: Any) -> int:
    """Return the number of components of the orders above 1."""
    return len(betas[1]) // max(1, len(orders) - 1)


@compiled
def sum_polynomials(betas: Any, x: Any, total: Any, lower: Any, orders: Any) -> None:
    """Store the sums of all orders for the columns of a block, (C,)."""
    rank = count_components(betas, orders)
    fill_piece(total, 0, np.float32(0), len(total))
    for column in range(0, len(total), PAIR_WIDTH):
        kept = lower[column // PAIR_WIDTH]
        _add_polynomials(betas[0], x, total, kept, (ONE, ONE), (0, 1, column))
        for r in range(rank):
            _add_polynomials(betas[1], x, total, kept, (TWO, orders), (r, rank, column))


@compiled
def descend_to_x(betas: Any, x: Any, direction: Any, lower: Any, of_x: Any, orders: Any) -> None:
    """Add the gradient of the sums by x."""
    rank = count_components(betas, orders)
    for column in range(0, len(direction), PAIR_WIDTH):
        kept = lower[column // PAIR_WIDTH]
        _add_to_x(betas[0], x, direction, kept, of_x, (ONE, ONE), (0, 1, column))
        for r in range(rank):
            _add_to_x(betas[1], x, direction, kept, of_x, (TWO, orders), (r, rank, column))


@compiled
def descend_to_betas(
    betas: Any, x: Any, direction: Any, lower: Any, of_betas: Any, orders: Any, lowest: Any
) -> None:
    """Add the gradient of the sums by the betas from an order on, a vector of sums for each."""
    rank, n_fields = count_components(betas, orders), betas[0].shape[1]
    of_first, of_higher = of_betas[:n_fields], of_betas[n_fields:]
    for column in range(0, len(direction), PAIR_WIDTH):
        kept = lower[column // PAIR_WIDTH]
        _add_to_betas(betas[0], x, direction, kept, of_first, (ONE, ONE, lowest), (0, 1, column))
        for r in range(rank):
            _add_to_betas(
                betas[1], x, direction, kept, of_higher, (TWO, orders, lowest), (r, rank, column)
            )


@compiled
def _forward_part(part: int, embeddings: Any, betas: Any, orders: Any, sums: Any) -> None:
    """Compute the sums of the rows of one part."""
    n_fields, dim = embeddings.shape[1:]
    n_block_rows, flat = count_product_rows(dim), sums.ravel()
    n_columns = count_product_columns(n_block_rows, dim)
    x, total = empty_block(n_fields, n_columns), empty_lines(n_columns)
    lower = empty_lower(betas, orders, n_columns)
    stop = min(len(embeddings), (part + 1) * PART_ROWS)
    for first in range(part * PART_ROWS, stop, n_block_rows):
        last = min(stop, first + n_block_rows)
        load(embeddings[first:last], dim, x)
        sum_polynomials(betas, x, total, lower, orders)
        copy_piece(total, 0, flat, first * dim, (last - first) * dim)


@compiled
def _backward_part(
    part: int,
    embeddings: Any,
    betas: Any,
    orders: Any,
    lowest: Any,
    gradient: Any,
    of_embeddings: Any,
    of_betas: Any,
) -> None:
    """Add the gradients of the rows of one part."""
    n_fields, dim = embeddings.shape[1:]
    n_block_rows, flat = count_product_rows(dim), gradient.ravel()
    n_columns = count_product_columns(n_block_rows, dim)
    x, of_x = empty_block(n_fields, n_columns), empty_block(n_fields, n_columns)
    total, direction = empty_lines(n_columns), empty_lines(n_columns)
    lower = empty_lower(betas, orders, n_columns)
    stop = min(len(embeddings), (part + 1) * PART_ROWS)
    for first in range(part * PART_ROWS, stop, n_block_rows):
        last = min(stop, first + n_block_rows)
        load(embeddings[first:last], dim, x)
        sum_polynomials(betas, x, total, lower, orders)
        # Of missing rows nothing is wanted.
        fill_piece(direction, 0, np.float32(0), n_columns)
        copy_piece(flat, first * dim, direction, 0, (last - first) * dim)
        if len(of_embeddings) > 0:
            clear(of_x)
            descend_to_x(betas, x, direction, lower, of_x, orders)
            store(of_x, dim, of_embeddings[first:last])
        if len(of_betas) > 0:
            descend_to_betas(betas, x, direction, lower, of_betas[part], orders, lowest)


# The innermost loops -------------------------------------------------------------------------
#
# Of component r, the polynomials of degrees 1 to o - 1 of every order o are kept for the way back,
# in row (r O + o - 1) O + degree - 1 of ``lower``.


def _numbers(lowest: Any, highest: Any) -> Any:
    return range(len(lowest), len(highest) + 1)


def _kept_row(builder: Any, r: Any, n_orders: int, order: int, degree: int) -> Any:
    first = builder.mul(r, r.type(n_orders * n_orders))
    return builder.add(first, r.type((order - 1) * n_orders + degree - 1))


def _beta_row(builder: Any, r: Any, rank: Any, place: int) -> Any:
    return builder.add(builder.mul(rank, rank.type(place)), r)


def _generate_polynomials(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    """Write sums += e_o + ... + e_O, each of its own betas, for a vector of columns."""
    betas, x, sums, lower = vectors.open_arrays(context, builder, signature, arguments, 4)
    r, rank, column = cgutils.unpack_tuple(builder, arguments[5])
    kinds = signature.args[4].types
    orders = _numbers(*kinds)
    n_orders = len(kinds[1])
    grown = {order: vectors.zero_variables(builder, order, PAIR_VECTOR) for order in orders}
    with cgutils.for_range(builder, vectors.length(builder, x, 0)) as loop:
        values = vectors.load(builder, x, loop.index, column, PAIR_VECTOR)
        for order, degrees in grown.items():
            row = _beta_row(builder, r, rank, order - orders[0])
            beta = vectors.load_repeated(builder, betas, row, loop.index, PAIR_VECTOR)
            y = vectors.multiply(builder, beta, values)
            for k in range(order - 1, 0, -1):
                before, total = builder.load(degrees[k - 1]), builder.load(degrees[k])
                builder.store(vectors.multiply_add(builder, before, y, total), degrees[k])
            builder.store(builder.fadd(builder.load(degrees[0]), y), degrees[0])
    total = vectors.load_flat(builder, sums, column, PAIR_VECTOR)
    for order, degrees in grown.items():
        for degree, variable in enumerate(degrees[:-1], 1):
            row = _kept_row(builder, r, n_orders, order, degree)
            vectors.store(builder, builder.load(variable), lower, row, r.type(0))
        total = builder.fadd(total, builder.load(degrees[-1]))
    vectors.store_flat(builder, total, sums, column)
    return context.get_dummy_value()


def _generate_backward(
    of_betas: bool, context: Any, builder: Any, signature: Any, arguments: Any
) -> Any:
    """Write the gradient of the polynomials by x, or by the betas, for a vector of columns.

    The derivative by ``y_m`` is the polynomial of order o - 1 of the other fields; dividing the
    field out, ``t_k = e_k - y_m t_{k-1}`` with ``t_0 = 1``, needs no division.
    """
    betas, x, gradient, lower, result = vectors.open_arrays(
        context, builder, signature, arguments, 5
    )
    r, rank, column = cgutils.unpack_tuple(builder, arguments[6])
    kinds = signature.args[5].types
    orders = _numbers(*kinds[:2])
    n_orders = len(kinds[1])
    # Only some betas may want a gradient: those from an order on.
    wanted = range(max(orders[0], len(kinds[2])), orders[-1] + 1) if of_betas and orders else orders
    n_fields = vectors.length(builder, x, 0)
    direction = vectors.load_flat(builder, gradient, column, PAIR_VECTOR)
    kept = {
        order: [
            vectors.load(
                builder,
                lower,
                _kept_row(builder, r, n_orders, order, degree),
                r.type(0),
                PAIR_VECTOR,
            )
            for degree in range(1, order)
        ]
        for order in wanted
    }
    with cgutils.for_range(builder, n_fields) as loop:
        values = vectors.load(builder, x, loop.index, column, PAIR_VECTOR)
        total = ir.Constant(PAIR_VECTOR, [0.0] * PAIR_WIDTH)
        for order, polynomials in kept.items():
            row = _beta_row(builder, r, rank, order - orders[0])
            beta = vectors.load_repeated(builder, betas, row, loop.index, PAIR_VECTOR)
            y = vectors.multiply(builder, beta, values)
            others = ir.Constant(PAIR_VECTOR, [1.0] * PAIR_WIDTH)
            for polynomial in polynomials:
                others = vectors.multiply_subtract(builder, y, others, polynomial)
            if of_betas:
                of_y = vectors.multiply(builder, direction, others)
                place = builder.add(builder.mul(row, n_fields), loop.index), r.type(0)
                before = vectors.load(builder, result, *place, PAIR_VECTOR)
                after = vectors.multiply_add(builder, of_y, values, before)
                vectors.store(builder, after, result, *place)
            else:
                total = vectors.multiply_add(builder, beta, others, total)
        if not of_betas:
            before = vectors.load(builder, result, loop.index, column, PAIR_VECTOR)
            after = vectors.multiply_add(builder, direction, total, before)
            vectors.store(builder, after, result, loop.index, column)
    return context.get_dummy_value()


def _polynomials(
    _: Any, betas: Any, x: Any, sums: Any, lower: Any, orders: Any, places: Any
) -> Any:
    return types.void(betas, x, sums, lower, orders, places), _generate_polynomials


def _of_x(
    _: Any, betas: Any, x: Any, gradient: Any, lower: Any, result: Any, orders: Any, places: Any
) -> Any:
    signature = types.void(betas, x, gradient, lower, result, orders, places)
    return signature, partial(_generate_backward, False)


def _of_betas(
    _: Any, betas: Any, x: Any, gradient: Any, lower: Any, result: Any, orders: Any, places: Any
) -> Any:
    signature = types.void(betas, x, gradient, lower, result, orders, places)
    return signature, partial(_generate_backward, True)


_add_polynomials: Any = intrinsic(_polynomials)
_add_to_x: Any = intrinsic(_of_x)
_add_to_betas: Any = intrinsic(_of_betas)
