"""Losses that know their gradients."""

import pytest
import torch
from torch import nn

from sparsectr.kernels.one_pass import one_pass_loss, take_gradients


def make_loss(*parameters):
    """3 times the sum of the first parameter, and a second that wants no gradient."""
    first, second = parameters
    return one_pass_loss(3 * first.sum().item(), (first, second), (torch.full((2,), 3.0), None))


def make_parameters():
    return nn.Parameter(torch.tensor([1.0, 2.0])), nn.Parameter(torch.ones(1))


def test_gradients_are_found_without_autograd():
    first, second = make_parameters()
    loss = make_loss(first, second)
    assert loss.item() == 9
    ((parameter, gradient),) = take_gradients(loss)
    assert parameter is first
    assert gradient.tolist() == [3, 3]
    assert first.grad is None


@pytest.mark.parametrize("factor", [1, -2])
def test_autograd_finds_them_too(factor):
    first, second = make_parameters()
    (factor * make_loss(first, second)).backward()
    assert first.grad.tolist() == [3 * factor] * 2
    assert second.grad is None


def test_what_was_computed_from_something_else_is_left_to_autograd():
    first, second = make_parameters()
    loss = make_loss(2 * first, second)
    assert take_gradients(loss) is None
    loss.backward()
    assert first.grad.tolist() == [6, 6]


def test_other_losses_are_left_to_autograd():
    first, second = make_parameters()
    assert take_gradients(first.sum()) is None
    assert take_gradients(make_loss(first, second) + second.sum()) is None
    assert take_gradients(torch.tensor(1.0)) is None


def test_there_is_no_gradient_without_autograds_leave():
    with torch.no_grad():
        loss = make_loss(*make_parameters())
    assert loss.item() == 9
    assert not loss.requires_grad
