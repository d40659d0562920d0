"""What a method is handed to train its net."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from sparsectr.losses import log_loss
from sparsectr.nn.embedding import FieldEmbedding
from sparsectr.rows.labelled import LabelledRows
from sparsectr.rows.memory import MemoryRows
from sparsectr.training.loop import Schedule
from sparsectr.training.task import TrainingTask


class Silent:
    def watch(self, batches, n_rows):
        return batches

    def begin_epoch(self, net):
        pass

    def end_epoch(self, net, record):
        return False


def make_task(targets, weights=None, n_outputs=1, sizes=(5, 4)):
    targets = torch.as_tensor(targets)
    n_rows = len(targets)
    rows = torch.arange(n_rows)
    codes = torch.stack([rows % 3 + 2, rows % 2 + 2], dim=1).int()
    weights = torch.ones(n_rows) if weights is None else torch.tensor(weights)
    targets = targets.float() if n_outputs == 1 else targets
    return TrainingTask(
        train=LabelledRows(MemoryRows(codes), targets, weights),
        validation=None,
        vocabulary_sizes=sizes,
        n_outputs=n_outputs,
        schedule=Schedule(batch_size=4, max_epochs=1),
        evaluate=None,
        reporter=Silent(),
        seeds=np.random.SeedSequence(7),
    )


def in_memory(batch):
    return LabelledRows(MemoryRows(batch.codes), batch.targets, batch.weights)


def in_float64(rows):
    targets = rows.targets.double() if rows.targets.is_floating_point() else rows.targets
    return LabelledRows(rows.source, targets, rows.weights.double())


def test_generators_are_different_streams_and_come_again():
    first, again = make_task([0, 1]), make_task([0, 1])
    draws = [torch.rand(5, generator=first.new_generator()) for _ in range(4)]
    repeated = [torch.rand(5, generator=again.new_generator()) for _ in range(4)]
    assert all(map(torch.equal, draws, repeated))
    assert len({tuple(draw.tolist()) for draw in draws}) == 4


def test_prior_logits_are_the_log_odds_of_the_weighted_classes():
    task = make_task([0, 1, 1, 0], [1.0, 0.5, 1.0, 1.5])
    torch.testing.assert_close(task.prior_logits(), torch.tensor([1.5 / 2.5]).log())


def test_prior_logits_of_more_classes_give_the_shares():
    task = make_task([0, 1, 1, 2], [1.0, 0.5, 1.0, 1.5], n_outputs=3)
    logits = task.prior_logits()
    torch.testing.assert_close(logits.softmax(0), torch.tensor([1.0, 1.5, 1.5]) / 4)
    assert abs(logits.sum().item()) < 1e-6


@pytest.mark.parametrize("n_rare", [1, 5, 50])
def test_the_scale_of_gradients_does_not_fall_with_the_share_of_a_class(n_rare):
    assert make_task([1] * n_rare + [0] * (100 - n_rare)).gradient_scale() == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("targets", "weights", "n_outputs"),
    [
        ([0, 1, 1, 0], [1.0, 0.5, 1.0, 1.5], 1),
        ([0, 0, 0, 1], [2 / 3, 2 / 3, 2 / 3, 2.0], 1),  # balanced
        ([0, 1, 1, 2], [1.0, 0.5, 1.0, 1.5], 3),
        ([0, 1, 1, 1], [1.0, 1.0, 1.0, 1.0], 3),  # a chunk without one of the classes
    ],
)
def test_the_scale_of_gradients_is_their_mean_by_their_own_weight(targets, weights, n_outputs):
    task = make_task(targets, weights, n_outputs)
    logits = task.prior_logits().double().repeat(len(targets), 1).requires_grad_()
    (log_loss(logits, in_float64(task.train)) * len(targets)).backward()
    sizes = logits.grad.square().mean(1).sqrt()
    expected = float(sizes @ sizes / sizes.sum())
    assert task.gradient_scale() == pytest.approx(expected, rel=1e-6)


def test_prior_logits_are_finite_without_a_class():
    assert torch.isfinite(make_task([0, 0]).prior_logits()).all()
    assert torch.isfinite(make_task([0, 2], n_outputs=3).prior_logits()).all()


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5])
def test_split_off_is_disjoint_and_complete(share):
    task = make_task([0, 1] * 20)
    task = replace(task, train=replace(task.train, weights=torch.arange(40.0)))
    stay, away = task.split_off(share)
    assert len(away) == 40 * share
    assert sorted([*stay.train.weights.tolist(), *away.weights.tolist()]) == list(range(40))
    assert torch.equal(away.targets, away.weights % 2)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = FieldEmbedding((5, 4), 2)
        self.embedding.reset_parameters(torch.Generator().manual_seed(0), 1.0)


def no_step(rows):
    return torch.zeros(())


def test_run_fills_untrained_rows_before_validation():
    net = Net()
    task = make_task([0, 1] * 6)
    met = []

    def evaluate(net):
        met.append(net.embedding.weight.detach().clone())
        return {"validation_log_loss": 1.0}

    validation = in_memory(task.train.take(torch.tensor([0, 1])))
    validation.source.codes[:, 0] = torch.tensor([0, 1])
    task = replace(task, evaluate=evaluate, validation=validation)
    trained = net.embedding.weight.detach()[[2, 3, 4]].clone()
    task.run(net, no_step)
    assert torch.equal(net.embedding.weight[[2, 3, 4]], trained)
    torch.testing.assert_close(met[0][0], trained.mean(0))
    assert torch.equal(met[0][0], met[0][1])


def test_validation_meets_its_own_values_filled_and_the_rest_waits_for_the_end():
    net, met, completed = Net(), [], []

    class Copying(Silent):
        def end_epoch(self, net, record):
            met.append(net.embedding.weight.detach().clone())
            self.complete()
            completed.append(net.embedding.weight.detach().clone())
            net.embedding.weight.data[1] = 7.0
            return False

    task = make_task([0, 1] * 6)
    only_zero = in_memory(task.train.take(torch.tensor([0])))
    only_zero.source.codes[:, 0] = 0
    task = replace(
        task,
        validation=only_zero,
        evaluate=lambda net: {"validation_log_loss": 1.0},
        reporter=Copying(),
    )
    start = net.embedding.weight.detach().clone()
    mean = start[[2, 3, 4]].mean(0)
    task.run(net, no_step)
    torch.testing.assert_close(met[0][0], mean)
    assert torch.equal(met[0][1], start[1])
    for weight in (completed[0], net.embedding.weight.detach()):
        torch.testing.assert_close(weight[:2], torch.stack([mean, mean]))
        assert torch.equal(weight[[2, 3, 4]], start[[2, 3, 4]])


def test_a_search_meets_values_of_rows_set_apart_filled():
    net, met = Net(), []

    class Copying(Silent):
        def end_epoch(self, net, record):
            met.append(net.embedding.weight.detach().clone())
            return False

    task, away = make_task([0, 1] * 6).split_off(0.25)
    assert task.set_apart is away
    away.source.codes[away.numbers, 0] = 1  # which no row of the weights has
    start = net.embedding.weight.detach().clone()
    replace(task, reporter=Copying()).run(net, no_step)
    assert torch.equal(met[0][0], start[0])
    assert not torch.equal(met[0][1], start[1])
    torch.testing.assert_close(met[0][1], net.embedding.weight.detach()[1])


def test_rows_of_earlier_trainings_are_left_alone_and_counted():
    net = Net()
    task = make_task([0, 1] * 6)
    task.run(net, no_step)
    task.keep_counts(net)
    before = net.embedding.weight.detach().clone()
    # Only values 2 and 2 this time; 3 and 4 of field 0 and 3 of field 1 keep what they learnt.
    task.train.source.codes.fill_(2)
    task.run(net, no_step)
    after = net.embedding.weight.detach()
    assert torch.equal(after[[2, 3, 4, 7, 8]], before[[2, 3, 4, 7, 8]])
    counts = torch.tensor([16.0, 4, 4])
    expected = counts @ before[[2, 3, 4]] / 24
    torch.testing.assert_close(after[0], expected, rtol=2e-3, atol=1e-3)


def test_weights_count_as_rows_for_the_mean():
    nets = [Net(), Net()]
    make_task([0, 1, 0], [3.0, 1.0, 1.0]).run(nets[0], no_step)
    repeated = make_task([0, 1, 0])
    rows = torch.tensor([0, 0, 0, 1, 2])
    replace(repeated, train=repeated.train.select(rows)).run(nets[1], no_step)
    torch.testing.assert_close(nets[0].embedding.weight, nets[1].embedding.weight)
