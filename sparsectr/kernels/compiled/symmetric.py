"""Fused version of `sparsectr.nn.symmetric.symmetric_sums`.

For one component r, the polynomials e_1, ..., e_o of the products ``y_m = beta[r, m] x[m]`` grow
field by field, ``e_k += e_{k-1} y_m``, in registers: 16 coordinates at a time.
"""

from __future__ import annotations

from functools import partial
from typing import Any

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
from sparsectr.kernels.compiled.jit import compiled
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
        for order, beta in enumerate(betas, 1):
            run_parts(
                _forward_part,
                -(-len(embeddings) // PART_ROWS),
                as_array(embeddings),
                as_array(beta),
                _as_type(order),
                sums.numpy(),
            )
        return sums

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        embeddings, *betas = ctx.saved_tensors  # type: ignore[attr-defined]
        for_embeddings, *for_betas = ctx.needs_input_grad  # type: ignore[attr-defined]
        of_embeddings = torch.zeros(embeddings.shape if for_embeddings else (0, 0, 0))
        n_parts = -(-len(embeddings) // PART_ROWS)
        of_betas: list[Tensor | None] = []
        for order, (beta, for_beta) in enumerate(zip(betas, for_betas, strict=True), 1):
            of_beta = torch.zeros(n_parts if for_beta else 0, beta.numel(), vectors.WIDTH)
            if for_embeddings or for_beta:
                run_parts(
                    _backward_part,
                    n_parts,
                    as_array(embeddings),
                    as_array(beta),
                    _as_type(order),
                    as_array(gradients[0]),
                    of_embeddings.numpy(),
                    of_beta.numpy(),
                )
            of_betas.append(of_beta.sum((0, 2)).view(beta.shape) if for_beta else None)
        return (of_embeddings if for_embeddings else None, *of_betas)


def _as_type(order: int) -> tuple[int, ...]:
    """Return a tuple of this length: its type tells the compiler the order."""
    return (0,) * order


@compiled
def _forward_part(part: int, embeddings: Any, beta: Any, order: Any, sums: Any) -> None:
    """Add the polynomials of the rows of one part to their sums."""
    stop = min(len(embeddings), (part + 1) * PART_ROWS)
    for b in range(part * PART_ROWS, stop):
        x = embeddings[b]
        for column in range(0, x.shape[1], vectors.WIDTH):
            for r in range(len(beta)):
                _add_polynomial(beta, x, sums, order, r, b, column)


@compiled
def _backward_part(
    part: int,
    embeddings: Any,
    beta: Any,
    order: Any,
    gradient: Any,
    of_embeddings: Any,
    of_beta: Any,
) -> None:
    """Add the gradients of the rows of one part."""
    stop = min(len(embeddings), (part + 1) * PART_ROWS)
    for b in range(part * PART_ROWS, stop):
        x = embeddings[b]
        for column in range(0, x.shape[1], vectors.WIDTH):
            for r in range(len(beta)):
                if len(of_embeddings) > 0:
                    _add_to_x(beta, x, gradient, of_embeddings[b], order, r, b, column)
                if len(of_beta) > 0:
                    _add_to_beta(beta, x, gradient, of_beta[part], order, r, b, column)


# The innermost loops -------------------------------------------------------------------------


def _grow(builder: Any, beta: Any, x: Any, r: Any, column: Any, order: int) -> list[Any]:
    """Write the loop over fields; return variables that hold e_1, ..., e_order."""
    sums = vectors.zero_variables(builder, order)
    with cgutils.for_range(builder, vectors.length(builder, x, 0)) as loop:
        y = _factor(builder, beta, x, r, loop.index, column)
        for k in range(order - 1, 0, -1):
            lower, total = builder.load(sums[k - 1]), builder.load(sums[k])
            builder.store(vectors.multiply_add(builder, lower, y, total), sums[k])
        if order:
            builder.store(builder.fadd(builder.load(sums[0]), y), sums[0])
    return sums


def _factor(builder: Any, beta: Any, x: Any, r: Any, m: Any, column: Any) -> Any:
    """Return y_m = beta[r, m] x[m]."""
    values = vectors.load(builder, x, m, column)
    return vectors.multiply(builder, vectors.load_repeated(builder, beta, r, m), values)


def _generate_polynomial(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    """Write sums[b] += e_o, for 16 coordinates."""
    beta, x, sums = vectors.open_arrays(context, builder, signature, arguments, 3)
    r, b, column = arguments[4:]
    polynomial = builder.load(_grow(builder, beta, x, r, column, len(signature.args[3]))[-1])
    before = vectors.load(builder, sums, b, column)
    vectors.store(builder, builder.fadd(before, polynomial), sums, b, column)
    return context.get_dummy_value()


def _generate_backward(
    of_beta: bool, context: Any, builder: Any, signature: Any, arguments: Any
) -> Any:
    """Write the gradient of e_o by x, or by beta, for 16 coordinates.

    The derivative by ``y_m`` is the polynomial of order o - 1 of the other fields; dividing the
    field out, ``t_k = e_k - y_m t_{k-1}`` with ``t_0 = 1``, needs no division.
    """
    beta, x, gradient, result = vectors.open_arrays(context, builder, signature, arguments, 4)
    r, b, column = arguments[5:]
    order = len(signature.args[4])
    lower = [builder.load(e) for e in _grow(builder, beta, x, r, column, order - 1)]
    direction = vectors.load(builder, gradient, b, column)
    n_fields = vectors.length(builder, x, 0)
    with cgutils.for_range(builder, n_fields) as loop:
        y = _factor(builder, beta, x, r, loop.index, column)
        others = ir.Constant(vectors.VECTOR, [1.0] * vectors.WIDTH)
        for polynomial in lower:
            others = vectors.multiply_subtract(builder, y, others, polynomial)
        of_y = vectors.multiply(builder, direction, others)
        if of_beta:
            # One row of 16 sums per number of beta, added up at the very end.
            place = builder.add(builder.mul(r, n_fields), loop.index), column.type(0)
            factor = vectors.load(builder, x, loop.index, column)
        else:
            place = loop.index, column
            factor = vectors.load_repeated(builder, beta, r, loop.index)
        before = vectors.load(builder, result, *place)
        after = vectors.multiply_add(builder, of_y, factor, before)
        vectors.store(builder, after, result, *place)
    return context.get_dummy_value()


PLACES = (types.intp,) * 3  # r, b, column


def _polynomial(_: Any, beta: Any, x: Any, sums: Any, order: Any, r: Any, b: Any, c: Any) -> Any:
    return types.void(beta, x, sums, order, *PLACES), _generate_polynomial


def _of_x(
    _: Any, beta: Any, x: Any, gradient: Any, result: Any, order: Any, r: Any, b: Any, c: Any
) -> Any:
    return types.void(beta, x, gradient, result, order, *PLACES), partial(_generate_backward, False)


def _of_beta(
    _: Any, beta: Any, x: Any, gradient: Any, result: Any, order: Any, r: Any, b: Any, c: Any
) -> Any:
    return types.void(beta, x, gradient, result, order, *PLACES), partial(_generate_backward, True)


_add_polynomial: Any = intrinsic(_polynomial)
_add_to_x: Any = intrinsic(_of_x)
_add_to_beta: Any = intrinsic(_of_beta)
