"""How measures and tables are written."""

from collections.abc import Iterable, Sequence


def four_digits(value: float | None) -> str:
    """Return 0.98612 as .9861, 0.0055468 as .005547, and None as nothing."""
    if value is None:
        return ""
    text = f"{value:.4f}" if value >= 0.01 else f"{value:.4g}"
    return text.removeprefix("0")


def make_table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)
