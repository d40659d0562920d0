import io
import math
import tarfile

import numpy as np
import pytest

from sparsectr.datasets import criteo, fetch_criteo, parquet

NUMERIC = [f"I{i}" for i in range(1, 14)]
CATEGORICAL = [f"C{i}" for i in range(1, 27)]


@pytest.fixture(scope="module")
def lines():
    rng = np.random.default_rng(0)
    numbers = ["", "-3", "-1", "0", "1", "2", "3", "7", "1000", "65535"]
    values = ["", "68fd1e64", "0b153874", "NA", '"', "1e10"]
    return [
        [str(rng.integers(2)), *rng.choice(numbers, 13), *rng.choice(values, 26)]
        for _ in range(300)
    ]


@pytest.fixture
def source(tmp_path, lines, monkeypatch):
    """An archive in the official format; its chunks are a few rows each."""
    text = "".join("\t".join(line) + "\n" for line in lines).encode()
    path = tmp_path / "source.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, content in [("readme.txt", b"-"), ("train.txt", text), ("test.txt", b"1\n")]:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    monkeypatch.setattr(criteo, "URL", path.as_uri())
    monkeypatch.setattr(criteo, "MD5", None)
    monkeypatch.setattr(parquet, "CHUNK_BYTES", 5_000)
    return path


def level(text, paper):
    """Compute the level of a number as the paper's code does, in plain Python."""
    if text == "":
        return None
    v = int(text)
    if paper == "dynint":
        return str(math.floor(math.log(v * v + 1)))
    if v > 2:
        return str(math.floor(math.log(v) ** 2))
    return str(v if paper == "optfeature" else v - 2)


def expected_row(line, paper):
    return {
        "click": int(line[0]),
        **{name: level(v, paper) for name, v in zip(NUMERIC, line[1:14], strict=True)},
        **{name: v or None for name, v in zip(CATEGORICAL, line[14:], strict=True)},
    }


@pytest.mark.parametrize(
    ("paper", "shares", "seed", "min_frequency"),
    [
        ("optfeature", (0.8, 0.1), 2021, 2),
        ("profit", (0.8, 0.1), 2, 10),
        ("dynint", (0.7, 0.1), 0, 20),
    ],
)
def test_rows_are_prepared_as_in_the_paper(
    source, tmp_path, lines, assert_split, paper, shares, seed, min_frequency
):
    def fetch(**request):
        return fetch_criteo(paper=paper, data_home=tmp_path, **request)

    assert_split(fetch, [expected_row(line, paper) for line in lines], shares, seed)
    assert fetch().min_frequency == min_frequency
    assert fetch().feature_names == NUMERIC + CATEGORICAL


def test_kinds_of_levels_meet_in_optfeature_and_not_in_profit():
    numbers = np.array([-2.0, 0.0, 1.0, 2.0, 3.0, 1e4, np.nan])
    assert criteo.cut_log_squared(numbers)[:6].tolist() == [-2, 0, 1, 2, 1, 84]
    assert criteo.shifted_log_squared(numbers)[:6].tolist() == [-4, -2, -1, 0, 1, 84]
    assert criteo.log_square(numbers)[:6].tolist() == [1, 0, 0, 1, 2, 18]
    for rule in (criteo.cut_log_squared, criteo.shifted_log_squared, criteo.log_square):
        assert np.isnan(rule(numbers)[6])


def test_rows_are_prepared_once(source, tmp_path):
    first = fetch_criteo(data_home=tmp_path)
    source.unlink()
    (tmp_path / "sparsectr" / "criteo" / "source.tar.gz").unlink()
    assert fetch_criteo(data_home=tmp_path).frame.equals(first.frame)
    assert "Licence" in first.DESCR
    with pytest.raises(FileNotFoundError, match="download_if_missing"):
        fetch_criteo(paper="profit", data_home=tmp_path, download_if_missing=False)


def test_wrong_archive_is_refused(source, tmp_path, monkeypatch):
    monkeypatch.setattr(criteo, "MD5", "0" * 32)
    with pytest.raises(OSError, match="MD5 checksum"):
        fetch_criteo(data_home=tmp_path)
    assert list((tmp_path / "sparsectr" / "criteo").glob("*.gz*")) == []
    with pytest.raises(OSError, match="MD5 checksum"):
        fetch_criteo(data_home=tmp_path)


def test_unknown_paper_and_subset_are_refused_before_the_download(tmp_path):
    with pytest.raises(ValueError, match=r"paper must be one of .*, got 'autoint'"):
        fetch_criteo(paper="autoint", data_home=tmp_path)
    with pytest.raises(ValueError, match="subset must be one of"):
        fetch_criteo(subset="valid", data_home=tmp_path)
