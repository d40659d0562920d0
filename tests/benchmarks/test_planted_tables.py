"""Planted tables: effects are what the plan says, and smaller sets hold nothing of a cross."""

import numpy as np
import pandas as pd
from planted_tables import TablePlan, draw_effect, draw_table


def test_a_cross_has_mean_zero_along_every_axis():
    rng = np.random.default_rng(0)
    columns = [rng.integers(0, size, 3000) for size in (4, 5, 3)]
    effect = draw_effect(rng, columns)
    assert effect.std() > 0.5
    for left_out in range(3):
        others = [column for k, column in enumerate(columns) if k != left_out]
        means = pd.Series(effect).groupby(others).mean()
        np.testing.assert_allclose(means, 0, atol=1e-8)


def test_a_plan_is_followed():
    plan = TablePlan(
        n_rows=4000,
        n_fields=5,
        crosses={(0, 1): 0.5, (1, 2, 3): 0.7},
        main=0.0,
        base=-1.0,
        n_noise=2,
        n_numeric=1,
        copies=(0,),
        coarse=(1,),
        followers={2: 0.9},
        n_nearly_constant=2,
        nearly_unique=True,
    )
    table = draw_table(plan, 0)
    assert table.X.shape == (4000, 5 + 2 + 1 + 3 + 2 + 1)
    assert {frozenset(cross) for cross in table.crosses} == {
        frozenset({"f0", "f1"}),
        frozenset({"f1", "f2", "f3"}),
    }
    np.testing.assert_allclose(table.log_odds.std(), (0.5**2 + 0.7**2) ** 0.5, rtol=0.05)
    np.testing.assert_allclose(table.log_odds.mean(), -1.0, atol=0.05)
    np.testing.assert_allclose(
        table.y.mean(), (1 / (1 + np.exp(-table.log_odds))).mean(), atol=0.03
    )
    assert table.X["id"].nunique() > 3000
    assert (table.X["follows_f2"].str[-1] == table.X["f2"].str[-1]).mean() > 0.88
    for name, original, n_values in (("copy_f0", "f0", 10), ("coarse_f1", "f1", 4)):
        assert table.X.groupby(original)[name].nunique().max() == 1
        assert table.X[name].nunique() == n_values
    assert table.is_true(("f1", "copy_f0"))
    assert not table.is_true(("f0", "f2"))
    again = draw_table(plan, 0)
    pd.testing.assert_frame_equal(table.X, again.X)
    np.testing.assert_array_equal(table.y, again.y)
