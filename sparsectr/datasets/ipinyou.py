"""Clicks on advertisements bought in real time, from iPinYou's contest of 2013."""

import bz2
from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sparsectr.datasets.days import weekdays
from sparsectr.datasets.download import data_folder, find_download
from sparsectr.datasets.parquet import (
    Source,
    Split,
    check_request,
    load_subset,
    read_text,
    split_randomly,
    write_parquet,
)

PAGE = "https://github.com/wnzhang/make-ipinyou-data"  # names the present home of the archive
FOLDER = "ipinyou.contest.dataset"

TARGET = "click"
# fmt: off
COLUMNS = [
    "bid_id", "timestamp", "log_type", "ipinyou_id", "useragent", "IP", "region", "city",
    "adexchange", "domain", "url", "url_id", "slotid", "slotwidth", "slotheight", "slotvisibility",
    "slotformat", "slotprice", "creative", "bid_price", "paying_price", "key_page", "advertiser",
    "user_tags",
]
FIELDS = [
    "weekday", "hour", "IP", "region", "city", "adexchange", "domain", "slotid", "slotwidth",
    "slotheight", "slotvisibility", "slotformat", "creative", "advertiser", "useragent",
    "slotprice",
]
# fmt: on
# The first name that occurs in the user agent is taken.
SYSTEMS = ["windows", "ios", "mac", "android", "linux"]
BROWSERS = ["chrome", "sogou", "maxthon", "safari", "firefox", "theworld", "opera", "ie"]
PRICES = np.array(["0", "1-10", "11-50", "51-100", "101+"])

# NOTE[DIFF] DynInt names no seed.
SPLIT = Split(0.7, 0.1, 0.2, seed=0)
SOURCE = Source(TARGET, ("no click", "click"), "ipinyou.md", min_frequency=20)


def fetch_ipinyou(
    *,
    subset: str = "train",
    n_rows: int | None = None,
    path: str | PathLike[str] | None = None,
    data_home: str | PathLike[str] | None = None,
    return_X_y: bool = False,
    as_frame: bool = True,
) -> Any:
    """Fetch iPinYou's contest on real-time bidding: advertisements shown, clicked or not.

    The contest has no home any more; https://github.com/wnzhang/make-ipinyou-data names a copy of
    its archive. Unpack it: the folder ``ipinyou.contest.dataset`` is read, its files need not be
    unpacked. The first call writes the impressions of the second and third season as Parquet
    files, with the 16 fields of Zhang et al. (2014) and the split of DynInt, one chunk at a time.
    Later calls only read them. All fields are categories.

    Parameters
    ----------
    subset : {"train", "validation", "test", "all"}, default="train"
        The rows to load.
    n_rows : int, default=None
        Load the first rows of the subset only; None loads all. With 0 nothing is loaded, but the
        files named by `filenames` are there.
    path : str or path-like, default=None
        Where the folder ``ipinyou.contest.dataset`` lies; None means
        ``sparsectr/ipinyou/ipinyou.contest.dataset`` in `data_home`. Read by the first call only.
    data_home : str or path-like, default=None
        Folder for all data sets. None means that of scikit-learn, ``~/scikit_learn_data``.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.
    as_frame : bool, default=True
        Return pandas objects. If False, `data` is an object array and `target` an int64 array.

    Returns
    -------
    ipinyou : :class:`~sklearn.utils.Bunch`
        data : DataFrame or ndarray of shape (n_rows, 16)
            The fields, as categories.
        target : Series or ndarray of shape (n_rows,), int64
            1 for a click.
        frame : DataFrame or None
            `data` and `target` (column ``click``), if `as_frame`.
        feature_names : list of str
            Names of the fields.
        target_names : list of str
            Names of the two classes.
        min_frequency : int
            How often a value must occur to be kept, in the paper: 20. Hand it to the
            estimator, as `min_frequency`.
        DESCR : str
            Description, provenance and licence.
        filenames : dict of str to str
            Path of the Parquet file of each subset.
    (data, target) : tuple
        Just these two, if `return_X_y`.

    Raises
    ------
    FileNotFoundError
        If the folder is not there; the message says where to get it.
    ImportError
        If pyarrow is not installed.

    Notes
    -----
    Fields and values are those of Zhang et al., "Real-time bidding benchmarking with iPinYou
    dataset", 2014, without the user tags, of which a row has many. DynInt (Yan and Li, 2022)
    splits at random, so the days of the contest's test set are dealt out with the others.

    Examples
    --------
    >>> from sparsectr.datasets import fetch_ipinyou
    >>> X, y = fetch_ipinyou(return_X_y=True)  # doctest: +SKIP
    """
    check_request(subset, n_rows)
    home = data_folder("ipinyou", data_home)
    folder = home / "dynint"
    if not folder.exists():
        rows = _read(find_download(path, home / FOLDER, PAGE))
        write_parquet(split_randomly(rows, SPLIT), folder)
    return load_subset(folder, subset, n_rows, SOURCE, return_X_y=return_X_y, as_frame=as_frame)


def _read(folder: Path) -> Iterator[pd.DataFrame]:
    clicked: set[str] = set()
    for chunk in _read_logs(folder, "training[23]*/clk.*.txt.bz2", COLUMNS):
        clicked.update(_impressions(chunk))
    for chunk in _read_logs(folder, "training[23]*/imp.*.txt.bz2", COLUMNS):
        chunk[TARGET] = _impressions(chunk).isin(clicked).astype(np.int64)
        yield _make_fields(chunk)
    # The logs of the test days carry their numbers of clicks and conversions themselves.
    for chunk in _read_logs(folder, "testing[23]*/*.txt.bz2", [*COLUMNS, "clicks", "conversions"]):
        chunk[TARGET] = (chunk["clicks"] != "0").astype(np.int64)
        yield _make_fields(chunk)


def _read_logs(folder: Path, pattern: str, columns: list[str]) -> Iterator[pd.DataFrame]:
    paths = sorted(folder.glob(pattern))
    if not paths:
        raise FileNotFoundError(f"{folder} must hold {pattern}, got no such file.")
    for path in paths:
        with bz2.open(path) as file:
            # User agents may hold any bytes.
            yield from read_text(
                file, columns, delimiter="\t", missing=["", "null"], encoding="latin-1"
            )


def _impressions(chunk: pd.DataFrame) -> Any:
    return chunk["bid_id"] + "-" + chunk["creative"]


def _make_fields(chunk: pd.DataFrame) -> pd.DataFrame:
    string = chunk["timestamp"].dtype
    agents = {agent: _system_and_browser(agent) for agent in chunk["useragent"].dropna().unique()}
    prices = chunk["slotprice"].astype("int64[pyarrow]").to_numpy(np.int64)
    chunk = chunk.assign(
        weekday=weekdays(chunk["timestamp"].str[:8], "%Y%m%d"),
        hour=chunk["timestamp"].str[8:10],
        useragent=chunk["useragent"].map(agents).astype(string),
        slotprice=pd.Series(PRICES[np.searchsorted([0, 10, 50, 100], prices)], dtype=string),
    )
    return chunk[[TARGET, *FIELDS]]


def _system_and_browser(agent: str) -> str:
    agent = agent.lower()
    system = next((name for name in SYSTEMS if name in agent), "other")
    browser = next((name for name in BROWSERS if name in agent), "other")
    return f"{system}_{browser}"
