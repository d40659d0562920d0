import zipfile

import numpy as np
import pytest

from sparsectr.datasets import fetch_kdd12, parquet

# The order of the columns in training.txt, by the description of the cup.
# fmt: off
NAMES = [
    "click", "impression", "display_url", "ad_id", "advertiser_id", "depth", "position",
    "query_id", "keyword_id", "title_id", "description_id", "user_id",
]
# fmt: on


@pytest.fixture(scope="module")
def lines():
    rng = np.random.default_rng(0)
    return [
        [str(rng.choice([0, 0, 1, 3])), *map(str, rng.integers(0, 2**63, 11))] for _ in range(300)
    ]


@pytest.fixture
def path(tmp_path, lines, monkeypatch):
    path = tmp_path / "track2.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("track2/test.txt", "-")
        archive.writestr("track2/training.txt", "".join("\t".join(row) + "\n" for row in lines))
    monkeypatch.setattr(parquet, "CHUNK_BYTES", 5_000)
    return path


def test_rows_are_prepared_as_in_the_paper(path, tmp_path, lines, assert_split):
    def fetch(**request):
        return fetch_kdd12(path=path, data_home=tmp_path, **request)

    expected = [dict(zip(NAMES, [int(int(row[0]) > 0), *row[1:]], strict=True)) for row in lines]
    assert_split(fetch, expected, (0.8, 0.1), 2021)
    assert fetch().min_frequency == 10
    assert "Licence" in fetch().DESCR


def test_file_is_asked_for(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"Get track2\.zip from https://www\.kaggle\.com/"):
        fetch_kdd12(data_home=tmp_path)
