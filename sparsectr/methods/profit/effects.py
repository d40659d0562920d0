"""What sets of fields do in a sum of weighted products."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, reduce

import torch
from torch import Tensor

from sparsectr.nn.effects import Columns, FieldSet


def product_effects(
    embeddings: Tensor,
    anchor: Tensor,
    crosses: Sequence[tuple[tuple[int, ...], Tensor]],
    sets: Sequence[FieldSet],
    columns: Columns,
) -> Tensor:
    """Compute what sets of fields do to ``sum_c w_c prod_{m in c} e_m``.

    Let a cross take its columns from several fields; the product of those of one field is p, and u
    if the field is unknown. The effect of a set S of fields is

        sum over the crosses c that have all fields of S of
        w_c  prod_{f in S} (p_f - u_f)  prod_{other f of c} u_f

    Parameters
    ----------
    embeddings : Tensor of shape (B, C, D)
        Of rows.
    anchor : Tensor of shape (C, D)
        Embeddings of unknown values.
    crosses : sequence of (tuple of int, Tensor of shape ())
        Columns and weight of every cross.
    sets : sequence of tuples of int
        P sets of one or more fields.
    columns : sequence of tuples of int
        The code columns of every field.

    Returns
    -------
    Tensor of shape (P, B, D)
    """
    owner = {column: field for field, some in enumerate(columns) for column in some}
    split = []
    for cross, weight in crosses:
        own: dict[int, tuple[int, ...]] = {}
        for column in cross:
            own[owner[column]] = (*own.get(owner[column], ()), column)
        split.append((own, weight))

    @cache
    def unknown(some: tuple[int, ...]) -> Tensor:
        return reduce(torch.mul, [anchor[column] for column in some])

    @cache
    def change(some: tuple[int, ...]) -> Tensor:
        return reduce(torch.mul, [embeddings[:, column] for column in some]) - unknown(some)

    effects = embeddings.new_zeros(len(sets), *embeddings[:, 0].shape)
    for effect, fields in zip(effects, sets, strict=True):
        # Crosses with the same columns of these fields share the product that depends on the row.
        shared: dict[tuple[tuple[int, ...], ...], Tensor] = {}
        for own, weight in split:
            if own.keys() >= set(fields):
                others = [unknown(some) for field, some in own.items() if field not in fields]
                constant = reduce(torch.mul, others, weight * torch.ones_like(anchor[0]))
                key = tuple(own[field] for field in fields)
                shared[key] = shared.get(key, 0) + constant
        for key, constant in shared.items():
            effect += reduce(torch.mul, [change(some) for some in key]) * constant
    return effects
