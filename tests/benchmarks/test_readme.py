"""The short table of the README."""

from pathlib import Path

import pytest
from suite.readme import BEGIN, END, render_summary, replace_table
from suite.records import normalise, read_records

ROOT = Path(__file__).parents[2]


def record(model, seed, validation, test, dataset="adult", **parameters):
    return normalise(
        {
            "dataset": dataset,
            "model": model,
            "settings": "chosen",
            "parameters": parameters,
            "seed": seed,
            "n_rows": None,
            "test": {"roc_auc": 0.9, "log_loss": test},
            "validation": {"roc_auc": 0.9, "log_loss": validation},
        }
    )


def line(table, title):
    (found,) = [row for row in table.splitlines() if row.startswith(f"| {title} |")]
    return [cell.strip() for cell in found.strip("|").split("|")]


def test_cells_are_means_of_the_settings_that_did_best_on_validation_rows():
    table = render_summary(
        [
            record("lr", 0, 0.30, 0.20),
            # Of three seeds; only the first one's validation rows are those of the other settings.
            record("lr", 0, 0.29, 0.25, C=2.0),
            record("lr", 1, 0.35, 0.27, C=2.0),
            record("catboost", 0, 0.40, 0.31),
        ]
    )
    assert line(table, "")[3] == "Adult"
    assert line(table, "logistic regression, one-hot")[3] == "**.2600**"
    assert line(table, "CatBoost")[3] == ".3100"
    assert line(table, "LightGBM")[3] == ""


def test_frappe_is_judged_by_auc():
    low, high = (
        record(model, 0, 0.5, 0.5, dataset="frappe") | {"test": {"roc_auc": auc, "log_loss": 0.5}}
        for model, auc in (("lr", 0.90), ("catboost", 0.99))
    )
    table = render_summary([low, high])
    assert line(table, "CatBoost")[5] == "**.9900**"
    assert line(table, "logistic regression, one-hot")[5] == ".9000"


def test_only_what_is_between_the_marks_is_replaced():
    text = replace_table(f"above\n{BEGIN}old\n{END}below\n", [record("lr", 0, 0.3, 0.3)])
    assert text.startswith(f"above\n{BEGIN}")
    assert text.endswith(f"{END}below\n")
    assert "old" not in text
    assert replace_table(text, [record("lr", 0, 0.3, 0.3)]) == text


@pytest.mark.parametrize("text", ["no marks", BEGIN, END + BEGIN])
def test_a_text_without_marks_is_refused(text):
    with pytest.raises(ValueError, match="README must hold"):
        replace_table(text, [])


def test_the_table_in_the_readme_is_that_of_the_records():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    records = read_records(ROOT / "docs" / "benchmarks" / "results.jsonl")
    assert replace_table(text, records) == text
