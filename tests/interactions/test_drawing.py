"""What is drawn, as numbers and names."""

import numpy as np
import pandas as pd

from sparsectr.interactions.drawing import (
    crossed_fields,
    name_crosses,
    pair_strengths,
    short_names,
    shorten,
    value_grids,
)

TABLE = pd.DataFrame(
    {"fields": [("a", "c"), ("b", "c"), ("a", "b", "d")], "strength": [0.5, 0.4, 0.3]}
)


def test_a_matrix_cell_is_the_strongest_cross_with_both_fields():
    matrix = pair_strengths(TABLE, ["a", "b", "c", "d"])
    nan = np.nan
    expected = [
        [nan, 0.3, 0.5, 0.3],
        [0.3, nan, 0.4, 0.3],
        [0.5, 0.4, nan, nan],
        [0.3, 0.3, nan, nan],
    ]
    np.testing.assert_array_equal(matrix, expected)
    stronger = TABLE.assign(strength=[0.5, 0.4, 0.9])
    assert pair_strengths(stronger, ["a", "b", "c", "d"])[0, 1] == 0.9


def test_fields_of_the_strongest_crosses_come_first():
    assert crossed_fields(TABLE) == ["a", "c", "b", "d"]
    assert name_crosses(TABLE) == ["a × c", "b × c", "a × b × d"]


def test_names_are_cut_in_the_middle_but_stay_different():
    assert shorten("short") == "short"
    assert shorten("abcdefghij", 7) == "abc…hij"
    alike = ["x" * 20 + letter + "y" * 20 for letter in "ab"]
    short = short_names([*alike, "z"])
    assert list(short) == [*alike, "z"]
    assert len(set(short.values())) == 3
    assert short["z"] == "z"


def test_values_without_a_name_share_a_cell():
    table = pd.DataFrame(
        {"a": ["x", "x", None], "b": [None, None, 1.0], "count": [1, 3, 2], "effect": [4.0, 0, 7]}
    )
    effects, counts = value_grids(table)
    assert effects.index.tolist() == ["x", "(other)"]
    assert effects.columns.tolist() == ["1.0", "(other)"]
    np.testing.assert_array_equal(counts, [[np.nan, 4], [2, np.nan]])
    np.testing.assert_allclose(effects, [[np.nan, 1], [7, np.nan]])
