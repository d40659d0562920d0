"""The log loss on a GPU against torch's; without a GPU, interpreted."""

import pytest
import torch
from torch.nn import functional

fused = pytest.importorskip("sparsectr.kernels.gpu.log_loss", exc_type=ImportError)

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


@pytest.mark.parametrize("n_rows", [1, fused.ROWS, 2 * fused.ROWS + 3])
def test_loss_and_slopes_agree_with_float64(n_rows):
    generator = torch.Generator().manual_seed(0)
    logits = 10 * torch.randn(n_rows, generator=generator, dtype=torch.float64)
    logits[0] = -60.0
    targets = (torch.rand(n_rows, generator=generator) < 0.3).double()
    weights = 2 * torch.rand(n_rows, generator=generator).double()
    exact = logits.clone().requires_grad_()
    expected = functional.binary_cross_entropy_with_logits(exact, targets, weight=weights)
    expected.backward()
    ours = logits.float().to(DEVICE).requires_grad_()
    loss = fused.binary_log_loss(ours, targets.float().to(DEVICE), weights.float().to(DEVICE))
    (3 * loss).backward()
    torch.testing.assert_close(loss.detach().cpu().double(), expected.detach(), rtol=1e-5, atol=0)
    slopes = ours.grad.cpu().double() / 3
    torch.testing.assert_close(slopes, exact.grad, rtol=1e-5, atol=1e-30)
