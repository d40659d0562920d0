import gzip
from datetime import datetime, timedelta

import numpy as np
import pytest

from sparsectr.datasets import fetch_avazu, parquet

# fmt: off
HEADER = [
    "id", "click", "hour", "C1", "banner_pos", "site_id", "site_domain", "site_category", "app_id",
    "app_domain", "app_category", "device_id", "device_ip", "device_model", "device_type",
    "device_conn_type", "C14", "C15", "C16", "C17", "C18", "C19", "C20", "C21",
]
# fmt: on


@pytest.fixture(scope="module")
def records():
    rng = np.random.default_rng(0)
    start = datetime(2014, 10, 21)
    return [
        dict(
            zip(
                HEADER,
                [
                    f"{10**18 + i}",
                    str(rng.integers(2)),
                    (start + timedelta(hours=i)).strftime("%y%m%d%H"),
                    *rng.choice(["1005", "1fbe01fe", "-1", "0"], 21),
                ],
                strict=True,
            )
        )
        for i in range(240)
    ]


@pytest.fixture
def path(tmp_path, records, monkeypatch):
    lines = [HEADER, *(record.values() for record in records)]
    path = tmp_path / "train.gz"
    path.write_bytes(gzip.compress("".join(",".join(line) + "\n" for line in lines).encode()))
    monkeypatch.setattr(parquet, "CHUNK_BYTES", 4_000)
    return path


def expected_row(record, paper):
    row = {name: value for name, value in record.items() if name != "id"}
    row["click"] = int(row["click"])
    time = datetime.strptime(row["hour"], "%y%m%d%H")
    if paper == "dynint":
        del row["hour"]
    if paper == "optfeature":
        row["hour"] = f"{time.hour:02d}"
        row["weekday"] = str(time.isoweekday() % 7)
        row["is_weekend"] = "1" if time.isoweekday() in (6, 7) else "0"
    return row


@pytest.mark.parametrize(
    ("paper", "n_fields", "shares", "seed", "min_frequency"),
    [
        ("optfeature", 24, (0.8, 0.1), 2021, 2),
        ("profit", 22, (0.8, 0.1), 2, 4),
        ("dynint", 21, (0.7, 0.1), 0, 20),
    ],
)
def test_rows_are_prepared_as_in_the_paper(
    path, tmp_path, records, assert_split, paper, n_fields, shares, seed, min_frequency
):
    def fetch(**request):
        return fetch_avazu(paper=paper, path=path, data_home=tmp_path / "home", **request)

    assert_split(fetch, [expected_row(record, paper) for record in records], shares, seed)
    assert fetch().min_frequency == min_frequency
    assert len(fetch().feature_names) == n_fields
    assert "Licence" in fetch().DESCR


def test_file_is_asked_for_and_found_where_it_belongs(path, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"Get train\.gz from https://www\.kaggle\.com/"):
        fetch_avazu(data_home=tmp_path)
    folder = tmp_path / "sparsectr" / "avazu"
    folder.mkdir(parents=True)
    path.rename(folder / "train.gz")
    assert len(fetch_avazu(data_home=tmp_path, subset="all").data) == 240


def test_unknown_paper_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"paper must be one of .*, got 'afn'"):
        fetch_avazu(paper="afn", data_home=tmp_path)
