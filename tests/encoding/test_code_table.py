"""Mapped codes that are indexed by rows."""

import json
import pickle

import numpy as np
import pyarrow as pa
import pytest

from sparsectr import FieldEncoder
from sparsectr.encoding.code_table import CodeTable

ROWS = pa.table({"a": list("xyzxyx"), "b": [1, 2, 3, 1, 2, 9], "y": [0, 1, 0, 1, 1, 0]})


@pytest.fixture
def table(tmp_path):
    return FieldEncoder().encode_dataset(ROWS.to_reader(), tmp_path / "codes", y="y")


def test_codes_are_mapped(table):
    assert isinstance(table.codes, np.memmap)
    assert (len(table), table.shape) == (6, (6, 2))
    np.testing.assert_array_equal(table.encoder.transform(ROWS.drop("y")), table.codes)
    assert repr(table).endswith("codes': 6 rows, 2 fields)")


@pytest.mark.parametrize(
    "rows",
    [slice(1, 5, 2), [4, 0, 0], np.array([5]), np.arange(6) % 2 == 0, (np.array([1, 2]), ...)],
)
def test_rows_are_chosen_as_of_an_array(table, rows):
    some = table[rows]
    chosen = rows[0] if isinstance(rows, tuple) else rows
    np.testing.assert_array_equal(some.codes, np.array(table.codes)[chosen])
    np.testing.assert_array_equal(some.y, np.array(table.y)[chosen])
    assert some.shape == (len(some), 2)
    assert some.sample_weight is None
    again = some[::-1]
    np.testing.assert_array_equal(again.codes, some.codes[::-1])
    np.testing.assert_array_equal(again.y, some.y[::-1])
    assert some.encoder is table.encoder


def test_one_row_is_no_table(table):
    with pytest.raises(ValueError, match="rows of a code table must be several, got 2"):
        table[2]


def test_a_pickle_holds_the_place_and_the_rows(table):
    some = pickle.loads(pickle.dumps(table[[4, 1]]))
    assert len(pickle.dumps(table)) < 500
    assert isinstance(some._codes, np.memmap)
    np.testing.assert_array_equal(some.codes, table.codes[[4, 1]])
    assert some.y.tolist() == [1, 1]


@pytest.mark.parametrize("change", [{"code_table": 99}, None])
def test_what_is_no_code_table_is_refused(table, change, tmp_path):
    manifest = table.path / "manifest.json"
    if change is None:
        manifest.unlink()
        with pytest.raises(ValueError, match="must hold a code table of FieldEncoder"):
            CodeTable(table.path)
        return
    manifest.write_text(json.dumps(table.manifest | change))
    with pytest.raises(ValueError, match="must be of format 1 or older, got 99, of sparsectr"):
        CodeTable(table.path)
