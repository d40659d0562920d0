import itertools

import numpy as np
import pytest
import torch
from torch.nn import functional

from sparsectr.methods.optfeature.gates import (
    LowRankScores,
    Selection,
    open_gate,
    spread_vectors,
    start_vectors,
)


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def make_scores(order=2, dim=3, rank=7, seed=0):
    """Return score parameters of no special form."""
    scores = LowRankScores(dim, rank, order).double()
    for number, parameter in enumerate(scores.parameters()):
        parameter.data.copy_(draw(*parameter.shape, seed=seed + number))
    return scores


def make_selection(granularity="hybrid", combine="paper", seed=0):
    selection = Selection(4, 2, granularity, combine, 3, 7).double()
    selection.reset_parameters(torch.Generator().manual_seed(seed))
    for number, parameter in enumerate(selection.parameters()):
        parameter.data.add_(0.7 * draw(*parameter.shape, seed=seed + number))
    return selection


def test_an_open_gate_passes_gradients_unchanged():
    scores = torch.tensor([-1e30, -2.0, 0.0, 1e-30, 3.0, 1e30], requires_grad=True)
    gates = open_gate(scores)
    assert gates.tolist() == [0, 0, 0, 1, 1, 1]
    gradient = torch.tensor([1.0, -2.0, 3.0, -4.0, 5.0, 1e20])
    gates.backward(gradient)
    assert torch.equal(scores.grad, gradient)


def test_scores_are_entries_of_the_full_matrix():
    scores, table = make_scores(), draw(11, 3, seed=9)
    u = (table @ scores.weight.T + scores.bias).detach().numpy()
    matrix = u @ np.diag(scores.scale.detach().numpy()) @ u.T  # (m, m)
    codes = torch.randint(11, (8, 4), generator=torch.Generator().manual_seed(1))
    found = scores(table[codes]).detach().numpy()
    for column, (i, j) in enumerate(itertools.combinations(range(4), 2)):
        np.testing.assert_allclose(found[:, column], matrix[codes[:, i], codes[:, j]], atol=1e-12)
        np.testing.assert_allclose(found[:, column], matrix[codes[:, j], codes[:, i]], atol=1e-12)


@pytest.mark.parametrize(("sign", "semi_definite"), [(1.0, True), (-1.0, False)])
def test_the_full_matrix_is_semi_definite_for_scales_above_zero(sign, semi_definite):
    scores, table = make_scores(), draw(11, 3, seed=9)
    scores.scale.data = sign * scores.scale.data.abs()
    # Pairs from the scores, the diagonal from scoring every vector with itself.
    matrix = torch.empty(11, 11, dtype=torch.float64)
    for i, j in itertools.product(range(11), repeat=2):
        matrix[i, j] = scores(table[[i, j]]).item()
    assert (torch.linalg.eigvalsh(matrix).min().item() >= -1e-9) == semi_definite


def test_a_score_of_order_three_and_rank_one_is_a_product():
    scores = make_scores(order=3, rank=1)
    scores.scale.data.fill_(1.0)
    vectors = draw(2, 5, 3)
    u = (vectors @ scores.weight.T + scores.bias)[..., 0].detach()
    expected = [u[:, i] * u[:, j] * u[:, k] for i, j, k in itertools.combinations(range(5), 3)]
    torch.testing.assert_close(scores(vectors).detach(), torch.stack(expected, 1))


@pytest.mark.parametrize("order", [2, 3, 4])
@pytest.mark.parametrize("dim", [1, 4, 16])
def test_all_gates_start_open(order, dim):
    for seed in range(5):
        generator = torch.Generator().manual_seed(seed)
        selection = Selection(9, order, "hybrid", "paper", dim, 32)
        selection.reset_parameters(generator)
        fields = start_vectors(9, dim, generator)
        values = torch.stack([spread_vectors(centre, 50, generator) for centre in fields], 1)
        assert (selection.field_scores() > 0).all()
        assert (selection.value_scores(values) > 0).all()
        assert (selection(values) == 1).all()


@pytest.mark.parametrize("combine", ["paper", "raw"])
@pytest.mark.parametrize(("alpha", "granularity"), [(60.0, "field"), (-60.0, "value")])
def test_an_extreme_alpha_is_a_single_grain(combine, alpha, granularity):
    hybrid = make_selection(combine=combine)
    hybrid.alpha.data.fill_(alpha)
    single = Selection(4, 2, granularity, combine, 3, 7).double()
    single.load_state_dict(hybrid.state_dict(), strict=False)
    vectors = draw(20, 4, 3)
    torch.testing.assert_close(hybrid(vectors), single(vectors).expand(20, -1), rtol=0, atol=1e-15)
    assert torch.equal(hybrid.chosen_scores(vectors), single.chosen_scores(vectors).expand(20, -1))


def test_an_alpha_of_zero_chooses_the_values():
    selection = make_selection()
    selection.alpha.data.zero_()
    vectors = draw(20, 4, 3)
    assert not selection.follows_fields().any()
    assert torch.equal(selection.chosen_scores(vectors), selection.value_scores(vectors))


@pytest.mark.parametrize("combine", ["paper", "raw"])
def test_the_gradient_of_alpha(combine):
    selection, vectors = make_selection(combine=combine), draw(20, 4, 3)
    gradient = draw(20, 6, seed=3)
    (selection(vectors) * gradient).sum().backward()
    share = torch.sigmoid(selection.alpha.detach())
    field, value = selection.field_scores().detach(), selection.value_scores(vectors).detach()
    if combine == "paper":
        field, value = (field > 0).double(), (value > 0).double()
    expected = (share * (1 - share) * gradient * (field - value)).sum(0)
    torch.testing.assert_close(selection.alpha.grad, expected)


def test_a_field_gate_is_the_same_for_all_rows_and_a_value_gate_is_not():
    vectors = draw(50, 4, 3)
    assert make_selection("field")(vectors).shape == (6,)
    gates = make_selection("value")(vectors)
    assert 0 < gates.mean() < 1
    assert (gates != gates[0]).any()


def test_a_value_gate_looks_at_its_own_row_and_fields_only():
    selection, vectors = make_selection("value"), draw(50, 4, 3)
    order = torch.randperm(50, generator=torch.Generator().manual_seed(0))
    assert torch.equal(selection(vectors)[order], selection(vectors[order]))
    changed = vectors.clone()
    changed[:, 2] = draw(50, 3, seed=5)
    same = [2 not in pair for pair in itertools.combinations(range(4), 2)]
    before, after = selection.value_scores(vectors), selection.value_scores(changed)
    unchanged = (before == after).all(0)
    assert unchanged.tolist() == same


def test_closed_for_good_are_closed_field_gates_only():
    selection, vectors = make_selection(), draw(200, 4, 3)
    selection.alpha.data.copy_(torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0, -1.0]))
    closed = selection.closed_for_good()
    assert torch.equal(closed, (selection.alpha > 0) & (selection.field_scores() <= 0))
    assert not (selection.chosen_scores(vectors)[:, closed] > 0).any()
    assert not make_selection("value").closed_for_good().any()


def test_start_vectors_are_orthogonal_where_there_is_room():
    vectors = start_vectors(5, 8, torch.Generator().manual_seed(0)).double()
    unit = functional.normalize(vectors, dim=1)
    torch.testing.assert_close(unit @ unit.T, torch.eye(5).double(), rtol=0, atol=1e-6)
