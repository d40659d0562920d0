import hashlib
import zipfile

import pandas as pd
import pytest

from sparsectr.datasets import adult, fetch_adult

# fmt: off
NAMES = [
    "age", "workclass", "fnlwgt", "education", "education-num", "marital-status", "occupation",
    "relationship", "race", "sex", "capital-gain", "capital-loss", "hours-per-week",
    "native-country",
]
# fmt: on
NUMERIC = ["age", "fnlwgt", "education-num", "capital-gain", "capital-loss", "hours-per-week"]
DATA = (
    "39, State-gov, 77516, Bachelors, 13, Never-married, Adm-clerical, Not-in-family, White, Male, "
    "2174, 0, 40, United-States, <=50K\n"
    "54, ?, 180211, Some-college, 10, Married-civ-spouse, ?, Husband, Asian-Pac-Islander, Male, "
    "0, 0, 60, South, >50K\n\n"
)
TEST = (
    "|1x3 Cross validator\n"
    "25, Private, 226802, 11th, 7, Never-married, Machine-op-inspct, Own-child, Black, Male, "
    "0, 0, 40, ?, <=50K.\n"
    "44, Private, 160323, Some-college, 10, Married-civ-spouse, Machine-op-inspct, Husband, Black, "
    "Male, 7688, 0, 40, United-States, >50K.\n\n"
)


@pytest.fixture
def home(tmp_path, monkeypatch):
    path = tmp_path / "source.zip"
    files = {"adult.data": DATA, "adult.test": TEST}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {"adult.names": "-", **files}.items():
            archive.writestr(name, content)
    md5 = {name: hashlib.md5(content.encode()).hexdigest() for name, content in files.items()}
    monkeypatch.setattr(adult, "URL", path.as_uri())
    monkeypatch.setattr(adult, "MD5", md5)
    return tmp_path


def expected_rows(text):
    for line in text.splitlines():
        if line.count(",") == 14:
            *values, label = line.split(", ")
            row = {name: None if v == "?" else v for name, v in zip(NAMES, values, strict=True)}
            row |= {name: int(row[name]) for name in NUMERIC}
            yield row | {"income": int(label.startswith(">"))}


@pytest.mark.parametrize(
    ("subset", "text"), [("train", DATA), ("test", TEST), ("all", DATA + TEST)]
)
def test_split_is_the_one_of_the_files(home, rows_of, subset, text):
    bunch = fetch_adult(subset=subset, data_home=home)
    assert rows_of(bunch.frame) == list(expected_rows(text))
    assert bunch.feature_names == NAMES
    for name in NAMES:
        kind = "int64" if name in NUMERIC else "category"
        assert bunch.data[name].dtype == kind, name
    assert isinstance(bunch.target, pd.Series)
    assert list(bunch.filenames) == ["train", "test"]
    assert "Licence" in bunch.DESCR


def test_there_is_no_validation_subset(home):
    with pytest.raises(ValueError, match=r"one of \['train', 'test', 'all'\], got 'validation'"):
        fetch_adult(subset="validation", data_home=home)
