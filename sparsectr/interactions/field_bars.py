"""Draw what fields do, and what the values of one field do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from sparsectr.interactions.drawing import (
    GRID_COLOR,
    HIGHER_COLOR,
    PAIR_COLOR,
    name_rows,
    score_of,
    short_names,
    write_title,
)
from sparsectr.interactions.values import describe_values, sorted_names, value_names
from sparsectr.interactions.waterfall import DOWN_COLOR, UP_COLOR

if TYPE_CHECKING:  # matplotlib is optional
    from matplotlib.axes import Axes


def draw_fields(ax: Axes, table: pd.DataFrame) -> None:
    """Draw two bars per field, by itself and in crosses, and a mark for both together.

    Parameters
    ----------
    ax : matplotlib Axes
        Where to draw.
    table : DataFrame
        Columns field, total, main, crosses; the strongest field first.
    """
    places = np.arange(len(table))
    ax.barh(places - 0.19, table["main"], height=0.36, color=PAIR_COLOR, label="by itself")
    ax.barh(places + 0.19, table["crosses"], height=0.36, color=HIGHER_COLOR, label="in crosses")
    ax.plot(
        table["total"],
        places,
        linestyle="none",
        marker="|",
        markersize=13,
        markeredgewidth=1.8,
        color="black",
        label="both together",
    )
    names = short_names(table["field"])
    name_rows(ax, [names[str(field)] for field in table["field"]])
    ax.set_xlabel(f"strength ({score_of(table)})")
    ax.legend(loc="lower right", frameon=False, fontsize=8)
    write_title(ax, "fields by strength")


def choose_values(table: pd.DataFrame, n_values: int) -> pd.DataFrame:
    """Keep the values of a field that explain most of its effect, in their order.

    Parameters
    ----------
    table : DataFrame
        The values of a field, count and effect: its columns in this order.
    n_values : int
        Most values.
    """
    names, counts, effects = value_names(table.iloc[:, 0]), table.iloc[:, 1], table.iloc[:, 2]
    cells = pd.DataFrame({"count": counts, "total": counts * effects}).groupby(names).sum()
    cells["effect"] = cells["total"] / cells["count"]
    kept = (cells["count"] * cells["effect"] ** 2).nlargest(n_values).index
    # Numbers and their intervals have an order, texts are read by their effect.
    first = table.iloc[:, 0].dropna()
    has_texts = any(isinstance(value, str) for value in first)
    in_order = isinstance(first.dtype, pd.CategoricalDtype) or not has_texts
    by_effect = cells.loc[kept].sort_values("effect", ascending=False, kind="stable").index
    names_in_order = [name for name in sorted_names(table.iloc[:, 0]) if name in set(kept)]
    shown = cells.loc[names_in_order if in_order else by_effect, ["count", "effect"]]
    shown.insert(0, str(table.columns[0]), shown.index)
    shown = shown.reset_index(drop=True)
    shown.attrs.update(table.attrs)
    return shown


def draw_field_values(
    ax: Axes,
    table: pd.DataFrame,
    n_values: Mapping[str, int] | None = None,
) -> None:
    """Draw one bar per value of a field, and write the number of its rows beside it.

    Parameters
    ----------
    ax : matplotlib Axes
        Where to draw.
    table : DataFrame
        The values of a field, count and effect, from the top on.
    n_values : mapping of str to int, optional
        How many values the field has, where the table may have fewer.
    """
    effects, counts = table.iloc[:, -1].to_numpy(), table.iloc[:, -2]
    ax.barh(
        np.arange(len(table)),
        effects,
        height=0.7,
        color=np.where(effects > 0, UP_COLOR, DOWN_COLOR),
    )
    values = value_names(table.iloc[:, 0])
    names = short_names(values)
    name_rows(ax, [names[value] for value in values])
    low, high = min(0.0, effects.min()), max(0.0, effects.max())
    room = 0.25 * max(high - low, 1e-3)  # for the numbers beside the bars
    ax.set_xlim(low - (room if low < 0 else 0), high + room)
    for place, (effect, count) in enumerate(zip(effects, counts, strict=True)):
        right = effect >= 0
        ax.annotate(
            f"{count:,}",
            (effect, place),
            (4 if right else -4, 0),
            textcoords="offset points",
            ha="left" if right else "right",
            va="center",
            size=8,
            color="#555555",
        )
    ax.axvline(0, color=GRID_COLOR if low == 0 else "#555555", linewidth=0.8)
    ax.set_xlabel(f"effect ({score_of(table)}), and training rows")
    write_title(ax, describe_values(table, 0, n_values or {}))


def field_values_size(table: pd.DataFrame) -> tuple[float, float]:
    """Return a width and a height, inches, in which all values of a field can be read."""
    longest = max(map(len, short_names(value_names(table.iloc[:, 0])).values()))
    return 4.5 + 0.08 * longest, 1.5 + 0.26 * len(table)


def fields_size(table: pd.DataFrame) -> tuple[float, float]:
    """Return a width and a height, inches, in which all fields can be read."""
    longest = max(map(len, short_names(table["field"]).values()))
    return 4.8 + 0.08 * longest, 1.5 + 0.34 * len(table)
