"""A trained net for more values than it was trained with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from sparsectr.nn.embedding import FieldEmbedding


@torch.no_grad()
def grow_net(net: nn.Module, vocabulary_sizes: Sequence[int]) -> nn.Module:
    """Return a net with a row in every table for each of more values.

    A value that is new begins as an unknown one, code 0 of its field: logits stay what they were
    until training goes on.

    Parameters
    ----------
    net : nn.Module
        A net with an attribute ``arguments`` that rebuilds it. All that it has per value is in
        tables of `FieldEmbedding`.
    vocabulary_sizes : sequence of int
        Number of codes of every field; none is smaller than that of the net.

    Returns
    -------
    nn.Module
        The net itself, if it has these sizes.
    """
    arguments = cast("dict[str, Any]", net.arguments)
    if list(arguments["vocabulary_sizes"]) == list(vocabulary_sizes):
        return net
    state = net.state_dict()
    for name, table in net.named_modules():
        if isinstance(table, FieldEmbedding):
            rows, is_new = _rows_of_grown(table, vocabulary_sizes)
            state[f"{name}.weight"] = table.weight[rows]
            state[f"{name}.root_counts"] = table.root_counts[rows].masked_fill(is_new, 0)
    grown = type(net)(**(arguments | {"vocabulary_sizes": tuple(vocabulary_sizes)}))
    grown.load_state_dict(state)
    return grown.to(next(net.parameters()).device)


def _rows_of_grown(table: FieldEmbedding, sizes: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Return which row of a table each row of a larger one begins as, and which are new, (V,)."""
    device, parts, new = table.weight.device, [], []
    pairs = zip(table.offsets.tolist(), table.vocabulary_sizes, sizes, strict=True)
    for first, size, grown in pairs:
        codes = torch.arange(grown, dtype=torch.int64, device=device)
        new.append(codes >= size)
        parts.append(first + codes.masked_fill(new[-1], 0))
    return torch.cat(parts), torch.cat(new)
