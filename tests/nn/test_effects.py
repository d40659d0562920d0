"""Effects of sets of fields: what they are of sums and of products, and what they add up to."""

from itertools import combinations

import pytest
import torch

from sparsectr.nn.effects import combine_parts, distinct_codes, effects_by_passes

SIZES = [5, 7, 4, 6]
F = len(SIZES)
FIELDS = [(f,) for f in range(F)]


@pytest.fixture
def codes():
    generator = torch.Generator().manual_seed(0)
    return torch.stack([torch.randint(n, (60,), generator=generator) for n in SIZES], 1).int()


def draw_net():
    """A function of codes (B, F) that is no sum of anything simpler, two logits."""
    generator = torch.Generator().manual_seed(1)
    tables = torch.randn(F, max(SIZES), 3, dtype=torch.float64, generator=generator)
    last = torch.randn(3, 2, dtype=torch.float64, generator=generator)
    return lambda codes: tables[torch.arange(F), codes.long()].sum(1).tanh() @ last


def test_the_effect_of_a_pair_is_a_difference_of_differences(codes):
    net = draw_net()

    def known(*fields):
        rows = torch.zeros_like(codes)
        rows[:, list(fields)] = codes[:, list(fields)]
        return net(rows)

    (pair,) = effects_by_passes(net, codes, [(1, 3)], FIELDS)
    expected = known(1, 3) - known(1) - known(3) + known()
    torch.testing.assert_close(pair, expected, rtol=0, atol=1e-14)


def test_effects_of_all_sets_sum_to_the_logits(codes):
    sets = [fields for size in range(F + 1) for fields in combinations(range(F), size)]
    total = effects_by_passes(draw_net(), codes, sets, FIELDS).sum(0)
    torch.testing.assert_close(total, draw_net()(codes), rtol=0, atol=1e-13)


def test_what_is_a_sum_over_pairs_has_no_effect_of_three(codes):
    tables = torch.randn(
        F, F, 7, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(2)
    )

    def add_up(rows):
        pairs = combinations(range(F), 2)
        return sum(tables[f, g, rows[:, f].long(), rows[:, g].long()] for f, g in pairs)[:, None]

    effects = effects_by_passes(add_up, codes, list(combinations(range(F), 3)), FIELDS)
    torch.testing.assert_close(effects, torch.zeros_like(effects), rtol=0, atol=1e-12)


def test_a_product_has_the_effect_of_what_its_factors_differ_by(codes):
    numbers = torch.randn(3, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(3))

    def multiply(rows):
        return torch.stack([numbers[f, rows[:, f].long()] for f in range(3)]).prod(0)[:, None]

    triple, pair, one = effects_by_passes(multiply, codes, [(0, 1, 2), (0, 2), (1,)], FIELDS)
    change = [numbers[f, codes[:, f].long()] - numbers[f, 0] for f in range(3)]
    torch.testing.assert_close(triple[:, 0], change[0] * change[1] * change[2])
    torch.testing.assert_close(pair[:, 0], change[0] * change[2] * numbers[1, 0])
    torch.testing.assert_close(one[:, 0], change[1] * numbers[0, 0] * numbers[2, 0])


def test_the_columns_of_a_field_are_known_together(codes):
    """Its effect is the sum of the effects of all sets of its columns."""
    net, columns = draw_net(), [(0, 2), (1,), (3,)]
    both, pair = effects_by_passes(net, codes, [(0,), (0, 2)], columns)
    by_column = dict(
        zip(
            sets := [(0,), (2,), (0, 2), (0, 3), (2, 3), (0, 2, 3)],
            effects_by_passes(net, codes, sets, FIELDS),
            strict=True,
        )
    )
    torch.testing.assert_close(both, by_column[0,] + by_column[2,] + by_column[0, 2])
    torch.testing.assert_close(pair, by_column[0, 3] + by_column[2, 3] + by_column[0, 2, 3])


def test_rows_with_the_same_values_take_one_pass(codes):
    passed = []

    def predict(rows):
        passed.append(len(rows))
        return torch.zeros(len(rows), 1)

    effects_by_passes(predict, codes, [(0, 1), (0, 2)], FIELDS)
    distinct = [1] + [len(codes[:, [f]].unique(dim=0)) for f in (0, 1, 2)]
    distinct += [len(codes[:, [0, f]].unique(dim=0)) for f in (1, 2)]
    assert sorted(passed) == sorted(distinct)


def test_parts_that_sets_share_are_asked_for_once():
    asked = []

    def known_logits(parts):
        asked.extend(parts)
        return torch.zeros(len(parts), 2, 1)

    combine_parts(known_logits, [(0, 1), (0, 2), (0, 1, 2)])
    assert len(asked) == len(set(asked)) == 8


def test_no_sets_have_no_effects(codes):
    assert effects_by_passes(draw_net(), codes, [], FIELDS).shape == (0, 60, 2)


def test_codes_stay_as_they_are(codes):
    before = codes.clone()
    effects_by_passes(draw_net(), codes, [(0, 1)], FIELDS)
    assert torch.equal(codes, before)


@pytest.mark.parametrize("size", [3, 2**31 - 1])
def test_distinct_rows_and_where_they_are(size):
    """Products of sizes beyond 64 bits take another way."""
    generator = torch.Generator().manual_seed(4)
    codes = torch.randint(3, (200, 3), generator=generator, dtype=torch.int32) * (size // 3)
    distinct, rows = distinct_codes(codes)
    assert len(distinct) == len(codes.unique(dim=0))
    assert torch.equal(distinct[rows], codes)
