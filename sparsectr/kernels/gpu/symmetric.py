"""Sums over all sets of fields on a GPU: see `sparsectr.methods.profit.symmetric.symmetric_sums`.

A program lets the polynomials of some columns, pairs of a row and a coordinate, grow field by
field in its registers: ``e_k`` becomes ``e_k + y_m e_{k-1}``. The derivative by ``y_m`` is the
polynomial of the other fields, ``e_{o-1} - y_m (e_{o-2} - y_m (...))``.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import FunctionCtx

from sparsectr.kernels.gpu.launch import count_warps

# Pairs of a component and a column in one program.
TILE_NUMBERS = 512


def symmetric_sums(embeddings: Tensor, betas: list[Tensor]) -> Tensor:
    """Sum the weighted products of all sets of 1, 2, ... fields.

    Parameters
    ----------
    embeddings : Tensor of shape (B, F, D)
    betas : list of tensors of shape (R, F)
        One per order.

    Returns
    -------
    Tensor of shape (B, D)
    """
    return _SymmetricSums.apply(embeddings, torch.stack(betas))  # type: ignore[no-any-return,no-untyped-call]


class _SymmetricSums(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, embeddings: Tensor, betas: Tensor) -> Tensor:
        embeddings = embeddings.contiguous()
        ctx.save_for_backward(embeddings, betas)
        sums = embeddings.new_empty(embeddings.shape[0], embeddings.shape[2])
        if sums.numel():
            grid, sizes = _sizes(embeddings, betas)
            _sum_sets[grid](embeddings, betas, sums, sums.numel(), **sizes)
        return sums

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        embeddings, betas = ctx.saved_tensors  # type: ignore[attr-defined]
        for_embeddings, for_betas = ctx.needs_input_grad  # type: ignore[attr-defined]
        of_embeddings, of_betas = torch.empty_like(embeddings), torch.zeros_like(betas)
        if embeddings.numel():
            grid, sizes = _sizes(embeddings, betas)
            partial = betas.new_empty(grid[0] if for_betas else 0, *betas.shape)
            of_sums = gradients[0].contiguous()
            _descend[grid](
                embeddings,
                betas,
                of_sums,
                of_embeddings,
                partial,
                of_sums.numel(),
                for_embeddings=for_embeddings,
                for_betas=for_betas,
                **sizes,
            )
            of_betas = partial.sum(0)
        return of_embeddings if for_embeddings else None, of_betas if for_betas else None


def _sizes(embeddings: Tensor, betas: Tensor) -> tuple[tuple[int], dict[str, Any]]:
    """Return the number of programs, and what the kernels need to know of shapes."""
    (n_orders, rank, n_fields), (n_rows, _, dim) = betas.shape, embeddings.shape
    padded_rank = triton.next_power_of_2(rank)
    width = max(16, TILE_NUMBERS // padded_rank)
    sizes = {
        "n_fields": n_fields,
        "dim": dim,
        "rank": rank,
        "padded_rank": padded_rank,
        "n_orders": n_orders,
        "width": width,
        "num_warps": count_warps(padded_rank * width),
    }
    return (triton.cdiv(n_rows * dim, width),), sizes


# Batches have sizes of their own; no version of a kernel is compiled for one.
@triton.jit(do_not_specialize=["n_columns"])
def _sum_sets(
    embeddings,
    betas,
    sums,
    n_columns,
    n_fields: tl.constexpr,
    dim: tl.constexpr,
    rank: tl.constexpr,
    padded_rank: tl.constexpr,
    n_orders: tl.constexpr,
    width: tl.constexpr,
):
    columns = tl.program_id(0).to(tl.int64) * width + tl.arange(0, width)
    inside = columns < n_columns
    first = embeddings + (columns // dim) * (n_fields * dim) + columns % dim
    components = tl.arange(0, padded_rank)
    total = tl.zeros((width,), tl.float32)
    for order in tl.static_range(1, n_orders + 1):
        polynomials = _grow(
            first,
            inside,
            betas + ((order - 1) * rank + components) * n_fields,
            components < rank,
            n_fields,
            dim,
            order,
            padded_rank,
            width,
        )
        total += tl.sum(polynomials[order - 1], 0)
    tl.store(sums + columns, total, mask=inside)


@triton.jit
def _grow(
    embeddings,
    inside,
    betas,
    real,
    n_fields: tl.constexpr,
    dim: tl.constexpr,
    order: tl.constexpr,
    padded_rank: tl.constexpr,
    width: tl.constexpr,
):
    """Return the polynomials e_1, ..., e_order of every component and column."""
    polynomials = ()
    for _ in tl.static_range(order):
        polynomials = polynomials + (tl.zeros((padded_rank, width), tl.float32),)  # noqa: RUF005
    for field in range(n_fields):
        x = tl.load(embeddings + field * dim, mask=inside, other=0.0)
        y = tl.load(betas + field, mask=real, other=0.0)[:, None] * x[None, :]
        grown = ()
        for k in tl.static_range(order):
            if k == 0:
                grown = (polynomials[0] + y,)
            else:
                grown = grown + (polynomials[k] + y * polynomials[k - 1],)  # noqa: RUF005
        polynomials = grown
    return polynomials


@triton.jit(do_not_specialize=["n_columns"])
def _descend(
    embeddings,
    betas,
    of_sums,
    of_embeddings,
    of_betas,
    n_columns,
    for_embeddings: tl.constexpr,
    for_betas: tl.constexpr,
    n_fields: tl.constexpr,
    dim: tl.constexpr,
    rank: tl.constexpr,
    padded_rank: tl.constexpr,
    n_orders: tl.constexpr,
    width: tl.constexpr,
):
    """Write the gradients of embeddings, and what some columns add to those of betas."""
    columns = tl.program_id(0).to(tl.int64) * width + tl.arange(0, width)
    inside = columns < n_columns
    places = (columns // dim) * (n_fields * dim) + columns % dim
    components = tl.arange(0, padded_rank)
    real = components < rank
    slope = tl.load(of_sums + columns, mask=inside, other=0.0)
    # Those of order o are needed up to e_{o-1}; they stand behind those of the orders before.
    held = ()
    for order in tl.static_range(2, n_orders + 1):
        held = held + _grow(
            embeddings + places,
            inside,
            betas + ((order - 1) * rank + components) * n_fields,
            real,
            n_fields,
            dim,
            order - 1,
            padded_rank,
            width,
        )
    own = of_betas + tl.program_id(0).to(tl.int64) * (n_orders * rank * n_fields)
    for field in range(n_fields):
        x = tl.load(embeddings + places + field * dim, mask=inside, other=0.0)
        of_x = tl.zeros((width,), tl.float32)
        for order in tl.static_range(1, n_orders + 1):
            weights = ((order - 1) * rank + components) * n_fields + field
            beta = tl.load(betas + weights, mask=real, other=0.0)
            y = beta[:, None] * x[None, :]
            of_y = tl.full((padded_rank, width), 1.0, tl.float32)
            for k in tl.static_range(order - 1):
                of_y = held[(order - 1) * (order - 2) // 2 + k] - y * of_y
            if for_embeddings:
                of_x += tl.sum(beta[:, None] * of_y, 0)
            if for_betas:
                of_beta = tl.sum(of_y * (slope * x)[None, :], 1)
                tl.store(own + weights, of_beta, mask=real)
        if for_embeddings:
            tl.store(of_embeddings + places + field * dim, slope * of_x, mask=inside)
