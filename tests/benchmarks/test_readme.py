"""The short table of the README."""

from pathlib import Path

import pytest
from suite.readme import BEGIN, COLUMNS, END, render_summary, replace_table
from suite.records import read_records
from suite.tables import TABLES

ROOT = Path(__file__).parents[2]
LOSSES = {"catboost": 0.25, "lightgbm": 0.20, "dynint": 0.21}


def make_fits(models=LOSSES, tables=TABLES):
    for table in tables:
        for model in models:
            fit = {"table": table, "model": model, "seed": 0, "n_rows": 20_000, "part": "test"}
            yield fit | {"log_loss": LOSSES[model], "fit_seconds": 2.0}


def lines_of(table):
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in table.splitlines()]
    return {row[0]: row[1:] for row in rows}


def test_a_line_says_how_far_a_model_is_from_the_better_tree():
    lines = lines_of(render_summary(make_fits()))
    n_tables = len(TABLES)
    assert lines["DynInt"] == ["+5.0 %", "+5.0 % (flights)", f"0 of {n_tables}", "2.0"]
    assert lines["LightGBM"][0] == "+0.0 %"
    assert lines["LightGBM"][2] == f"{n_tables} of {n_tables}"
    assert next(iter(lines)) == next(iter(COLUMNS))


def test_a_model_without_all_tables_has_no_line():
    fits = [*make_fits(["catboost", "lightgbm"]), *make_fits(["dynint"], ["bank", "hotel"])]
    assert "DynInt" not in lines_of(render_summary(fits))


def test_only_what_is_between_the_marks_is_replaced():
    fits = list(make_fits())
    text = replace_table(f"above\n{BEGIN}old\n{END}below\n", fits)
    assert text.startswith(f"above\n{BEGIN}")
    assert text.endswith(f"{END}below\n")
    assert "old" not in text
    assert replace_table(text, fits) == text


@pytest.mark.parametrize("text", ["no marks", BEGIN, END + BEGIN])
def test_a_text_without_marks_is_refused(text):
    with pytest.raises(ValueError, match="README must hold"):
        replace_table(text, make_fits())


def test_the_table_in_the_readme_is_that_of_the_fits():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    fits = read_records(ROOT / "docs" / "benchmarks" / "suite.jsonl")
    assert replace_table(text, fits) == text
