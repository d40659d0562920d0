"""What defaults are to reach, and what is said where they do not."""

import pandas as pd
import pytest
from suite.aims import AIMS, Fits, render_aims
from suite.summary import relate

LOSSES = pd.DataFrame(
    {
        "ensemble": [0.96, 0.99],
        "dynint": [1.02, 1.5],
        "profit": [1.0, 1.2],
        "optfeature": [1.1, 1.4],
        "catboost": [1.0, 1.0],
        "lightgbm": [1.1, 2.0],
        "random-crosses": [0.9, 1.1],
    },
    index=["bank", "amazon"],
)
SECONDS = LOSSES * 0 + [9.0, 8.0, 2.0, 2.0, 4.0, 1.0, 2.0]


def test_aims_are_measured():
    rows = {}
    for block in render_aims(LOSSES, SECONDS):
        for line in block.splitlines():
            cells = line.strip("| ").split(" | ")
            rows[cells[0]] = cells[1:]
    assert rows["`DynIntClassifier()`, mean without amazon and frappe"] == [
        "+1.0 %",
        "+2.0 %",
        "no",
    ]
    assert rows["best of the three methods, mean"] == ["+1.0 %", "+10.0 %", "no"]
    assert rows["best of the three methods, worst table"] == ["+6.0 %", "+20.0 %", "no"]
    assert rows["`CrossEnsembleClassifier()`, worst table"] == ["+0.0 %", "-1.0 %", "yes"]
    ahead = "`CrossEnsembleClassifier()` ahead of LightGBM on 500 random crosses"
    assert rows[ahead] == ["75 % of tables", "50 % of tables", "no"]
    slower = "time of `CrossEnsembleClassifier()` in CatBoosts, geometric mean"
    assert rows[slower] == ["3.0", "2.2", "yes"]
    # Of five averaged trees nothing is measured.
    assert not any("five averaged" in what for what in rows)


def test_what_is_missed_has_a_reason_and_what_is_not_measured_no_line():
    text = "\n".join(render_aims(LOSSES, SECONDS))
    assert "Why some are missed" in text
    assert "labels of amazon hang on combinations" in text
    assert "the standard error of the difference" not in text  # reached
    assert list(render_aims(LOSSES[["lightgbm"]], SECONDS)) == []


@pytest.mark.parametrize("aim", AIMS, ids=lambda aim: aim.what)
def test_an_aim_itself_is_reached(aim):
    assert aim.is_reached(aim.limit)
    assert not aim.is_reached(aim.limit + (-0.01 if aim.at_least else 0.01))


def test_shares_are_of_the_tables_that_all_have():
    losses = LOSSES.assign(**{"random-crosses": [0.97, None]})
    fits = Fits(losses, relate(losses), SECONDS)
    assert fits.share_ahead(["random-crosses"]) == 1
