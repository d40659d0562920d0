"""Tables of UCI and others, fetched from their homes into files that `suite.tables` reads."""

import io
import tarfile
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

TEST_SHARE = 0.2
UCI = "https://archive.ics.uci.edu/static/public/"
# The rows of the census that are kept: of its training file, and of its test file.
CENSUS_ROWS = {".data": 80_000, ".test": 50_000}


class Home(NamedTuple):
    """Where a table lies, what it is, and how its file becomes a table with a label."""

    url: str
    description: str
    read: Callable[[bytes], pd.DataFrame]


def fetch_table(name: str, path: Path) -> None:
    """Fetch a table and write it to ``path``.

    The split is drawn here, unless the table has its own: figures of another split of the same
    rows differ by chance.

    Parameters
    ----------
    name : str
        One of `HOMES`.
    path : Path
        The file to write, a CSV with the columns "label" (0 or 1), "test" (1 for test rows) and
        those of the table.
    """
    with urllib.request.urlopen(HOMES[name].url) as answer:
        table = HOMES[name].read(answer.read())
    if "test" not in table:
        drawn = np.random.default_rng(0).random(len(table)) < TEST_SHARE
        table.insert(0, "test", drawn.astype(int))
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, index=False)


def read_bank(content: bytes) -> pd.DataFrame:
    """Read bank-full.csv, which lies in a zip file within the zip file."""
    table = pd.read_csv(_open(_open(content, "bank.zip").read(), "bank-full.csv"), sep=";")
    label = (table.pop("y") == "yes").astype(int)
    # The duration of a call is known when the call is over.
    return _label(table.drop(columns="duration"), label)


def read_diabetes(content: bytes) -> pd.DataFrame:
    """Read diabetic_data.csv; readmitted within or after 30 days is positive."""
    table = pd.read_csv(_open(content, "diabetic_data.csv"), na_values="?", low_memory=False)
    label = (table.pop("readmitted") != "NO").astype(int)
    return _label(table.drop(columns=["encounter_id", "patient_nbr"]), label)


def read_census(content: bytes) -> pd.DataFrame:
    """Read the first rows of both files in the archive within the zip file.

    Columns are c0, c1, ... as in the files, without c24, the weight of the instance.
    """
    parts = []
    with tarfile.open(fileobj=_open(content, ".tar.gz")) as archive:
        for test, (ending, n_rows) in enumerate(CENSUS_ROWS.items()):
            name = next(name for name in archive.getnames() if name.endswith(ending))
            file = archive.extractfile(name)
            part = pd.read_csv(file, header=None, nrows=n_rows, skipinitialspace=True)
            parts.append(part.assign(test=test))
    table = pd.concat(parts, ignore_index=True)
    label = table.pop(41).str.startswith("50000+").astype(int)
    table = table.drop(columns=24).rename(columns=lambda c: f"c{c}" if isinstance(c, int) else c)
    return _label(table, label)


def read_hotel(content: bytes) -> pd.DataFrame:
    """Read the bookings, without what is known only after the stay."""
    table = pd.read_csv(io.BytesIO(content))
    label = table.pop("is_canceled")
    leaks = ["reservation_status", "reservation_status_date", "assigned_room_type"]
    return _label(table.drop(columns=leaks), label)


def _open(content: bytes, ending: str) -> io.BytesIO:
    files = zipfile.ZipFile(io.BytesIO(content))
    name = next(name for name in files.namelist() if name.endswith(ending))
    return io.BytesIO(files.read(name))


def _label(table: pd.DataFrame, label: pd.Series) -> pd.DataFrame:
    table.insert(0, "label", label)
    return table


HOMES = {
    "bank": Home(
        UCI + "222/bank+marketing.zip",
        "Calls of a bank, subscribed or not (UCI Bank Marketing, CC BY 4.0)",
        read_bank,
    ),
    "diabetes": Home(
        UCI + "296/diabetes+130-us+hospitals+for+years+1999-2008.zip",
        "Stays in hospitals, readmitted or not (UCI Diabetes 130-US, CC BY 4.0)",
        read_diabetes,
    ),
    "hotel": Home(
        "https://raw.githubusercontent.com/rfordatascience/tidytuesday/main/data/2020/2020-02-11/"
        "hotels.csv",
        "Bookings of hotels, cancelled or not (Antonio, de Almeida, Nunes 2019, CC BY 4.0)",
        read_hotel,
    ),
    "census": Home(
        UCI + "117/census+income+kdd.zip",
        "Census of 1994 and 1995, income above 50,000 or not (UCI Census-Income, CC BY 4.0)",
        read_census,
    ),
}
