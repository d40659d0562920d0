"""What is said about the fits of the development suite."""

import json

import pytest
from suite.summary import Selection, average, percent, select, summarise

SELECTION = Selection("test", 100, ["bank", "hotel"], ["dynint", "catboost", "lightgbm"], [0, 1])
LOSSES = {
    ("bank", "catboost"): [0.30, 0.30],
    ("bank", "lightgbm"): [0.29, 0.31],
    ("bank", "dynint"): [0.27, 0.27],
    ("hotel", "catboost"): [0.40, 0.40],
    ("hotel", "lightgbm"): [0.50, 0.50],
    ("hotel", "dynint"): [0.44, 0.44],
}


def make_records():
    for (table, model), losses in LOSSES.items():
        for seed, loss in enumerate(losses):
            record = {"table": table, "model": model, "version": "1", "seed": seed, "n_rows": 100}
            record |= {"part": "test", "log_loss": loss}
            yield record | {"fit_seconds": 8.0 if model == "catboost" else 2.0}


def test_the_latest_fit_of_what_is_asked_for_counts():
    records = [json.loads(json.dumps(record)) for record in make_records()]
    old = records[4] | {"version": "0", "log_loss": 9.0}
    others = [records[4] | change for change in ({"part": "held-out"}, {"n_rows": 50}, {"seed": 2})]
    latest = select([old, *records, *(other | {"log_loss": 9.0} for other in others)], SELECTION)
    assert len(latest) == 12
    losses, seconds = average(latest, SELECTION.tables)
    assert losses.loc["bank", "dynint"] == pytest.approx(0.27)
    assert seconds.loc["hotel", "catboost"] == 8


def test_summary():
    models, words, tables = summarise(make_records(), SELECTION)
    lines = [line.split(" | ") for line in models.splitlines()]
    ours = next(line for line in lines if line[0] == "| DynInt")
    # 0 and 10 % behind the best; 10 % ahead of and 10 % behind the better tree
    assert ours[1:] == ["+5.0 %", "+0.0 %", "1 of 2", "+10.0 % (hotel)", "0.25", "2.0 |"]
    assert "better tree" in words
    assert "| bank | -10.0 % | +0.0 % | +0.0 % |" in tables.splitlines()
    assert list(summarise([], SELECTION)) == ["Nothing is measured."]


def test_percent():
    assert [percent(ratio) for ratio in (1.0123, 0.98, float("nan"))] == ["+1.2 %", "-2.0 %", ""]
