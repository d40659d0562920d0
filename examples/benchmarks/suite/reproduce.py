"""Measure again what the records hold, and say how far the results lie apart."""

from collections.abc import Iterable, Iterator, Sequence

from suite.digits import four_digits, make_table
from suite.records import Record
from suite.render import latest
from suite.runner import is_same

COLUMNS = ["dataset", "model", "settings", "seed", "AUC", "again", "log loss", "again"]


def repeat_jobs(
    records: Iterable[Record], datasets: Sequence[str], models: Sequence[str], data: str
) -> Iterator[Record]:
    """Yield the job of every fit on whole tables, for these tables and models."""
    for row in latest(records):
        if row["dataset"] in datasets and row["model"] in models:
            names = ("dataset", "model", "settings", "parameters", "seed", "n_rows")
            yield {name: row[name] for name in names} | {"data": data, "test": "test" in row}


def compare(before: Iterable[Record], again: Sequence[Record]) -> str:
    """Return a table of both results of every fit that was measured twice, and the mean distance.

    Test rows count; of trials, which have none, validation rows.
    """
    lines, distances = [], []
    for old in latest(before):
        part = "test" if "test" in old else "validation"
        for new in again:
            if is_same(old | {"test": part == "test"}, new):
                values = [[row[part][key] for row in (old, new)] for key in ("roc_auc", "log_loss")]
                distances.append([abs(a - b) for a, b in values])
                texts = [four_digits(value) for pair in values for value in pair]
                name = [old["dataset"], old["model"], old["settings"], str(old["seed"])]
                lines.append([*name, *texts])
    means = [sum(column) / len(distances) for column in zip(*distances, strict=True)]
    summary = f"{len(lines)} fits again"
    if means:
        summary += f"; mean distance {means[0]:.4f} in AUC, {means[1]:.4f} in log loss"
    return f"{make_table(COLUMNS, lines)}\n\n{summary}"
