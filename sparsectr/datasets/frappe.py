"""Apps used in a context, as logged by Frappe."""

from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sparsectr.datasets.download import check_members, data_folder, download, open_member
from sparsectr.datasets.parquet import (
    Source,
    check_request,
    load_subset,
    read_text,
    write_parquet,
)

URL = "https://huggingface.co/datasets/reczoo/Frappe_x1/resolve/main/Frappe_x1.zip"
# Published on github.com/reczoo/Datasets, Frappe_x1.
MD5 = {
    "train.csv": "ba7306e6c4fc19dd2cd84f2f0596d158",
    "valid.csv": "88d51bf2173505436d3a8f78f2a59da8",
    "test.csv": "3470f6d32713dc5f7715f198ca7c612a",
}
MEMBERS = {"train": "train.csv", "validation": "valid.csv", "test": "test.csv"}

TARGET = "label"
# fmt: off
FIELDS = [
    "user", "item", "daytime", "weekday", "isweekend", "homework", "cost", "weather", "country",
    "city",
]
# fmt: on
SOURCE = Source(TARGET, ("not used", "used"), "frappe.md")


def fetch_frappe(
    *,
    subset: str = "train",
    n_rows: int | None = None,
    data_home: str | PathLike[str] | None = None,
    download_if_missing: bool = True,
    return_X_y: bool = False,
    as_frame: bool = True,
) -> Any:
    """Fetch Frappe: 288,609 pairs of a context and an app, used in it or not.

    These are the files Frappe_x1 of the BARS benchmark, with its split of 202,027, 57,722 and
    28,860 rows. One in three pairs was logged, the others were drawn. The first call downloads
    them, and writes their rows as Parquet files. Later calls only read these.

    Parameters
    ----------
    subset : {"train", "validation", "test", "all"}, default="train"
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
    frappe : :class:`~sklearn.utils.Bunch`
        data : DataFrame or ndarray of shape (n_rows, 10)
            User, item (the app), and the context, as categories: the benchmark's integers.
        target : Series or ndarray of shape (n_rows,), int64
            1 if the app was used.
        frame : DataFrame or None
            `data` and `target` (column ``label``), if `as_frame`.
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

    Notes
    -----
    The data: Baltrunas et al., "Frappe: understanding the usage and perception of mobile app
    recommendations in-the-wild", 2015. The split: Cheng et al., "Adaptive factorization network",
    2020, published by Zhu et al., "BARS", 2022.

    Examples
    --------
    >>> from sparsectr.datasets import fetch_frappe
    >>> X, y = fetch_frappe(return_X_y=True)  # doctest: +SKIP
    """
    check_request(subset, n_rows)
    home = data_folder("frappe", data_home)
    folder = home / "bars"
    if not folder.exists():
        archive = download(URL, home / "Frappe_x1.zip", allowed=download_if_missing)
        check_members(archive, MD5)
        write_parquet(_read(archive), folder)
    return load_subset(folder, subset, n_rows, SOURCE, return_X_y=return_X_y, as_frame=as_frame)


def _read(archive: Path) -> Iterator[tuple[str, pd.DataFrame]]:
    for subset, member in MEMBERS.items():
        with open_member(archive, member) as file:
            for chunk in read_text(file, [TARGET, *FIELDS], header=True):
                yield subset, chunk.astype({TARGET: np.int64})
