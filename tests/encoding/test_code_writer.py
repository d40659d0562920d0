"""What two passes over batches write is what one encoder makes of all rows."""

import datetime as dt
import decimal
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from sparsectr import FieldEncoder
from sparsectr.encoding import arrow_source, code_folder, code_writer
from sparsectr.encoding.code_table import CodeTable

N_ROWS = 700


def make_rows(n_rows=N_ROWS, seed=0):
    """Return a table with a column of every kind."""
    rng = np.random.default_rng(seed)

    def some(values, missing=0.1):
        drawn = rng.choice(len(values), n_rows, p=rng.dirichlet(np.ones(len(values))))
        absent = rng.random(n_rows) < missing
        return [None if gone else values[k] for k, gone in zip(drawn, absent, strict=True)]

    days = [dt.date(2024, 1, 1) + dt.timedelta(days=k) for k in range(30)]
    times = [dt.datetime(2024, 1, 1) + dt.timedelta(hours=7 * k) for k in range(20)]
    names = [f"v{k}" for k in range(40)] + ["", "ü"]
    columns = {
        "string": pa.array(some(names)),
        "full string": pa.array(some(names, missing=0)),
        "large string": pa.array(some(names), pa.large_string()),
        "category": pa.array(some(names)).dictionary_encode(),
        "id category": pa.array(some([3, 1, 2])).dictionary_encode(),
        "id": pa.array(rng.zipf(1.3, n_rows).clip(max=2**40)),
        "nullable id": pa.array(some(list(range(200)))),
        "small int": pa.array(rng.integers(0, 5, n_rows), pa.int8()),
        "huge": pa.array([int(k) + 2**63 for k in rng.integers(0, 9, n_rows)], pa.uint64()),
        "float": pa.array(np.where(rng.random(n_rows) < 0.1, np.nan, rng.normal(size=n_rows))),
        "nullable float": pa.array(some([0.5, 1.0, 2.25, 1e300])),
        "bool": pa.array(some([True, False])),
        "date": pa.array(some(days)),
        "time": pa.array(some(times), pa.timestamp("us")),
        "zoned": pa.array(some(times), pa.timestamp("ms", "Europe/Oslo")),
        "duration": pa.array(some([dt.timedelta(seconds=k) for k in range(9)])),
        "decimal": pa.array(some([decimal.Decimal(k) / 4 for k in range(9)]), pa.decimal128(9, 2)),
        "nothing": pa.nulls(n_rows),
        "no string": pa.nulls(n_rows, pa.string()),
    }
    return pa.table(columns)


ROWS = make_rows()
Y = np.arange(N_ROWS) % 3
WITH_Y = ROWS.append_column("y", pa.array(Y)).append_column("w", pa.array(Y + 0.5))
ENCODERS = {
    "plain": {"numeric_columns": "one"},
    "several": {},
    "rare": {"min_frequency": 0.02, "max_categories": 20, "n_bins": 7},
    "hashed": {"hash_buckets": 11},
    "one hashed": {"hash_buckets": {"string": 5, "id": 7}},
    "logarithms": {"numeric": "log_square", "numeric_features": ["id", "nullable id", "decimal"]},
}


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    monkeypatch.setattr(arrow_source, "BATCH_ROWS", 64)


def whole(rows, **parameters):
    """Encode all rows at once, as estimators do it."""
    if parameters.get("numeric_columns", "auto") == "auto":
        parameters |= {"numeric_columns": "several"}
    encoder = FieldEncoder(**parameters)
    return encoder, encoder.fit_transform(rows)


def same_columns(first, second):
    for mine, theirs in zip(first._columns(), second._columns(), strict=True):
        assert type(mine) is type(theirs)
        assert mine.size == theirs.size
        if mine.values is not None:
            assert mine.values.dtype == theirs.values.dtype
            np.testing.assert_array_equal(mine.values, theirs.values)


@pytest.mark.parametrize("n_threads", [1, 3])
@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.filterwarnings("ignore:.*hold whole numbers stored as floats")
def test_vocabularies_and_codes_are_those_of_all_rows_at_once(name, n_threads, tmp_path):
    for place, part in enumerate((WITH_Y[:300], WITH_Y[300:420], WITH_Y[420:])):
        pq.write_table(part, tmp_path / f"{place}.parquet", row_group_size=100)
    before = pa.cpu_count()
    pa.set_cpu_count(n_threads)
    try:
        encoder = FieldEncoder(**ENCODERS[name])
        table = encoder.encode_dataset(
            tmp_path / "*.parquet", tmp_path / "codes", y="y", sample_weight="w"
        )
    finally:
        pa.set_cpu_count(before)
    expected, codes = whole(ROWS, **ENCODERS[name])
    np.testing.assert_array_equal(table.codes, codes)
    np.testing.assert_array_equal(table.y, Y)
    np.testing.assert_array_equal(table.sample_weight, Y + 0.5)
    same_columns(table.encoder, expected)
    # The encoder is fitted, too, and keeps its parameters.
    np.testing.assert_array_equal(encoder.transform(ROWS), codes)
    assert encoder.get_params() == FieldEncoder(**ENCODERS[name]).get_params()
    assert list(encoder.feature_names_in_) == ROWS.column_names
    assert table.shape == (N_ROWS, len(ROWS.column_names))


CSV_ROWS = ROWS.select(["string", "id", "nullable id", "float", "small int"])


def write_csv(rows, path):
    pyarrow.csv.write_csv(rows, path)


def write_ipc(rows, path):
    with pa.ipc.new_file(path, rows.schema) as writer:
        writer.write_table(rows, max_chunksize=100)


@pytest.mark.parametrize(
    ("suffix", "write"), [("csv", write_csv), ("arrow", write_ipc), ("parquet", pq.write_table)]
)
@pytest.mark.parametrize("kind", ["path", "list", "folder", "dataset", "filtered"])
def test_every_format_and_every_way_to_name_files(suffix, write, kind, tmp_path):
    folder = tmp_path / "rows"
    folder.mkdir()
    paths = [folder / f"{k}.{suffix}" for k in range(2)]
    write(CSV_ROWS[:400], paths[0])
    write(CSV_ROWS[400:], paths[1])
    style = {"arrow": "ipc"}.get(suffix, suffix)
    dataset = ds.dataset([str(path) for path in paths], format=style)
    sources = {
        "path": paths[0],
        "list": [str(path) for path in paths],
        "folder": str(folder),
        "dataset": dataset,
        "filtered": dataset.filter(ds.field("small int") > 1),
    }
    rows = sources["filtered"].to_table() if kind == "filtered" else dataset.to_table()
    rows = ds.dataset(str(paths[0]), format=style).to_table() if kind == "path" else rows
    if suffix == "csv" and kind in ("path", "list", "folder"):
        rows = pd.concat(map(pd.read_csv, paths[:1] if kind == "path" else paths))
    table = FieldEncoder().encode_dataset(sources[kind], tmp_path / "codes")
    np.testing.assert_array_equal(table.codes, whole(rows)[1])
    assert table.y is None
    assert table.sample_weight is None
    files = (table.manifest["source"] or {}).get("files", [])
    assert len(files) == (1 if kind == "path" else 2)


def test_csv_files_hold_what_pandas_reads_from_them(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text(
        "day,time,stamp,name,flag,number,zip,nothing\n"
        "2024-05-01,09:00:00,2024-05-01 09:00:00,NA,true,1,00501,\n"
        "2024-05-02,10:30:00,2024-05-02 10:30:00,,false,NULL,00502,\n"
        '2024-05-01,,nan,"x, y",True,2.5,00501,\n'
        "n/a,09:00:00,2024-05-01 09:00:00,null,FALSE,-1,,\n"
    )
    frame = pd.read_csv(path)
    of_file, of_frame = FieldEncoder(), FieldEncoder()
    table = of_file.encode_dataset(path, tmp_path / "codes")
    np.testing.assert_array_equal(table.codes, of_frame.fit_transform(frame))
    np.testing.assert_array_equal(of_file.transform(frame), table.codes)
    assert table.codes.min() > 0  # no value is unknown


def test_a_csv_column_that_changes_its_type_is_refused_with_what_to_do(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("a\n" + "1\n" * 600_000 + "x\n")
    with pytest.raises(ValueError, match="invalid value 'x'"):
        FieldEncoder().encode_dataset(path, tmp_path / "codes")


@pytest.mark.parametrize("stream", ["reader", "capsule"])
def test_a_stream_is_read_once_and_encoded_in_two_passes(stream, tmp_path):
    class Capsule:
        def __arrow_c_stream__(self, requested_schema=None):
            return WITH_Y.__arrow_c_stream__(requested_schema)

    source = WITH_Y.to_reader(max_chunksize=50) if stream == "reader" else Capsule()
    table = FieldEncoder().encode_dataset(source, tmp_path / "codes", y="y")
    rows = ROWS.append_column("w", WITH_Y["w"])
    np.testing.assert_array_equal(table.codes, whole(rows)[1])
    assert table.manifest["source"] is None
    names = {path.name for path in (tmp_path / "codes").iterdir()}
    assert names == {"codes.npy", "y.npy", "manifest.json", "encoder.pickle"}


def test_vocabularies_of_an_earlier_fit_stay(tmp_path):
    encoder = FieldEncoder().fit(ROWS[:200])
    table = encoder.encode_dataset(ROWS.to_reader(), tmp_path / "codes", fit=False)
    np.testing.assert_array_equal(table.codes, encoder.transform(ROWS))
    assert (table.codes == 0).any()
    same_columns(table.encoder, encoder)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (pa.array(["no", "yes", "perhaps"]), np.array(["no", "yes", "perhaps"])),
        (pa.array(["no", "yes", "perhaps"]).dictionary_encode(), ["no", "yes", "perhaps"]),
        (pa.array([True, False, True]), [True, False, True]),
        (pa.array([decimal.Decimal("1.5"), None, decimal.Decimal(2)]), None),
        (pa.array([decimal.Decimal("1.5"), decimal.Decimal(1), decimal.Decimal(2)]), [1.5, 1, 2]),
        (pa.array([1, 2, 3], pa.uint8()), np.array([1, 2, 3], np.uint8)),
        (pa.array([[1], [2], [3]]), None),
        (pa.array([b"a", b"b", b"c"]), None),
    ],
    ids=str,
)
def test_targets_are_plain_arrays(labels, expected, tmp_path):
    rows = pa.table({"x": pa.array(["a", "b", "a"]), "y": labels})
    batches = [rows[:1], rows[1:]]
    reader = pa.RecordBatchReader.from_batches(
        rows.schema, [batch for part in batches for batch in part.to_batches()]
    )
    if expected is None:
        with pytest.raises(ValueError, match="column 'y' must"):
            FieldEncoder().encode_dataset(reader, tmp_path / "codes", y="y")
        return
    table = FieldEncoder().encode_dataset(reader, tmp_path / "codes", y="y")
    assert table.y.tolist() == list(expected)
    assert table.y.dtype.kind == np.asarray(expected).dtype.kind


def test_a_table_appears_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "codes"
    first = FieldEncoder().encode_dataset(ROWS[:50].to_reader(), path)
    assert len(first) == 50

    def fail(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(code_writer, "write_manifest", fail)
        with pytest.raises(KeyboardInterrupt):
            FieldEncoder().encode_dataset(ROWS.to_reader(), path)
    assert len(CodeTable(path)) == 50
    assert [entry.name for entry in tmp_path.iterdir()] == ["codes"]
    assert len(FieldEncoder().encode_dataset(ROWS.to_reader(), path)) == N_ROWS
    assert [entry.name for entry in tmp_path.iterdir()] == ["codes"]


def test_no_other_folder_is_replaced(tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(ValueError, match="path must be a new folder, an empty one or that of a"):
        FieldEncoder().encode_dataset(ROWS.to_reader(), tmp_path)
    assert (tmp_path / "letter.txt").read_text() == "dear"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"y": "z"}, "y must name a column of the source, got 'z'; the columns are"),
        ({"sample_weight": 3}, "sample_weight must name a column of the source, got 3"),
    ],
)
def test_columns_that_are_not_there(options, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        FieldEncoder().encode_dataset(ROWS.to_reader(), tmp_path / "codes", **options)
    assert not list(tmp_path.iterdir())


def test_rows_there_must_be(tmp_path):
    with pytest.raises(ValueError, match="the source must have rows, got none"):
        FieldEncoder().encode_dataset(ROWS[:0].to_reader(), tmp_path / "codes")
    only = pa.table({"y": [1, 2]})
    with pytest.raises(ValueError, match="the source must have columns beside"):
        FieldEncoder().encode_dataset(only.to_reader(), tmp_path / "codes", y="y")


def test_errors_name_the_field(tmp_path):
    encoder = FieldEncoder(numeric_features=["string"])
    with pytest.raises(ValueError, match="Field 'string': a numeric field must hold numbers"):
        encoder.encode_dataset(ROWS.to_reader(), tmp_path / "codes")


def test_the_manifest_tells_what_is_there(tmp_path):
    pq.write_table(WITH_Y, tmp_path / "rows.parquet")
    table = FieldEncoder(n_bins=5).encode_dataset(
        tmp_path / "rows.parquet", tmp_path / "codes", y="y"
    )
    stored = json.loads((tmp_path / "codes" / "manifest.json").read_text())
    assert stored == table.manifest
    assert stored["fields"] == [*ROWS.column_names, "w"]
    assert (stored["y"], stored["sample_weight"], stored["n_rows"]) == ("y", None, N_ROWS)
    assert stored["encoder"] == code_folder.digest_fields(table.encoder)
    assert stored["vocabulary_sizes"] == table.encoder.vocabulary_sizes_.tolist()
