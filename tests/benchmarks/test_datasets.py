"""Tables: the forms in which they may lie in a folder, and their splits."""

import lzma

import numpy as np
import pandas as pd
import pytest
from suite.datasets import SOURCES, Parts, load_parts


@pytest.fixture
def folder(tmp_path):
    """A folder with tiny tables in all hand-made forms."""
    rng = np.random.default_rng(0)
    for name in ("frappe", "amazon-employee", "adult", "movielens-1m"):
        (tmp_path / name).mkdir()
    for name, n_rows in (("train_reconstructed", 30), ("valid", 10), ("test", 8)):
        frame = pd.DataFrame({"label": rng.integers(2, size=n_rows), "user": 5, "item": 7})
        frame.to_csv(tmp_path / "frappe" / f"{name}.csv.xz", index=False)
    frame = pd.DataFrame({"ACTION": [0, 1] * 50, "RESOURCE": range(100)})
    frame.to_csv(tmp_path / "amazon-employee" / "train.csv.xz", index=False)
    for part, rows in (("train", range(80)), ("test", range(80, 100))):
        np.savetxt(
            tmp_path / "amazon-employee" / f"catboost_stratified_{part}_idx.txt", rows, fmt="%d"
        )
    person = "39, ?, 77516, Bachelors, 13, Single, Sales, Wife, White, Male, 0, 0, 40, Cuba, "
    lines = [f"{person}<=50K", f"{person}>50K"] * 20
    write_xz(tmp_path / "adult" / "adult.data.xz", "\n".join(lines))
    write_xz(tmp_path / "adult" / "adult.test.xz", "|1x3\n" + "\n".join(f"{x}." for x in lines))
    ratings = pd.DataFrame({"user_id": [1, 2] * 50, "movie_id": [3, 3, 4, 4] * 25})
    ratings["rating"] = [3, 4, 5, 1] * 25
    ratings.to_csv(tmp_path / "movielens-1m" / "ratings_no_timestamp.csv.xz", index=False)
    (tmp_path / "movielens-1m" / "users.dat").write_text("1::F::1::10::48067\n2::M::56::16::7\n")
    (tmp_path / "movielens-1m" / "movies.dat").write_text(
        "3::Toy Story (1995)::Animation|Comedy\n4::Été (1996)::Drama\n", encoding="latin-1"
    )
    return tmp_path


def write_xz(path, text):
    with lzma.open(path, "wt") as file:
        file.write(text + "\n")


@pytest.mark.parametrize("name", ["frappe", "amazon", "adult", "ml1m"])
def test_test_rows_do_not_depend_on_the_seed(folder, name):
    first, second = (load_parts(name, folder, seed) for seed in (0, 1))
    assert isinstance(first, Parts)
    pd.testing.assert_frame_equal(first.test[0], second.test[0])
    np.testing.assert_array_equal(first.test[1], second.test[1])
    assert set(np.unique(first.train[1])) == {0, 1}
    for X, y in first:
        assert X.index.equals(pd.RangeIndex(len(y)))


@pytest.mark.parametrize("name", ["amazon", "adult"])
def test_validation_rows_are_drawn_by_the_seed(folder, name):
    first, second = (load_parts(name, folder, seed) for seed in (0, 1))
    n_rows = len(first.train[1]) + len(first.validation[1])
    assert len(first.validation[1]) == round(0.1 * n_rows)
    if name == "amazon":
        assert set(first.train[0]["RESOURCE"]) | set(first.validation[0]["RESOURCE"]) == set(
            range(80)
        )
        assert set(first.validation[0]["RESOURCE"]) != set(second.validation[0]["RESOURCE"])


def test_adult_reads_missing_values_labels_and_numbers(folder):
    X, y = load_parts("adult", folder, 0).test
    assert X["workclass"].isna().all()
    assert X["age"].dtype == np.float64
    assert y.tolist() == [0, 1] * 20


def test_movielens_joins_users_and_movies(folder):
    parts = load_parts("ml1m", folder, 0)
    X = pd.concat([X for X, _ in parts])
    y = np.concatenate([y for _, y in parts])
    assert [len(y) for _, y in parts] == [80, 10, 10]
    assert X.shape[1] == 8
    assert set(X["year"]) == {"1995", "1996"}
    # Ratings 3, 4, 5, 1 of user and movie (1, 3), (2, 3), (1, 4), (2, 4): above 3 or not.
    liked = (X["user_id"] == 2) == (X["movie_id"] == 3)
    np.testing.assert_array_equal(y, liked.to_numpy().astype(int))


def test_flights_need_no_folder_and_can_be_cut(tmp_path):
    parts = load_parts("flights", tmp_path, 0, n_rows=50)
    assert [X.shape for X, _ in parts] == [(50, 10)] * 3


def test_monitors_are_known():
    assert {source.monitor for source in SOURCES.values()} == {"log_loss", "roc_auc"}
