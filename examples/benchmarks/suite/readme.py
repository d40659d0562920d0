"""Turn records into the short table of the README."""

from collections.abc import Iterable
from statistics import mean

from suite.datasets import SOURCES
from suite.digits import four_digits, make_table
from suite.models import MODELS, validation_cost
from suite.records import Record
from suite.render import group_rows, latest

BEGIN = "<!-- Written by `python examples/benchmarks/bench.py render`: -->\n"
END = "<!-- end -->\n"

TABLES = {
    "flights": "Flights",
    "amazon": "Amazon Employee",
    "adult": "Adult",
    "ml1m": "MovieLens-1M",
    "frappe": "Frappe",
}
# Our estimators, then the peers that users come from: what can be imported, single fits only.
ROWS = ["dynint-pin", "optfeature-field", "profit-linear"]
ROWS += ["catboost", "lightgbm", "fuxictr-dcn-v2", "deepctr-deepfm", "lr"]


def replace_table(text: str, results: Iterable[Record]) -> str:
    """Return the README with its table made anew.

    Raises
    ------
    ValueError
        If the README does not say where the table begins and ends.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the README must hold {BEGIN.strip()!r} and, behind it, {END.strip()!r}.")
    return before + begin + "\n" + render_summary(results) + "\n\n" + end + after


def render_summary(results: Iterable[Record]) -> str:
    """Return the table: a line per model, a column per table, the best of a column in bold."""
    measured = {
        (dataset, model): _best_on_validation(dataset, [r for r in rows if r["model"] == model])
        for dataset, rows in _by_dataset(latest(results)).items()
        for model in ROWS
    }
    lines = [[MODELS[model].title] for model in ROWS]
    heads = [""]
    for dataset, title in TABLES.items():
        monitor = SOURCES[dataset].monitor
        heads.append(f"{title}, AUC" if monitor == "roc_auc" else title)
        values = [
            mean(row["test"][monitor] for row in group) if group else None
            for group in (measured.get((dataset, model), []) for model in ROWS)
        ]
        found = [value for value in values if value is not None]
        best = (max if monitor == "roc_auc" else min)(found, default=None)
        for line, value in zip(lines, values, strict=True):
            text = four_digits(value)
            line.append(f"**{text}**" if text and value == best else text)
    return make_table(heads, lines)


def _by_dataset(results: Iterable[Record]) -> dict[str, list[Record]]:
    groups: dict[str, list[Record]] = {}
    for row in results:
        groups.setdefault(row["dataset"], []).append(row)
    return groups


def _best_on_validation(dataset: str, rows: Iterable[Record]) -> list[Record]:
    """Return all seeds of the settings that did best on validation rows of their first seed."""
    groups = [sorted(group, key=lambda row: row["seed"]) for group in group_rows(rows).values()]
    # The seed draws the validation rows: means over different seeds would not compare.
    return min(groups, key=lambda group: validation_cost(group[0], dataset), default=[])
