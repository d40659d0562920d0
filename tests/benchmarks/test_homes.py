"""Tables as their homes publish them, built small, and the files that are made of them."""

import io
import tarfile
import zipfile

import pandas as pd
import pytest
from suite import homes
from suite.homes import HOMES, fetch_table


def zipped(**files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "."), content)
    return buffer.getvalue()


def census(n_rows):
    lines = [", ".join([str(column) for column in range(41)] + ["- 50000.", "\n"])[:-3]] * n_rows
    lines[0] = lines[0].replace("- 50000.", "50000+.")
    return "\n".join(lines).encode()


def tarred(**files):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name.replace("__", "."))
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def csv(separator, head, *lines):
    return "\n".join(separator.join(line.split()) for line in (head, *lines))


PUBLISHED = {
    "bank": zipped(
        bank__zip=zipped(
            **{"bank-full__csv": csv(";", "age job duration y", *["58 admin 261 no", "40 ? 1 yes"])}
        )
    ),
    "diabetes": zipped(
        diabetic_data__csv=csv(
            ",", "encounter_id patient_nbr race readmitted", "1 2 ? NO", "3 4 Other <30"
        )
    ),
    "hotel": csv(
        ",",
        "hotel is_canceled assigned_room_type reservation_status reservation_status_date",
        "City 0 A Check-Out 2015-07-01",
        "Resort 1 B Canceled 2015-07-01",
    ).encode(),
    "census": zipped(
        **{
            "census__tar__gz": tarred(
                **{"census-income__data": census(3), "census-income__test": census(2)}
            )
        }
    ),
}
COLUMNS = {"bank": ["age", "job"], "diabetes": ["race"], "hotel": ["hotel"]}
COLUMNS["census"] = [f"c{j}" for j in range(41) if j != 24]


@pytest.mark.parametrize("name", HOMES)
def test_a_file_holds_label_split_and_no_leaks(name, tmp_path, monkeypatch):
    asked = []

    def urlopen(url):
        asked.append(url)
        return io.BytesIO(PUBLISHED[name])

    monkeypatch.setattr(homes.urllib.request, "urlopen", urlopen)
    path = tmp_path / "new" / f"{name}.csv.xz"
    fetch_table(name, path)
    assert asked == [HOMES[name].url]
    table = pd.read_csv(path)
    assert sorted(table.columns) == sorted(["label", "test", *COLUMNS[name]])
    if name == "census":
        assert table["label"].tolist() == [1, 0, 0, 1, 0]
        assert table["test"].tolist() == [0, 0, 0, 1, 1]
        assert table["c3"].tolist() == [3] * 5
    else:
        assert table["label"].tolist() == [0, 1]
        assert set(table["test"]) <= {0, 1}
