"""Ratings of films by the users of MovieLens."""

from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sparsectr.datasets.download import data_folder, download, open_member
from sparsectr.datasets.parquet import (
    Source,
    Split,
    check_paper,
    check_request,
    load_subset,
    split_randomly,
    write_parquet,
)

URL = "https://files.grouplens.org/datasets/movielens/ml-1m.zip"
MD5 = "c4d9eecfca2ab87c1945afe126590906"  # published beside the file, as ml-1m.zip.md5

TARGET = "liked"
USERS = ["user", "gender", "age", "occupation", "zip"]
MOVIES = ["movie", "title", "genres"]
RATINGS = ["user", "movie", "rating", "timestamp"]
FIELDS = ["user", "movie", "gender", "age", "occupation", "zip", "year", "genres"]
CHUNK_ROWS = 200_000

# NOTE[DIFF] PROFIT's seed and shares, another generator: other rows.
SPLIT = Split(0.8, 0.1, 0.1, seed=2)
SOURCE = Source(TARGET, ("not liked", "liked"), "movielens.md")
PAPERS = ["profit", "autoint"]


def fetch_movielens(
    *,
    subset: str = "train",
    paper: str = "profit",
    n_rows: int | None = None,
    data_home: str | PathLike[str] | None = None,
    download_if_missing: bool = True,
    return_X_y: bool = False,
    as_frame: bool = True,
) -> Any:
    """Fetch MovieLens 1M: 1,000,209 ratings of films, above 3 of 5 stars or not.

    The first call downloads 6 MB and writes the rows as Parquet files, 8:1:1 at random. Later
    calls only read them. All 8 fields are categories; the genres of a film are taken together.

    Parameters
    ----------
    subset : {"train", "validation", "test", "all"}, default="train"
        The rows to load.
    paper : {"profit", "autoint"}, default="profit"
        Whose label: both say that more than 3 stars are a film liked and fewer are not. With 3
        stars it is not liked for "profit", and the row is left out for "autoint".
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
    movielens : :class:`~sklearn.utils.Bunch`
        data : DataFrame or ndarray of shape (n_rows, 8)
            User, movie, gender, age group, occupation, zip code, year and genres of the film, as
            categories.
        target : Series or ndarray of shape (n_rows,), int64
            1 for more than 3 stars.
        frame : DataFrame or None
            `data` and `target` (column ``liked``), if `as_frame`.
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
    Gao et al., "Progressive feature interaction search for deep sparse network", 2021 (PROFIT),
    do not say which fields they use: compare with their figures with care. Nor is this the split
    of Song et al., "AutoInt", 2019.

    Examples
    --------
    >>> from sparsectr.datasets import fetch_movielens
    >>> X, y = fetch_movielens(return_X_y=True)  # doctest: +SKIP
    """
    check_request(subset, n_rows)
    check_paper(paper, PAPERS)
    home = data_folder("movielens", data_home)
    folder = home / paper
    if not folder.exists():
        archive = download(URL, home / "ml-1m.zip", md5=MD5, allowed=download_if_missing)
        rows = _read(archive, drop_3_stars=paper == "autoint")
        write_parquet(split_randomly(rows, SPLIT), folder)
    return load_subset(folder, subset, n_rows, SOURCE, return_X_y=return_X_y, as_frame=as_frame)


def _read(archive: Path, *, drop_3_stars: bool) -> Iterator[pd.DataFrame]:
    users = pd.concat(_read_table(archive, "users.dat", USERS))
    movies = pd.concat(_read_table(archive, "movies.dat", MOVIES))
    movies["year"] = movies["title"].str.extract(r"\((\d{4})\)$", expand=False)
    for ratings in _read_table(archive, "ratings.dat", RATINGS):
        chunk = ratings.merge(users, "left", "user").merge(movies, "left", "movie")
        stars = chunk["rating"].astype(np.int64)
        chunk.insert(0, TARGET, (stars > 3).astype(np.int64))
        yield chunk.loc[(stars != 3) | (not drop_3_stars), [TARGET, *FIELDS]]


def _read_table(archive: Path, member: str, columns: list[str]) -> Iterator[pd.DataFrame]:
    with open_member(archive, member) as file:
        yield from pd.read_csv(
            file,
            sep="::",
            engine="python",  # the only one that knows separators of two characters
            names=columns,
            dtype=str,
            encoding="latin-1",
            chunksize=CHUNK_ROWS,
        )
