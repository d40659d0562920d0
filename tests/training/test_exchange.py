"""What training shares, where there is nobody to share with."""

import torch
from torch import nn

from sparsectr.training.exchange import Alone, current_exchange, exchanging, own_stream


class Second(Alone):
    """The second of two processes."""

    n_processes, rank = 2, 1


def test_a_process_is_alone_by_default():
    exchange = current_exchange()
    assert (exchange.n_processes, exchange.rank) == (1, 0)
    rows = torch.arange(3)
    assert exchange.share(rows) is rows
    assert exchange.gather("value") == ["value"]
    weight = nn.Parameter(torch.ones(2))
    weight.grad = torch.tensor([1.0, 2.0])
    assert exchange.sum_gradients([torch.optim.SGD([weight])], 7) == 7
    assert weight.grad.tolist() == [1, 2]


def test_an_exchange_holds_inside_its_block():
    second = Second()
    with exchanging(second):
        assert current_exchange() is second
    assert current_exchange().n_processes == 1


def test_only_the_first_process_draws_from_the_stream_itself():
    generator = torch.Generator().manual_seed(5)
    assert own_stream(generator) is generator
    with exchanging(Second()):
        other = own_stream(generator)
        again = own_stream(generator)
    draws = [torch.rand(3, generator=g).tolist() for g in (generator, other, again)]
    assert draws[0] != draws[1]
    assert draws[1] == draws[2]
