"""The search: what each step may move, and what the phases hand on."""

import numpy as np
import pytest
import torch

from sparsectr.methods.profit.search import (
    CrossSearch,
    SearchSettings,
    _SearchStep,
    architecture_batch_size,
)
from sparsectr.methods.profit.search_net import CrossSearchNet
from sparsectr.methods.profit.search_spaces import make_space
from sparsectr.rows.labelled import LabelledRows
from sparsectr.rows.memory import MemoryRows
from sparsectr.training.loop import Schedule
from sparsectr.training.task import TrainingTask

F, MAX_ORDER, SIZE = 4, 3, 5


class Silent:
    def watch(self, batches, n_rows):
        return batches

    def begin_epoch(self, net):
        pass

    def end_epoch(self, net, record):
        return False


def make_search(n_outputs=1, kind="cp", coupling="symmetric", n_rows=200, targets=None, **changes):
    generator = torch.Generator().manual_seed(0)
    codes = torch.randint(SIZE, (n_rows, F), generator=generator, dtype=torch.int32)
    if targets is None:
        targets = torch.randint(max(2, n_outputs), (n_rows,), generator=generator)
    if n_outputs == 1:
        targets = targets.float()
    task = TrainingTask(
        train=LabelledRows(MemoryRows(codes), targets, torch.ones(n_rows)),
        validation=None,
        vocabulary_sizes=(SIZE,) * F,
        n_outputs=n_outputs,
        schedule=Schedule(batch_size=50, max_epochs=2),
        evaluate=None,
        reporter=Silent(),
        seeds=np.random.SeedSequence(0),
    )
    settings = {
        "search": "progressive",
        "fraction": 0.25,
        "epochs": dict.fromkeys(range(1, MAX_ORDER + 1), 2),
        "patience": 1,
        "architecture_learning_rate": 1e-2,
        "learning_rate": 1e-2,
        "weight_decay": 0.0,
        "embedding_l2": 0.0,
        "most_screened": {2: 2, 3: 2},
    } | changes
    net = CrossSearchNet(
        [SIZE] * F, 4, n_outputs, make_space(kind, F, MAX_ORDER, 2, coupling, False)
    )
    net.reset_parameters(torch.Generator().manual_seed(1))
    return CrossSearch(net, task, SearchSettings(**settings))


@pytest.mark.parametrize(
    ("batch_size", "n_rows", "n_weight_rows", "expected"),
    [
        (4096, 100_000, 400_000, 1024),  # one pass over both in the same steps
        (1024, 100_000, 400_000, 512),  # no fewer than are enough for a gradient
        (64, 100_000, 400_000, 64),  # no more than of the weights
        (4096, 300_000, 100_000, 4096),
        (4096, 100, 400, 100),  # no more than there are
    ],
)
def test_batches_of_the_architecture(batch_size, n_rows, n_weight_rows, expected):
    assert architecture_batch_size(batch_size, n_rows, n_weight_rows) == expected


def state(net):
    return {name: value.clone() for name, value in net.state_dict().items()}


def changed(net, before):
    after = net.state_dict()
    return {name for name, value in before.items() if not torch.equal(value, after[name])}


WEIGHTS = {"embedding.weight", "linear.table.weight", "linear.bias"}


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("coupling", ["symmetric", "stacked"])
@pytest.mark.parametrize("n_outputs", [1, 3])
def test_every_step_moves_only_its_own_weights(order, coupling, n_outputs):
    search = make_search(n_outputs, coupling=coupling)
    net = search.net
    net.order = order
    step = _SearchStep(search, [order], batch_size=50)

    before = state(net)
    step.step_architecture(search.architecture_rows.take(torch.arange(40)))
    assert changed(net, before) == {f"space.architecture.{order - 1}"}

    before = state(net)
    step.step_weights(search.task.train.take(torch.arange(40)))
    assert changed(net, before) == WEIGHTS | ({"readout.weight"} if n_outputs > 1 else set())


def test_a_phase_leaves_the_betas_of_all_other_orders():
    search = make_search()
    before = state(search.net)
    search._search([2])
    names = {name for name in changed(search.net, before) if name.startswith("space")}
    assert names == {"space.architecture.1"}


def test_the_two_parts_share_no_row_and_miss_none():
    search = make_search()
    parts = [search.task.train, search.architecture_rows]
    assert [len(part) for part in parts] == pytest.approx([150, 50], abs=1)
    rows, whole = (
        torch.cat([torch.column_stack([piece.codes, piece.targets]) for piece in pieces])
        for pieces in (
            [piece for part in parts for piece in part.pieces(64)],
            list(search.all_rows.pieces(64)),
        )
    )
    assert sorted(rows.tolist()) == sorted(whole.tolist())


@pytest.mark.parametrize("kind", ["cp", "full"])
@pytest.mark.parametrize(
    ("how", "orders"),
    [("progressive", [1, 1, 2, 2, 3, 3]), ("one_step", [3, 3]), ("random", [3, 3])],
)
def test_orders_follow_each_other(kind, how, orders):
    history = make_search(kind=kind, search=how).run()
    assert [record["order"] for record in history] == orders
    assert {record["phase"] for record in history} == {"search"}


def test_a_search_repeats_itself_bit_for_bit():
    nets = []
    for _ in range(2):
        search = make_search()
        search.run()
        nets.append(state(search.net))
    assert all(torch.equal(nets[0][name], nets[1][name]) for name in nets[0])


def test_one_class_in_a_part_is_refused():
    targets = torch.zeros(200)
    targets[0] = 1
    with pytest.raises(ValueError, match="both parts of the search must hold at least two classes"):
        make_search(targets=targets)
