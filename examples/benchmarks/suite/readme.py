"""Turn fits of the development suite into the short table of the README."""

from collections.abc import Iterable

from suite.development import ON_TEST_ROWS
from suite.digits import make_table
from suite.records import Record
from suite.summary import average, describe_model, select

BEGIN = "<!-- Written by `python examples/benchmarks/bench.py render`: -->\n"
END = "<!-- end -->\n"

# Columns of the README, and what the summary of the suite calls them.
COLUMNS = {
    "": "model",
    "log loss, mean": "to the better tree",
    "worst table": "worst table",
    "within 1 % of the best": "within 1 % of the best",
    "CPU s": "fit s",
}


def replace_table(text: str, fits: Iterable[Record]) -> str:
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
    return before + begin + "\n" + render_summary(fits) + "\n\n" + end + after


def render_summary(fits: Iterable[Record]) -> str:
    """Return the table: a line for each model that was measured on all tables, on test rows."""
    losses, seconds = average(select(fits, ON_TEST_ROWS), ON_TEST_ROWS.tables)
    whole = losses.dropna(axis="columns")
    lines = (describe_model(name, losses, seconds) for name in whole)
    return make_table(list(COLUMNS), ([line[head] for head in COLUMNS.values()] for line in lines))
