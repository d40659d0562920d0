"""Fields of several values: means of rows of tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from sparsectr.nn.embedding import FieldEmbedding
from sparsectr.nn.mean import join_members, members_of
from sparsectr.nn.mlp import Dropout
from sparsectr.rows.bags import Bags


def tables_of(net: nn.Module) -> Iterator[FieldEmbedding]:
    """Yield the embedding tables of a net."""
    return (module for module in net.modules() if isinstance(module, FieldEmbedding))


@torch.no_grad()
def pool_all(net: nn.Module, bags: Bags | None) -> None:
    """Write the means of all sets of values into the tables of a net."""
    if bags is not None:
        for table in tables_of(net):
            bags.pool(table.weight)


def widen(net: nn.Module, bags: Bags | None) -> nn.Module:
    """Return a net with rows for the sets of values that it has none for.

    Parameters
    ----------
    net : nn.Module
        Stays as it is.
    bags : Bags or None
        Known sets and new ones.

    Returns
    -------
    nn.Module
        The same net, if there are no new sets; else another in the same mode, which shares all
        weights but those of the tables.
    """
    if bags is None or not bags.n_new:
        return net
    wider = join_members([_resize(one, bags.widened_sizes) for one in members_of(net)])
    pool_all(wider, bags)
    return wider.train(net.training)


def narrow(net: nn.Module, sizes: Sequence[int]) -> nn.Module:
    """Return a net without the rows of new sets; ``sizes`` are those of the columns before."""
    narrowed: nn.Module = _resize(net, sizes)
    return narrowed.train(net.training)


@torch.inference_mode(False)
@torch.no_grad()
def _resize(net: Any, sizes: Sequence[int]) -> Any:
    """Copy a net with tables for more, or fewer, rows at their ends; share all other weights."""
    tables = list(tables_of(net))
    own = {id(tensor) for table in tables for tensor in (table.weight, table.root_counts)}
    shared: list[Any] = [*net.parameters(), *net.buffers()]
    shared += [m.generator for m in net.modules() if isinstance(m, Dropout) and m.generator]
    memo = {id(part): part for part in shared if id(part) not in own}
    # The copy of a table is made below, of another length.
    memo |= {key: torch.empty(0, dtype=torch.float32, device="cpu") for key in own}
    made = deepcopy(net, memo)
    for old, table in zip(tables, tables_of(made), strict=True):
        table.vocabulary_sizes = list(sizes)
        table.weight = nn.Parameter(_with_length(old.weight, sum(sizes)))
        table.root_counts = _with_length(old.root_counts, sum(sizes))
    if hasattr(made, "arguments"):
        made.arguments["vocabulary_sizes"] = tuple(sizes)
    return made


def _with_length(tensor: Tensor, length: int) -> Tensor:
    """Return a copy of a tensor (n, ...) with so many rows, new ones of zeros."""
    new = tensor.new_zeros(length, *tensor.shape[1:])
    n_kept = min(length, len(tensor))
    new[:n_kept] = tensor[:n_kept]
    return new
