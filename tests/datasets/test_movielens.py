import zipfile

import numpy as np
import pytest

from sparsectr.datasets import fetch_movielens, movielens

USERS = "1::F::1::10::48067\n2::M::56::16::70072\n3::M::25::15::55117-1234\n"
MOVIES = (
    "1::Toy Story (1995)::Animation|Children's|Comedy\n"
    "73::Mis\xe9rables, Les (1995)::Drama|Musical\n"
    "2::2001: A Space Odyssey (1968)::Drama\n"
)


@pytest.fixture(scope="module")
def ratings():
    rng = np.random.default_rng(0)
    return [
        (str(rng.choice(["1", "2", "3"])), str(rng.choice(["1", "2", "73"])), rng.integers(1, 6))
        for _ in range(300)
    ]


@pytest.fixture
def home(tmp_path, ratings, monkeypatch):
    path = tmp_path / "source.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("ml-1m/users.dat", USERS)
        archive.writestr("ml-1m/movies.dat", MOVIES.encode("latin-1"))
        lines = "".join(f"{user}::{movie}::{stars}::978300760\n" for user, movie, stars in ratings)
        archive.writestr("ml-1m/ratings.dat", lines)
    monkeypatch.setattr(movielens, "URL", path.as_uri())
    monkeypatch.setattr(movielens, "MD5", None)
    monkeypatch.setattr(movielens, "CHUNK_ROWS", 70)
    return tmp_path


def expected_row(user, movie, stars):
    gender, age, occupation, zip_code = {
        "1": ("F", "1", "10", "48067"),
        "2": ("M", "56", "16", "70072"),
        "3": ("M", "25", "15", "55117-1234"),
    }[user]
    year, genres = {
        "1": ("1995", "Animation|Children's|Comedy"),
        "73": ("1995", "Drama|Musical"),
        "2": ("1968", "Drama"),
    }[movie]
    return {
        "liked": int(stars > 3),
        "user": user,
        "movie": movie,
        "gender": gender,
        "age": age,
        "occupation": occupation,
        "zip": zip_code,
        "year": year,
        "genres": genres,
    }


def test_profit_takes_3_stars_for_a_film_not_liked(home, ratings, assert_split):
    def fetch(**request):
        return fetch_movielens(data_home=home, **request)

    assert_split(fetch, [expected_row(*rating) for rating in ratings], (0.8, 0.1), 2)
    assert "Licence" in fetch().DESCR


def test_autoint_leaves_out_3_stars(home, ratings, assert_split):
    def fetch(**request):
        return fetch_movielens(data_home=home, paper="autoint", **request)

    kept = [expected_row(*rating) for rating in ratings if rating[2] != 3]
    assert_split(fetch, kept, (0.8, 0.1), 2)


def test_unknown_paper_is_refused(home):
    with pytest.raises(ValueError, match=r"paper must be one of .*, got 'dynint'"):
        fetch_movielens(paper="dynint", data_home=home)
