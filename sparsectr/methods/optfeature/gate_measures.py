"""What the gates of a fitted OptFeature net do on rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sparsectr.methods.optfeature.net import OptFeatureNet
from sparsectr.nn.effects import distinct_codes

ROWS_AT_ONCE = 4096
GATES_AT_ONCE = 2**24
# Value combinations of a cross that are remembered, of open and of closed gates each.
MOST_COMBINATIONS = 100


@torch.inference_mode()
def open_gates(net: OptFeatureNet, codes: Tensor) -> Tensor:
    """Return the gates of all crosses for codes (n, F), bool, (n, P)."""
    parts = [net.chosen_gates(net.look_up(rows)[1]) for rows in codes.split(ROWS_AT_ONCE)]
    return torch.cat(parts)


def measure_gates(
    net: OptFeatureNet, codes: Tensor, crosses: Sequence[tuple[int, ...]]
) -> tuple[NDArray[np.float64], tuple[list[NDArray[np.int32]], list[NDArray[np.int64]]]]:
    """Measure how often gates are open, and for which values those of some crosses are.

    Parameters
    ----------
    net : OptFeatureNet
        After the search.
    codes : Tensor of shape (n, F)
        Rows.
    crosses : sequence of tuples of int
        Field numbers of some crosses. One without a gate, of an order that the net has no gates
        for, is open on all rows.

    Returns
    -------
    keep_rate : ndarray of float64, shape (P,)
        For every cross of the net, the share of the rows with an open gate.
    codes, counts : lists of ndarray
        For each of ``crosses`` the most frequent combinations of codes (M, o), and how many rows
        have them (M,).
    """
    columns = {fields: column for column, fields in enumerate(net.crosses())}
    gated = [fields for fields in crosses if fields in columns]
    places = torch.tensor(
        [columns[fields] for fields in gated], dtype=torch.int64, device=codes.device
    )
    n_open = torch.zeros(net.n_crosses, dtype=torch.int64, device=codes.device)
    parts = []
    # Gates of all rows and crosses together would be the largest thing in memory.
    for rows in codes.split(max(1, min(ROWS_AT_ONCE, GATES_AT_ONCE // net.n_crosses))):
        gates = open_gates(net, rows)
        n_open += gates.sum(0)
        parts.append(gates[:, places])
    is_open = dict(zip(gated, torch.cat(parts).unbind(1), strict=True))
    always = torch.ones(len(codes), dtype=torch.bool, device=codes.device)
    combinations: list[NDArray[np.int32]] = []
    counts: list[NDArray[np.int64]] = []
    for fields in crosses:
        found, n_rows = count_combinations(codes[:, list(fields)], is_open.get(fields, always))
        combinations.append(found.cpu().numpy())
        counts.append(n_rows.cpu().numpy())
    return (n_open.double() / len(codes)).cpu().numpy(), (combinations, counts)


def distinct_rows(codes: Tensor) -> tuple[Tensor, Tensor]:
    """Return the distinct rows of codes (n, o), in lexicographic order, and their counts."""
    distinct, rows = distinct_codes(codes)
    return distinct, torch.bincount(rows, minlength=len(distinct))


def count_combinations(codes: Tensor, gates: Tensor) -> tuple[Tensor, Tensor]:
    """Return the most frequent combinations of open and of closed gates, and their counts."""
    parts = []
    for rows in (codes[gates], codes[~gates]):
        combinations_, counts = distinct_rows(rows)
        order = counts.argsort(descending=True, stable=True)[:MOST_COMBINATIONS]
        parts.append((combinations_[order], counts[order]))
    (some, n_some), (others, n_others) = parts
    return torch.cat([some, others]), torch.cat([n_some, n_others])
