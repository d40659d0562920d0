import bz2
from datetime import datetime

import numpy as np
import pytest

from sparsectr.datasets import fetch_ipinyou, parquet

AGENTS = {
    "Mozilla/5.0 (Windows NT 6.1) AppleWebKit/535 Chrome/21 Safari/535": "windows_chrome",
    "Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 5.1; SE 2.X MetaSr)": "windows_ie",
    "Mozilla/5.0 (iPad; CPU OS 6_1 like Mac OS X) Version/6.0 Safari": "mac_safari",
    'Opera/9.80 (Android; "\xe9")': "android_opera",
    "curl": "other_other",
    "null": None,
}
# fmt: off
FIELDS = [
    "weekday", "hour", "IP", "region", "city", "adexchange", "domain", "slotid", "slotwidth",
    "slotheight", "slotvisibility", "slotformat", "creative", "advertiser", "useragent",
    "slotprice",
]
# fmt: on


def price_group(price):
    for limit, group in [(100, "101+"), (50, "51-100"), (10, "11-50"), (0, "1-10")]:
        if price > limit:
            return group
    return "0"


class Log:
    """Rows of a log of iPinYou, and what should become of them."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.lines, self.expected = [], []

    def add(self, bid, *, click, extra=()):
        pick = self.rng.choice
        time = datetime(2013, 6, int(pick(np.arange(6, 13))), int(pick(24)), 5)
        agent = str(pick(list(AGENTS)))
        price = int(pick([0, 1, 10, 11, 50, 51, 100, 101, 300]))
        values = {
            "IP": "1.2.3.*",
            "region": str(pick(3)),
            "city": str(pick(9)),
            "adexchange": str(pick(["1", "2", "null", ""])),
            "domain": str(pick(["a94a8f", "null"])),
            "slotid": f"s{pick(5)}",
            "slotwidth": "300",
            "slotheight": "250",
            "slotvisibility": "Na",
            "slotformat": "1",
            "creative": f"c{pick(3)}",
            "advertiser": "1458",
        }
        v = dict(values)
        self.lines.append(
            [bid, time.strftime("%Y%m%d%H%M%S123"), "1", "user", agent]
            + [v.pop(k) for k in ("IP", "region", "city", "adexchange", "domain")]
            + ["url", "null"]
            + [v.pop(k) for k in ("slotid", "slotwidth", "slotheight")]
            + [v.pop(k) for k in ("slotvisibility", "slotformat")]
            + [str(price), v.pop("creative"), "300", "77", "null", v.pop("advertiser"), "1,2"]
            + list(extra)
        )
        row = {name: None if value in ("", "null") else value for name, value in values.items()}
        row["weekday"], row["hour"] = str(time.isoweekday() % 7), f"{time.hour:02d}"
        row["useragent"], row["slotprice"] = AGENTS[agent], price_group(price)
        self.expected.append({"click": int(click)} | {name: row[name] for name in FIELDS})

    def write(self, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        text = "".join("\t".join(line) + "\n" for line in self.lines)
        path.write_bytes(bz2.compress(text.encode("latin-1")))


@pytest.fixture
def contest(tmp_path, monkeypatch):
    """A folder in the official layout, and the rows that should come of it, in order."""
    folder = tmp_path / "ipinyou.contest.dataset"
    expected = []
    for seed, (season, day) in enumerate([("2nd", 20130606), ("2nd", 20130607), ("3rd", 20131019)]):
        impressions, clicks = Log(seed), Log(seed)
        for i in range(100):
            impressions.add(f"bid{day}-{i}", click=i % 3 == 0)
        clicks.lines = [[*line[:2], "2", *line[3:]] for line in impressions.lines[::3]]
        # The same bid with another creative is another impression.
        clicks.lines.append([*impressions.lines[1][:18], "other", *impressions.lines[1][19:]])
        impressions.write(folder / f"training{season}" / f"imp.{day}.txt.bz2")
        clicks.write(folder / f"training{season}" / f"clk.{day}.txt.bz2")
        expected += impressions.expected
    for season in ("2nd", "3rd"):
        log = Log(int(season[0]) + 10)
        for i in range(50):
            log.add(f"test{season}-{i}", click=i % 7 == 0, extra=["2" if i % 7 == 0 else "0", "0"])
        log.write(folder / f"testing{season}" / "leaderboard.test.data.20130613_15.txt.bz2")
        expected += log.expected
    # The first season has other columns and is left out.
    (folder / "training1st").mkdir()
    (folder / "training1st" / "imp.20130311.txt.bz2").write_bytes(bz2.compress(b"x\n"))
    monkeypatch.setattr(parquet, "CHUNK_BYTES", 6_000)
    return folder, expected


def test_rows_are_prepared_as_in_the_paper(contest, tmp_path, assert_split):
    folder, expected = contest

    def fetch(**request):
        return fetch_ipinyou(path=folder, data_home=tmp_path, **request)

    assert_split(fetch, expected, (0.7, 0.1), 0)
    assert fetch().feature_names == FIELDS
    assert fetch().min_frequency == 20
    assert "Licence" in fetch().DESCR


def test_folder_is_asked_for_and_must_be_the_right_one(tmp_path):
    with pytest.raises(FileNotFoundError, match="make-ipinyou-data and put it at"):
        fetch_ipinyou(data_home=tmp_path)
    with pytest.raises(FileNotFoundError, match=r"must hold training\[23\]\*/clk"):
        fetch_ipinyou(data_home=tmp_path, path=tmp_path)
    assert not (tmp_path / "sparsectr" / "ipinyou" / "dynint").exists()
