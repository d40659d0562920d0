"""Fields that a fit warns of."""

import warnings

import numpy as np
import pandas as pd
import pytest

from sparsectr import DynIntClassifier, FieldEncoder

N_ROWS = 1_200


def make_rows():
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "row": [f"r{k}" for k in range(N_ROWS)],
            "time": pd.Timestamp("2024-05-01") + pd.to_timedelta(np.arange(N_ROWS), "min"),
            "user": rng.integers(0, 900, N_ROWS).astype(str),
            "amount": rng.normal(size=N_ROWS),
        }
    )


def test_fields_with_a_value_per_row_are_named():
    message = (
        r"^nearly every row has its own value of these fields: 'row' \(1,200 values in 1,200 rows\)"
        r", 'time' \(1,200 values in 1,200 rows\)\. Rows to come have others"
    )
    X = make_rows()
    with pytest.warns(UserWarning, match=message):
        FieldEncoder().fit(X)
    y = np.arange(N_ROWS) % 2
    with pytest.warns(UserWarning, match=message):
        DynIntClassifier(max_epochs=1, random_state=0).fit(X, y)


@pytest.mark.parametrize(
    ("columns", "n_rows", "settings"),
    [
        (["user", "amount"], N_ROWS, {}),
        (["row", "time"], 999, {}),
        (["row", "time"], N_ROWS, {"min_frequency": 2}),
        (["row", "time"], N_ROWS, {"hash_buckets": 64}),
    ],
)
def test_other_fields_are_not(columns, n_rows, settings):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        FieldEncoder(**settings).fit(make_rows()[columns][:n_rows])
