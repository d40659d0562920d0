"""Fused version of `sparsectr.nn.symmetric.symmetric_sums`.

For one component r, the polynomials e_1, ..., e_o of the products ``y_m = beta[r, m] x[m]`` grow
field by field, ``e_k += e_{k-1} y_m``, in registers: 16 coordinates at a time, all orders at once.
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
from torch.nn import functional

from sparsectr.kernels.compiled import vectors
from sparsectr.kernels.compiled.arrays import as_array
from sparsectr.kernels.compiled.blocks import clear
from sparsectr.kernels.compiled.jit import compiled
from sparsectr.kernels.memory import empty
from sparsectr.kernels.threads import run_parts

# Batch rows of a part. Gradients of betas are summed per part and then over parts, so that they
# do not depend on the number of threads.
PART_ROWS = 512


def symmetric_sums(embeddings: Tensor, betas: list[Tensor]) -> Tensor:
    """Sum the weighted products of all orders; see the reference."""
    dim = embeddings.shape[2]
    if dim % vectors.WIDTH:
        filled = functional.pad(embeddings, (0, -dim % vectors.WIDTH))
        return symmetric_sums(filled, betas)[:, :dim]
    return _SymmetricSums.apply(embeddings, *betas)  # type: ignore[no-any-return,no-untyped-call]


class _SymmetricSums(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, embeddings: Tensor, *betas: Tensor) -> Tensor:
        ctx.save_for_backward(embeddings, *betas)
        sums = torch.zeros(len(embeddings), embeddings.shape[2])
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
    """Return the betas of all orders below each other, (O R, F)."""
    return as_array(torch.cat([*betas]))


def as_type(order: int) -> tuple[int, ...]:
    """Return a tuple of this length: its type tells the compiler the order."""
    return (0,) * order


def lowest_wanted(for_betas: Any) -> int:
    """Return the lowest order that wants a gradient of its beta, and 1 if there is none."""
    return 1 + next((k for k, wanted in enumerate(for_betas) if wanted), 0)


def start_of_betas(n_parts: int, betas: Any, for_betas: Any) -> Any:
    """Return zeros for the gradients of all betas: one row of 16 sums per number."""
    n_numbers = sum(beta.numel() for beta in betas) if any(for_betas) else 0
    return np.zeros((n_parts if n_numbers else 0, n_numbers, vectors.WIDTH), np.float32)


def split_of_betas(of_betas: Any, betas: Any, for_betas: Any) -> list[Tensor | None]:
    """Add the sums up to one gradient per beta, None where none is wanted."""
    if not any(for_betas):
        return [None] * len(betas)
    whole = torch.from_numpy(of_betas.sum((0, 2)))
    pieces = whole.split([beta.numel() for beta in betas])
    return [
        piece.view(beta.shape) if wanted else None
        for piece, beta, wanted in zip(pieces, betas, for_betas, strict=True)
    ]


@compiled
def _forward_part(part: int, embeddings: Any, betas: Any, orders: Any, sums: Any) -> None:
    """Add the polynomials of the rows of one part to their sums."""
    rank = len(betas) // len(orders)
    lower = np.empty((rank * len(orders) ** 2, vectors.WIDTH), np.float32)
    stop = min(len(embeddings), (part + 1) * PART_ROWS)
    for b in range(part * PART_ROWS, stop):
        x = embeddings[b]
        for column in range(0, x.shape[1], vectors.WIDTH):
            for r in range(rank):
                add_polynomials(betas, x, sums, lower, orders, (r, rank, b, column))


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
    rank = len(betas) // len(orders)
    lower = np.empty((rank * len(orders) ** 2, vectors.WIDTH), np.float32)
    sums = np.empty((1, embeddings.shape[2]), np.float32)
    stop = min(len(embeddings), (part + 1) * PART_ROWS)
    for b in range(part * PART_ROWS, stop):
        x = embeddings[b]
        if len(of_embeddings) > 0:
            clear(of_embeddings[b])
        for column in range(0, x.shape[1], vectors.WIDTH):
            for r in range(rank):
                add_polynomials(betas, x, sums, lower, orders, (r, rank, 0, column))
                if len(of_embeddings) > 0:
                    of_x = of_embeddings[b]
                    add_to_x(betas, x, gradient, lower, of_x, orders, (r, rank, b, column))
                if len(of_betas) > 0:
                    result = of_betas[part]
                    add_to_betas(
                        betas, x, gradient, lower, result, (orders, lowest), (r, rank, b, column)
                    )


# The innermost loops -------------------------------------------------------------------------
#
# Of component r, the polynomials of degrees 1 to o - 1 of every order o are kept for the way back,
# in row (r O + o - 1) O + degree - 1 of ``lower``.


def _numbers(orders: Any) -> Any:
    return range(1, len(orders) + 1)


def _kept_row(builder: Any, r: Any, n_orders: int, order: int, degree: int) -> Any:
    first = builder.mul(r, r.type(n_orders * n_orders))
    return builder.add(first, r.type((order - 1) * n_orders + degree - 1))


def _beta_row(builder: Any, r: Any, rank: Any, order: int) -> Any:
    return builder.add(builder.mul(rank, rank.type(order - 1)), r)


def _generate_polynomials(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    """Write sums[b] += e_1 + ... + e_O, each of its own betas, for 16 coordinates."""
    betas, x, sums, lower = vectors.open_arrays(context, builder, signature, arguments, 4)
    r, rank, b, column = cgutils.unpack_tuple(builder, arguments[5])
    orders = _numbers(signature.args[4])
    grown = {order: vectors.zero_variables(builder, order) for order in orders}
    with cgutils.for_range(builder, vectors.length(builder, x, 0)) as loop:
        values = vectors.load(builder, x, loop.index, column)
        for order, degrees in grown.items():
            beta = vectors.load_repeated(
                builder, betas, _beta_row(builder, r, rank, order), loop.index
            )
            y = vectors.multiply(builder, beta, values)
            for k in range(order - 1, 0, -1):
                before, total = builder.load(degrees[k - 1]), builder.load(degrees[k])
                builder.store(vectors.multiply_add(builder, before, y, total), degrees[k])
            builder.store(builder.fadd(builder.load(degrees[0]), y), degrees[0])
    total = vectors.load(builder, sums, b, column)
    for order, degrees in grown.items():
        for degree, variable in enumerate(degrees[:-1], 1):
            row = _kept_row(builder, r, len(orders), order, degree)
            vectors.store(builder, builder.load(variable), lower, row, r.type(0))
        total = builder.fadd(total, builder.load(degrees[-1]))
    vectors.store(builder, total, sums, b, column)
    return context.get_dummy_value()


def _generate_backward(
    of_betas: bool, context: Any, builder: Any, signature: Any, arguments: Any
) -> Any:
    """Write the gradient of the polynomials by x, or by the betas, for 16 coordinates.

    The derivative by ``y_m`` is the polynomial of order o - 1 of the other fields; dividing the
    field out, ``t_k = e_k - y_m t_{k-1}`` with ``t_0 = 1``, needs no division.
    """
    betas, x, gradient, lower, result = vectors.open_arrays(
        context, builder, signature, arguments, 5
    )
    r, rank, b, column = cgutils.unpack_tuple(builder, arguments[6])
    if of_betas:
        kinds, lowest = signature.args[5].types
        wanted = range(len(lowest), len(kinds) + 1)
    else:
        kinds = signature.args[5]
        wanted = _numbers(kinds)
    n_fields = vectors.length(builder, x, 0)
    direction = vectors.load(builder, gradient, b, column)
    kept = {
        order: [
            vectors.load(
                builder, lower, _kept_row(builder, r, len(kinds), order, degree), r.type(0)
            )
            for degree in range(1, order)
        ]
        for order in wanted
    }
    with cgutils.for_range(builder, n_fields) as loop:
        values = vectors.load(builder, x, loop.index, column)
        total = ir.Constant(vectors.VECTOR, [0.0] * vectors.WIDTH)
        for order, polynomials in kept.items():
            row = _beta_row(builder, r, rank, order)
            beta = vectors.load_repeated(builder, betas, row, loop.index)
            y = vectors.multiply(builder, beta, values)
            others = ir.Constant(vectors.VECTOR, [1.0] * vectors.WIDTH)
            for polynomial in polynomials:
                others = vectors.multiply_subtract(builder, y, others, polynomial)
            if of_betas:
                of_y = vectors.multiply(builder, direction, others)
                place = builder.add(builder.mul(row, n_fields), loop.index), r.type(0)
                before = vectors.load(builder, result, *place)
                after = vectors.multiply_add(builder, of_y, values, before)
                vectors.store(builder, after, result, *place)
            else:
                total = vectors.multiply_add(builder, beta, others, total)
        if not of_betas:
            before = vectors.load(builder, result, loop.index, column)
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


add_polynomials: Any = intrinsic(_polynomials)
add_to_x: Any = intrinsic(_of_x)
add_to_betas: Any = intrinsic(_of_betas)
