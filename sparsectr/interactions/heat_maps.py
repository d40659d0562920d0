"""Draw what the values of two or three fields do together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from sparsectr.interactions.drawing import (
    AS_WRITTEN,
    draw_cells,
    score_of,
    short_names,
    shorten,
    write_title,
)
from sparsectr.interactions.values import (
    describe_values,
    sorted_names,
    value_names,
    weigh_values,
)

if TYPE_CHECKING:  # matplotlib is optional
    from matplotlib.axes import Axes

Array = npt.NDArray[np.float64]

# Values of the third field of a cross that have a heat map of their own.
MOST_PANELS = 4


def value_grids(table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the effects and the counts of the values of a pair, NaN where there are no rows.

    Parameters
    ----------
    table : DataFrame
        The values of two fields, count and effect: its columns in this order.
    """
    first, second, counts, effects = (table.iloc[:, column] for column in range(4))
    cells = pd.DataFrame(
        {"first": value_names(first), "second": value_names(second), "count": counts}
    ).assign(total=counts * effects)
    grids = (
        cells.pivot_table(index="first", columns="second", values=values, aggfunc="sum").reindex(
            index=sorted_names(first), columns=sorted_names(second)
        )
        for values in ("total", "count")
    )
    total, count = grids
    return total / count, count


def heat_map_size(table: pd.DataFrame) -> tuple[float, float]:
    """Return a width and a height, inches, in which all names of the values can be read."""
    rows, columns = (short_names(value_names(table.iloc[:, k])).values() for k in (0, 1))
    width = 3 + 0.3 * max(len(columns), 6) + 0.08 * max(map(len, rows))
    height = 1.9 + 0.27 * max(len(rows), 6) + 0.08 * max(map(len, columns))
    return count_panels(table) * width - 1.2, height


def count_panels(table: pd.DataFrame) -> int:
    """Return the number of axes: effects and counts of a pair, or one for each third value."""
    return 2 if table.shape[1] == 4 else value_names(table.iloc[:, 2]).nunique()


def choose_cells(table: pd.DataFrame, n_values: int) -> pd.DataFrame:
    """Keep the cells of the values of every field that explain most of the effect.

    Parameters
    ----------
    table : DataFrame
        The values of two or three fields, count and effect.
    n_values : int
        Most values of a field; of a third field at most `MOST_PANELS`.
    """
    n_fields = table.shape[1] - 2
    for column in range(n_fields - 1, -1, -1):
        most = n_values if column < 2 else min(n_values, MOST_PANELS)
        kept = weigh_values(table, column).nlargest(most).index
        table = table[value_names(table.iloc[:, column]).isin(kept).to_numpy()]
    return table


def draw_values(
    axes: Sequence[Axes],
    table: pd.DataFrame,
    n_values: Mapping[str, int] | None = None,
) -> None:
    """Draw the effects of the values of a pair or a triple.

    Parameters
    ----------
    axes : sequence of matplotlib Axes
        Where to draw: of a pair effects and counts, of a triple one for each third value.
    table : DataFrame
        The values of two or three fields, count and effect.
    n_values : mapping of str to int, optional
        How many values every field has, where the table may have fewer.
    """
    names = [shorten(name, 30) for name in table.columns[:-2]]
    limit = np.nanmax(np.abs(table.iloc[:, -1].to_numpy()), initial=1e-12)
    if len(names) == 2:
        effects, counts = value_grids(table)
        parts = [
            (effects.to_numpy(), ("RdBu_r", -limit, limit), f"effect ({score_of(table)})"),
            (counts.fillna(0).to_numpy(), ("Greys", 0, None), "rows of a sample"),
        ]
        titles = [" × ".join(names), "rows with these values"]
        ticks = effects.axes
    else:
        whole, _ = value_grids(table.iloc[:, [0, 1, 3, 4]])
        ticks, parts, titles = whole.axes, [], []
        third = value_names(table.iloc[:, 2])
        for value in sorted_names(table.iloc[:, 2]):
            some, _ = value_grids(table.loc[(third == value).to_numpy()].iloc[:, [0, 1, 3, 4]])
            grid = some.reindex(index=ticks[0], columns=ticks[1]).to_numpy()
            parts.append((grid, ("RdBu_r", -limit, limit), f"effect ({score_of(table)})"))
            titles.append(f"{names[2]} = {shorten(value)}")
    rows, columns = (list(short_names(some).values()) for some in ticks)
    known = n_values or {}
    labels = [describe_values(table, column, known) for column in (0, 1)]
    for number, (ax, (grid, colors, label), title) in enumerate(
        zip(axes, parts, titles, strict=True)
    ):
        image = draw_cells(ax, grid, *colors)
        ax.set_xticks(np.arange(len(columns)), columns, rotation=90, size=8, **AS_WRITTEN)
        ax.set_yticks(np.arange(len(rows)), rows, size=8, **AS_WRITTEN)
        ax.set_xlabel(labels[1], **AS_WRITTEN)
        ax.set_ylabel(labels[0], **AS_WRITTEN)
        write_title(ax, title)
        if len(names) == 2 or number == len(parts) - 1:
            ax.figure.colorbar(image, ax=ax, label=label, fraction=0.046, pad=0.03)
