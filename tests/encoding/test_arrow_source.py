"""Rows of files and streams, and what is told apart from tables."""

import importlib
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from sparsectr.encoding import arrow_source
from sparsectr.encoding.arrow_source import ArrowSource, is_source

ROWS = pa.table({"a": list("xyzxyx"), "b": [1, 2, 3, 1, 2, 9]})


def test_sources_are_told_apart_from_tables():
    frames = [ROWS, ROWS.to_pandas(), pl.from_arrow(ROWS), np.zeros((2, 2)), [["a", 1]]]
    others = [*frames, ROWS["a"], pd.Series([1]), pl.Series([1]), None, [], 3, ROWS.to_batches()[0]]
    assert not any(map(is_source, others))
    streams = [ROWS.to_reader(), ds.dataset(ROWS), ds.dataset(ROWS).filter(ds.field("b") > 1)]
    paths = ["x.parquet", Path("x.csv"), ["x", Path("y")]]
    assert all(map(is_source, [*streams, *paths]))


def read(source, names):
    return pa.Table.from_batches(source.batches(names)).to_pylist()


def test_rows_are_read_in_their_order_as_often_as_needed(tmp_path):
    paths = [tmp_path / f"{k:02}.parquet" for k in (10, 9)]
    for path, part in zip(paths, (ROWS[3:], ROWS[:3]), strict=True):
        pq.write_table(part, path, row_group_size=2)
    files = ArrowSource(str(tmp_path / "*.parquet"))
    assert len(files.parts) == 4
    spilled = ArrowSource(ROWS.to_reader(2), tmp_path / "rows.arrows")
    for source in (files, spilled, ArrowSource(ds.dataset(ROWS))):
        for _ in range(2):
            assert read(source, ["b", "a"]) == ROWS.select(["b", "a"]).to_pylist()


def test_a_stream_without_a_place_is_read_once():
    source = ArrowSource(ROWS.to_reader())
    assert read(source, ["b"]) == ROWS.select(["b"]).to_pylist()
    assert source.fingerprint is None


def test_a_fingerprint_changes_with_the_files(tmp_path):
    path = tmp_path / "rows.parquet"
    pq.write_table(ROWS, path)
    first = ArrowSource(path).fingerprint
    assert first == ArrowSource([path]).fingerprint
    dataset = ds.dataset(path)
    filtered = ArrowSource(dataset.filter(ds.field("b") > 1)).fingerprint
    assert filtered != ArrowSource(dataset).fingerprint
    pq.write_table(ROWS[:5], path)
    assert first != ArrowSource(path).fingerprint


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        ("no.parquet", ValueError, "must be in files that exist, got 'no.parquet'"),
        ("no/*.csv", ValueError, "must be in files that exist, got none for 'no/\\*.csv'"),
        ("{tmp}/a.txt", ValueError, "the files must end in one of .parquet, .*, got \\['.txt'\\]"),
        (["{tmp}/a.csv", "{tmp}/a.parquet"], ValueError, "and be of one format"),
        ("{tmp}/a.parquet", ValueError, "Arrow must be able to read the files"),
        ("{tmp}", ValueError, "and be of one format"),
        (3, TypeError, "the rows must come from a path, .* got 3"),
        (np.zeros((2, 2)), TypeError, "Arrow stream, got a ndarray"),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_sentence(source, error, message, tmp_path):
    for name in ("a.txt", "a.csv", "a.parquet"):
        (tmp_path / name).write_text("a,b\n1,2\n")
    if isinstance(source, str):
        source = source.format(tmp=tmp_path)
    elif isinstance(source, list):
        source = [path.format(tmp=tmp_path) for path in source]
    with pytest.raises(error, match=message):
        ArrowSource(source)


def test_columns_of_one_name_are_refused(tmp_path):
    rows = pa.table([[1], [2]], ["a", "a"])
    with pytest.raises(ValueError, match=r"must have different names, repeated: \['a'\]"):
        ArrowSource(rows.to_reader())


def test_without_pyarrow_it_says_what_to_install(monkeypatch):
    def refuse(name, *rest):
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return importlib.import_module(name, *rest)

    monkeypatch.setattr(arrow_source, "import_module", refuse)
    with pytest.raises(ImportError, match=r"pip install 'sparsectr\[data\]'"):
        ArrowSource("rows.parquet")
