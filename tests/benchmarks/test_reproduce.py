"""Measuring again what the records hold."""

import pytest
from suite.reproduce import compare, repeat_jobs


def record(model, part="test", **changes):
    return {
        "dataset": "adult",
        "model": model,
        "settings": "default",
        "parameters": {},
        "seed": 0,
        "n_rows": None,
        part: {"roc_auc": 0.9, "log_loss": 0.3},
    } | changes


@pytest.fixture
def records():
    return [
        record("lr"),
        record("lr", seed=1),
        record("lr", parameters={"C": 2.0}, settings="tuned"),
        record("lightgbm"),
        record("lr", dataset="amazon"),
        record("lr", n_rows=300),  # a trial of the suite, no row of the page
    ]


def test_every_fit_on_whole_tables_is_done_again(records):
    jobs = list(repeat_jobs(records, ["adult"], ["lr"], "folder"))
    assert [(job["seed"], job["parameters"]) for job in jobs] == [(0, {}), (1, {}), (0, {"C": 2.0})]
    assert all(job["test"] and job["data"] == "folder" for job in jobs)
    every = list(repeat_jobs(records, ["adult", "amazon"], ["lr", "lightgbm"], "folder"))
    assert len(every) == 5
    (trial,) = repeat_jobs([record("lr", "validation")], ["adult"], ["lr"], "folder")
    assert not trial["test"]


def test_a_fit_that_came_up_twice_is_done_once(records):
    assert len(list(repeat_jobs([*records, *records], ["adult"], ["lr"], "."))) == 3


def test_comparison_shows_both_results(records):
    again = [
        record("lr", test={"roc_auc": 0.91, "log_loss": 0.28}),
        record("lr", seed=1, test={"roc_auc": 0.9, "log_loss": 0.3}),
    ]
    *lines, _, summary = compare(records, again).splitlines()
    assert lines[2] == "| adult | lr | default | 0 | .9000 | .9100 | .3000 | .2800 |"
    assert len(lines) == 4
    assert summary == "2 fits again; mean distance 0.0050 in AUC, 0.0100 in log loss"


def test_trials_are_compared_on_validation_rows():
    trial = record("lr", "validation")
    assert "1 fits again" in compare([trial], [trial])
    assert "0 fits again" in compare([trial], [record("lr")])
