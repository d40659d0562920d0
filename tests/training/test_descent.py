"""One step of several optimizers."""

import torch
from torch import nn

from sparsectr.kernels.one_pass import one_pass_loss
from sparsectr.training.descent import descend
from sparsectr.training.optimizers import FTRL, DenseAdam


def test_only_the_parameters_of_the_optimizers_move():
    first, second, other = (nn.Parameter(torch.ones(2)) for _ in range(3))
    optimizers = [torch.optim.SGD([first], lr=0.1), torch.optim.SGD([second], lr=1.0)]
    for _ in range(2):  # gradients of earlier steps must not add up
        descend((2 * first + 3 * second + 5 * other).sum(), optimizers, n_rows=4)
    torch.testing.assert_close(first.detach(), torch.full((2,), 1 - 2 * 0.1 * 2))
    torch.testing.assert_close(second.detach(), torch.full((2,), 1 - 2 * 1.0 * 3))
    assert other.grad is None
    assert other.tolist() == [1, 1]


def test_ftrl_hears_of_the_number_of_rows():
    weight = nn.Parameter(torch.ones(2))
    optimizer = FTRL([weight])
    descend(weight.sum(), [optimizer], n_rows=17)
    assert optimizer.param_groups[0]["gradient_scale"] == 17


def test_known_gradients_go_to_the_parameters_of_the_optimizers_only():
    first, second = (nn.Parameter(torch.ones(2)) for _ in range(2))
    optimizer = torch.optim.SGD([first], lr=0.5)
    for _ in range(2):
        descend(one_pass_loss(0.0, (first, second), torch.ones(2, 2)), [optimizer], n_rows=4)
    assert first.tolist() == [0, 0]
    assert second.grad is None


def test_a_gradient_that_a_loss_does_not_have_is_none():
    first, second = (nn.Parameter(torch.ones(2)) for _ in range(2))
    optimizer = DenseAdam([first, second], lr=0.5)
    descend((first + second).sum(), [optimizer], n_rows=1)
    descend(one_pass_loss(0.0, (first,), (torch.ones(2),)), [optimizer], n_rows=1)
    assert second.grad is None
    # Adam's first steps are as long as its rate; each parameter counts its own.
    torch.testing.assert_close(first.detach(), torch.zeros(2))
    torch.testing.assert_close(second.detach(), torch.full((2,), 0.5))
