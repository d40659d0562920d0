import io
import weakref

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal, assert_series_equal

from sparsectr.datasets import parquet
from sparsectr.datasets.parquet import (
    SUBSETS,
    Source,
    Split,
    check_request,
    load_subset,
    read_text,
    split_randomly,
    write_parquet,
)

SPLIT = Split(0.6, 0.3, 0.1, seed=5)
SOURCE = Source("y", ("no", "yes"), "adult.md", min_frequency=3)


def table(n_rows=1_000):
    rng = np.random.default_rng(1)
    words = np.array(["a", "b", "ß", None], dtype=object)
    columns = {
        "y": rng.integers(2, size=n_rows),
        "word": words[rng.integers(4, size=n_rows)],
        "number": rng.integers(9, size=n_rows),
    }
    return pd.DataFrame(columns)


def chunks_of(frame, size):
    return (frame.iloc[i : i + size] for i in range(0, len(frame), size))


def load(folder, subset="all", n_rows=None, *, return_X_y=False, as_frame=True):
    return load_subset(folder, subset, n_rows, SOURCE, return_X_y=return_X_y, as_frame=as_frame)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Parquet files of many small chunks, whose dictionaries differ."""
    folder = tmp_path_factory.mktemp("home") / "prepared"
    write_parquet(split_randomly(chunks_of(table(), 7), SPLIT), folder)
    return folder


# Reading text ----------------------------------------------------------------------------


class Lines(io.RawIOBase):
    """Make lines when they are read."""

    def __init__(self, n_lines):
        super().__init__()
        self.n_lines, self.n_made, self.rest = n_lines, 0, b""

    def readable(self):
        return True

    def readinto(self, buffer):
        while len(self.rest) < len(buffer) and self.n_made < self.n_lines:
            self.rest += b"%07d,x\n" % self.n_made
            self.n_made += 1
        n = min(len(buffer), len(self.rest))
        buffer[:n], self.rest = self.rest[:n], self.rest[n:]
        return n


def test_text_is_read_no_faster_than_it_is_used(monkeypatch):
    monkeypatch.setattr(parquet, "CHUNK_BYTES", 1_000)
    lines = Lines(30_000)
    n_used = 0
    for chunk in read_text(lines, ["i", "x"]):
        assert len(chunk) <= 100
        assert chunk["i"].iloc[0] == f"{n_used:07d}"
        n_used += len(chunk)
        # The reader works ahead, by a number of blocks that does not depend on the file.
        assert lines.n_made <= n_used + 40 * 100
    assert n_used == 30_000


def test_text_is_taken_as_it_stands():
    text = 'a\tb\r\n007\t"q\n\t\u00e9\nnull\tNA\n'
    frames = list(
        read_text(
            io.BytesIO(text.encode("latin-1")),
            ["x", "y"],
            delimiter="\t",
            header=True,
            missing=["", "null"],
            encoding="latin-1",
        )
    )
    frame = pd.concat(frames)
    assert frame["x"].isna().tolist() == [False, True, True]
    assert frame["x"].iloc[0] == "007"
    assert frame["y"].tolist() == ['"q', "\u00e9", "NA"]


def test_row_of_another_length_is_refused():
    with pytest.raises(ValueError, match="Expected 2 columns, got 3"):
        list(read_text(io.BytesIO(b"1,2\n1,2,3\n"), ["x", "y"]))


# Splitting -------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 7, 200])
def test_split_deals_out_every_row_once_whatever_the_chunks(size):
    frame = table(200)
    u = np.random.RandomState(5).random_sample(len(frame))
    masks = [u < 0.6, (u >= 0.6) & (u < 0.9), u >= 0.9]
    parts = list(split_randomly(chunks_of(frame, size), SPLIT))
    for subset, mask in zip(SUBSETS, masks, strict=True):
        found = pd.concat([rows for name, rows in parts if name == subset])
        assert_frame_equal(found, frame[mask])


def test_shares_are_those_asked_for_and_seeds_matter():
    frame = pd.DataFrame({"i": range(20_000)})
    splits = {}
    for seed in (0, 1):
        parts = list(split_randomly([frame], Split(0.7, 0.1, 0.2, seed)))
        splits[seed] = {name: set(rows["i"]) for name, rows in parts}
        for name, share in [("train", 0.7), ("validation", 0.1), ("test", 0.2)]:
            spread = np.sqrt(20_000 * share * (1 - share))
            assert abs(len(splits[seed][name]) - 20_000 * share) < 5 * spread
    assert splits[0] != splits[1]


# Writing ---------------------------------------------------------------------------------


def test_writing_holds_one_chunk_at_a_time(tmp_path):
    chunks_made, most = [], []

    def chunks():
        for chunk in chunks_of(table(), 10):
            chunks_made.append(weakref.ref(chunk))
            most.append(sum(made() is not None for made in chunks_made))
            yield chunk

    write_parquet(split_randomly(chunks(), SPLIT), tmp_path / "prepared")
    assert len(most) == 100
    assert max(most) <= 2  # the one being read, and the one before it


def test_folder_appears_when_it_is_complete(tmp_path):
    folder = tmp_path / "prepared"

    def broken():
        yield "train", table(10)
        assert not folder.exists()
        raise OSError("the source broke off")

    with pytest.raises(OSError, match="broke off"):
        write_parquet(broken(), folder)
    assert not folder.exists()
    write_parquet([("test", table(10))], folder)
    assert [path.name for path in folder.iterdir()] == ["test.parquet"]
    assert [path.name for path in tmp_path.iterdir()] == ["prepared"]


# Loading ---------------------------------------------------------------------------------


def test_what_was_written_is_loaded_in_order(folder):
    expected = pd.concat(
        [
            rows
            for wanted in SUBSETS
            for subset, rows in split_randomly([table()], SPLIT)
            if subset == wanted
        ],
        ignore_index=True,
    )
    bunch = load(folder)
    assert_series_equal(bunch.frame["number"], expected["number"])
    assert_series_equal(bunch.target, expected["y"])
    word = bunch.data["word"]
    assert isinstance(word.dtype, pd.CategoricalDtype)
    assert set(word.cat.categories) == {"a", "b", "ß"}
    assert word.isna().tolist() == expected["word"].isna().tolist()
    assert word.dropna().tolist() == expected["word"].dropna().tolist()
    assert list(bunch.filenames) == list(SUBSETS)
    for subset in SUBSETS:
        frame = pd.read_parquet(bunch.filenames[subset])
        assert_series_equal(load(folder, subset).target, frame["y"])


@pytest.mark.parametrize("n_rows", [0, 1, 600, 2_000])
def test_first_rows_are_those_of_the_whole(folder, n_rows):
    assert_frame_equal(
        load(folder, n_rows=n_rows).frame.astype(object),
        load(folder).frame.head(n_rows).astype(object),
    )


def test_results_hold_the_same_values_in_every_form(folder):
    bunch = load(folder)
    assert_frame_equal(bunch.frame[bunch.feature_names], bunch.data)
    assert_series_equal(bunch.frame["y"], bunch.target)
    assert bunch.feature_names == ["word", "number"]
    assert bunch.target_names == ["no", "yes"]
    assert bunch.min_frequency == 3
    assert "Licence" in bunch.DESCR

    X, y = load(folder, return_X_y=True)
    assert_frame_equal(X, bunch.data)
    assert_series_equal(y, bunch.target)

    arrays = load(folder, as_frame=False)
    assert arrays.frame is None
    assert arrays.data.dtype == object
    assert arrays.target.dtype == np.int64
    assert_frame_equal(pd.DataFrame(arrays.data, columns=X.columns, dtype=object), X.astype(object))
    assert arrays.target.tolist() == y.tolist()


@pytest.mark.parametrize(
    ("subset", "n_rows", "message"),
    [
        ("valid", None, r"subset must be one of \['train', 'test', 'all'\], got 'valid'"),
        ("train", -1, "n_rows must be an int >= 0 or None, got -1"),
        ("train", 0.5, "n_rows must be an int >= 0 or None, got 0.5"),
    ],
)
def test_impossible_requests_are_refused(subset, n_rows, message):
    with pytest.raises(ValueError, match=message):
        check_request(subset, n_rows, ["train", "test"])


def test_missing_pyarrow_is_named(monkeypatch):
    check_request("all", 3)
    monkeypatch.setattr(parquet, "pa", None)
    with pytest.raises(ImportError, match=r"sparsectr\[data\]"):
        check_request("all", 3)
