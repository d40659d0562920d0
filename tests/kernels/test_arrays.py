"""Arrays over the tensors of a net: always those that the net has now."""

import copy
import pickle

import numpy as np
import pytest
import torch
from torch import nn

from sparsectr.kernels.arrays import TensorViews


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(3, 2)
        self.register_buffer("places", torch.arange(4))
        self.views = TensorViews([(self.inner, "weight"), (self, "places")])

    def assert_seen(self):
        weight, places = self.views.arrays()
        np.testing.assert_array_equal(weight, self.inner.weight.detach().numpy())
        np.testing.assert_array_equal(places, self.places.numpy())


def copy_in_place(net):
    with torch.no_grad():
        net.inner.weight.copy_(torch.ones(2, 3))


def load(net):
    net.load_state_dict(Net().state_dict())


def set_data(net):
    net.inner.weight.data = torch.zeros(2, 3)


def set_parameter(net):
    net.inner.weight = nn.Parameter(torch.full((2, 3), 5.0))


def set_buffer(net):
    net.places = torch.arange(9)


def change_type(net):
    net.double()


@pytest.mark.parametrize(
    "change", [copy_in_place, load, set_data, set_parameter, set_buffer, change_type]
)
def test_changes_of_the_net_are_seen(change):
    net = Net()
    net.assert_seen()
    change(net)
    net.assert_seen()


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_a_copy_looks_at_its_own_tensors(duplicate):
    net = Net()
    before = net.views.arrays()[0].copy()
    other = duplicate(net)
    copy_in_place(other)
    other.assert_seen()
    np.testing.assert_array_equal(net.views.arrays()[0], before)


def test_a_file_holds_no_number_twice():
    net = Net()
    size = len(pickle.dumps(net))
    net.views.arrays()
    assert len(pickle.dumps(net)) == size


def test_arrays_are_kept():
    net = Net()
    assert net.views.arrays()[0] is net.views.arrays()[0]


def test_tensors_with_gaps_are_refused():
    net = Net()
    net.inner.weight = nn.Parameter(torch.ones(3, 2).T)
    with pytest.raises(ValueError, match="must be contiguous"):
        net.views.arrays()
