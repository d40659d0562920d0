"""What the values of some fields do to the logits together, all other fields unknown.

With F_T the logits of a row of which only the fields T are known, the effect of a set S of fields
is

    effect_S = sum over T within S of (-1)^(|S| - |T|) F_T

(Moebius inversion over the subsets of S). The effects of all sets sum to the logits, that of the
empty set being the logits of a row of which nothing is known. An effect is zero for all rows if,
and only if, F_S is a sum of functions of which none sees all of S.

A field has one or several columns of codes: a net sees columns, and a field is unknown when all its
columns hold code 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import combinations
from math import prod

import torch
from torch import Tensor

# Rising numbers of fields, and the code columns of every field.
FieldSet = tuple[int, ...]
Columns = Sequence[tuple[int, ...]]


def columns_of(fields: Iterable[int], columns: Columns) -> tuple[int, ...]:
    """Return the columns of some fields, rising."""
    return tuple(sorted(column for field in fields for column in columns[field]))


def fields_of(some: Iterable[int], columns: Columns) -> FieldSet:
    """Return the fields that own some columns, rising."""
    owner = {column: field for field, own in enumerate(columns) for column in own}
    return tuple(sorted({owner[column] for column in some}))


def combine_parts(
    known_logits: Callable[[list[FieldSet]], Tensor], sets: Sequence[FieldSet]
) -> Tensor:
    """Compute the effects of sets from the logits of their parts.

    Parameters
    ----------
    known_logits : callable
        Takes Q different sets of fields, returns the logits (Q, B, K) of rows of which only the
        fields of a set are known. It is called once.
    sets : sequence of tuples of int
        P sets of fields.

    Returns
    -------
    Tensor of shape (P, B, K)
    """
    parts: dict[FieldSet, int] = {(): 0}
    for fields in sets:
        for size in range(1, len(fields) + 1):
            for part in combinations(fields, size):
                parts.setdefault(part, len(parts))
    logits = known_logits(list(parts))
    effects = logits.new_zeros(len(sets), *logits.shape[1:])
    for order in {len(fields) for fields in sets}:
        places = [place for place, fields in enumerate(sets) if len(fields) == order]
        total = logits.new_zeros(len(places), *logits.shape[1:])
        for size in range(order + 1):
            for members in combinations(range(order), size):
                some = [parts[tuple(sets[place][k] for k in members)] for place in places]
                total += (-1) ** (order - size) * logits[_as_index(some, logits)]
        effects[_as_index(places, logits)] = total
    return effects


def effects_by_passes(
    predict: Callable[[Tensor], Tensor],
    codes: Tensor,
    sets: Sequence[FieldSet],
    columns: Columns,
) -> Tensor:
    """Compute the effects of sets through passes of a whole net.

    What a row does of which only some fields are known depends on their codes alone: rows that have
    the same take one pass.

    Parameters
    ----------
    predict : callable
        Takes codes (M, C), returns logits (M, K).
    codes : Tensor of shape (B, C)
        Rows.
    sets : sequence of tuples of int
        P sets of fields.
    columns : sequence of tuples of int
        The code columns of every field.

    Returns
    -------
    Tensor of shape (P, B, K)
    """

    def known_logits(parts: list[FieldSet]) -> Tensor:
        found = []
        for fields in parts:
            known = list(columns_of(fields, columns))
            distinct, rows = distinct_codes(codes[:, known])
            whole = codes.new_zeros(len(distinct), codes.shape[1])
            whole[:, known] = distinct
            found.append(predict(whole)[rows])
        return torch.stack(found)

    return combine_parts(known_logits, sets)


def distinct_codes(codes: Tensor) -> tuple[Tensor, Tensor]:
    """Return the distinct rows (M, o) of codes (n, o), and which of them every row is, (n,).

    They come in lexicographic order.
    """
    if not codes.shape[1] or not len(codes):
        return codes[:1], torch.zeros(len(codes), dtype=torch.int64, device=codes.device)
    sizes = (codes.amax(0) + 1).tolist()
    if prod(sizes) > torch.iinfo(torch.int64).max:
        distinct, rows = codes.unique(dim=0, return_inverse=True)
        return distinct, rows
    # One number per row: torch compares rows many times more slowly.
    keys = torch.zeros(len(codes), dtype=torch.int64, device=codes.device)
    for column, size in zip(codes.unbind(1), sizes, strict=True):
        keys = keys * size + column
    distinct, rows = keys.unique(return_inverse=True)
    example = torch.empty_like(distinct)
    example[rows] = torch.arange(len(codes), dtype=torch.int64, device=codes.device)
    return codes[example], rows


def _as_index(places: list[int], like: Tensor) -> Tensor:
    return torch.tensor(places, dtype=torch.int64, device=like.device)
