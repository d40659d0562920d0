import hashlib
import io
import zipfile

import numpy as np
import pytest

from sparsectr.datasets import fetch_frappe, frappe

HEADER = "label,user,item,daytime,weekday,isweekend,homework,cost,weather,country,city"


def make_csv(seed, n_rows):
    rng = np.random.default_rng(seed)
    rows = [[rng.integers(2), *rng.integers(0, 5382, 10)] for _ in range(n_rows)]
    return "\r\n".join([HEADER, *(",".join(map(str, row)) for row in rows), ""]).encode()


FILES = {"train.csv": make_csv(0, 70), "valid.csv": make_csv(1, 20), "test.csv": make_csv(2, 10)}


def zipped(files):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


@pytest.fixture
def official(monkeypatch):
    md5 = {name: hashlib.md5(content).hexdigest() for name, content in FILES.items()}
    monkeypatch.setattr(frappe, "MD5", md5)
    return zipped(FILES)


def expected_rows(content):
    lines = content.decode().splitlines()
    names = lines[0].split(",")
    for line in lines[1:]:
        label, *values = line.split(",")
        yield dict(zip(names, [int(label), *values], strict=True))


def test_files_of_the_benchmark_come_over_a_broken_connection(
    serve, answer, official, rows_of, tmp_path, monkeypatch
):
    server = serve(official)
    server.plan = [answer(cut=1_000), answer(cut=50)]
    monkeypatch.setattr(frappe, "URL", server.url)
    for subset, name in [("train", "train.csv"), ("validation", "valid.csv"), ("test", "test.csv")]:
        bunch = fetch_frappe(subset=subset, data_home=tmp_path)
        assert rows_of(bunch.frame) == list(expected_rows(FILES[name]))
    assert server.asked == [0, 1_000, 1_050]
    assert len(fetch_frappe(subset="all", data_home=tmp_path).data) == 100
    assert "Licence" in bunch.DESCR


@pytest.mark.parametrize(
    "content",
    [zipped(FILES | {"test.csv": b"tampered"}), zipped({"train.csv": b""}), b"<html>Sorry</html>"],
    # A zip holds the time: two workers that name a test by it may not agree.
    ids=["tampered", "incomplete", "a page"],
)
def test_wrong_files_are_refused_and_leave_nothing(serve, official, tmp_path, monkeypatch, content):
    monkeypatch.setattr(frappe, "URL", serve(content).url)
    with pytest.raises(OSError, match="MD5 checksum"):
        fetch_frappe(data_home=tmp_path)
    assert list((tmp_path / "sparsectr" / "frappe").iterdir()) == []
    # Another try with the right server succeeds.
    monkeypatch.setattr(frappe, "URL", serve(official).url)
    assert len(fetch_frappe(data_home=tmp_path).data) == 70
