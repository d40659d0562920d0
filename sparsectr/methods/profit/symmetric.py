"""Sums over all sets of fields at once, without listing the sets."""

from __future__ import annotations

from functools import reduce
from math import factorial
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from sparsectr.kernels.fused import fused

# Embedding coordinates (rows times D) per block on a CPU: 39 fields of a block fill about a
# megabyte, so that all powers of a block are taken in the cache.
BLOCK_COLUMNS = 8192


def elementary_symmetric(embeddings: Tensor, beta: Tensor, order: int) -> Tensor:
    """Sum the products of all sets of distinct fields, each weighted by a product of betas.

        z = sum_r sum_{m1 < ... < mo} prod_k beta[r, mk] * e[mk]

    For every component r and every coordinate this is the elementary symmetric polynomial of
    ``y_m = beta[r, m] e[m]``. It comes from the power sums ``p_k = sum_m y_m^k`` by Newton's
    identities, ``k e_k = sum_{i=1..k} (-1)^(i-1) e_{k-i} p_i``. A power sum is one matrix
    product, so a row costs O(R F o D), with no loop over fields.

    Parameters
    ----------
    embeddings : Tensor of shape (B, F, D)
    beta : Tensor of shape (R, F)
    order : int
        Number o of fields in a set, at least 1.

    Returns
    -------
    Tensor of shape (B, D)

    Notes
    -----
    Only the two inputs are kept for the backward pass, which recomputes the power sums block by
    block. The derivative by ``y_m`` is the polynomial of the other fields,
    ``sum_j (-y_m)^j e_{o-1-j}``: again matrix products.
    """
    return _ElementarySymmetric.apply(embeddings, beta, order)  # type: ignore[no-any-return,no-untyped-call]


class _ElementarySymmetric(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, embeddings: Tensor, beta: Tensor, order: int) -> Tensor:
        ctx.save_for_backward(embeddings, beta)
        ctx.order = order  # type: ignore[attr-defined]
        powers = _powers(beta, order)
        blocks = [
            _polynomials(_flatten(block), powers)[order].sum(0).unflatten(0, (-1, block.shape[2]))
            for block in _split(embeddings)
        ]
        return torch.cat(blocks)

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        embeddings, beta = ctx.saved_tensors  # type: ignore[attr-defined]
        order = ctx.order  # type: ignore[attr-defined]
        for_embeddings, for_beta = ctx.needs_input_grad[:2]  # type: ignore[attr-defined]
        powers = _powers(beta, order)
        embedding_blocks, beta_gradient = [], torch.zeros_like(beta)
        for block, gradient in zip(_split(embeddings), _split(gradients[0]), strict=True):
            x = _flatten(block)  # (F, N)
            polynomials = _polynomials(x, powers[: order - 1])
            # dz / dy_m = sum_j y_m^j terms[j], with terms[j] (R, N).
            terms = [
                (-1) ** j * gradient.flatten() * polynomials[order - 1 - j] for j in range(order)
            ]
            if for_beta:
                for j, x_power in enumerate(_powers(x, order)):
                    outer = terms[j].expand(len(beta), -1) @ x_power.T
                    beta_gradient += outer if j == 0 else outer * powers[j - 1]
            if for_embeddings:
                # Horner's rule in x, from the highest power of x down.
                total = powers[-1].T @ terms[-1].expand(len(beta), -1)
                for power, term in zip(powers[-2::-1], terms[-2::-1], strict=True):
                    total = torch.addcmul(power.T @ term.expand(len(beta), -1), total, x)
                embedding_blocks.append(total.unflatten(1, (-1, block.shape[2])).transpose(0, 1))
        return (
            torch.cat(embedding_blocks) if for_embeddings else None,
            beta_gradient if for_beta else None,
            None,
        )


@fused(
    cpu="profit.symmetric", gpu="symmetric", numbers=lambda embeddings, betas: (embeddings, *betas)
)
def symmetric_sums(embeddings: Tensor, betas: list[Tensor]) -> Tensor:
    """Sum `elementary_symmetric` over the orders 1, 2, ..., with a beta of its own for each.

    Parameters
    ----------
    embeddings : Tensor of shape (B, F, D)
    betas : list of tensors of shape (R, F)
        One per order, from 1 on.

    Returns
    -------
    Tensor of shape (B, D)

    Notes
    -----
    The fused version lets the polynomials of all orders grow field by field, in registers.
    """
    total = elementary_symmetric(embeddings, betas[0], 1)
    for order, beta in enumerate(betas[1:], 2):
        total = total + elementary_symmetric(embeddings, beta, order)
    return total


def power_of_sum(embeddings: Tensor, beta: Tensor, order: int) -> Tensor:
    """Sum the products of all ordered tuples of fields, repeated fields included.

        z = sum_r (sum_m beta[r, m] e[m])^o

    Parameters
    ----------
    embeddings : Tensor of shape (B, F, D)
    beta : Tensor of shape (R, F)
    order : int
        Number o of fields in a tuple.

    Returns
    -------
    Tensor of shape (B, D)
    """
    return (beta @ embeddings).pow(order).sum(1)


def stacked_symmetric(embeddings: Tensor, betas: list[Tensor]) -> Tensor:
    """Sum the products of distinct fields when every factor has a beta of its own.

        z = sum_r sum_{m1, ..., mo all different} prod_k beta_k[r, mk] * e[mk]

    The sum over unordered sets weighs a set by the permanent of its columns of beta. With
    ``p_T = sum_m prod_{k in T} beta_k[m] e[m]``, the sum over distinct fields of the factors S is

        z_S = sum_{T in S, T holds the first of S} (-1)^(|T|-1) (|T|-1)! p_T z_{S - T}

    which is a dynamic programme over the 2^o subsets of the factors.

    Parameters
    ----------
    embeddings : Tensor of shape (B, F, D)
    betas : list of o tensors of shape (R, F)

    Returns
    -------
    Tensor of shape (B, D)
    """
    order = len(betas)
    embedding_powers = _powers(embeddings, order)
    power_sums: dict[int, Tensor] = {}
    for subset in range(1, 2**order):
        members = [k for k in range(order) if subset >> k & 1]
        weight = reduce(torch.mul, [betas[k] for k in members])
        power_sums[subset] = weight @ embedding_powers[len(members) - 1]  # (B, R, D)
    sums: dict[int, Any] = {0: 1.0}
    for subset in range(1, 2**order):
        first = subset & -subset
        sums[subset] = sum(
            (-1) ** (part.bit_count() - 1)
            * factorial(part.bit_count() - 1)
            * power_sums[part]
            * sums[subset - part]
            for part in range(1, subset + 1)
            if part & subset == part and part & first
        )
    return sums[2**order - 1].sum(1)  # type: ignore[no-any-return]


def _split(x: Tensor) -> tuple[Tensor, ...]:
    """Cut a batch into blocks that fit the cache; on a GPU, one block."""
    return x.split(max(1, x.shape[0] if x.is_cuda else BLOCK_COLUMNS // x.shape[-1]))


def _flatten(block: Tensor) -> Tensor:
    """Transpose embeddings (B, F, D) to (F, B * D)."""
    return block.transpose(0, 1).flatten(1)


def _powers(x: Tensor, order: int) -> list[Tensor]:
    """Return x, x^2, ..., x^order."""
    powers = [x]
    for _ in range(order - 1):
        powers.append(powers[-1] * x)
    return powers[:order]


def _polynomials(x: Tensor, beta_powers: list[Tensor]) -> list[Tensor]:
    """Return the polynomials e_0 (1, 1) and e_1, ..., e_o (R, N) of beta * x, x (F, N)."""
    order = len(beta_powers)
    sums = [power @ x_power for power, x_power in zip(beta_powers, _powers(x, order), strict=True)]
    polynomials = [x.new_ones(1, 1)]
    for k in range(1, order + 1):
        total = polynomials[k - 1] * sums[0]
        for i in range(2, k + 1):
            total.addcmul_(polynomials[k - i], sums[i - 1], value=(-1) ** (i - 1))
        polynomials.append(total.div_(k))
    return polynomials
