"""Effects are multiplied by what validation rows say of them."""

import numpy as np
import pytest
import torch
from scipy.special import expit
from torch import nn

from sparsectr.losses import LOG_LOSS, POISSON, SQUARED_ERROR
from sparsectr.rows.labelled import LabelledRows
from sparsectr.rows.memory import MemoryRows
from sparsectr.training.shrinkage import find_factor, shrink_effects

N_ROWS = 20_000
PRIOR = -3.0


def draw(loss, logits, rng):
    """Draw targets (n,) of which the logits (n,) are the truth."""
    if loss is LOG_LOSS:
        return (rng.random(len(logits)) < expit(logits)).astype(np.float32)
    if loss is POISSON:
        return rng.poisson(np.exp(logits)).astype(np.float32)
    return (logits + rng.normal(size=len(logits))).astype(np.float32)


def find(logits, targets, loss=LOG_LOSS):
    targets = torch.from_numpy(targets)
    return find_factor(logits[:, None], np.array([PRIOR]), targets, torch.ones(len(targets)), loss)


@pytest.mark.parametrize("loss", [LOG_LOSS, POISSON, SQUARED_ERROR])
@pytest.mark.parametrize("factor", [0.5, 0.8, 1.0, 1.25])
def test_the_factor_of_effects_that_are_too_large_or_too_small(loss, factor):
    rng = np.random.default_rng(0)
    effects = rng.normal(size=N_ROWS)
    targets = draw(loss, PRIOR + effects, rng)
    assert find(PRIOR + effects / factor, targets, loss) == pytest.approx(factor, abs=0.08)


@pytest.mark.parametrize("loss", [LOG_LOSS, POISSON, SQUARED_ERROR])
def test_effects_that_are_noise_are_left_out(loss):
    rng = np.random.default_rng(0)
    targets = draw(loss, np.full(N_ROWS, PRIOR), rng)
    assert find(PRIOR + rng.normal(size=N_ROWS), targets, loss) < 1e-3


def test_without_evidence_the_net_is_likely_useless():
    assert find(np.full(9, PRIOR), np.zeros(9, np.float32)) == pytest.approx(0.2, abs=0.03)


def test_logits_that_are_not_finite_stay():
    assert find(np.array([np.inf, 0.0]), np.ones(2, np.float32)) == 1.0


def test_a_net_without_signal_predicts_the_prior_in_all_classes():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Parameter(torch.randn(50, 3, generator=torch.manual_seed(0)))
            self.output_weights = [self.table]

        def forward(self, codes):
            return self.table[codes[:, 0].long()] + torch.tensor([0.5, 0.0, -0.5])

    rng = np.random.default_rng(0)
    shares = np.exp([0.5, 0.0, -0.5]) / np.exp([0.5, 0.0, -0.5]).sum()
    targets = torch.from_numpy(rng.choice(3, N_ROWS, p=shares))
    codes = torch.from_numpy(rng.integers(0, 50, (N_ROWS, 1)).astype(np.int32))
    rows = LabelledRows(MemoryRows(codes), targets, torch.ones(N_ROWS))
    net = Net()
    shrink_effects(net, torch.tensor([0.5, 0.0, -0.5]), rows)
    assert net.table.abs().max() < 1e-3
