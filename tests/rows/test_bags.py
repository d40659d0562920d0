"""Sets of values as rows of a table: means, gradients, counts."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from sparsectr.losses import LOG_LOSS
from sparsectr.rows.bags import Bags
from sparsectr.rows.known import KnownRows
from sparsectr.rows.labelled import LabelledRows
from sparsectr.rows.memory import MemoryRows

CPU = torch.device("cpu")


@st.composite
def problems(draw):
    """Draw sizes of columns, sets of their values with known and new codes, and rows."""
    n_values = draw(st.lists(st.integers(2, 5), min_size=1, max_size=3))
    sets = [
        draw(st.lists(st.lists(st.integers(0, n - 1), min_size=2, max_size=4), max_size=3))
        for n in n_values
    ]
    sizes = [n + len(some) for n, some in zip(n_values, sets, strict=True)]
    firsts = np.cumsum([0, *sizes])[:-1]
    rows, values = [], []
    for first, n, some in zip(firsts, n_values, sets, strict=True):
        rows += range(first + n, first + n + len(some))
        values += [[first + v for v in bag] for bag in some]
    n_new = draw(st.integers(0, 2))
    last = n_values[-1]
    for j in range(n_new):
        rows.append(sum(sizes) + j)
        bag = draw(st.lists(st.integers(0, last - 1), min_size=2, max_size=3))
        values.append([firsts[-1] + v for v in bag])
    starts = np.cumsum([0, *map(len, values)])
    flat = np.array([v for bag in values for v in bag], dtype=np.int64)
    bags = Bags(sizes, np.array(rows, dtype=np.int64), starts, flat, CPU)
    high = [*sizes[:-1], sizes[-1] + n_new]
    n_rows = draw(st.integers(1, 12))
    codes = [[draw(st.integers(0, size - 1)) for size in high] for _ in range(n_rows)]
    return bags, values, torch.tensor(codes, dtype=torch.int32)


def values_of_row(bags, values, row):
    number = int(bags.of_rows[row])
    return [row] if number < 0 else values[number]


@given(problems())
def test_rows_of_sets_become_means(problem):
    bags, values, codes = problem
    table = torch.randn(bags.n_rows, 3, dtype=torch.float64)
    expected = table.clone()
    for number, row in enumerate(bags.rows.tolist()):
        expected[row] = table[values[number]].mean(0)
    pooled = table.clone()
    bags.pool(pooled)
    torch.testing.assert_close(pooled, expected)
    found = bags.find(codes)
    looked_up = {int(r) for r in (codes + bags.offsets).flatten()}
    assert found.tolist() == [k for k, r in enumerate(bags.rows.tolist()) if r in looked_up]
    some = table.clone()
    bags.pool(some, found)
    for number, row in enumerate(bags.rows.tolist()):
        whole = expected[row] if number in found.tolist() else table[row]
        torch.testing.assert_close(some[row], whole)


@given(problems())
def test_gradients_go_to_the_values(problem):
    bags, values, codes = problem
    rows = (codes + bags.offsets).flatten().long()
    gradients = [torch.randn(len(rows), dim, dtype=torch.float64) for dim in (3, 1)]
    found_rows, found = bags.spread(rows, gradients)
    for gradient, spread in zip(gradients, found, strict=True):
        expected = torch.zeros(bags.n_rows, gradient.shape[1], dtype=torch.float64)
        for row, part in zip(rows.tolist(), gradient, strict=True):
            some = values_of_row(bags, values, row)
            for value in some:
                expected[value] += part / len(some)
        dense = torch.zeros_like(expected).index_add_(0, found_rows, spread)
        torch.testing.assert_close(dense, expected, atol=1e-6, rtol=1e-6)


@given(problems())
def test_counts_are_those_of_values(problem):
    bags, values, codes = problem
    weights = torch.rand(len(codes)) + 0.5
    targets = torch.zeros(len(codes))
    rows = LabelledRows(MemoryRows(codes, bags), targets, weights, loss=LOG_LOSS)
    lookups = torch.zeros(bags.n_rows, dtype=torch.int64)
    shares = torch.zeros(bags.n_rows, dtype=torch.float64)
    for line, weight in zip((codes + bags.offsets).tolist(), weights.tolist(), strict=True):
        for row in line:
            some = values_of_row(bags, values, row)
            for value in some:
                lookups[value] += 1
                shares[value] += weight / len(some)
    sizes = bags.widened_sizes
    assert torch.equal(rows.count(sizes), lookups)
    torch.testing.assert_close(rows.count(sizes, weighted=True), shares)
    assert abs(float(rows.count(sizes, weighted=True).sum() / len(sizes) - weights.sum())) < 1e-4


def test_numbers_of_sets_are_shared_among_their_values():
    bags = Bags([6], np.array([4, 5]), np.array([0, 2, 4]), np.array([2, 3, 3, 3]), CPU)
    codes = torch.tensor([[2], [4], [4], [5]], dtype=torch.int32)
    numbers = torch.tensor([[9.0], [9.0], [6.0], [9.0], [3.0], [1.0]])
    found = bags.average(0, numbers, codes)
    # Value 2 is in row 0, and is a half of rows 1 and 2; value 3 is the other half, and row 3.
    torch.testing.assert_close(found[2], torch.tensor([(6 + 3.0) / 2]))
    torch.testing.assert_close(found[3], torch.tensor([(3 + 1.0) / 2]))
    assert found[[0, 1, 4, 5]].abs().max() == 0


def test_new_sets_are_unknown_to_the_encoder_of_a_fit():
    bags = Bags([3, 4], np.array([6, 7]), np.array([0, 2, 4]), np.array([4, 5, 3, 5]), CPU)
    codes = torch.tensor([[2, 3], [1, 4], [0, 2]], dtype=torch.int32)
    source = KnownRows(MemoryRows(codes, bags))
    expected = [[2, 3], [1, 0], [0, 2]]
    assert source.read(0, 3).tolist() == expected
    assert source.take(torch.tensor([1, 0])).tolist() == [expected[1], expected[0]]
    assert (len(source), source.n_fields, source.device) == (3, 2, CPU)
