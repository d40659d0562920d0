"""Clicks on advertisements of Tencent's search engine, from track 2 of the KDD Cup 2012."""

from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sparsectr.datasets.download import data_folder, find_download, open_member
from sparsectr.datasets.parquet import (
    Source,
    Split,
    check_request,
    load_subset,
    read_text,
    split_randomly,
    write_parquet,
)

PAGE = "https://www.kaggle.com/c/kddcup2012-track2/data"
FILE = "track2.zip"
MEMBER = "training.txt"

TARGET = "click"
# fmt: off
FIELDS = [
    "impression", "display_url", "ad_id", "advertiser_id", "depth", "position", "query_id",
    "keyword_id", "title_id", "description_id", "user_id",
]
# fmt: on
# NOTE[DIFF] OptFeature's seed and shares, another generator: other rows.
SPLIT = Split(0.8, 0.1, 0.1, seed=2021)
SOURCE = Source(TARGET, ("no click", "click"), "kdd12.md", min_frequency=10)


def fetch_kdd12(
    *,
    subset: str = "train",
    n_rows: int | None = None,
    path: str | PathLike[str] | None = None,
    data_home: str | PathLike[str] | None = None,
    return_X_y: bool = False,
    as_frame: bool = True,
) -> Any:
    """Fetch track 2 of the KDD Cup 2012: 149,639,105 search sessions, clicked or not.

    Kaggle hands the file out to those who log in and accept the rules of the challenge: get
    ``track2.zip`` from https://www.kaggle.com/c/kddcup2012-track2/data. The first call writes
    its rows as Parquet files, prepared and split as by OptFeature (Lyu et al., 2023), chunk by
    chunk. Later calls only read them. All 11 fields are categories.

    Parameters
    ----------
    subset : {"train", "validation", "test", "all"}, default="train"
        The rows to load.
    n_rows : int, default=None
        Load the first rows of the subset only; None loads all. With 0 nothing is loaded, but the
        files named by `filenames` are there.
    path : str or path-like, default=None
        Where ``track2.zip`` lies, or ``training.txt`` from it; None means
        ``sparsectr/kdd12/track2.zip`` in `data_home`. Read by the first call only.
    data_home : str or path-like, default=None
        Folder for all data sets. None means that of scikit-learn, ``~/scikit_learn_data``.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.
    as_frame : bool, default=True
        Return pandas objects. If False, `data` is an object array and `target` an int64 array.

    Returns
    -------
    kdd12 : :class:`~sklearn.utils.Bunch`
        data : DataFrame or ndarray of shape (n_rows, 11)
            The fields, as categories.
        target : Series or ndarray of shape (n_rows,), int64
            1 for one click or more.
        frame : DataFrame or None
            `data` and `target` (column ``click``), if `as_frame`.
        feature_names : list of str
            Names of the fields.
        target_names : list of str
            Names of the two classes.
        min_frequency : int
            How often a value must occur to be kept, in the paper: 10. Hand it to the
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
        If the file is not there; the message says where to get it.
    ImportError
        If pyarrow is not installed.

    Notes
    -----
    A row stands for all impressions of one advertisement with the same query, user, depth and
    position; the number of them is a field in OptFeature's code, and so it is here. Rare values
    are left to the estimator.

    Examples
    --------
    >>> from sparsectr.datasets import fetch_kdd12
    >>> X, y = fetch_kdd12(return_X_y=True)  # doctest: +SKIP
    """
    check_request(subset, n_rows)
    home = data_folder("kdd12", data_home)
    folder = home / "optfeature"
    if not folder.exists():
        write_parquet(split_randomly(_read(find_download(path, home / FILE, PAGE)), SPLIT), folder)
    return load_subset(folder, subset, n_rows, SOURCE, return_X_y=return_X_y, as_frame=as_frame)


def _read(path: Path) -> Iterator[pd.DataFrame]:
    with open_member(path, MEMBER) as file:
        for chunk in read_text(file, [TARGET, *FIELDS], delimiter="\t"):
            chunk[TARGET] = (chunk[TARGET] != "0").astype(np.int64)
            yield chunk
