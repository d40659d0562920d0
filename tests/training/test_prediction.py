"""Logits in batches, and probabilities."""

import numpy as np
import pytest
import torch
from torch import nn

from sparsectr.training.prediction import CPU_BATCH, predict_logits, to_probabilities


class Recorder(nn.Module):
    """Sum the codes of a row; note the shape and the mode of every call."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def forward(self, codes):
        self.calls.append((len(codes), self.training, torch.is_grad_enabled()))
        return codes.sum(1, keepdim=True).float()


@pytest.mark.parametrize("n_rows", [1, CPU_BATCH - 1, CPU_BATCH, CPU_BATCH + 1, 3 * CPU_BATCH])
def test_every_batch_has_the_same_size_and_every_row_its_own_result(n_rows):
    net = Recorder().train()
    codes = torch.arange(2 * n_rows, dtype=torch.int32).view(n_rows, 2)
    logits = predict_logits(net, codes)
    assert logits.dtype == np.float64
    assert logits[:, 0].tolist() == codes.sum(1).tolist()
    assert set(net.calls) == {(CPU_BATCH, False, False)}


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_probabilities_are_the_softmax(n_outputs):
    logits = np.random.default_rng(0).normal(scale=5, size=(20, n_outputs))
    found = to_probabilities(logits)
    full = np.column_stack([np.zeros(20), logits]) if n_outputs == 1 else logits
    expected = np.exp(full) / np.exp(full).sum(1, keepdims=True)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-15)


def test_extreme_logits_do_not_overflow():
    found = to_probabilities(np.array([[1e4], [-1e4], [800.0]]))
    assert found.tolist() == [[0, 1], [1, 0], [0, 1]]
    assert np.isnan(to_probabilities(np.array([[np.inf]]))).all()
