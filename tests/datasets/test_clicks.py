from functools import reduce
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from sparsectr.datasets import make_clicks


def _codes(clicks):
    """Value positions of the rows, read back from the strings."""
    return np.array([[int(value.split("_")[1]) for value in row] for row in clicks.X.to_numpy()])


def _positions(names):
    return [int(name[1:]) for name in names]


def _table(scores):
    """The table of a cross (per unit of cross_effect), one axis for each field."""
    return reduce(np.multiply.outer, scores)


def _average(table, axes, frequencies):
    for axis in sorted(axes, reverse=True):
        table = np.tensordot(table, frequencies[axis], axes=(axis, 0))
    return table


@pytest.mark.parametrize("active_share", [1.0, 0.5])
@pytest.mark.parametrize("cardinality", [20, [5, 30, 8, 13, 21]])
def test_cross_tables_have_zero_mean_along_each_axis_and_unit_variance(cardinality, active_share):
    clicks = make_clicks(50, 5, cardinality, active_share=active_share, random_state=0)
    for names, scores in zip(clicks.crosses, clicks.cross_scores, strict=True):
        frequencies = [clicks.frequencies[f] for f in _positions(names)]
        table = _table(scores)
        for axis in range(len(names)):
            assert_allclose(_average(table, [axis], frequencies), 0.0, atol=1e-12)
        variance = _average(table**2, range(len(names)), frequencies)
        assert_allclose(variance, 1.0, rtol=1e-12)


def test_shadow_casts_each_subset_with_the_documented_deviation():
    clicks = make_clicks(50, 5, 12, shadow=0.3, random_state=0)
    for names, scores in zip(clicks.crosses, clicks.cross_scores, strict=True):
        frequencies = [clicks.frequencies[f] for f in _positions(names)]
        k = len(names)
        for m in range(1, k):
            for subset in combinations(range(k), m):
                others = [axis for axis in range(k) if axis not in subset]
                effect = _average(_table(scores), others, frequencies)
                # Remove what still smaller subsets add: only the part that varies along
                # every axis belongs to this one.
                for axis in range(m):
                    mean = np.tensordot(effect, frequencies[subset[axis]], axes=(axis, 0))
                    effect = effect - np.expand_dims(mean, axis)
                variance = _average(effect**2, range(m), [frequencies[f] for f in subset])
                assert_allclose(np.sqrt(variance), 0.3 ** (k - m), rtol=1e-12)


def test_log_odds_add_up_from_the_truth_returned():
    clicks = make_clicks(500, 6, 9, shadow=0.2, main_effect=0.0, cross_effect=0.7, random_state=1)
    codes = _codes(clicks)
    for i, (names, scores) in enumerate(zip(clicks.crosses, clicks.cross_scores, strict=True)):
        table = 0.7 * _table(scores)
        assert_allclose(
            clicks.cross_log_odds[:, i], table[tuple(codes[:, _positions(names)].T)], rtol=1e-12
        )
    assert_allclose(clicks.log_odds, clicks.intercept + clicks.cross_log_odds.sum(axis=1))


def test_main_effects_are_additive_with_the_documented_deviation():
    clicks = make_clicks(20_000, 4, 6, crosses=[], main_effect=0.4, random_state=0)
    codes = _codes(clicks)
    one_hot = np.concatenate([np.eye(6)[codes[:, f]] for f in range(4)], axis=1)
    solution, *_ = np.linalg.lstsq(one_hot, clicks.log_odds, rcond=None)
    assert_allclose(one_hot @ solution, clicks.log_odds, atol=1e-9)
    for f in range(4):
        effect = solution[6 * f : 6 * (f + 1)]
        p = clicks.frequencies[f]
        assert_allclose(np.sqrt(p @ (effect - p @ effect) ** 2), 0.4, rtol=1e-9)


@pytest.mark.parametrize("base_rate", [0.001, 0.2, 0.9])
def test_mean_probability_is_the_base_rate(base_rate):
    clicks = make_clicks(2_000, base_rate=base_rate, random_state=0)
    assert_allclose(expit(clicks.log_odds).mean(), base_rate, rtol=1e-9)


def test_rows_follow_the_frequencies_and_labels_follow_the_log_odds():
    n = 50_000
    clicks = make_clicks(n, 5, 10, random_state=0)
    codes = _codes(clicks)
    for f, p in enumerate(clicks.frequencies):
        assert_allclose(p, 1 / np.arange(1, 11) / np.sum(1 / np.arange(1, 11)))
        share = np.bincount(codes[:, f], minlength=10) / n
        assert np.all(np.abs(share - p) < 5 * np.sqrt(p * (1 - p) / n))
    probability = expit(clicks.log_odds)
    spread = np.sqrt(probability * (1 - probability))
    for rows in np.array_split(np.argsort(clicks.log_odds), 10):
        error = abs(clicks.y[rows].mean() - probability[rows].mean())
        assert error < 5 * np.sqrt(np.mean(spread[rows] ** 2) / len(rows))


@pytest.mark.parametrize("share", [0.3, 0.5, 0.8])
def test_active_values_balance_the_rows_at_every_frequency(share):
    clicks = make_clicks(2_000, 5, 40, active_share=share, random_state=3)
    codes = _codes(clicks)
    for i, (names, values) in enumerate(zip(clicks.crosses, clicks.active_values, strict=True)):
        first = _positions(names)[0]
        is_active = np.isin([f"{names[0]}_{v}" for v in range(40)], values)
        p = clicks.frequencies[first]
        assert abs(p @ is_active - share) < 0.01
        # The error never exceeds what a single value can decide, so neither side is all tail.
        error = np.abs(np.cumsum(p * is_active) - share * np.cumsum(p))
        assert np.all(error <= p[0])
        assert_array_equal(clicks.active[:, i], is_active[codes[:, first]])
        assert_array_equal(clicks.cross_log_odds[:, i] != 0, clicks.active[:, i])


def test_all_values_are_active_by_default():
    clicks = make_clicks(300, 5, 7, random_state=0)
    assert clicks.active.all()
    assert [len(values) for values in clicks.active_values] == [7, 7]


def test_same_seed_gives_the_same_rows_and_more_rows_share_the_truth():
    first, again = (make_clicks(200, random_state=5) for _ in range(2))
    pd.testing.assert_frame_equal(first.X, again.X)
    assert_array_equal(first.y, again.y)
    assert_array_equal(first.log_odds, again.log_odds)
    larger = make_clicks(400, random_state=5)
    for ours, theirs in zip(first.cross_scores, larger.cross_scores, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            assert_array_equal(a, b)
    other = make_clicks(200, random_state=6)
    assert not np.array_equal(first.log_odds, other.log_odds)


def test_global_random_state_is_left_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002 - the state that must not change
    make_clicks(100, random_state=0)
    assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_frame_holds_strings_named_after_their_field():
    clicks = make_clicks(300, 5, 4, random_state=0)
    assert list(clicks.X.columns) == ["f0", "f1", "f2", "f3", "f4"]
    for name in clicks.X.columns:
        assert set(clicks.X[name]) == {f"{name}_{v}" for v in range(4)}
    assert clicks.crosses == [("f0", "f1"), ("f2", "f3", "f4")]
    assert clicks.y.dtype == np.int64
    assert set(clicks.y) == {0, 1}


def test_default_effects_leave_room_that_only_triples_fill():
    clicks = make_clicks(
        100_000, 20, crosses=[(0, 1), (2, 3), (4, 5), (6, 7, 8), (9, 10, 11)], random_state=0
    )
    triples = clicks.cross_log_odds[:, 3:].sum(axis=1)
    assert 0.87 < roc_auc_score(clicks.y, clicks.log_odds) < 0.90
    assert 0.82 < roc_auc_score(clicks.y, clicks.log_odds - triples) < 0.85


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_samples": 0}, "n_samples must be an int >= 1, got 0"),
        ({"n_fields": 2.5}, r"n_fields must be an int >= 1, got 2\.5"),
        ({"cardinality": 1}, "cardinality must be an int >= 2 for every field, got 1"),
        ({"cardinality": [3, 4]}, "one int for each of the 10 fields, got 2"),
        ({"crosses": [(1,)]}, r"two or more different fields, got \(1,\)"),
        ({"crosses": [(1, 1)]}, r"two or more different fields, got \(1, 1\)"),
        ({"crosses": [(0, 10)]}, r"from 0 to n_fields - 1 = 9, got \(0, 10\)"),
        ({"base_rate": 1.0}, r"base_rate must be a float in \(0, 1\), got 1\.0"),
        ({"main_effect": -1.0}, r"main_effect must be a finite float >= 0, got -1\.0"),
        ({"cross_effect": np.inf}, "cross_effect must be a finite float >= 0, got inf"),
        ({"shadow": 1.5}, r"shadow must be a float in \[0, 1\], got 1\.5"),
        ({"active_share": 0.0}, r"active_share must be a float in \(0, 1\], got 0\.0"),
        ({"cardinality": 2, "active_share": 0.5}, "at least two active values"),
    ],
)
def test_bad_parameters_say_what_must_hold_and_what_came(parameters, message):
    with pytest.raises(ValueError, match=message):
        make_clicks(**parameters)
