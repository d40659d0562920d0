"""Crosses that share an effect, against correlations of NumPy."""

import numpy as np
import torch

from sparsectr.training.sharing import find_shared


def test_crosses_share_what_correlates():
    rng = np.random.default_rng(0)
    base = rng.normal(size=(500, 2))
    noise = rng.normal(size=(4, 500, 2))
    effects = np.stack(
        [
            base,
            3 + 0.2 * base + 0.05 * noise[0],
            -base + noise[1],
            0.4 * base + noise[2],
            np.zeros_like(base),
            np.ones_like(base),
        ]
    )
    found = find_shared(torch.from_numpy(effects))
    exact = np.corrcoef((effects[:4] - effects[:4].mean(1, keepdims=True)).reshape(4, -1))
    for place in range(4):
        order = np.argsort(-np.abs(exact[place]))
        assert found[place] == [k for k in order if k != place and abs(exact[place, k]) > 0.5]
    assert found[0] == [1, 2]
    assert found[3:] == [[], [], []]
