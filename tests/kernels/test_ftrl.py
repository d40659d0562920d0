import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sparsectr.kernels.ftrl import ftrl_, group_ftrl_rows_

OPTIONS = {"lr": 0.3, "beta": 0.5, "l2": 0.2, "gradient_scale": 1.0}


def draw(seed, shape):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


@given(seed=st.integers(0, 2**32), l1=st.floats(0, 3))
def test_a_weight_is_zero_exactly_where_z_is_within_l1(seed, l1):
    weights, linear, accumulator = draw(seed, (3, 40)).unbind()
    accumulator.abs_()
    ftrl_(weights, linear, accumulator, draw(seed + 1, (40,)), l1=l1, **OPTIONS)
    assert torch.equal(weights == 0, linear.abs() <= l1)


@given(seed=st.integers(0, 2**32), l1=st.floats(0, 3), dim=st.integers(1, 6))
def test_a_row_is_zero_exactly_where_its_z_is_within_the_threshold(seed, l1, dim):
    table, linear, accumulator = draw(seed, (3, 30, dim)).unbind()
    accumulator.abs_()
    group_ftrl_rows_(
        table, linear, accumulator, torch.arange(30), draw(seed + 1, (30, dim)), l1=l1, **OPTIONS
    )
    within = linear.norm(dim=1) <= l1 * math.sqrt(dim)
    assert torch.equal((table == 0).all(dim=1), within)
    assert torch.equal((table == 0).any(dim=1), within)


@pytest.mark.parametrize("norm", [1.0, 3.0, 1e-200])
def test_the_thresholds_themselves_belong_to_zero(norm):
    # z' = z here: without a gradient, n and z stay. D = 4, so the threshold is 2 * l1.
    row = torch.tensor([[norm, 0.0, 0.0, 0.0]], dtype=torch.float64)
    none = torch.zeros_like(row)
    table, weights = torch.ones_like(row), torch.ones_like(row)
    group_ftrl_rows_(
        table, row.clone(), none.clone(), torch.tensor([0]), none, l1=norm / 2, **OPTIONS
    )
    ftrl_(weights, row.clone(), none.clone(), none, l1=norm, **OPTIONS)
    assert not table.any()
    assert not weights.any()


def test_a_row_of_zero_z_is_zero_without_any_threshold():
    table = torch.ones(1, 3, dtype=torch.float64)
    none = torch.zeros_like(table)
    group_ftrl_rows_(table, none.clone(), none.clone(), torch.tensor([0]), none, l1=0.0, **OPTIONS)
    assert not table.any()


def test_repeated_rows_add_up():
    table, linear, accumulator = draw(0, (3, 6, 2)).unbind()
    accumulator.abs_()
    once = [tensor.clone() for tensor in (table, linear, accumulator)]
    values = draw(1, (4, 2))

    group_ftrl_rows_(
        table, linear, accumulator, torch.tensor([5, 2, 5, 5]), values, l1=0.1, **OPTIONS
    )
    summed = torch.stack([values[1], values[0] + values[2] + values[3]])
    group_ftrl_rows_(*once, torch.tensor([2, 5]), summed, l1=0.1, **OPTIONS)

    for left, right in zip((table, linear, accumulator), once, strict=True):
        torch.testing.assert_close(left, right, rtol=0, atol=1e-14)
