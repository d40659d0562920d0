"""Incomes in the US census of 1994."""

from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sparsectr.datasets.download import check_members, data_folder, download, open_member
from sparsectr.datasets.parquet import Source, check_request, load_subset, write_parquet

URL = "https://archive.ics.uci.edu/static/public/2/adult.zip"
# NOTE[DIFF] UCI publishes no checksums; these are of the files it has served since 1996.
MD5 = {
    "adult.data": "5d7c39d7b8804f071cdd1f2a7c460872",
    "adult.test": "35238206dfdf7f1fe215bbb874adecdc",
}
MEMBERS = {"train": "adult.data", "test": "adult.test"}

TARGET = "income"
NUMERIC = ["age", "fnlwgt", "education-num", "capital-gain", "capital-loss", "hours-per-week"]
# fmt: off
FIELDS = [
    "age", "workclass", "fnlwgt", "education", "education-num", "marital-status", "occupation",
    "relationship", "race", "sex", "capital-gain", "capital-loss", "hours-per-week",
    "native-country",
]
# fmt: on
SOURCE = Source(TARGET, ("<=50K", ">50K"), "adult.md")


def fetch_adult(
    *,
    subset: str = "train",
    n_rows: int | None = None,
    data_home: str | PathLike[str] | None = None,
    download_if_missing: bool = True,
    return_X_y: bool = False,
    as_frame: bool = True,
) -> Any:
    """Fetch Adult: 48,842 people of the US census of 1994, with an income above $50,000 or not.

    The split is UCI's own, 32,561 rows to train and 16,281 to test. (OpenML has the same rows
    without it: ``sklearn.datasets.fetch_openml("adult", version=2)``.) The first call downloads
    the files and writes their rows as Parquet files. Later calls only read these.

    Parameters
    ----------
    subset : {"train", "test", "all"}, default="train"
        The rows to load.
    n_rows : int, default=None
        Load the first rows of the subset only; None loads all. With 0 nothing is loaded, but the
        files named by `filenames` are there.
    data_home : str or path-like, default=None
        Folder for all data sets. None means that of scikit-learn, ``~/scikit_learn_data``.
    download_if_missing : bool, default=True
        If False, raise an error instead of downloading.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.
    as_frame : bool, default=True
        Return pandas objects. If False, `data` is an object array and `target` an int64 array.

    Returns
    -------
    adult : :class:`~sklearn.utils.Bunch`
        data : DataFrame or ndarray of shape (n_rows, 14)
            Six fields of int64, and eight of categories with missing values.
        target : Series or ndarray of shape (n_rows,), int64
            1 for more than $50,000 a year.
        frame : DataFrame or None
            `data` and `target` (column ``income``), if `as_frame`.
        feature_names : list of str
            Names of the fields.
        target_names : list of str
            Names of the two classes.
        min_frequency : int
            1: every value is kept.
        DESCR : str
            Description, provenance and licence.
        filenames : dict of str to str
            Path of the Parquet file of each subset.
    (data, target) : tuple
        Just these two, if `return_X_y`.

    Raises
    ------
    OSError
        If the download fails or has the wrong checksum.
    ImportError
        If pyarrow is not installed.

    Examples
    --------
    >>> from sparsectr.datasets import fetch_adult
    >>> X, y = fetch_adult(return_X_y=True)  # doctest: +SKIP
    """
    check_request(subset, n_rows, [*MEMBERS])
    home = data_folder("adult", data_home)
    folder = home / "uci"
    if not folder.exists():
        archive = download(URL, home / "adult.zip", allowed=download_if_missing)
        check_members(archive, MD5)
        write_parquet(_read(archive), folder)
    return load_subset(folder, subset, n_rows, SOURCE, return_X_y=return_X_y, as_frame=as_frame)


def _read(archive: Path) -> Iterator[tuple[str, pd.DataFrame]]:
    kinds = dict.fromkeys(FIELDS, str) | dict.fromkeys(NUMERIC, np.int64)
    for subset, member in MEMBERS.items():
        with open_member(archive, member) as file:
            frame = pd.read_csv(
                file,
                names=[*FIELDS, TARGET],
                dtype=kinds | {TARGET: str},
                na_values="?",
                keep_default_na=False,
                skipinitialspace=True,
                comment="|",  # the first line of adult.test
            )
        # The labels of adult.test end in a full stop.
        frame[TARGET] = frame[TARGET].str.startswith(">").astype(np.int64)
        yield subset, frame
