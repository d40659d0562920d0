"""The fused updates of rows against their references."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsectr.kernels import rows as reference
from sparsectr.kernels.fused import fused_kernels
from sparsectr.kernels.rows import AdagradTable, AdamTable

fused = pytest.importorskip("sparsectr.kernels.cpu.optimizers.rows", exc_type=ImportError)

OPTIONS = {"lr": 0.1, "betas": (0.9, 0.999), "eps": 1e-6, "weight_decay": 0.01}


def draw(seed, shape):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def draw_rows(seed, n_lookups, n_rows):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(n_rows, (n_lookups,), generator=generator)


def start(seed, n_rows, dim, dtype):
    """Table, moments and steps; some rows have long been trained, some never."""
    table, mean, square = draw(seed, (3, n_rows, dim)).unbind()
    step = draw_rows(seed, n_rows, 3) * 700
    moments = [m * (step > 0)[:, None] for m in (mean, square.square())]
    return [t.to(dtype).contiguous() for t in (table, *moments)] + [step.int()]


def assert_near(actual, expected):
    for left, right in zip(actual, expected, strict=True):
        torch.testing.assert_close(left.double(), right.double(), rtol=2e-5, atol=2e-5)


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**32),
    n_lookups=st.integers(0, 300),
    n_rows=st.integers(1, 100),
    dim=st.integers(1, 19),
    decays=st.booleans(),
    n_tables=st.integers(1, 2),
    n_threads=st.sampled_from([1, 2, 3]),
)
def test_adam_rows_agrees_with_the_reference(
    seed, n_lookups, n_rows, dim, decays, n_tables, n_threads
):
    ours, theirs = (start(seed, n_rows, dim, d) for d in (torch.float32, torch.float64))
    decay = draw(seed, (n_rows,)).abs().float() if decays else None
    # A second table of another length, and without a decay.
    others = [start(seed + 9, n_rows, 1 + dim // 2, t[0].dtype) for t in (ours, theirs)]
    # Adam divides a gradient by its own size: where one is nearly zero because its terms cancel,
    # a small eps would make a step of the rounding of float32.
    options = OPTIONS | {"n_rows": 7, "eps": 1e-2}
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        for turn in range(3):
            rows = draw_rows(seed + turn, n_lookups, n_rows)
            values = draw(seed + turn, (n_lookups, dim))
            for function, table, other, dtype in (
                (fused.adam_rows_, ours, others[0], torch.float32),
                (reference.adam_rows_, theirs, others[1], torch.float64),
            ):
                tables = [
                    AdamTable(*table, values.to(dtype), decay),
                    AdamTable(*other, values[:, : 1 + dim // 2].to(dtype)),
                ]
                function(tables[:n_tables], rows, **options)
    finally:
        torch.set_num_threads(before)
    assert_near(ours, theirs)
    assert_near(*others)


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**32),
    n_lookups=st.integers(0, 300),
    n_rows=st.integers(1, 100),
    dim=st.integers(1, 19),
    decays=st.booleans(),
    n_tables=st.integers(1, 2),
    n_threads=st.sampled_from([1, 2, 3]),
)
def test_adagrad_rows_agrees_with_the_reference(
    seed, n_lookups, n_rows, dim, decays, n_tables, n_threads
):
    decay = draw(seed, (n_rows,)).abs().float() if decays else None
    options = {"lr": 0.1, "eps": 1e-3, "weight_decay": 0.01, "n_rows": 7}
    sides = [
        [
            (draw(seed, (n_rows, length)).to(dtype), draw(seed + 1, (n_rows,)).square().to(dtype))
            for length in (dim, 1 + dim // 2)
        ]
        for dtype in (torch.float32, torch.float64)
    ]
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        for turn in range(3):
            rows = draw_rows(seed + turn, n_lookups, n_rows)
            values = draw(seed + turn, (n_lookups, dim))
            for function, side in zip(
                (fused.adagrad_rows_, reference.adagrad_rows_), sides, strict=True
            ):
                tables = [
                    AdagradTable(*table, values[:, : table[0].shape[1]].to(table[0].dtype), decay)
                    for table in side
                ]
                function(tables[:n_tables], rows, **options)
    finally:
        torch.set_num_threads(before)
    for ours, theirs in zip(*sides, strict=True):
        assert_near(ours, theirs)


def test_adagrad_rows_keeps_its_rows_apart_where_a_sum_is_not_a_number():
    weights, sums = torch.zeros(6, 2), torch.zeros(6)
    sums[[1, 4]] = torch.tensor([-1], dtype=torch.int32).view(torch.float32)  # NaN, all bits set
    rows = torch.tensor([4, 0, 1, 4, 1, 5])
    fused.adagrad_rows_(
        [AdagradTable(weights, sums, torch.ones(6, 2))], rows, lr=0.5, eps=1e-9, weight_decay=0.0
    )
    assert weights.isnan().all(1).tolist() == [False, True, False, False, True, False]
    assert weights[[0, 5]].tolist() == [[-0.5, -0.5]] * 2
    assert weights[[2, 3]].tolist() == [[0.0, 0.0]] * 2


def test_adam_rows_updates_some_columns_of_a_wider_table():
    ours = start(0, 20, 7, torch.float32)
    theirs = [tensor.clone() for tensor in ours]
    whole = ours[0].clone()
    rows, values = draw_rows(1, 30, 20), draw(1, (30, 7)).float()
    for function, (table, mean, square, step) in (
        (fused.adam_rows_, ours),
        (reference.adam_rows_, theirs),
    ):
        some = [mean[:, 2:5].contiguous(), square[:, 2:5].contiguous()]
        with fused_kernels(False):
            function([AdamTable(table[:, 2:5], *some, step, values[:, 2:5])], rows, **OPTIONS)
    assert_near(ours, theirs)
    assert torch.equal(ours[0][:, [0, 1, 5, 6]], whole[:, [0, 1, 5, 6]])
    assert not torch.equal(ours[0][:, 2:5], whole[:, 2:5])


def test_adam_rows_reads_values_without_memory_of_their_own():
    ours, theirs = (start(0, 9, 4, torch.float32) for _ in range(2))
    rows, values = draw_rows(1, 30, 9), torch.ones(()).expand(30, 4)
    fused.adam_rows_([AdamTable(*ours, values)], rows, **OPTIONS)
    fused.adam_rows_([AdamTable(*theirs, values.contiguous())], rows, **OPTIONS)
    for left, right in zip(ours, theirs, strict=True):
        assert torch.equal(left, right)


def test_adam_rows_leaves_other_rows_and_its_gradient_alone():
    state = start(3, 50, 5, torch.float32)
    before = [tensor.clone() for tensor in state]
    rows, values = torch.tensor([7, 7, 30]), draw(0, (3, 5)).float()
    given_values = values.clone()
    fused.adam_rows_([AdamTable(*state, values)], rows, **OPTIONS)
    others = [row for row in range(50) if row not in (7, 30)]
    for after, old in zip(state, before, strict=True):
        assert torch.equal(after[others], old[others])
    assert (state[3][[7, 30]] == before[3][[7, 30]] + 1).all()
    assert torch.equal(values, given_values)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32), sizes=st.lists(st.integers(1, 9), min_size=1, max_size=4))
def test_parts_find_their_lookups_whatever_order_these_have(seed, sizes):
    """Field by field, whole stretches of lookups are of one part, or of none; here of all sorts.

    The fields and the batch are so large that there are parts, and stretches that end a field.
    """
    bounds = torch.tensor(sizes).cumsum(0) * 40
    fields = [draw_rows(seed + f, 3_001, int(size) * 40) for f, size in enumerate(sizes)]
    rows = torch.stack(
        [f + end - 40 * size for f, end, size in zip(fields, bounds, sizes, strict=True)]
    )
    values = draw(seed, (*rows.shape, 3)).float()
    n_rows, options = int(bounds[-1]), OPTIONS | {"eps": 1e-2}
    expected = start(seed, n_rows, 3, torch.float64)
    by_field = rows.flatten(), values.flatten(0, 1)
    reference.adam_rows_([AdamTable(*expected, by_field[1].double())], by_field[0], **options)
    found = []
    for lookups, of_lookups in (by_field, (rows.T.flatten(), values.transpose(0, 1).flatten(0, 1))):
        table = start(seed, n_rows, 3, torch.float32)
        fused.adam_rows_([AdamTable(*table, of_lookups)], lookups, **options)
        assert_near(table, expected)
        found.append(table)
    # The lookups of a row are summed in the order of the batch either way.
    for left, right in zip(*found, strict=True):
        assert torch.equal(left, right)


def test_adam_rows_gives_the_same_bits_with_any_number_of_threads():
    # Two fields that take turns, so that a bad cut of the table would leave parts empty.
    rows, values = draw_rows(0, 50_000, 1_500), draw(0, (50_000, 16)).float()
    rows[::2] += 1_500
    results, before = [], torch.get_num_threads()
    try:
        for n_threads in (1, 2, 3, 5):
            torch.set_num_threads(n_threads)
            state = start(0, 3_000, 16, torch.float32)
            fused.adam_rows_([AdamTable(*state, values)], rows, **OPTIONS)
            results.append(state)
    finally:
        torch.set_num_threads(before)
    for state in results[1:]:
        for left, right in zip(results[0], state, strict=True):
            assert torch.equal(left, right)


def test_the_kernel_of_that_name_takes_the_fused_version(monkeypatch):
    calls = []
    monkeypatch.setattr(fused, "adam_rows_", lambda *tensors, **options: calls.append(options))
    table = AdamTable(*start(0, 5, 2, torch.float32), torch.ones(1, 2))
    reference.adam_rows_([table], torch.tensor([1]), **OPTIONS)
    assert calls == [OPTIONS]
