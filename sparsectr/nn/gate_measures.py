"""What the gates of a fitted OptFeature net do on rows."""

from __future__ import annotations

import torch
from torch import Tensor

from sparsectr.nn.ablation import first_order_strengths
from sparsectr.nn.optfeature_net import OptFeatureNet

ROWS_AT_ONCE = 4096
# Value combinations of a cross that are remembered, of open and of closed gates each.
MOST_COMBINATIONS = 100


@torch.inference_mode()
def open_gates(net: OptFeatureNet, codes: Tensor) -> Tensor:
    """Return the gates of all crosses for codes (n, F), bool, (n, P)."""
    parts = [net.chosen_gates(net.look_up(rows)[1]) for rows in codes.split(ROWS_AT_ONCE)]
    return torch.cat(parts)


def screen_crosses(net: OptFeatureNet, codes: Tensor, n_crosses: int) -> list[int]:
    """Return the positions of the crosses that matter most at first order, rising."""
    net.eval()
    with torch.no_grad():
        inputs = torch.cat([net.inputs_of(rows) for rows in codes.split(ROWS_AT_ONCE)])
    screened = first_order_strengths(net.mlp, inputs)[inputs.shape[1] - len(net.kept) :]
    best = screened.topk(min(n_crosses, len(screened))).indices.sort().values
    positions: list[int] = net.kept[best].tolist()
    return positions


def count_combinations(codes: Tensor, gates: Tensor) -> tuple[Tensor, Tensor]:
    """Return the most frequent combinations of open and of closed gates, and their counts."""
    parts = []
    for rows in (codes[gates], codes[~gates]):
        combinations_, counts = rows.unique(dim=0, return_counts=True)
        order = counts.argsort(descending=True, stable=True)[:MOST_COMBINATIONS]
        parts.append((combinations_[order], counts[order]))
    (some, n_some), (others, n_others) = parts
    return torch.cat([some, others]), torch.cat([n_some, n_others])
