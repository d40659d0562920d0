import numpy as np
import pytest
import torch
from torch.nn import functional

from sparsectr.training.optimizers.row_adagrad import RowAdagrad


def draw(seed, shape):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def backward(table, codes, directions):
    """Set the gradient of a loss that is linear in the looked-up rows."""
    table.grad = None
    (functional.embedding(codes, table, sparse=True) * directions).sum().backward()


@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
def test_equals_adagrad_for_rows_of_one_number(weight_decay):
    options = {"lr": 0.05, "eps": 1e-6, "weight_decay": weight_decay}
    ours, theirs = (torch.nn.Parameter(draw(0, (7, 1))) for _ in range(2))
    row_adagrad, adagrad = RowAdagrad([ours], **options), torch.optim.Adagrad([theirs], **options)
    for seed in range(1, 30):
        codes, directions = torch.tensor([3, 0, 1, 2, 3, 6, 5, 4, 3, 0]), draw(seed, (10, 1))
        backward(ours, codes, directions)
        theirs.grad = ours.grad.to_dense()
        row_adagrad.step()
        adagrad.step()
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


def test_sums_start_at_the_scale_of_a_look_up_in_a_mean_loss():
    ours, plain, theirs = (torch.nn.Parameter(draw(0, (7, 1))) for _ in range(3))
    row_adagrad = RowAdagrad([ours, plain], lr=0.05)
    row_adagrad.gradient_scales[ours] = 6.0
    row_adagrad.n_rows = 4
    adagrad = torch.optim.Adagrad([theirs], lr=0.05, initial_accumulator_value=2.25)
    for seed in range(1, 10):
        for table in (ours, plain):
            backward(table, torch.tensor([3, 0, 1, 2, 3, 6]), draw(seed, (6, 1)))
        theirs.grad = ours.grad.to_dense()
        row_adagrad.step()
        adagrad.step()
    touched = [0, 1, 2, 3, 6]
    torch.testing.assert_close(ours[touched], theirs[touched], rtol=0, atol=1e-9)
    assert ((plain - ours)[touched].abs() > 1e-3).all()  # a scale belongs to one table


def test_follows_its_formula():
    table = torch.nn.Parameter(draw(0, (5, 3)))
    expected, sums = table.detach().numpy().copy(), np.zeros(5)
    optimizer = RowAdagrad([table], lr=0.2, eps=1e-3, weight_decay=0.1)
    for seed in range(1, 9):
        codes = torch.randint(5, (4,), generator=torch.Generator().manual_seed(seed))
        directions = draw(seed, (4, 3))
        backward(table, codes, directions)
        optimizer.step()
        for row in set(codes.tolist()):
            gradient = directions[codes == row].sum(0).numpy() + 0.1 * expected[row]
            sums[row] += np.mean(gradient**2)
            expected[row] -= 0.2 * gradient / (np.sqrt(sums[row]) + 1e-3)
    np.testing.assert_allclose(table.detach(), expected, rtol=0, atol=1e-12)


def test_remembers_one_number_per_row():
    table = torch.nn.Parameter(torch.zeros(6, 16))
    optimizer = RowAdagrad([table])
    backward(table, torch.tensor([0, 5]), torch.ones(2, 16))
    optimizer.step()
    (state,) = optimizer.state[table].values()
    assert state.shape == (6,)
    # A quarter of what dense Adam takes: weights, two moments and the gradient.
    assert table[0].nbytes + state[0].nbytes <= 0.3 * 4 * table[0].nbytes


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": 0.0}, r"lr must be > 0, got 0\.0"),
        ({"eps": -1.0}, r"eps must be > 0"),
        ({"weight_decay": -1.0}, r"weight_decay must be >= 0, got -1\.0"),
    ],
)
def test_refuses_parameters_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        RowAdagrad([torch.nn.Parameter(torch.zeros(2, 2))], **options)
