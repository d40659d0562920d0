"""A category that came as one column per value is found, flags are not."""

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sparsectr import DynIntClassifier, FieldEncoder
from sparsectr.encoding.one_hot import find_one_hot

RNG = np.random.default_rng(0)
TABLE = pd.DataFrame({"city": RNG.choice(list("abcde"), 300), "shop": RNG.choice(list("xyz"), 300)})
ONE_HOT = OneHotEncoder(sparse_output=False).fit_transform(TABLE)
NUMBERS = RNG.normal(size=(300, 2))
FLAGS = RNG.integers(0, 2, size=(300, 6)).astype(float)


def find(table):
    encoder = FieldEncoder()
    return find_one_hot(encoder.fit_transform(table), encoder.vocabularies_)


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (ONE_HOT, [(0, 1, 2, 3, 4), (5, 6, 7)]),
        (ONE_HOT.astype(int), [(0, 1, 2, 3, 4), (5, 6, 7)]),
        (ONE_HOT.astype(bool), [(0, 1, 2, 3, 4), (5, 6, 7)]),
        (StandardScaler().fit_transform(ONE_HOT), [(0, 1, 2, 3, 4), (5, 6, 7)]),
        (np.hstack([NUMBERS, ONE_HOT[:, :5], NUMBERS]), [(2, 3, 4, 5, 6)]),
        (np.hstack([FLAGS[:, :1], ONE_HOT[:, 5:]]), [(1, 2, 3)]),
        # A value that most rows have is high as well.
        (np.hstack([ONE_HOT[:, :1] + ONE_HOT[:, 1:4].sum(1, keepdims=True), ONE_HOT[:, 4:5]]), []),
        (FLAGS, []),
        (np.hstack([FLAGS[:, :1], 1 - FLAGS[:, :1]]), []),  # yes and no
        (NUMBERS, []),
        (TABLE, []),
    ],
)
def test_fields_of_which_one_is_high_in_every_row(table, expected):
    assert find(table) == expected


def test_a_fit_warns_once_and_names_the_columns():
    frame = pd.get_dummies(TABLE)
    y = (TABLE["city"] == "a").to_numpy()
    with pytest.warns(UserWarning, match="2 of them .* such as 'city_a' to 'city_e'") as caught:
        DynIntClassifier(max_epochs=1, random_state=0).fit(frame, y)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    DynIntClassifier(max_epochs=1, random_state=0).fit(TABLE, y)  # warnings are errors
