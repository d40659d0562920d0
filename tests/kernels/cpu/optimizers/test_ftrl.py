"""The fused update of rows by FTRL against its reference."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsectr.kernels import ftrl as reference
from sparsectr.kernels.fused import fused_kernels

fused = pytest.importorskip("sparsectr.kernels.cpu.optimizers.ftrl", exc_type=ImportError)


def draw(seed, shape):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def start(seed, n_rows, dim):
    """Table, z and n; some rows have never been trained."""
    table, linear, accumulator = draw(seed, (3, n_rows, dim)).unbind()
    trained = draw(seed + 1, (n_rows, 1)) > 0
    return [table.clone(), linear.clone(), accumulator.square() * trained]


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**32),
    n_lookups=st.integers(0, 300),
    n_rows=st.integers(1, 100),
    dim=st.integers(1, 19),
    l1=st.floats(0, 2),
    decays=st.booleans(),
    n_threads=st.sampled_from([1, 2]),
)
def test_rows_agree_with_the_reference(seed, n_lookups, n_rows, dim, l1, decays, n_threads):
    theirs = start(seed, n_rows, dim)
    ours = [tensor.float() for tensor in theirs]
    options = {"lr": 0.3, "beta": 0.5, "l1": l1, "l2": 0.2, "gradient_scale": 3.0, "n_rows": 7}
    options["lookup_decay"] = draw(seed + 2, (n_rows,)).abs().float() if decays else None
    generator = torch.Generator().manual_seed(seed)
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        for turn in range(3):
            rows = torch.randint(n_rows, (n_lookups,), generator=generator)
            values = draw(seed + turn, (n_lookups, dim + 1))[:, 1:]  # not side by side in memory
            reference.group_ftrl_rows_(*theirs, rows, values, **options)
            fused.group_ftrl_rows_(*ours, rows, values.float(), **options)
    finally:
        torch.set_num_threads(before)
    for left, right in zip(ours, theirs, strict=True):
        torch.testing.assert_close(left.double(), right, rtol=2e-4, atol=2e-4)


def test_other_rows_keep_their_bits_and_a_row_below_the_threshold_is_zero():
    table, linear, accumulator = (tensor.float() for tensor in start(0, 6, 4))
    before = table.clone()
    rows, values = torch.tensor([1, 4, 1]), torch.zeros(3, 4)
    options = {"lr": 0.3, "beta": 0.5, "l2": 0.2, "gradient_scale": 1.0}
    with fused_kernels(True):
        reference.group_ftrl_rows_(table, linear, accumulator, rows, values, l1=9.0, **options)
    assert not table[[1, 4]].any()
    assert torch.equal(table[[0, 2, 3, 5]], before[[0, 2, 3, 5]])


def test_the_kernel_of_that_name_takes_the_fused_version(monkeypatch):
    calls = []
    monkeypatch.setattr(fused, "group_ftrl_rows_", lambda *_, **options: calls.append(options))
    state = [tensor.float() for tensor in start(0, 3, 2)]
    options = {"lr": 0.3, "beta": 0.5, "l1": 0.0, "l2": 0.2, "gradient_scale": 1.0}
    reference.group_ftrl_rows_(*state, torch.tensor([1]), torch.ones(1, 2), **options)
    assert calls == [options]
