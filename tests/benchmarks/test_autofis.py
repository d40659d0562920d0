"""The search of AutoFIS among the benchmarks."""

import numpy as np
import torch
from autofis import GRDA, AutoFISClassifier

from sparsectr.datasets import make_clicks


def test_grda_is_its_formula():
    rng = np.random.default_rng(0)
    start, gradients = rng.normal(size=20), rng.normal(size=(7, 20))
    weights = torch.nn.Parameter(torch.from_numpy(start.copy()))
    optimizer = GRDA([weights], lr=0.1, c=2.0, mu=0.7)
    for t, gradient in enumerate(gradients, 1):
        weights.grad = torch.from_numpy(gradient)
        optimizer.step()
        total = start - 0.1 * gradients[:t].sum(0)
        shrinkage = 2.0 * 0.1 ** (0.5 + 0.7) * t**0.7
        expected = np.sign(total) * np.maximum(np.abs(total) - shrinkage, 0)
        np.testing.assert_allclose(weights.detach(), expected, rtol=1e-12)
    assert 0 < (expected == 0).sum() < 20


def test_planted_pairs_survive():
    planted = [(0, 1), (2, 3)]
    clicks = make_clicks(14_000, 6, 10, crosses=planted, cross_effect=1.0, random_state=0)
    clf = AutoFISClassifier(c=0.01, random_state=0).fit(clicks.X, clicks.y)
    assert {cross["fields"] for cross in clf.crosses_} == {("f0", "f1"), ("f2", "f3")}
