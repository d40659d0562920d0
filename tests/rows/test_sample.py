"""A sample of chunks is a sample of all rows."""

import numpy as np
import pytest
import torch

from sparsectr.rows.labelled import LabelledRows
from sparsectr.rows.memory import MemoryRows
from sparsectr.rows.sample import RowSample


def number_rows(n):
    return torch.arange(n, dtype=torch.int32)[:, None].expand(n, 2)


def labelled(codes):
    return LabelledRows(MemoryRows(codes), torch.zeros(len(codes)), torch.ones(len(codes)))


def generate(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("lengths", [[1000], [1] * 300, [7, 500, 1, 2, 400, 90], [30, 10]])
@pytest.mark.parametrize("size", [1, 20, 50])
def test_the_rows_with_the_smallest_draws_in_their_order(lengths, size):
    table = number_rows(sum(lengths))
    generator, again = generate(), generate()
    sample, draws = RowSample(size), []
    for rows in table.split(lengths):
        sample = sample.add(labelled(rows), generator)
        draws.append(torch.rand(len(rows), dtype=torch.float64, generator=again))
        assert len(sample.draws) < 2 * size + 1
    expected = np.argsort(torch.cat(draws).numpy(), kind="stable")[:size]
    np.testing.assert_array_equal(sample.rows().numpy(), table.numpy()[expected])


def test_early_and_late_rows_are_as_likely():
    found = np.zeros(4)
    for seed in range(400):
        sample, generator = RowSample(10), generate(seed)
        for chunk in number_rows(100).split(25):
            sample = sample.add(labelled(chunk), generator)
        found += np.bincount(sample.rows()[:, 0].numpy() // 25, minlength=4)
    # Binomial: 4,000 rows in four parts, standard deviation 27.
    np.testing.assert_allclose(found, 1000, atol=110)


def test_a_sample_is_never_changed():
    generator = generate()
    first = RowSample(10).add(labelled(number_rows(100)), generator)
    rows = first.rows().clone()
    chunk = number_rows(50).clone()
    second = first.add(labelled(chunk), generator)
    kept = second.rows().clone()
    chunk.fill_(-1)
    assert torch.equal(first.rows(), rows)
    assert torch.equal(second.rows(), kept)
