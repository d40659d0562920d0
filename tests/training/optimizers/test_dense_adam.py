import pytest
import torch

from sparsectr.kernels.fused import fused_kernels
from sparsectr.training.optimizers import DenseAdam

OPTIONS = {"lr": 0.03, "betas": (0.5, 0.99), "eps": 1e-6, "weight_decay": 0.2}


@pytest.mark.parametrize("shape", [(), (0,), (1,), (13,), (7, 5), (2, 3, 4)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 2e-5)])
@pytest.mark.parametrize("fused", [True, False])
def test_is_adam(shape, dtype, tolerance, fused):
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(shape, generator=generator, dtype=torch.float64)
    ours = torch.nn.Parameter(start.to(dtype))
    theirs = torch.nn.Parameter(start.clone())
    optimizers = DenseAdam([ours], **OPTIONS), torch.optim.Adam([theirs], **OPTIONS)
    for _ in range(30):
        gradient = torch.randn(shape, generator=generator, dtype=torch.float64)
        ours.grad, theirs.grad = gradient.to(dtype), gradient
        with fused_kernels(fused):
            for optimizer in optimizers:
                optimizer.step()
    torch.testing.assert_close(ours.double(), theirs, rtol=tolerance, atol=tolerance)


def test_reads_a_gradient_without_memory_of_its_own():
    weights = torch.nn.Parameter(torch.zeros(4, 3))
    weights.grad = torch.ones(()).expand(4, 3)
    DenseAdam([weights], lr=0.1).step()
    torch.testing.assert_close(weights.detach(), torch.full((4, 3), -0.1))
