import pytest
import torch
from torch.nn import functional

from sparsectr.training.optimizers import (
    FTRL,
    OPTIMIZERS,
    DenseAdam,
    GroupFTRL,
    RowAdagrad,
    RowAdam,
    make_optimizers,
    set_batch_rows,
)
from sparsectr.training.optimizers.factory import ADAGRAD_PACE, FTRL_PACE


def make_parameters():
    generator = torch.Generator().manual_seed(0)
    shapes = [(6, 2), (4, 1)], [(2,), ()]
    tables, others = (
        [
            torch.nn.Parameter(torch.randn(s, generator=generator, dtype=torch.float64))
            for s in group
        ]
        for group in shapes
    )
    return tables, others


def row_losses(tables, others, codes):
    embeddings = functional.embedding(codes, tables[0], sparse=True)  # (B, 2)
    linear = functional.embedding(codes % 4, tables[1], sparse=True)  # (B, 1)
    logits = embeddings @ others[0] + linear.squeeze(1) + others[1]
    return functional.softplus(logits)


@pytest.mark.parametrize(
    ("kind", "classes"),
    [
        ("adam", [RowAdam, DenseAdam]),
        ("adagrad", [RowAdagrad, DenseAdam]),
        ("ftrl", [GroupFTRL, FTRL]),
    ],
)
def test_every_parameter_has_one_optimizer(kind, classes):
    tables, others = make_parameters()
    optimizers = make_optimizers(tables, others, kind, learning_rate=0.02, weight_decay=0.5)
    assert [type(optimizer) for optimizer in optimizers] == classes
    for optimizer, parameters in zip(optimizers, (tables, others), strict=True):
        (group,) = optimizer.param_groups
        assert all(a is b for a, b in zip(group["params"], parameters, strict=True))
        paces = {RowAdagrad: ADAGRAD_PACE, GroupFTRL: FTRL_PACE, FTRL: FTRL_PACE}
        pace = paces.get(type(optimizer), 1)
        assert group["lr"] == pytest.approx(pace * 0.02)
        assert kind == "ftrl" or group["weight_decay"] == 0.5


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_a_step_moves_every_parameter_downhill(kind):
    tables, others = make_parameters()
    optimizers = make_optimizers(tables, others, kind, learning_rate=1e-3)
    before = [p.detach().clone() for p in tables + others]
    codes = torch.arange(6)
    loss = row_losses(tables, others, codes).mean()
    loss.backward()
    for optimizer in optimizers:
        optimizer.step()
    assert row_losses(tables, others, codes).mean() < loss
    for parameter, old in zip(tables + others, before, strict=True):
        assert (parameter != old).all()


@pytest.mark.parametrize("kind", ["adam", "ftrl"])
def test_makes_no_optimizer_for_nothing(kind):
    tables, others = make_parameters()
    assert len(make_optimizers(tables, [], kind, learning_rate=0.1)) == 1
    assert len(make_optimizers([], others, kind, learning_rate=0.1)) == 1
    assert make_optimizers([], [], kind, learning_rate=0.1) == []


def test_ftrl_takes_longer_steps_and_the_penalties_of_its_tables():
    tables, others = make_parameters()
    penalties = {"l1": 3.0, "l2": 0.5, "beta": 2.0}
    of_tables, of_others = make_optimizers(
        tables, others, "ftrl", learning_rate=0.1, ftrl=penalties, going_on=True
    )
    for optimizer in (of_tables, of_others):
        assert optimizer.defaults["lr"] == FTRL_PACE * 0.1
        assert optimizer.defaults["going_on"]
    assert of_tables.defaults.items() >= penalties.items()
    assert of_others.defaults["l1"] < 1


def test_refuses_an_unknown_kind():
    with pytest.raises(ValueError, match="one of 'adam', 'adagrad', 'ftrl', got 'sgd'"):
        make_optimizers(*make_parameters(), "sgd", learning_rate=0.1)


def test_the_scaled_mean_loss_trains_like_the_sum_loss():
    results = []
    for reduce in (torch.mean, torch.sum):
        tables, others = make_parameters()
        optimizers = make_optimizers(tables, others, "ftrl", learning_rate=0.1)
        for codes in (torch.arange(6), torch.tensor([1, 1, 5])):
            if reduce is torch.mean:
                set_batch_rows(optimizers, len(codes))
            for optimizer in optimizers:
                optimizer.zero_grad()
            reduce(row_losses(tables, others, codes)).backward()
            for optimizer in optimizers:
                optimizer.step()
        results.append([p.detach() for p in tables + others])
    torch.testing.assert_close(*results, rtol=0, atol=1e-14)


def test_the_gradient_scale_leaves_adam_alone():
    optimizers = make_optimizers(*make_parameters(), "adam", learning_rate=0.1)
    set_batch_rows(optimizers, 64)
    assert not any("gradient_scale" in o.param_groups[0] for o in optimizers)
