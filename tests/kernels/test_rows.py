import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from sparsectr.kernels.rows import (
    LONGEST_PIECE,
    AdamTable,
    adam_rows_,
    split_gradient,
    sum_rows,
    sum_rows_filled,
    touched_rows,
)


def random_lookups(seed, n_lookups, n_rows, dim, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randint(n_rows, (n_lookups,), generator=generator)
    return rows, torch.randn((n_lookups, dim), generator=generator, dtype=dtype)


@given(
    seed=st.integers(0, 2**32),
    n_lookups=st.integers(0, 200),
    n_rows=st.integers(1, 60),
    dim=st.integers(1, 5),
    index_dtype=st.sampled_from([torch.int32, torch.int64]),
)
def test_sum_rows_agrees_with_numpy(seed, n_lookups, n_rows, dim, index_dtype):
    rows, values = random_lookups(seed, n_lookups, n_rows, dim)
    expected = np.zeros((n_rows, dim))
    np.add.at(expected, rows.numpy(), values.numpy())

    distinct_rows, sums = sum_rows(rows.to(index_dtype), values)

    np.testing.assert_array_equal(distinct_rows, np.unique(rows))
    np.testing.assert_allclose(sums, expected[np.unique(rows)], rtol=0, atol=1e-12)


def test_sum_rows_handles_the_largest_row_number():
    rows = torch.tensor([2**31 - 1, 0, 2**31 - 1])
    distinct_rows, sums = sum_rows(rows, torch.ones(3, 1))
    assert distinct_rows.tolist() == [0, 2**31 - 1]
    assert sums.tolist() == [[1.0], [2.0]]


def test_sum_rows_gives_the_same_bits_in_every_call():
    rows, values = random_lookups(0, 50_000, 300, 16, torch.float32)
    first, again = sum_rows(rows, values), sum_rows(rows, values)
    assert torch.equal(first[1], again[1])


def test_sum_rows_reads_values_without_memory_of_their_own():
    rows, values = random_lookups(1, 40, 7, 1)
    expanded = values[:, :1].expand(-1, 3)
    torch.testing.assert_close(sum_rows(rows, expanded)[1], sum_rows(rows, values)[1].expand(-1, 3))


def test_sum_rows_returns_memory_of_its_own():
    values = torch.ones(4, 2)
    _, sums = sum_rows(torch.arange(4), values)
    sums.zero_()
    assert torch.equal(values, torch.ones(4, 2))


@given(
    seed=st.integers(0, 2**32),
    n_lookups=st.integers(1, 300),
    n_rows=st.integers(1, 200),
    dim=st.integers(1, 5),
)
def test_filled_sums_repeat_the_distinct_rows(seed, n_lookups, n_rows, dim):
    rows, values = random_lookups(seed, n_lookups, n_rows, dim)
    distinct, sums = sum_rows(rows, values)
    filled_rows, filled_sums = sum_rows_filled(rows, values)
    places = torch.arange(n_lookups) % len(distinct)
    assert torch.equal(filled_rows, distinct[places])
    torch.testing.assert_close(filled_sums, sums[places], rtol=0, atol=1e-12)
    # What is computed from them and written back is the same whoever writes last.
    assert torch.equal(filled_sums, filled_sums[places])


def test_no_thread_of_a_gpu_sums_a_long_run(monkeypatch):
    """Neither the run of a frequent value, nor the empty places behind the last one."""
    lengths = []
    embedding_bag = functional.embedding_bag

    def spy(indices, values, firsts, mode):
        ends = torch.cat([firsts[1:], torch.tensor([len(indices)])])
        lengths.append(int((ends - firsts).max()))
        return embedding_bag(indices, values, firsts, mode=mode)

    monkeypatch.setattr(functional, "embedding_bag", spy)
    rows = torch.cat([torch.zeros(3200, dtype=torch.int64), torch.arange(800)])
    sum_rows_filled(rows, torch.ones(4000, 1))
    of_pieces, of_rows = lengths
    assert of_pieces <= LONGEST_PIECE
    assert of_rows <= 3201 / LONGEST_PIECE + 1


def test_an_empty_batch_touches_no_row():
    rows, sums = touched_rows(torch.zeros(0, dtype=torch.int64), torch.zeros(0, 3))
    assert rows.shape == (0,)
    assert sums.shape == (0, 3)


def test_split_gradient_keeps_the_gradient_of_a_lookup():
    table = torch.zeros(9, 2, dtype=torch.float64, requires_grad=True)
    codes, weights = random_lookups(2, 30, 9, 2)
    (functional.embedding(codes, table, sparse=True) * weights).sum().backward()

    rows, values = split_gradient(table.grad)

    assert torch.equal(rows, codes)
    assert torch.equal(values, weights)


def test_split_gradient_touches_every_row_of_a_dense_gradient():
    gradient = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    rows, values = split_gradient(gradient)
    assert rows.tolist() == [0, 1, 2, 3, 4]
    assert torch.equal(values, gradient)


def test_split_gradient_refuses_what_is_no_table():
    with pytest.raises(ValueError, match=r"must have 2 dimensions .* got a gradient with 1"):
        split_gradient(torch.zeros(4))


def numpy_adam(table, lookups, *, lr, betas, eps, weight_decay):
    """Run Adam row by row, lookup by lookup, as the docstring states it."""
    table = table.numpy().copy()
    mean, square, count = np.zeros_like(table), np.zeros_like(table), np.zeros(len(table), int)
    for rows, values in lookups:
        for row in set(rows.tolist()):
            gradient = values.numpy()[rows.numpy() == row].sum(axis=0) + weight_decay * table[row]
            count[row] += 1
            mean[row] = betas[0] * mean[row] + (1 - betas[0]) * gradient
            square[row] = betas[1] * square[row] + (1 - betas[1]) * gradient**2
            corrected = square[row] / (1 - betas[1] ** count[row])
            step = mean[row] / (1 - betas[0] ** count[row]) / (np.sqrt(corrected) + eps)
            table[row] -= lr * step
    return table, mean, square, count


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_adam_rows_agrees_with_numpy(weight_decay):
    options = {"lr": 0.1, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": weight_decay}
    table = torch.randn(12, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    lookups = [random_lookups(seed, 10, 12, 3) for seed in range(8)]
    expected = numpy_adam(table, lookups, **options)

    state = (torch.zeros_like(table), torch.zeros_like(table), torch.zeros(12, dtype=torch.int32))
    for rows, values in lookups:
        adam_rows_([AdamTable(table, *state, values)], rows, **options)

    for actual, reference in zip((table, *state), expected, strict=True):
        np.testing.assert_allclose(actual, reference, rtol=1e-12, atol=1e-14)


def test_adam_rows_takes_a_first_step_of_lr_in_float32():
    table, gradient = torch.zeros(1, 4), torch.tensor([[3.0, -0.2, 1e-3, -50.0]])
    state = (torch.zeros(1, 4), torch.zeros(1, 4), torch.zeros(1, dtype=torch.int32))
    options = {"lr": 0.25, "betas": (0.9, 0.999), "eps": 1e-12, "weight_decay": 0.0}
    adam_rows_([AdamTable(table, *state, gradient)], torch.tensor([0]), **options)
    # 1 - 0.999 computed naively in float32 has a relative error of 1e-5 already.
    torch.testing.assert_close(table, -0.25 * gradient.sign(), rtol=1e-6, atol=0)
    assert math.isclose(table[0, 0].item(), -0.25, rel_tol=1e-6)
