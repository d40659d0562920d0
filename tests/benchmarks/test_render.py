"""The page of the results."""

from pathlib import Path

import pytest
from suite.digits import four_digits, make_table
from suite.records import normalise, read_records
from suite.render import latest, render_page, with_spread

DOCS = Path(__file__).parents[2] / "docs"


def record(model, seed, roc_auc, parameters=None, settings="chosen", **changes):
    return normalise(
        {
            "dataset": "frappe",
            "model": model,
            "settings": settings,
            "parameters": parameters or {},
            "seed": seed,
            "n_rows": None,
            "test": {"roc_auc": roc_auc, "log_loss": 0.25},
            "validation": {"roc_auc": roc_auc - 0.01, "log_loss": 0.26},
            "rows": {"train": 1000, "validation": 100, "test": 200},
            "epochs": 4,
            "fit_seconds": 12.4,
            "predict_rows_per_second": 123456.7,
            "peak_memory_mib": 321.0,
            "parameters_trained": 4321,
            "wall_seconds": 3600.0,
            "threads": 1,
            "versions": {"torch": "2.0"},
            "commit": "abc",
            "machine": {
                "cpu": "chip",
                "cores": 2,
                "system": "Linux",
                "load": 0.5,
                "load_after": 1.5,
            },
        }
        | changes
    )


def cells(page, title):
    (line,) = [line for line in page.splitlines() if line.startswith(f"| {title} |")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_row_holds_means_and_deviations():
    page = render_page([record("lr", 0, 0.94), record("lr", 1, 0.96)], [])
    row = cells(page, "logistic regression, one-hot")
    assert row[1:5] == ["default", "2", ".9500 ± .0141", ".2500 ± .0000"]
    assert row[5:] == ["4", "12", "123,457", "321", "4,321"]
    assert "2.0 hours" in page
    assert "chip, 2 cores, Linux; load 0.5 to 1.5" in page


def test_better_rows_come_first_and_published_ones_stand_beside():
    page = render_page([record("lr", 0, 0.94), record("catboost", 0, 0.97)], [])
    assert page.index("| CatBoost |") < page.index("| logistic regression, one-hot |")
    assert "| FinalMLP | .9861 | .1484 |" in page
    assert "*Published:* BARS" in page


def test_the_last_of_repeated_fits_counts_and_trials_on_few_rows_do_not():
    rows = [record("lr", 0, 0.5), record("lr", 0, 0.9)]
    assert latest(rows) == rows[1:]
    page = render_page([*rows, record("catboost", 0, 0.9, n_rows=50)], [])
    assert cells(page, "logistic regression, one-hot")[3] == ".9000"
    assert "CatBoost |" not in page


def test_models_without_a_row_are_named_with_their_limit():
    late = record("deepctr-xdeepfm", 0, 0.9) | {"seconds": 2700.0, "test": True}
    longer = late | {"seed": 1, "seconds": 3600.0}
    measured = late | {"model": "lr"}
    few_rows = late | {"model": "catboost", "n_rows": 50}
    page = render_page([record("lr", 0, 0.94)], [], [late, longer, measured, few_rows])
    (line,) = [line for line in page.splitlines() if line.startswith("*Without a row")]
    assert line.endswith(" xDeepFM (DeepCTR-Torch) (60 minutes).")


def test_tuning_shows_the_best_validation_trial_beside_the_defaults():
    tuned = {"learning_rate": 0.012345, "variant": "da"}
    trials = [record("profit-linear", 0, 0.91), record("profit-linear", 0, 0.95, tuned)]
    results = [
        record("profit-linear", 0, 0.90),
        record("profit-linear", 0, 0.96, tuned, settings="tuned"),
    ]
    page = render_page(results, trials)
    line = next(line for line in page.splitlines() if "learning_rate=0.012" in line)
    assert ".9000 / .2600" in line
    assert ".9400 / .2600" in line
    assert line.index(".9000 / .2500") < line.index(".9600 / .2500")
    # Defaults stand in the table of tuning only, where other settings were chosen by hand.
    assert "| **PROFIT linear** | default |" not in page
    assert "| **PROFIT linear** | tuned |" in page


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.98612, ".9861"), (0.0055468, ".005547"), (1.0, "1.0000"), (None, ""), (0.5, ".5000")],
)
def test_digits(value, text):
    assert four_digits(value) == text


def test_one_value_has_no_deviation():
    assert with_spread([0.5]) == ".5000"


def test_table_has_as_many_cells_everywhere():
    lines = make_table(["a", "b"], [["1", "2"], ["3", "4"]]).splitlines()
    assert lines == ["| a | b |", "| --- | --- |", "| 1 | 2 |", "| 3 | 4 |"]


def test_defaults_come_first_if_they_are_measured():
    fit = {"table": "bank", "model": "lr", "seed": 0, "n_rows": 20_000, "part": "test"}
    fit |= {"log_loss": 0.3, "fit_seconds": 1.0, "commit": "abc"}
    page = render_page([record("catboost", 0, 0.9)], [], [], [fit])
    assert page.index("## Defaults on the development tables") < page.index("## frappe")
    assert "| logistic regression, one-hot | +0.0 %" in page
    assert "- bank: Calls of a bank" in page
    assert "Commits `abc`" in page
    assert "Defaults on" not in render_page([], [], [], [fit | {"part": "held-out"}])


def test_the_page_in_the_documentation_is_that_of_the_records():
    names = "results", "tuning", "stopped", "suite"
    records = [read_records(DOCS / "benchmarks" / f"{name}.jsonl") for name in names]
    assert (DOCS / "benchmarks.md").read_text(encoding="utf-8") == render_page(*records)
