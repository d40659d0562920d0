"""Ordered categories keep their order where values are shown, and codes do not depend on it."""

import json
import pickle
import re

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import skops.io

from sparsectr import (
    DynIntClassifier,
    FieldEncoder,
    InteractionDisplay,
    interaction_report,
    trusted_types,
)
from sparsectr.encoding.category_orders import find_ranks

MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun"]
N_ROWS = 400
rng = np.random.RandomState(0)
DRAWN = rng.choice(MONTHS[:5], N_ROWS, p=[0.1, 0.3, 0.1, 0.4, 0.1])  # June never comes
SITES = rng.choice(["x", "y", "z"], N_ROWS)
ORDERED = pd.Series(pd.Categorical(DRAWN, MONTHS, ordered=True))
TABLE = pd.DataFrame({"site": SITES, "month": ORDERED})
Y = (DRAWN == "Feb") ^ (SITES == "x")


def arrow_table():
    """Two chunks whose dictionaries differ in their first values."""
    indices = pd.Categorical(DRAWN, MONTHS).codes
    parts = [
        pa.DictionaryArray.from_arrays(pa.array(some), pa.array(MONTHS), ordered=True)
        for some in (indices[:100], indices[100:])
    ]
    return pa.table({"site": pa.array(SITES), "month": pa.chunked_array(parts)})


TABLES = {
    "pandas": TABLE,
    "polars": pl.DataFrame(
        {"site": SITES, "month": pl.Series(DRAWN.tolist(), dtype=pl.Enum(MONTHS))},
    ),
    "arrow": arrow_table(),
}


def shown(encoder, column=1):
    sizes = encoder.vocabulary_sizes_
    return encoder._show(column, np.arange(sizes[column]))


@pytest.mark.parametrize("name", TABLES)
def test_values_are_shown_in_the_order_of_their_categories(name):
    encoder = FieldEncoder().fit(TABLES[name])
    values = shown(encoder)
    assert values.cat.ordered
    assert values.cat.categories.tolist() == MONTHS[:5]
    assert values[2:].tolist() == encoder.vocabularies_[1].tolist()
    assert values[:2].isna().all()
    assert shown(encoder, 0).dtype == object


@pytest.mark.parametrize("name", TABLES)
def test_codes_are_those_of_strings(name):
    plain = FieldEncoder().fit(TABLE.astype(str))
    encoder = FieldEncoder().fit(TABLES[name])
    np.testing.assert_array_equal(encoder.transform(TABLES[name]), plain.transform(TABLE))
    assert encoder.vocabularies_[1].tolist() == plain.vocabularies_[1].tolist()


def test_what_has_no_order_of_its_own_has_none_here():
    unordered = {
        "categories": pd.Series(pd.Categorical(DRAWN, MONTHS)),
        "numbers": pd.Series(pd.Categorical(np.arange(N_ROWS) % 3, [2, 0, 1], ordered=True)),
        "text": DRAWN,
    }
    encoder = FieldEncoder().fit(pd.DataFrame(unordered))
    assert encoder._ranks == {}
    assert FieldEncoder().fit(DRAWN[:, None].astype(object))._ranks == {}
    letters = pl.DataFrame({"a": pl.Series(DRAWN.tolist(), dtype=pl.Categorical)})
    assert FieldEncoder().fit(letters)._ranks == {}
    assert FieldEncoder(hash_buckets=4).fit(TABLE)._ranks == {}


def test_a_second_fit_forgets_the_order():
    encoder = FieldEncoder().fit(TABLE)
    assert list(encoder._ranks) == [1]
    assert encoder.fit(TABLE.astype(str))._ranks == {}


def test_the_columns_of_codes_before_a_field_do_not_move_its_order():
    amounts = np.round(rng.gamma(2.0, 50.0, N_ROWS), 1)
    table = pd.DataFrame({"amount": amounts, "month": ORDERED})
    encoder = FieldEncoder(numeric_columns="several").fit(table)
    column = int(encoder._main_columns[1])
    assert column > 1
    assert shown(encoder, column).cat.categories.tolist() == MONTHS[:5]


def test_partial_fit_takes_the_order_of_its_last_chunk():
    encoder = FieldEncoder().partial_fit(TABLE[:200]).partial_fit(TABLE[200:])
    assert shown(encoder).cat.categories.tolist() == MONTHS[:5]
    assert shown(encoder.partial_fit(TABLE.astype(str))).dtype == object


def test_values_that_come_later_follow():
    encoder = FieldEncoder(new_values="grow").fit(TABLE)
    grown = encoder._grow(pd.DataFrame({"site": ["x"] * 3, "month": ["Dec", "Jun", "Jan"]}))
    assert shown(grown).cat.categories.tolist() == [*MONTHS[:5], "Dec", "Jun"]


def test_values_that_are_no_category_follow():
    fields = FieldEncoder().fit(TABLE.astype(str))._fields
    months = pd.Categorical(["Feb"], ["Apr", "Feb"], ordered=True)
    few = pd.DataFrame({"site": ["x"], "month": months})
    values = fields[1][0].values.tolist()
    expected = [{"Apr": 0, "Feb": 1}.get(value, 2) for value in values]
    assert find_ranks(few, fields)[1].tolist() == expected


@pytest.fixture(scope="module")
def fitted():
    return DynIntClassifier(max_epochs=2, n_layers=1, random_state=0).fit(TABLE, Y)


@pytest.mark.parametrize("way", ["pickle", "skops"])
def test_the_order_is_stored(fitted, way):
    if way == "pickle":
        again = pickle.loads(pickle.dumps(fitted))
    else:
        again = skops.io.loads(skops.io.dumps(fitted), trusted=trusted_types)
    assert shown(again.encoder_).cat.categories.tolist() == MONTHS[:5]


def test_orders_that_do_not_fit_the_columns_are_refused(fitted):
    state = fitted.encoder_.__getstate__()
    for wrong in ({9: np.arange(3)}, {1: np.arange(6)}, {1: [0, 1]}, {1: np.zeros(3)}, [1], None):
        with pytest.raises(ValueError, match="stored"):
            FieldEncoder().__setstate__(state | {"_ranks": wrong})
    del state["_ranks"]  # of an older version
    older = FieldEncoder()
    older.__setstate__(state)
    assert shown(older).dtype == object


def test_tables_and_pictures_of_values_are_in_order(fitted, tmp_path):
    table = fitted.value_effects(["site", "month"])
    assert table["month"].cat.categories.tolist() == MONTHS[:5]
    assert table["month"].tolist()[0] == "Apr"  # the most frequent rows are first, as ever
    table.to_parquet(tmp_path / "values.parquet")
    display = InteractionDisplay.from_values(fitted, ["site", "month"])
    assert [tick.get_text() for tick in display.ax_[0].get_xticklabels()] == MONTHS[:5]
    page = interaction_report(fitted, TABLE, Y, tmp_path / "report.html").read_text()
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    (drawn,) = json.loads(text)["maps"]
    assert MONTHS[:5] in (drawn["rows"], drawn["columns"])
    display = InteractionDisplay.from_values(fitted, ["month"], n_values=3)
    bars = [tick.get_text() for tick in display.ax_.get_yticklabels()]
    assert len(bars) == 3
    assert bars == [month for month in MONTHS if month in bars]
