"""The order of rows in time, from columns of any type."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from sparsectr.encoding.ranks import rank_times

DAYS = ["2013-01-02", "2013-01-01", "2013-02-01", "2013-01-02"]


@pytest.mark.parametrize(
    "cells",
    [
        DAYS,
        pd.to_datetime(DAYS),
        pd.to_datetime(DAYS).tz_localize("Europe/Oslo"),
        [20.5, 10.0, 30.0, 20.5],
        [2, -1, 5, 2],
        [pd.Timestamp(day).date() for day in DAYS],
    ],
)
def test_ranks_follow_the_values(cells):
    frame = pd.DataFrame({"a": ["x"] * 4, "when": cells})
    assert rank_times(frame, 1).tolist() == [1, 0, 2, 1]
    if not isinstance(cells, pd.DatetimeIndex) or cells.tz is None:
        assert rank_times(pl.from_pandas(frame), 1).tolist() == [1, 0, 2, 1]


def test_without_a_column_rows_are_in_order():
    assert rank_times(np.zeros((3, 2)), None).tolist() == [0, 1, 2]


def test_a_missing_time_is_refused():
    with pytest.raises(ValueError, match="time_column must have a value in every row"):
        rank_times(pd.DataFrame({"when": [1.0, np.nan]}), 0)
