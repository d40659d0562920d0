"""Screening: an independent sum over pairs of rows, and planted crosses without traces."""

from itertools import combinations

import numpy as np
import pytest
import torch
from scipy.stats import chi2, norm

from sparsectr.datasets import make_clicks
from sparsectr.training import screening
from sparsectr.training.screening import (
    _agreements,
    _deviates,
    _parts,
    affordable_rows,
    estimate_scores,
    remove_parts,
    screen_sets,
    significant_sets,
)


def draw(n_rows=60, n_fields=4, n_outputs=1, size=3):
    generator = torch.Generator().manual_seed(0)
    codes = torch.randint(size, (n_rows, n_fields), generator=generator, dtype=torch.int32)
    return codes, torch.randn(n_rows, n_outputs, generator=generator, dtype=torch.float64)


def alike(rows, fields):
    """Pairs of different rows with equal values in all fields."""
    equal = (rows[:, None, list(fields)] == rows[None, :, list(fields)]).all(2)
    np.fill_diagonal(equal, False)
    return equal


@pytest.mark.parametrize("size", [0, 1, 2, 3])
@pytest.mark.parametrize("n_outputs", [1, 3])
def test_sums_equal_those_over_pairs_and_triples_of_rows(size, n_outputs):
    codes, residuals = draw(n_outputs=n_outputs)
    residuals = residuals.sign()  # the third cumulant is that of rows of equal weight
    sets = list(combinations(range(4), size))
    found = _agreements(codes, residuals, [3] * 4, sets)
    rows, r = codes.numpy(), residuals.numpy()
    squares = (r**2).sum(1)
    for place, fields in enumerate(sets):
        equal = alike(rows, fields)
        triples = np.einsum("ij,jk,ki,i,j,k", equal, equal, equal, squares, squares, squares)
        expected = [(equal * (r @ r.T)).sum(), 2 * squares @ equal @ squares, 8 * triples]
        np.testing.assert_allclose(found[:, place], [*expected, expected[1]], rtol=1e-9)


@pytest.mark.parametrize("correlated", [False, True])
def test_what_is_left_is_uncorrelated_with_the_parts(correlated):
    """Against least squares on the indicators of all pairs of rows themselves."""
    codes, residuals = draw(n_rows=80, n_fields=3)
    rows, r = codes.numpy(), residuals.numpy()[:, 0]
    if correlated:
        rows[::2, 1] = rows[::2, 0]
    # Every pair of rows is one observation, whose variance without effect is the weight.
    first, second = np.triu_indices(len(rows), 1)
    weights = 2 * np.abs(r[first] * r[second])
    sums = 2 * r[first] * r[second]
    columns = np.stack(
        [
            alike(rows, [k for k in range(3) if mask >> k & 1])[first, second] * weights
            for mask in range(8)
        ],
        1,
    )
    slopes = np.linalg.lstsq(columns[:, :-1], columns[:, -1], rcond=None)[0]
    rest = columns[:, -1] - columns[:, :-1] @ slopes
    shares = columns / weights[:, None]
    totals, variances = shares.T @ sums, (columns**2).sum(0)
    parts = torch.arange(7)
    totals_of_set, variances_of_set = (torch.from_numpy(x)[None] for x in (totals, variances))
    found = remove_parts(totals_of_set, variances_of_set, variances_of_set, parts[:, None] | parts)
    np.testing.assert_allclose(found[0], totals[-1] - totals[:-1] @ slopes, rtol=1e-8)
    np.testing.assert_allclose(found[1], (rest**2).sum(), rtol=1e-8)


def deviates(totals, variance, third):
    totals = torch.from_numpy(totals)
    return _deviates(totals, *(torch.full_like(totals, x) for x in (variance, third))).numpy()


@pytest.mark.parametrize("freedom", [2, 5, 30, 1000])
def test_skewed_sums_become_normal_deviates(freedom):
    chances = np.array([0.2, 0.1, 0.01, 1e-3, 1e-4, 1e-6, 1e-10])
    totals = chi2.isf(chances, freedom) - freedom
    found = deviates(totals, 2.0 * freedom, 8.0 * freedom)
    exact = norm.isf(chances)
    # The cube root is good to .05 as far as 1 in 1000, and too low beyond: no false alarms.
    np.testing.assert_allclose(found[:4], exact[:4], rtol=0, atol=0.05)
    assert (found[4:] < exact[4:] + 0.01).all()
    assert (found[4:] > 0.9 * exact[4:]).all()


def test_a_deviate_rises_with_the_sum():
    sums = np.linspace(-10, 10, 1001)
    assert (np.diff(deviates(sums, 2.0, 3.0)) > 0).all()
    np.testing.assert_allclose(deviates(sums, 1.0, 0.0), sums, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("correlated", [False, True])
def test_without_effect_a_set_seldom_stands_out(correlated):
    """As often as it says, 5 %, where few cells hold many rows each."""
    codes, _ = draw(n_rows=2000, n_fields=8, size=4)
    if correlated:
        for k in range(1, 4):
            codes[: 400 * k, k] = codes[: 400 * k, 0]
    generator = torch.Generator().manual_seed(2)
    draws = torch.randn(100, 2000, 1, generator=generator)
    alarms = [bool(significant_sets(screen_sets(codes, r, [4] * 8, 2))) for r in draws]
    assert np.mean(alarms) < 0.12  # three standard errors


def test_of_large_sets_the_largest_parts_are_taken_out():
    assert _parts(2) == [0, 1, 2, 3]
    assert _parts(6) == [0, *(63 - (1 << k) for k in reversed(range(6))), 63]


@pytest.mark.parametrize("order", [5, 6])
def test_a_large_set_stands_out_alone(order):
    codes, _ = draw(n_rows=20_000, n_fields=order + 1, size=2)
    generator = torch.Generator().manual_seed(1)
    signs = 1 - 2 * codes.double()
    noise = torch.randn(20_000, generator=generator, dtype=torch.float64)
    residuals = noise + 0.3 * signs[:, :2].prod(1) + 0.2 * signs[:, :order].prod(1)
    scores = screen_sets(codes, residuals[:, None], [2] * (order + 1), order)
    planted = tuple(range(order))
    assert scores.pop(planted) > 10
    assert max(scores.values()) < 3


@pytest.mark.parametrize("order", [2, 3])
def test_what_fewer_fields_explain_is_not_counted_for_more(order):
    codes, _ = draw(n_rows=20_000, n_fields=5, size=6)
    generator = torch.Generator().manual_seed(1)
    tables = torch.randn(6, 6, 6, generator=generator, dtype=torch.float64)
    noise = torch.randn(20_000, generator=generator, dtype=torch.float64)
    a, b, c = codes[:, :3].long().unbind(1)
    residuals = noise + 0.5 + 0.3 * tables[0, 0][a] + (0.3 * tables[0][a, b] if order == 3 else 0)
    scores = screen_sets(codes, residuals[:, None], [6] * 5, order)
    assert max(scores.values()) < 4
    residuals += 0.1 * (tables[0][b, c] if order == 2 else tables[a, b, c])
    scores = screen_sets(codes, residuals[:, None], [6] * 5, order)
    fields = (1, 2) if order == 2 else (0, 1, 2)
    assert significant_sets(scores) == [fields]


def test_a_field_that_follows_from_another_adds_nothing():
    codes, residuals = draw(n_rows=500)
    codes[:, 1] = codes[:, 0] // 2
    scores = screen_sets(codes, residuals, [3] * 4, 2)
    assert scores[0, 1] == 0
    assert all(score != 0 for fields, score in scores.items() if fields != (0, 1))


def test_where_every_row_is_alone_hashing_finds_nothing(monkeypatch):
    """As a user and a movie, and the year of the movie: pairs of rows agree by their hash alone."""
    monkeypatch.setattr(screening, "MOST_CELLS", 2**10)
    generator = torch.Generator().manual_seed(0)
    users, movies = (torch.randint(n, (5000,), generator=generator) for n in (400, 300))
    columns = [users, movies, movies // 4, users // 8]
    codes, sizes = torch.stack(columns, 1).int(), [400, 300, 75, 50]
    effects = torch.randn(400, generator=generator), torch.randn(300, generator=generator)
    residuals = torch.randn(5000, generator=generator) + effects[0][users] + effects[1][movies]
    scores = screen_sets(codes, 0.2 + residuals[:, None], sizes, 3)
    assert max(map(abs, scores.values())) < 4


def test_hashed_cells_hardly_change_the_scores(monkeypatch):
    codes, residuals = draw(n_rows=2000, size=8)
    exact = screen_sets(codes, residuals, [8] * 4, 3)
    monkeypatch.setattr(screening, "MOST_CELLS", 2**8)  # 512 joint values
    hashed = screen_sets(codes, residuals, [8] * 4, 3)
    assert exact != hashed
    assert max(abs(exact[s] - hashed[s]) for s in exact) < 4  # noise of the added pairs


def test_without_effect_sums_have_mean_zero_and_the_variance_that_is_said():
    codes, _ = draw(n_rows=3000, n_fields=6, size=10)
    generator = torch.Generator().manual_seed(1)
    sets = list(combinations(range(6), 2))
    scores, skewness = [], []
    for _ in range(40):
        draws = torch.randn(3000, 1, generator=generator)
        totals, variances, thirds, _ = _agreements(codes, draws, [10] * 6, sets)
        scores += (totals / variances.sqrt()).tolist()
        skewness += (thirds / variances**1.5).tolist()
    # 600 nearly independent scores: five standard errors each.
    assert abs(np.mean(scores)) < 5 / np.sqrt(600)
    assert abs(np.var(scores) - 1) < 5 * np.sqrt(2 / 600)
    assert abs(np.mean(np.power(scores, 3)) - np.mean(skewness)) < 5 * np.sqrt(15 / 600)


def test_one_outlier_stands_out_and_shared_inflation_does_not():
    quantiles = torch.special.ndtri((torch.arange(190) + 0.5) / 190)
    values = (8 + 3 * quantiles).tolist()
    scores = dict(zip(combinations(range(20), 2), values, strict=True))
    assert not significant_sets(scores)
    scores[3, 7] = 60.0
    assert significant_sets(scores) == [(3, 7)]


@pytest.fixture(scope="module")
def planted():
    clicks = make_clicks(
        40_000, 8, 20, crosses=[(0, 1), (2, 3, 4)], main_effect=0.0, random_state=0
    )
    columns = [clicks.X[name].str.split("_").str[1].astype(int) for name in clicks.X]
    codes = torch.from_numpy(np.column_stack(columns)).int()
    residuals = torch.from_numpy(clicks.y - clicks.y.mean())[:, None]
    return clicks, codes, residuals


@pytest.mark.parametrize("fields", [(0, 1), (2, 3, 4)])
def test_a_planted_cross_without_traces_has_the_highest_score(planted, fields):
    _, codes, residuals = planted
    found = significant_sets(screen_sets(codes, residuals, [20] * 8, len(fields)))
    assert found[0] == fields


@pytest.mark.parametrize("cross", [0, 1])
def test_estimated_scores_follow_the_planted_ones(planted, cross):
    clicks, codes, residuals = planted
    fields = [(0, 1), (2, 3, 4)][cross]
    scores, strengths = estimate_scores(
        codes[:, list(fields)],
        residuals.expand(-1, 3),
        [20] * len(fields),
        torch.Generator().manual_seed(0),
    )
    assert (strengths > 0).all()
    for field, score, truth in zip(fields, scores, clicks.cross_scores[cross], strict=True):
        p = clicks.frequencies[field]
        centred = score.numpy() - p @ score.numpy()
        correlation = (p * truth) @ centred / np.sqrt(p @ centred**2)
        assert (np.abs(correlation) > 0.9).all()


def test_rows_follow_the_budget():
    assert affordable_rows(5_000, 20, 3) == 5_000
    assert affordable_rows(10**7, 20, 3) == 200_000
    assert affordable_rows(10**7, 39, 4) == 10**9 // 82_251
    assert affordable_rows(10**7, 100, 4) == 0  # 3.9 million sets
