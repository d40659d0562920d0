"""What is drawn, as numbers and names."""

import numpy as np
import pandas as pd

from sparsectr.interactions.drawing import (
    crossed_fields,
    name_crosses,
    pair_strengths,
    short_names,
    shorten,
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
