"""Fields of several values: their means, and the way back of their gradients."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from sparsectr.kernels.fused import fused_kernels
from sparsectr.methods.dynint.net import DynIntConfig, DynIntNet
from sparsectr.methods.optfeature.net import OptFeatureConfig, OptFeatureNet
from sparsectr.methods.profit.net import ProfitConfig, ProfitNet
from sparsectr.methods.profit.search_net import CrossSearchNet
from sparsectr.methods.profit.search_spaces import make_space
from sparsectr.nn.embedding import FieldEmbedding
from sparsectr.rows.bags import Bags
from sparsectr.rows.labelled import Batch
from sparsectr.training.descent import descend, pool_batch
from sparsectr.training.pooling import narrow, pool_all, tables_of, widen
from sparsectr.training.prediction import predict_logits

CPU = torch.device("cpu")
# Two fields of single values around one whose codes from 5 on are the sets below.
SIZES = [4, 8, 6]
SETS = [[2, 3], [0, 2, 4], [2, 2, 3]]
N_ROWS = 60


def make_bags(new=()):
    first = SIZES[0]
    sets = SETS + list(new)
    rows = [first + 5, first + 6, first + 7, *range(sum(SIZES), sum(SIZES) + len(new))]
    starts = np.cumsum([0, *map(len, sets)])
    values = np.concatenate(sets).astype(np.int64) + first
    return Bags(SIZES, np.array(rows), starts, values, CPU)


def make_dynint(variant):
    net = DynIntNet(SIZES, 4, 1, DynIntConfig(variant, n_layers=2))
    net.reset_parameters(torch.Generator().manual_seed(0), -1.0)
    return net


def make_optfeature():
    config = OptFeatureConfig(selection_dim=2, selection_rank=3, hidden_units=(8,))
    net = OptFeatureNet(SIZES, 4, 1, config)
    net.reset_weights(torch.Generator().manual_seed(0), -1.0)
    net.reset_selection(torch.Generator().manual_seed(1))
    return net


def make_profit():
    net = ProfitNet(SIZES, 4, 1, ProfitConfig(crosses=((0, 1), (0, 1, 2))))
    net.reset_parameters(torch.Generator().manual_seed(0), -1.0)
    net.predictor.linear.table.weight.data.normal_(generator=torch.Generator().manual_seed(2))
    return net


def make_search():
    net = CrossSearchNet(SIZES, 4, 1, make_space("cp", 3, 2, 2, "symmetric", False))
    net.reset_parameters(torch.Generator().manual_seed(0), -1.0)
    net.order = 2
    return net


NETS = {
    "pin": lambda: make_dynint("pin"),
    "dwp": lambda: make_dynint("dwp"),
    "optfeature": make_optfeature,
    "gates": make_optfeature,
    "profit": make_profit,
    "search": make_search,
}


def loss_of(name, net, batch):
    if name == "gates":
        return net.loss(batch, net.gates_of(batch.codes), of_gates=True)
    if name == "optfeature":
        return net.loss(batch, net.gates_of(batch.codes).detach())
    return net.loss(batch, of_space=False) if isinstance(net, CrossSearchNet) else net.loss(batch)


def make_batch(bags=None):
    rng = np.random.default_rng(0)
    codes = np.stack([rng.integers(0, size, N_ROWS) for size in SIZES], 1).astype(np.int32)
    return Batch(
        torch.from_numpy(codes),
        torch.from_numpy(rng.integers(0, 2, N_ROWS).astype(np.float32)),
        torch.ones(N_ROWS),
        bags=bags,
    )


class PooledByTorch(FieldEmbedding):
    """Look sets up by torch's own embedding bag, with autograd: the specification."""

    def forward(self, codes):
        rows = codes.long() + self.offsets
        found = functional.embedding(rows, self.weight)
        numbers = make_bags().of_rows[rows]
        for place in (numbers >= 0).nonzero().tolist():
            values = torch.tensor(SETS[int(numbers[tuple(place)])]) + SIZES[0]
            mean = functional.embedding_bag(values[None], self.weight, mode="mean")[0]
            index = tuple(torch.tensor([k]) for k in place)
            found = found.index_put(index, mean[None])
        return found


@pytest.mark.parametrize("name", NETS)
def test_gradients_are_those_of_an_embedding_bag(name):
    net, batch = NETS[name](), make_batch(make_bags())
    tables = list(tables_of(net))
    pool_batch(net, batch)
    optimizer = torch.optim.SGD([table.weight for table in tables], lr=0)
    descend(loss_of(name, net, batch), [optimizer], len(batch), batch.bags)
    found = [table.weight.grad.to_dense() for table in tables]

    for table in tables:
        table.__class__ = PooledByTorch
        table.weight.grad = None
    with fused_kernels(False):
        loss_of(name, net, batch).backward()
    for table, gradient in zip(tables, found, strict=True):
        expected = table.weight.grad
        assert expected[SIZES[0] + 5 : SIZES[0] + 8].abs().max() == 0
        assert expected.abs().max() > 1e-4
        torch.testing.assert_close(gradient, expected, atol=1e-6, rtol=1e-5)


def test_gradients_of_single_values_are_left_alone():
    net, batch = make_dynint("pin"), make_batch(make_bags())
    batch.codes[:, 1].clamp_(max=4)
    optimizer = torch.optim.SGD([net.embedding.weight], lr=0)
    descend(net.loss(batch), [optimizer], len(batch))
    expected = net.embedding.weight.grad.to_dense()
    pool_batch(net, batch)
    descend(net.loss(batch), [optimizer], len(batch), batch.bags)
    assert torch.equal(net.embedding.weight.grad.to_dense(), expected)


@pytest.mark.parametrize("name", ["pin", "dwp", "optfeature", "profit"])
def test_new_sets_are_means_of_what_a_net_knows(name):
    net = NETS[name]().eval()
    pool_all(net, make_bags())
    # A set that is known under another code gets the same logits.
    bags = make_bags([[2, 3], [0, 3], [2, 3, 2]])
    codes = torch.tensor([[1, 5, 2], [1, 7, 2]], dtype=torch.int32)
    new = torch.tensor([[1, 18 - 4, 2], [1, 20 - 4, 2]], dtype=torch.int32)
    wide = widen(net, bags)
    assert sum(wide.embedding.vocabulary_sizes) == sum(SIZES) + 3
    expected = predict_logits(net, codes)
    np.testing.assert_allclose(predict_logits(wide, new), expected, rtol=1e-6)
    np.testing.assert_array_equal(predict_logits(wide, codes), expected)
    # The net stays as it was, and comes back.
    assert net.embedding.vocabulary_sizes == SIZES
    back = narrow(wide, SIZES)
    for key, weight in net.state_dict().items():
        assert torch.equal(back.state_dict()[key], weight), key
    assert back.arguments == net.arguments
    assert widen(net, make_bags()) is net
