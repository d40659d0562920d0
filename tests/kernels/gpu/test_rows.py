"""Lookups and updates of rows on a GPU against their references; without a GPU, interpreted."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from sparsectr.kernels import rows as reference
from sparsectr.kernels.rows import AdagradTable, AdamTable

fused = pytest.importorskip("sparsectr.kernels.gpu.rows", exc_type=ImportError)

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
OPTIONS = {"lr": 0.1, "eps": 1e-2, "weight_decay": 0.01, "n_rows": 7}
BETAS = {"betas": (0.9, 0.999)}


def draw(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def draw_rows(seed, n_lookups, n_rows):
    """Draw row numbers, small ones much more often."""
    shares = torch.rand(n_lookups, generator=torch.Generator().manual_seed(seed))
    return (shares**3 * n_rows).long()


def update(module, seed, rows, n_rows, dim, dtype, device, *, adagrad, decays, columns):
    """Take three steps with a module's version; return tables and states."""
    table, values = draw(seed, n_rows, dim), draw(seed + 1, len(rows), dim)
    table, values = table.to(device, dtype), values.to(device, dtype)
    chosen = slice(*columns) if columns else slice(None)
    decay = draw(seed + 2, n_rows).abs().to(device) if decays else None
    weights, values = table[:, chosen], values[:, chosen]
    if adagrad:
        state = [draw(seed + 3, n_rows).abs().to(device, dtype)]
        step, tables = module.adagrad_rows_, [AdagradTable(weights, *state, values, decay)]
        options = OPTIONS
    else:
        moments = torch.zeros(n_rows, 2, weights.shape[1], dtype=dtype, device=device)
        state = [*moments.unbind(1), (draw_rows(seed, n_rows, 3) * 700).int().to(device)]
        step, tables = module.adam_rows_, [AdamTable(weights, *state, values, decay)]
        options = OPTIONS | BETAS
    for _ in range(3):
        step(tables, rows.to(device), **options)
    return [t.cpu() for t in (table, *state)]


CASES = st.fixed_dictionaries(
    {
        "n_lookups": st.integers(0, 200),
        "n_rows": st.integers(1, 60),
        "dim": st.sampled_from([1, 3, 16, 20]),
        "adagrad": st.booleans(),
        "decays": st.booleans(),
        "columns": st.sampled_from([None, (0, 1), (1, 3)]),
    }
)


def check(seed, n_lookups, n_rows, dim, columns, **options):
    columns = columns if columns and columns[1] <= dim else None
    rows = draw_rows(seed, n_lookups, n_rows)
    options |= {"columns": columns}
    ours = update(fused, seed, rows, n_rows, dim, torch.float32, DEVICE, **options)
    again = update(fused, seed, rows, n_rows, dim, torch.float32, DEVICE, **options)
    exact = update(reference, seed, rows, n_rows, dim, torch.float64, "cpu", **options)
    for own, same, expected in zip(ours, again, exact, strict=True):
        assert torch.equal(own, same)
        torch.testing.assert_close(own.double(), expected.double(), rtol=2e-5, atol=2e-5)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**32), case=CASES)
def test_updates_agree_with_the_reference(seed, case):
    check(seed, **case)


@pytest.mark.parametrize("n_lookups", [fused.WINDOW, fused.WINDOW + 1, 40 * fused.WINDOW + 5])
@pytest.mark.parametrize("adagrad", [False, True])
def test_a_row_is_summed_over_any_number_of_windows(n_lookups, adagrad):
    check(0, n_lookups, 1, 4, None, adagrad=adagrad, decays=True)


def test_rows_that_no_one_looks_up_keep_their_bits():
    rows = torch.tensor([3, 3, 1])
    options = {"adagrad": False, "decays": True, "columns": None}
    table, *_ = update(fused, 0, rows, 5, 2, torch.float32, DEVICE, **options)
    untouched = [0, 2, 4]
    assert torch.equal(table[untouched], draw(0, 5, 2).float()[untouched])


@pytest.mark.parametrize(("shape", "dim"), [((5,), 3), ((4, 7), 16), ((0, 3), 2), ((70, 2), 1)])
def test_embeddings_and_their_gradient_are_those_of_torch(shape, dim):
    table = draw(0, 9, dim).float().to(DEVICE)
    rows = torch.randint(9, shape, generator=torch.Generator().manual_seed(1)).int().to(DEVICE)
    results = []
    for look_up in (fused.look_up, lambda t, r: functional.embedding(r, t, sparse=True)):
        weight = table.clone().requires_grad_()
        embeddings = look_up(weight, rows)
        (embeddings * draw(2, *shape, dim).float().to(DEVICE)).sum().backward()
        results.append((embeddings, weight.grad.to_dense()))
    (ours, our_gradient), (theirs, their_gradient) = results
    assert torch.equal(ours, theirs)
    # A GPU adds up the lookups of a row in any order when it makes a gradient dense.
    torch.testing.assert_close(our_gradient, their_gradient)
