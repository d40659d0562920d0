"""The choice of crosses that become statistics."""

from itertools import combinations

import numpy as np

from sparsectr.ensembles.crosses import choose_crosses, join_pairs


def make_codes(n_rows=4_000, n_fields=6):
    rng = np.random.default_rng(0)
    return rng.integers(2, 8, (n_rows, n_fields)).astype(np.int32), np.full(n_fields, 8)


def test_all_where_they_are_few():
    codes, sizes = make_codes(50, 4)
    chosen = choose_crosses(codes, sizes, np.arange(50) % 2, n_pairs=6, n_triples=4)
    assert chosen == [*combinations(range(4), 2), *combinations(range(4), 3)]
    assert choose_crosses(codes[:, :1], sizes[:1], np.arange(50) % 2, 5, 5) == []


def test_planted_pairs_come_first():
    codes, sizes = make_codes()
    rng = np.random.default_rng(1)
    effects = rng.normal(0, 2, (2, 8, 8))
    logits = effects[0][codes[:, 1], codes[:, 4]] + effects[1][codes[:, 2], codes[:, 4]]
    numbers = (rng.random(len(codes)) < 1 / (1 + np.exp(-logits))).astype(np.int64)
    chosen = choose_crosses(codes, sizes, numbers, n_pairs=2, n_triples=0)
    assert sorted(chosen) == [(1, 4), (2, 4)]
    chosen = choose_crosses(codes, sizes, numbers, n_pairs=15, n_triples=1)
    assert sorted(chosen[:2]) == [(1, 4), (2, 4)]
    assert chosen[15:] == [(1, 2, 4)]


def test_triples_of_the_most_pairs():
    assert join_pairs([(0, 1), (2, 3)]) == []
    # (0, 1, 2) holds three of the pairs.
    assert join_pairs([(2, 3), (0, 1), (1, 2), (0, 2)]) == [(0, 1, 2), (1, 2, 3), (0, 2, 3)]
