import numpy as np
import pytest
import torch

from sparsectr.methods.optfeature import gate_measures
from sparsectr.methods.optfeature.gate_measures import (
    count_combinations,
    distinct_rows,
    measure_gates,
    open_gates,
)
from sparsectr.methods.optfeature.net import OptFeatureConfig, OptFeatureNet

SIZES = [5, 7, 4, 6]


def make_net():
    config = OptFeatureConfig("value", selection_dim=3, selection_rank=7, hidden_units=(8,))
    net = OptFeatureNet(SIZES, 4, 1, config).double()
    generator = torch.Generator().manual_seed(0)
    net.reset_weights(generator)
    net.reset_selection(generator)
    with torch.no_grad():
        net.embedding.weight += torch.empty_like(net.embedding.weight).normal_(generator=generator)
    return net.prune().eval()


def draw_codes(n_rows):
    rng = np.random.default_rng(0)
    return torch.from_numpy(np.column_stack([rng.integers(size, size=n_rows) for size in SIZES]))


def test_open_gates_are_those_with_a_positive_score():
    net, codes = make_net(), draw_codes(50)
    gates = open_gates(net, codes)
    assert 0 < gates.double().mean() < 1
    assert torch.equal(gates, net.chosen_scores(net.look_up(codes)[1]) > 0)


def test_combinations_are_counted_apart_for_open_and_closed_gates():
    codes = torch.tensor([[1, 2], [1, 2], [3, 4], [1, 2], [3, 4]])
    gates = torch.tensor([True, True, True, False, False])
    combinations, counts = count_combinations(codes, gates)
    assert combinations.tolist()[:2] == [[1, 2], [3, 4]]
    assert counts.tolist() == [2, 1, 1, 1]


@pytest.mark.parametrize("highest", [1, 5, 2**31 - 1])
@pytest.mark.parametrize("n_rows", [0, 200])
def test_distinct_rows_are_those_of_torch(n_rows, highest):
    codes = draw_codes(n_rows).int()[:, :3]
    codes[:, 1] *= highest // 7 + 1  # three columns of 31 bits do not fit into one number
    codes[:, ::2] += highest - 6 if highest > 6 else 0
    expected = codes.unique(dim=0, return_counts=True)
    for ours, theirs in zip(distinct_rows(codes), expected, strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("gates_at_once", [1, 6 * 7, 2**24])
def test_gates_are_measured_in_parts(gates_at_once, monkeypatch):
    net, codes = make_net(), draw_codes(50)
    monkeypatch.setattr(gate_measures, "GATES_AT_ONCE", gates_at_once)
    rates, combinations = measure_gates(net, codes, [(1, 3), (0, 2)])
    gates = open_gates(net, codes)
    np.testing.assert_array_equal(rates, gates.double().mean(0))
    for fields, *found in zip([(1, 3), (0, 2)], *combinations, strict=True):
        its_gates = gates[:, net.crosses().index(fields)]
        expected = count_combinations(codes[:, list(fields)], its_gates)
        for part, whole in zip(found, expected, strict=True):
            np.testing.assert_array_equal(part, whole)
    assert measure_gates(net, codes, [])[1] == ([], [])
