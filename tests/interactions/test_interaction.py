"""The record of a discovered cross."""

import pickle

import pandas as pd

from sparsectr.interactions.interaction import Interaction

CROSS = Interaction(fields=("month", "day"), order=2, strength=0.5)


def test_list_becomes_a_table():
    table = pd.DataFrame([CROSS, Interaction(("a", "b", "c"), 3, 0.25)])
    assert table.columns.tolist() == ["fields", "order", "strength"]
    assert table["order"].tolist() == [2, 3]


def test_text_and_pickle():
    assert str(CROSS) == "month × day (0.500)"
    assert pickle.loads(pickle.dumps(CROSS)) == CROSS
