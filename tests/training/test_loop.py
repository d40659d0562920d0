"""The training loop around a step that only notes what it is given."""

import math

import pytest
import torch
from torch import nn

from sparsectr.training.loop import Schedule, run_epochs


class Reporter:
    def __init__(self, stop_at=None):
        self.events, self.stop_at = [], stop_at

    def watch(self, batches, n_rows):
        return batches

    def begin_epoch(self, net):
        self.events.append("begin")

    def end_epoch(self, net, record):
        self.events.append(record["epoch"])
        return record["epoch"] == self.stop_at


def run(costs, *, patience, monitor="log_loss", stop_at=None, n_rows=10, batch_size=4, annealed=()):
    """Train a net whose only weight counts the epochs; validation follows a script."""
    net = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(net.weight)
    n_batches = -(-n_rows // batch_size)
    seen = []

    def step(rows):
        assert net.training
        seen.append(rows)
        with torch.no_grad():
            net.weight += 1 / n_batches
        return torch.tensor(float(len(rows)))

    def evaluate(net):
        net.eval()
        return {f"validation_{monitor}": costs[round(net.weight.item()) - 1]}

    reporter = Reporter(stop_at)
    history = run_epochs(
        net,
        n_rows,
        step,
        Schedule(batch_size, len(costs), patience, monitor),
        generator=torch.Generator().manual_seed(0),
        reporter=reporter,
        evaluate=evaluate,
        phase="search",
        annealed=annealed,
    )
    return history, round(net.weight.item()), seen, reporter


@pytest.mark.parametrize(
    ("costs", "patience", "n_epochs", "best"),
    [
        ([3, 2, 1], 1, 3, 3),
        ([1, 2, 3], 1, 2, 1),
        ([2, 1, 1, 1, 1], 2, 4, 2),  # a tie is no improvement
        ([5, 6, 4, 6, 5, 3], 2, 5, 3),
        ([5, 6, 4, 6, 5, 3], 3, 6, 6),
        ([1, 2, 3], None, 3, 3),
        ([1, 0.9999, 0.9998, 0.9997, 0.5], 2, 3, 3),  # tiny gains are kept, and end training
        ([1, 0.9999, 0.9997, 0.9996, 0.9994], 2, 5, 5),
    ],
)
def test_patience_and_the_best_state(costs, patience, n_epochs, best):
    history, weight, _, _ = run(costs, patience=patience)
    assert len(history) == n_epochs
    assert weight == best
    history, weight, _, _ = run([-c for c in costs], patience=patience, monitor="roc_auc")
    assert (len(history), weight) == (n_epochs, best)


def test_a_reporter_ends_the_phase_and_the_best_state_still_counts():
    history, weight, _, reporter = run([1, 2, 3, 4], patience=5, stop_at=2)
    assert len(history) == 2
    assert weight == 1
    assert reporter.events == ["begin", 1, "begin", 2]


def test_every_epoch_visits_every_row_in_a_new_order():
    history, _, seen, _ = run([1, 1, 1], patience=None)
    assert [len(rows) for rows in seen] == [4, 3, 3] * 3
    orders = [torch.cat(seen[i : i + 3]).tolist() for i in (0, 3, 6)]
    assert all(sorted(order) == list(range(10)) for order in orders)
    assert len(set(map(tuple, orders))) == 3
    # The mean over rows, not over batches: (16 + 9 + 9) / 10.
    assert [record["train_loss"] for record in history] == pytest.approx([3.4] * 3)


def test_records():
    history, *_ = run([0.5, 0.25], patience=None)
    assert [list(record) for record in history] == [
        ["phase", "epoch", "train_loss", "validation_log_loss"]
    ] * 2
    assert [record["epoch"] for record in history] == [1, 2]
    assert {record["phase"] for record in history} == {"search"}


def test_a_validation_value_that_is_not_finite_names_the_learning_rate():
    with pytest.raises(ValueError, match=r"validation_log_loss must stay finite.*learning_rate"):
        run([1.0, math.nan], patience=None)


@pytest.mark.parametrize("where", ["loss", "weight"])
def test_a_loss_or_weight_that_is_not_finite_names_the_learning_rate(where):
    net = nn.Linear(2, 1)

    def step(rows):
        if where == "weight":  # the very last step goes astray; its loss was still fine
            with torch.no_grad():
                net.weight[0, 1] = math.inf
        return torch.tensor(math.nan if where == "loss" else 1.0)

    with pytest.raises(ValueError, match=r"must stay finite, got \w+ in epoch 1.*learning_rate"):
        run_epochs(
            net,
            4,
            step,
            Schedule(4, 1),
            generator=torch.Generator().manual_seed(0),
            reporter=Reporter(),
        )


@pytest.mark.parametrize(
    ("costs", "patience", "expected"),
    [
        ([3, 2, 1], 4, 1.0),
        ([3, 4, 2, 5, 1], 4, 1.0),  # single epochs without improvement are noise
        ([3, 4, 5], 4, 0.1),
        ([3, 4, 5, 6], 4, 0.01),
        ([3, 4, 5, 6, 7], 4, 0.01),  # nothing is trained after the last epoch
        ([3, 4, 5], 2, 1.0),
        ([3, 4, 5, 6, 7], None, 1.0),
    ],
)
def test_the_second_epoch_without_improvement_drops_the_learning_rate(costs, patience, expected):
    weight = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([{"params": [weight], "lr": 2.0}], lr=1.0)
    run(costs, patience=patience, annealed=[optimizer])
    assert optimizer.param_groups[0]["lr"] == pytest.approx(2 * expected)


def test_batches_grow_when_the_learning_rate_drops():
    weight = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    costs, sizes = iter([3, 4, 5, 6, 2, 3]), []

    def step(rows):
        sizes.append(len(rows))
        return torch.tensor(0.0)

    run_epochs(
        nn.ParameterList([weight]),
        3000,
        step,
        Schedule(4, 6, 9, largest_batch=64),
        generator=torch.Generator().manual_seed(0),
        reporter=Reporter(),
        evaluate=lambda net: {"validation_log_loss": next(costs)},
        annealed=[optimizer],
    )
    # Two drops: after the third epoch to 32 rows, then to 64, the most.
    assert len(sizes) == 3 * 750 + 94 + 2 * 47
    assert (max(sizes[:2250]), max(sizes[2250:2344]), max(sizes[2344:])) == (4, 32, 64)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("largest", "n_rows", "expected"),
    [
        (None, 9000, [32, 32, 32, 32]),
        (512, 900_000, [32, 256, 512, 512]),
        (512, 9000, [32, 256, 300, 300]),  # an epoch keeps thirty steps
        (512, 600, [32, 32, 32, 32]),
        (16, 9000, [32, 32, 32, 32]),
    ],
)
def test_how_large_batches_grow(largest, n_rows, expected):
    schedule = Schedule(32, 10, 3, largest_batch=largest)
    assert [schedule.rows_per_step(n_drops, n_rows) for n_drops in range(4)] == expected
    assert schedule.of_search(n_rows).batch_size == min(expected[-1], 128)


@pytest.mark.parametrize("annealed", [True, False])
def test_training_goes_on_from_the_best_epoch_with_smaller_steps(annealed):
    net = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(net.weight)
    optimizer = torch.optim.SGD(net.parameters(), lr=1.0)
    seen = []

    def step(rows):
        net.weight.grad = -torch.ones_like(net.weight)
        optimizer.step()
        return torch.tensor(0.0)

    def evaluate(net):  # best at 1.1
        seen.append(round(net.weight.item(), 3))
        return {"validation_log_loss": abs(seen[-1] - 1.1)}

    schedule = Schedule(4, 20, 4)
    history = run_epochs(
        net,
        4,
        step,
        schedule,
        generator=torch.Generator().manual_seed(0),
        reporter=Reporter(),
        evaluate=evaluate,
        annealed=[optimizer] if annealed else [],
    )
    assert len(history) == len(seen)
    if annealed:
        assert seen == [1, 2, 3, 1.1, 1.2, 1.3, 1.11, 1.101]
        assert net.weight.item() == pytest.approx(1.1)
    else:
        assert seen == [1, 2, 3, 4, 5]
        assert net.weight.item() == 1
