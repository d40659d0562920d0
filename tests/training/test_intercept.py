"""The intercept ends where the loss of the training rows has its minimum."""

import numpy as np
import pytest
import torch
from scipy.special import expit
from torch import nn

from sparsectr.rows.labelled import LabelledRows
from sparsectr.rows.memory import MemoryRows
from sparsectr.training import intercept
from sparsectr.training.intercept import fit_intercept


class Table(nn.Module):
    """One logit per code, and an intercept."""

    def __init__(self, n_codes):
        super().__init__()
        self.logits = nn.Parameter(torch.linspace(-3, 1, n_codes))
        self.intercept = nn.Parameter(torch.zeros(1))

    def forward(self, codes):
        return self.logits[codes.long()] + self.intercept


def test_too_many_rows_are_drawn_by_class(monkeypatch):
    monkeypatch.setattr(intercept, "INTERCEPT_ROWS", 4_000)
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 9, (40_000, 1))
    targets = rng.random(40_000) < 0.01
    weights = rng.exponential(size=40_000)
    rows = LabelledRows(
        MemoryRows(torch.tensor(codes, dtype=torch.int32)),
        torch.tensor(targets, dtype=torch.float32),
        torch.tensor(weights / weights.mean(), dtype=torch.float32),
    )
    net = Table(9)
    seen = []
    net.register_forward_pre_hook(lambda _, codes: seen.append(len(codes[0])))
    fit_intercept(net, rows, torch.Generator().manual_seed(0))
    assert sum(seen) <= 4_000  # all 400 of the rare class, 2,000 of the other one
    means = expit(net(torch.tensor(codes)).detach().numpy())[:, 0]
    assert weights @ means == pytest.approx(weights @ targets, rel=0.05)
