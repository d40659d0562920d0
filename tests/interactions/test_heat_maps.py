"""Heat maps hold what tables of values say."""

import numpy as np
import pandas as pd

from sparsectr.interactions.heat_maps import value_grids


def test_values_without_a_name_share_a_cell():
    table = pd.DataFrame(
        {"a": ["x", "x", None], "b": [None, None, 1.0], "count": [1, 3, 2], "effect": [4.0, 0, 7]}
    )
    effects, counts = value_grids(table)
    assert effects.index.tolist() == ["x", "(missing or rare)"]
    assert effects.columns.tolist() == ["1.0", "(missing or rare)"]
    np.testing.assert_array_equal(counts, [[np.nan, 4], [2, np.nan]])
    np.testing.assert_allclose(effects, [[np.nan, 1], [7, np.nan]])
