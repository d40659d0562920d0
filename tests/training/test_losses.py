"""The loss against its definition in NumPy."""

import numpy as np
import pytest
import torch

from sparsectr.rows.labelled import Batch
from sparsectr.training.losses import log_loss


def make_rows(targets, weights):
    return Batch(torch.zeros(len(targets), 1, dtype=torch.int32), targets, weights)


def test_binary_and_two_class_losses_are_minus_log_probability():
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(7, 1, generator=generator, dtype=torch.float64)
    weights = torch.rand(7, generator=generator, dtype=torch.float64)
    targets = torch.tensor([0, 1, 1, 0, 1, 0, 0])
    p = 1 / (1 + np.exp(-logits[:, 0].numpy()))
    y = targets.numpy()
    expected = -(weights.numpy() * np.log(np.where(y == 1, p, 1 - p))).mean()
    assert log_loss(logits, make_rows(targets.double(), weights)).item() == pytest.approx(expected)
    two = torch.cat([torch.zeros_like(logits), logits], dim=1)
    assert log_loss(two, make_rows(targets, weights)).item() == pytest.approx(expected)


def test_a_weight_of_two_is_two_rows():
    logits = torch.tensor([[0.3, -1.0, 2.0], [1.0, 0.5, -0.5]], dtype=torch.float64)
    targets = torch.tensor([2, 0])
    weighted = log_loss(logits, make_rows(targets, torch.tensor([2.0, 1.0], dtype=torch.float64)))
    rows = torch.tensor([0, 0, 1])
    repeated = log_loss(logits[rows], make_rows(targets[rows], torch.ones(3, dtype=torch.float64)))
    assert 2 * weighted.item() == pytest.approx(3 * repeated.item())
