"""Screening: an independent sum over pairs of rows, and planted crosses without traces."""

from itertools import combinations

import numpy as np
import pytest
import torch

from sparsectr.datasets import make_clicks
from sparsectr.training import screening
from sparsectr.training.screening import (
    affordable_rows,
    estimate_scores,
    screen_sets,
    significant_sets,
)


def draw(n_rows=60, n_fields=4, n_outputs=1, size=3):
    generator = torch.Generator().manual_seed(0)
    codes = torch.randint(size, (n_rows, n_fields), generator=generator, dtype=torch.int32)
    return codes, torch.randn(n_rows, n_outputs, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("order", [2, 3])
@pytest.mark.parametrize("n_outputs", [1, 3])
def test_scores_equal_the_sum_over_pairs_of_rows(order, n_outputs):
    codes, residuals = draw(n_outputs=n_outputs)
    found = screen_sets(codes, residuals, [3] * 4, order)
    rows, r = codes.numpy(), residuals.numpy()
    for fields in combinations(range(4), order):
        total = variance = 0.0
        for i, j in combinations(range(len(rows)), 2):
            if (rows[i, list(fields)] == rows[j, list(fields)]).all():
                total += 2 * r[i] @ r[j]
                variance += 4 * (r[i] @ r[i]) * (r[j] @ r[j])
        np.testing.assert_allclose(found[fields], total / np.sqrt(variance), rtol=1e-10)


def test_hashed_cells_hardly_change_the_scores(monkeypatch):
    codes, residuals = draw(n_rows=2000, size=8)
    exact = screen_sets(codes, residuals, [8] * 4, 3)
    monkeypatch.setattr(screening, "MOST_CELLS", 2**8)  # 512 joint values
    hashed = screen_sets(codes, residuals, [8] * 4, 3)
    assert exact != hashed
    assert max(abs(exact[s] - hashed[s]) for s in exact) < 4  # noise of the added pairs


def test_without_effect_scores_have_mean_zero_and_variance_one():
    codes, _ = draw(n_rows=3000, n_fields=6, size=10)
    generator = torch.Generator().manual_seed(1)
    scores = [
        list(screen_sets(codes, torch.randn(3000, 1, generator=generator), [10] * 6, 2).values())
        for _ in range(40)
    ]
    # 600 nearly independent scores: five standard errors each.
    assert abs(np.mean(scores)) < 5 / np.sqrt(600)
    assert abs(np.var(scores) - 1) < 5 * np.sqrt(2 / 600)


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
    assert found[0] == fields or set(found[0]) > {0, 1}
    assert fields in found


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
