"""Crosses that share an effect: by correlation, or by values that tell it."""

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
    rows = torch.arange(500)[:, None].expand(-1, 2)  # every row has values of its own: no cells
    found = find_shared(torch.from_numpy(effects), rows, [(0, 1)] * 6)
    exact = np.corrcoef((effects[:4] - effects[:4].mean(1, keepdims=True)).reshape(4, -1))
    for place in range(4):
        order = np.argsort(-np.abs(exact[place]))
        assert found[place] == [k for k in order if k != place and abs(exact[place, k]) > 0.5]
    assert found[0] == [1, 2]
    assert found[3:] == [[], [], []]


def centred(rng, *shape):
    values = rng.normal(size=shape)
    for axis in range(len(shape)):
        values -= values.mean(axis, keepdims=True)
    return values / values.std()


def test_values_of_a_copy_tell_a_share_that_noise_hides():
    """A weak stand-in of which most is noise: correlation alone does not see it."""
    rng = np.random.default_rng(1)
    n = 8_000
    a, b, c = rng.integers(0, 8, (3, n))
    copy, coarse, follower = 7 - a, a // 2, np.where(rng.random(n) < 0.8, a, c)
    near_unique = rng.permutation(n)
    codes = np.stack([a, b, c, copy, coarse, follower, near_unique], axis=1)
    truth, other, single = centred(rng, 8, 8), centred(rng, 8, 8), centred(rng, 8)

    def weak(*columns):
        shape = tuple(codes[:, list(columns)].max(0) + 1)
        return 0.1 * centred(rng, *shape)[tuple(codes[:, f] for f in columns)]

    sets = [(0, 1), (3, 1), (4, 1), (5, 1), (2, 1), (0, 2), (6, 1), (0, 1, 2)]
    effects = [truth[a, b] + single[b], 0.05 * truth[a, b] + weak(3, 1), weak(4, 1), weak(5, 1)]
    effects += [other[c, b] + single[b], weak(0, 2), rng.normal(size=n), weak(0, 1, 2)]
    effects = np.stack(effects)[:, :, None]
    assert abs(np.corrcoef(effects[:2, :, 0])[0, 1]) < 0.5
    found = find_shared(torch.from_numpy(effects), torch.from_numpy(codes), sets)
    # Of a copy, of half of it and of a field that often follows it; not of a field in common, of
    # values that are all different, nor of a larger set.
    assert set(found[0]) == {1, 2, 3}
    assert found[1][0] == 0
    assert found[4:] == [[], [], [], []]
