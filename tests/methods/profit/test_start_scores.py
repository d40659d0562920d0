"""Starts of a search: planted scores are found again in the residuals."""

import numpy as np
import pytest
import torch

from sparsectr.datasets import make_clicks
from sparsectr.methods.profit.start_scores import estimate_scores


@pytest.fixture(scope="module")
def planted():
    clicks = make_clicks(
        40_000, 8, 20, crosses=[(0, 1), (2, 3, 4)], main_effect=0.0, random_state=0
    )
    columns = [clicks.X[name].str.split("_").str[1].astype(int) for name in clicks.X]
    codes = torch.from_numpy(np.column_stack(columns)).int()
    residuals = torch.from_numpy(clicks.y - clicks.y.mean())[:, None]
    return clicks, codes, residuals


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
