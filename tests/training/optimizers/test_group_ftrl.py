import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from torch.nn import functional

from sparsectr.training.optimizers.ftrl import FTRL
from sparsectr.training.optimizers.group_ftrl import GroupFTRL, zero_row_share


def draw(seed, shape):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def table_parameter(seed=0, shape=(6, 4), scale=1.0):
    return torch.nn.Parameter(scale * draw(seed, shape))


def run(optimizer, table, gradients):
    for gradient in gradients:
        table.grad = gradient.clone()
        optimizer.step()
    return table.detach()


@pytest.mark.parametrize("l1", [0.0, 2.0])
def test_rows_trained_before_stay_what_they_are_without_a_gradient(l1):
    table = table_parameter()
    with torch.no_grad():
        table[0] = 0.0
        table[1] = 1e-30
    before = table.detach().clone()
    optimizer = GroupFTRL([table], l1=l1, l2=0.4, going_on=True)
    after = run(optimizer, table, [torch.zeros_like(table)])
    torch.testing.assert_close(after[2:], before[2:], rtol=1e-14, atol=0)
    assert not after[0].any()
    # A tiny row drowns in the threshold, to within rounding of z.
    assert (after[1] - before[1]).abs().max() <= 1e-15 * l1


@pytest.mark.parametrize("l1", [0.0, 0.05, 0.2])
def test_fresh_rows_pay_for_the_threshold_at_once(l1):
    # Without a gradient: the minimiser of the penalties and of the pull towards the first rows.
    lr, beta, l2 = 0.3, 0.5, 0.4
    table = table_parameter(shape=(40, 4), scale=0.1)
    pull = beta / lr * table.detach().clone()
    after = run(
        GroupFTRL([table], lr=lr, beta=beta, l1=l1, l2=l2), table, [torch.zeros_like(table)]
    )
    norms = pull.norm(dim=1, keepdim=True)
    kept = (1 - l1 * math.sqrt(4) / norms).clamp(min=0)
    torch.testing.assert_close(after, kept * pull / (beta / lr + l2), rtol=0, atol=1e-15)
    assert torch.equal(after.any(dim=1, keepdim=True), norms > 2 * l1)


def test_a_larger_l1_zeroes_more_rows_of_noise_up_to_all():
    shares = []
    for l1 in (0.0, 0.3, 1.0, 10.0):
        table = table_parameter(shape=(300, 16), scale=0.1)
        noise = [0.1 * draw(seed, (300, 16)) for seed in range(1, 100)]
        shares.append(zero_row_share(run(GroupFTRL([table], lr=1.0, l1=l1), table, noise)))
    assert shares[0] == 0
    assert shares == sorted(shares)
    assert 0.2 < shares[2] < 1
    assert shares[3] == 1


def test_one_number_a_row_is_ftrl():
    grouped, single = table_parameter(shape=(30, 1)), table_parameter(shape=(30, 1))
    options = {"lr": 0.2, "beta": 0.7, "l1": 1.0, "l2": 0.3}
    gradients = [draw(seed, (30, 1)) for seed in range(1, 10)]
    after = run(GroupFTRL([grouped], **options), grouped, gradients)
    torch.testing.assert_close(
        after, run(FTRL([single], **options), single, gradients), rtol=0, atol=1e-14
    )
    assert 0 < zero_row_share(after) < 1


def test_is_the_minimiser_where_n_is_constant_in_the_row():
    lr, beta, l1, l2, dim = 0.2, 0.7, 0.6, 0.4, 4
    table = table_parameter(shape=(20, dim), scale=0.1)
    first = table.detach().clone()
    optimizer = GroupFTRL([table], lr=lr, beta=beta, l1=l1, l2=l2)
    threshold = l1 * math.sqrt(dim)
    # Of every row: the sum of its gradients, and the centres that it is held to and how firmly.
    sums, squares = torch.zeros_like(first), torch.zeros(20, 1, dtype=torch.float64)
    held = [(first, beta / lr * torch.ones_like(squares))]
    for seed in range(1, 6):
        # Gradients of one size in a row, with signs of their own, keep n constant in the row.
        sizes = torch.linspace(0.02, 0.6, 20, dtype=torch.float64).unsqueeze(1)
        gradient = draw(seed, (20, dim)).sign() * sizes
        before = table.detach().clone()
        run(optimizer, table, [gradient])
        sums, grown = sums + gradient, squares + sizes**2
        held.append((before, (grown.sqrt() - squares.sqrt()) / lr))
        squares = grown
    for number, row in enumerate(table.detach().numpy()):

        def objective(w, number=number):
            pulls = sum(
                firmness[number].item() / 2 * np.sum((w - centre[number].numpy()) ** 2)
                for centre, firmness in held
            )
            penalty = threshold * np.linalg.norm(w) + l2 / 2 * w @ w
            return sums[number].numpy() @ w + pulls + penalty

        if row.any():
            found = minimize(objective, row + 0.01, method="BFGS", options={"gtol": 1e-9})
            np.testing.assert_allclose(row, found.x, rtol=0, atol=1e-6)
        for direction in np.random.default_rng(number).normal(0, 1e-3, (20, dim)):
            assert objective(row) <= objective(row + direction) + 1e-12
    assert 0 < zero_row_share(table) < 1


def test_without_penalties_it_is_adagrad_on_the_touched_rows():
    ours, theirs = table_parameter(), table_parameter()
    group_ftrl = GroupFTRL([ours], lr=0.3, beta=0.7, l1=0.0, l2=0.0)
    adagrad = torch.optim.Adagrad([theirs], lr=0.3, eps=0.7)
    for seed in range(1, 20):
        codes = torch.randint(6, (5,), generator=torch.Generator().manual_seed(seed))
        directions = draw(seed, (5, 4))
        # Adagrad does not move a number without gradient, so it may see a dense one.
        for table, optimizer in ((ours, group_ftrl), (theirs, adagrad)):
            optimizer.zero_grad()
            embeddings = functional.embedding(codes, table, sparse=table is ours)
            (embeddings * directions).sum().backward()
            optimizer.step()
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-13)


@pytest.mark.parametrize("scale", [0.01, 4096.0])
def test_a_gradient_scale_is_a_scale_of_the_penalties(scale):
    gradients = [draw(seed, (6, 4)) for seed in range(1, 10)]
    plain, scaled = table_parameter(), table_parameter()
    expected = run(GroupFTRL([plain], beta=0.7, l1=0.9, l2=0.4), plain, gradients)
    optimizer = GroupFTRL(
        [scaled], beta=scale * 0.7, l1=scale * 0.9, l2=scale * 0.4, gradient_scale=scale
    )
    torch.testing.assert_close(run(optimizer, scaled, gradients), expected, rtol=0, atol=1e-12)


def test_a_row_leaves_zero_when_its_gradients_add_up_to_more_than_the_threshold():
    # l1 = 10 and D = 16: the threshold is 40, and each gradient has norm 9.9.
    table = torch.nn.Parameter(torch.zeros(1, 16, dtype=torch.float64))
    direction = functional.normalize(draw(1, (1, 16)), dim=1)
    optimizer = GroupFTRL([table], l1=10.0, l2=10.0)
    for _ in range(4):
        assert not run(optimizer, table, [9.9 * direction]).any()
    after = run(optimizer, table, [9.9 * direction])
    assert (after * direction < 0).all()


def zero_rows_after_one_step(seed, l1):
    table = table_parameter(seed, (40, 3), scale=0.1)
    after = run(GroupFTRL([table], lr=1.0, l1=l1), table, [draw(seed + 1, (40, 3))])
    return ~after.any(dim=1)


@given(seed=st.integers(0, 2**32), l1=st.floats(0, 2), more=st.floats(0.01, 2))
def test_a_larger_l1_never_brings_a_row_back(seed, l1, more):
    zero, still_zero = (zero_rows_after_one_step(seed, s) for s in (l1, l1 + more))
    assert not (zero & ~still_zero).any()


def test_a_larger_l1_makes_more_rows_zero():
    counts = [int(zero_rows_after_one_step(0, l1).sum()) for l1 in (0.0, 0.5, 1.0, 4.0)]
    assert counts[0] == 0
    assert counts == sorted(set(counts))


def test_learns_the_mean_of_frequent_values_and_drops_the_rest():
    frequent, rare = torch.arange(400) % 8, torch.arange(8, 16)
    codes = torch.cat([frequent, rare])
    target = draw(3, (408, 2)) + 2.0
    table = torch.nn.Parameter(torch.zeros(16, 2, dtype=torch.float64))
    optimizer = GroupFTRL([table], lr=0.5, l1=5.0)
    for _ in range(300):
        optimizer.zero_grad()
        embeddings = functional.embedding(codes, table, sparse=True)
        # The rare values pull with a thousandth of a gradient, below the threshold in all.
        weight = torch.where(codes < 8, 1.0, 0.001).unsqueeze(1)
        (weight * (embeddings - target) ** 2 / 2).sum().backward()
        optimizer.step()
    means = target[:400].reshape(50, 8, 2).mean(dim=0)
    torch.testing.assert_close(table.detach()[:8], means, rtol=0, atol=1e-6)
    assert zero_row_share(table) == 0.5
    assert not table.detach()[8:].any()


def test_zero_row_share_counts_rows_that_are_zero_throughout():
    table = torch.tensor([[0.0, 0.0], [0.0, 1e-30], [-0.0, 0.0], [3.0, -3.0]])
    assert zero_row_share(table) == 0.5
    assert zero_row_share(torch.ones(3, 2)) == 0.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": -1.0}, r"lr must be > 0, got -1\.0"),
        ({"gradient_scale": 0.0}, r"gradient_scale must be > 0"),
        ({"beta": -1.0}, r"beta must be >= 0"),
        ({"l1": -0.1}, r"l1 must be >= 0, got -0\.1"),
        ({"l2": float("nan")}, r"l2 must be >= 0, got nan"),
        ({"beta": 0.0, "l2": 0.0}, r"beta or l2 must be > 0"),
    ],
)
def test_refuses_parameters_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        GroupFTRL([table_parameter()], **options)


def test_refuses_a_parameter_that_is_no_table():
    vector = torch.nn.Parameter(torch.zeros(3))
    vector.grad = torch.ones(3)
    with pytest.raises(ValueError, match="must have 2 dimensions"):
        GroupFTRL([vector]).step()
