"""What the estimators were to reach on test rows, beside what was measured."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from suite.digits import four_digits

HEAD = ["table", "to reach on test rows", "bar", "measured", "by", "reached"]


class Row(NamedTuple):
    """A model with its settings: means over the seeds, on test rows."""

    dataset: str
    model: str  # its key
    title: str
    ours: bool
    averaged: bool  # whether a fit is itself a mean of fits
    n_seeds: int
    roc_auc: float
    log_loss: float


# Log loss on a table that was named beforehand.
LOG_LOSSES = {"amazon": 0.138, "adult": 0.28}
# What "none below" is measured by, and how far below is still none.
FRAPPE_PEER, FRAPPE_SLACK = "fuxictr-dcn-v2", 0.001
# How much AUC tuning may add to defaults, and on how many tables.
DEFAULTS_SLACK, DEFAULTS_TABLES = 0.001, 4


def compare_with_bars(rows: Sequence[Row], published_auc: float) -> Iterator[list[str]]:
    """Yield the cells of a line for every bar whose rows are there.

    Parameters
    ----------
    rows : sequence of Row
        Rows of all tables, ours and those of peers.
    published_auc : float
        The best published AUC on Frappe.
    """
    ours, peers = (
        {name: [r for r in rows if r.dataset == name and r.ours == wanted] for name in _names(rows)}
        for wanted in (True, False)
    )
    if found := ours.get("frappe"):
        best = max(found, key=lambda row: row.roc_auc)
        bar = published_auc
        yield _line(best, "AUC above the best published one", bar, best.roc_auc, best.roc_auc > bar)
        beside = [row.roc_auc for row in peers["frappe"] if row.model == FRAPPE_PEER]
        if beside:
            worst, bar = min(found, key=lambda row: row.roc_auc), max(beside) - FRAPPE_SLACK
            aim = "AUC of every row of ours at least DCN-V2's as run here, less .001"
            yield _line(worst, aim, bar, worst.roc_auc, worst.roc_auc >= bar)
    for name, bar in LOG_LOSSES.items():
        if found := ours.get(name):
            best = _least_loss(found)
            yield _line(best, "log loss below", bar, best.log_loss, best.log_loss < bar)
    for name in ("flights", "ml1m"):
        for aim, averaged in (("", (False, True)), (", single fits", (False,))):
            mine, theirs = (
                [row for row in side.get(name, []) if row.averaged in averaged]
                for side in (ours, peers)
            )
            if mine and theirs:
                best, bar = _least_loss(mine), _least_loss(theirs).log_loss
                text = f"log loss below every peer's{aim}"
                yield _line(best, text, bar, best.log_loss, best.log_loss < bar)
                if name == "ml1m":
                    bar = max(row.roc_auc for row in theirs)
                    text = f"AUC above every peer's{aim}"
                    yield _line(best, text, bar, best.roc_auc, best.roc_auc > bar)


def compare_defaults(gains: Mapping[str, Sequence[float]], part: str) -> Iterator[list[str]]:
    """Yield the cells of a line for every model that was tuned on enough tables.

    Parameters
    ----------
    gains : mapping of str to sequence of float
        Title of a model to the AUC that tuning added, a number for each table.
    part : str
        Of which rows it is: "validation", where the best trial is also the luckiest, or "test".
    """
    for title, values in gains.items():
        if len(values) >= DEFAULTS_TABLES:
            n = sum(gain <= DEFAULTS_SLACK for gain in values)
            yield [
                "all",
                f"{part} AUC of defaults within .001 of that of the best trial",
                f"{DEFAULTS_TABLES} tables",
                f"{n} of {len(values)}",
                title,
                "yes" if n >= DEFAULTS_TABLES else "**no**",
            ]


def _names(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(row.dataset for row in rows))


def _least_loss(rows: Sequence[Row]) -> Row:
    return min(rows, key=lambda row: row.log_loss)


def _line(row: Row, aim: str, bar: float, value: float, reached: bool) -> list[str]:
    by = f"{row.title} ({row.n_seeds} seed{'s' * (row.n_seeds > 1)})"
    return [
        row.dataset,
        aim,
        four_digits(bar),
        four_digits(value),
        by,
        "yes" if reached else "**no**",
    ]
