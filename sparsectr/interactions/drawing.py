"""Draw crosses on matplotlib axes; needs no matplotlib until it is given some."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

if TYPE_CHECKING:  # matplotlib is optional
    from matplotlib.axes import Axes

Array = npt.NDArray[np.float64]

PAIR_COLOR, HIGHER_COLOR = "#3b6ea8", "#c4622d"
ERROR_COLOR, GRID_COLOR, MISSING_CELL = "#333333", "#d8d8d8", "#b8b8b8"
# What unknown, rare, missing and hashed values are called: their names are not stored.
NO_NAME = "(missing or rare)"
# Longer names are cut in the middle, where they differ least.
LONGEST_NAME = 24
# Opacity of bars of crosses without evidence, and what marks those that were not tested.
PALE, UNTESTED = 0.35, "////"
# From this many fields on, labels shrink. Sizes in points; a letter is about 0.6 times as wide.
MANY_FIELDS = 20
LARGE, SMALL = 9, 7
LETTER_WIDTH = 0.6 / 72  # inches per point of size
LABEL_GAP = 10
# Names are data: "$" begins no formula in them, and LaTeX never reads them.
AS_WRITTEN = {"parse_math": False, "usetex": False}


def printable(name: object) -> str:
    """Write a name with escapes for what no font can draw, such as line breaks."""
    text = str(name)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def shorten(name: object, longest: int = LONGEST_NAME) -> str:
    """Cut a long name in the middle."""
    text = printable(name)
    if len(text) <= longest:
        return text
    tail = (longest - 1) // 2
    return f"{text[: longest - 1 - tail]}…{text[-tail:]}"


def short_names(names: Iterable[object]) -> dict[str, str]:
    """Shorten names as far as they stay different from each other."""
    texts = list(dict.fromkeys(map(str, names)))
    longest, n_different = LONGEST_NAME, len(set(map(printable, texts)))
    while len({shorten(text, longest) for text in texts}) < n_different:
        longest += 8
    return {text: shorten(text, longest) for text in texts}


def name_crosses(table: pd.DataFrame) -> list[str]:
    """Join the short names of the fields of every cross."""
    short = short_names(crossed_fields(table))
    return [" × ".join(short[str(field)] for field in fields) for fields in table["fields"]]


def score_of(table: pd.DataFrame) -> str:
    """Return what the effects of a table are in: what reports of a fit note in it, or log-odds."""
    return str(table.attrs.get("score", "log-odds"))


def write_title(ax: Axes, text: str) -> None:
    """Write what a picture shows above it."""
    ax.set_title(text, loc="left", size=10, **AS_WRITTEN)


def figure_size(kind: str, table: pd.DataFrame) -> tuple[float, float]:
    """Return a width and a height, inches, in which everything can be read.

    Parameters
    ----------
    kind : {"bar", "matrix", "graph", "stability"}
        What will be drawn.
    table : DataFrame
        Its rows.
    """
    if kind in ("bar", "stability"):
        longest = max(map(len, name_crosses(table)))
        return 4.5 + 0.075 * longest, 1.2 + 0.26 * len(table)
    n_fields = len(crossed_fields(table))
    if kind == "matrix":
        side = 3.2 + 0.24 * n_fields
        return side + (1.9 if table["fields"].map(len).nunique() > 1 else 0.8), side
    side = 6 + 0.09 * n_fields
    return side, side


def crossed_fields(table: pd.DataFrame) -> list[str]:
    """Return the fields that occur in crosses, those of the strongest crosses first."""
    return list(dict.fromkeys(field for fields in table["fields"] for field in fields))


def draw_bars(ax: Axes, table: pd.DataFrame) -> None:
    """Draw one bar per cross, with its standard error as a whisker, pale without evidence.

    Parameters
    ----------
    ax : matplotlib Axes
        Where to draw.
    table : DataFrame
        Columns fields, strength, strength_error, and maybe significant and evidence, which is NaN
        for crosses that were not tested: they are hatched. The strongest cross first.
    """
    places = np.arange(len(table))
    bars = ax.barh(
        places,
        table["strength"],
        xerr=table["strength_error"],
        height=0.7,
        color=PAIR_COLOR,
        error_kw={"ecolor": ERROR_COLOR, "elinewidth": 1, "capsize": 2},
    )
    if "significant" in table.columns:
        untested = table["evidence"].isna() if "evidence" in table.columns else pd.Series(False)
        kinds = np.where(table["significant"], 0, np.where(untested, 2, 1))
        looks: list[tuple[str, dict[str, Any]]] = [
            ("significant", {"alpha": 1.0}),
            ("without evidence", {"alpha": PALE}),
            ("not tested", {"alpha": PALE, "hatch": UNTESTED}),
        ]
        for bar, kind in zip(bars, kinds, strict=True):
            bar.set(**looks[kind][1])
        for kind, (label, look) in enumerate(looks):
            if (kinds == kind).any():
                ax.barh([0], [0], color=PAIR_COLOR, label=label, **look)
        ax.legend(loc="lower right", frameon=False, fontsize=8)
    name_rows(ax, name_crosses(table))
    ax.set_xlabel(f"strength ({score_of(table)})")
    write_title(ax, "crosses by strength")


def draw_stability(ax: Axes, table: pd.DataFrame) -> None:
    """Draw one bar per cross: its mean strength, the darker the more often it was found.

    Parameters
    ----------
    ax : matplotlib Axes
        Where to draw.
    table : DataFrame
        Columns fields, frequency, mean_strength, strength_std.
    """
    bars = ax.barh(
        np.arange(len(table)),
        table["mean_strength"],
        xerr=table["strength_std"],
        height=0.7,
        color=PAIR_COLOR,
        error_kw={"ecolor": ERROR_COLOR, "elinewidth": 1, "capsize": 2},
    )
    for bar, share in zip(bars, table["frequency"], strict=True):
        bar.set_alpha(0.15 + 0.85 * share)
    # Beyond the whisker, so that it covers nothing.
    ends = table["mean_strength"] + table["strength_std"]
    for place, (end, share) in enumerate(zip(ends, table["frequency"], strict=True)):
        ax.annotate(
            f"{share:.0%}", (end, place), (4, 0), textcoords="offset points", va="center", size=8
        )
    ax.margins(x=0.12)
    name_rows(ax, name_crosses(table))
    ax.set_xlabel(f"mean strength ({score_of(table)})\nin percent: fits that found the cross")


def name_rows(ax: Axes, names: Sequence[str]) -> None:
    """Write names beside bars from 0 on, the first one on top."""
    ax.set_yticks(np.arange(len(names)), names, **AS_WRITTEN)
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.set_xlim(left=0)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x", color=GRID_COLOR)
    ax.set_axisbelow(True)
    for side in ("top", "right", "left"):
        ax.spines[side].set_visible(False)


def pair_strengths(table: pd.DataFrame, fields: Sequence[str]) -> Array:
    """Return a symmetric matrix of strengths, NaN where there is no cross.

    A cross of higher order stands in the cells of all its pairs; the strongest cross of a cell
    counts.
    """
    places = {field: place for place, field in enumerate(fields)}
    matrix = np.full((len(fields), len(fields)), np.nan)
    for cross, strength in zip(table["fields"], table["strength"], strict=True):
        for pair in combinations([places[field] for field in cross], 2):
            matrix[pair] = matrix[pair[::-1]] = np.fmax(matrix[pair], strength)
    return matrix


def draw_matrix(ax: Axes, table: pd.DataFrame) -> None:
    """Draw a field-by-field matrix: pairs, and below the diagonal crosses of more fields, if any.

    Parameters
    ----------
    ax : matplotlib Axes
        Where to draw.
    table : DataFrame
        Columns fields, strength.
    """
    fields = crossed_fields(table)
    is_pair = table["fields"].map(len) == 2
    parts = [
        (table[is_pair], "Blues", "pairs"),
        (table[~is_pair], "Oranges", "crosses of more fields"),
    ]
    parts = [part for part in parts if len(part[0])]
    largest = table["strength"].max()
    # Lines guide the eye from a name to its cells, and run below these.
    ax.set_facecolor("white")
    for part, colors, what in parts:
        matrix = pair_strengths(part, fields)
        if len(parts) == 2:
            below = np.tri(len(fields), dtype=bool)
            matrix[~below if colors == "Oranges" else below] = np.nan
        # The scale starts below zero, so that the weakest cross differs from none.
        image = draw_cells(ax, matrix, colors, -0.2 * largest, largest, missing="white")
        image.set_zorder(3)
        label = "strength" if len(parts) == 1 else f"strength of {what}"
        label = f"{label} ({score_of(table)})"
        colorbar = ax.figure.colorbar(image, ax=ax, label=label, fraction=0.046, pad=0.03)
        colorbar.ax.set_ylim(0, largest)
    ax.grid(color=GRID_COLOR, linewidth=0.4)
    size = LARGE if len(fields) < MANY_FIELDS else SMALL
    names = list(short_names(fields).values())
    ax.set_xticks(np.arange(len(fields)), names, rotation=90, size=size, **AS_WRITTEN)
    ax.set_yticks(np.arange(len(fields)), names, size=size, **AS_WRITTEN)
    above, below_it = "pairs above the diagonal", "crosses of more fields below"
    write_title(ax, f"{above}, {below_it}" if len(parts) == 2 else "crosses, field by field")


def draw_graph(ax: Axes, table: pd.DataFrame) -> None:
    """Draw fields on a circle, pairs as lines and crosses of higher order as stars of lines.

    Lines are the thicker and darker, the stronger their cross.

    Parameters
    ----------
    ax : matplotlib Axes
        Where to draw.
    table : DataFrame
        Columns fields, strength; the strongest cross first.
    """
    fields = crossed_fields(table)
    angles = np.pi / 2 - 2 * np.pi * np.arange(len(fields)) / len(fields)
    points = dict(zip(fields, np.column_stack([np.cos(angles), np.sin(angles)]), strict=True))
    largest = table["strength"].max()
    # The weakest first, so that strong crosses lie on top.
    for cross, strength in zip(table["fields"][::-1], table["strength"][::-1], strict=True):
        _draw_cross(ax, np.array([points[field] for field in cross]), strength / largest)
    reach = pd.Series(0.0, index=fields)
    for cross, strength in zip(table["fields"], table["strength"], strict=True):
        reach[list(cross)] += strength
    positions = np.array(list(points.values()))
    sizes = 20 + 130 * reach / reach.max()
    ax.scatter(*positions.T, s=sizes, color=PAIR_COLOR, zorder=4)
    if table["fields"].map(len).max() > 2:
        for color, label in ((PAIR_COLOR, "pair"), (HIGHER_COLOR, "three or more fields")):
            ax.plot([], [], color=color, label=label)
        ax.legend(loc="lower right", frameon=False, fontsize=8)
    write_title(ax, f"crosses; the strongest has {largest:.2g} {score_of(table)}")
    ax.set_aspect("equal")
    ax.set_axis_off()
    _name_points(ax, fields, angles)


def _draw_cross(ax: Axes, corners: Array, share: float) -> None:
    """Draw one cross whose strength is a share of the largest."""
    style = {"linewidth": 0.7 + 4 * share, "alpha": 0.3 + 0.6 * share, "solid_capstyle": "round"}
    if len(corners) == 2:
        ax.plot(*corners.T, color=PAIR_COLOR, zorder=2, **style)
        return
    centre = corners.mean(0)
    for corner in corners:
        ax.plot(*np.array([centre, corner]).T, color=HIGHER_COLOR, zorder=3, **style)


def _name_points(ax: Axes, fields: Sequence[str], angles: Array) -> None:
    """Write names around the unit circle, along the radius and never upside down."""
    size = LARGE if len(fields) < MANY_FIELDS else SMALL
    names = list(short_names(fields).values())
    for name, angle in zip(names, angles, strict=True):
        point = np.array([np.cos(angle), np.sin(angle)])
        left = point[0] < -1e-9
        ax.annotate(
            name,
            point,
            xytext=LABEL_GAP * point,
            textcoords="offset points",
            size=size,
            rotation=np.degrees(angle) + 180 * left,
            rotation_mode="anchor",
            ha="right" if left else "left",
            va="center",
            **AS_WRITTEN,
        )
    # The circle takes what names of this length leave of the axes.
    extent = ax.get_window_extent()
    inches = min(extent.width, extent.height) / ax.figure.dpi / 2
    text = LETTER_WIDTH * size * max(map(len, names)) + LABEL_GAP / 72
    half = 1.05 * inches / max(inches - text, 0.4 * inches)
    ax.set_xlim(-half, half)
    ax.set_ylim(-half, half)


def draw_cells(
    ax: Axes,
    grid: Array,
    colors: str,
    low: float | None = None,
    high: float | None = None,
    *,
    missing: str = MISSING_CELL,
) -> Any:
    """Draw a grid (rows, columns) of coloured cells on a ground that shows where there is none."""
    ax.set_facecolor(missing)
    image = ax.imshow(grid, cmap=colors, vmin=low, vmax=high, aspect="auto", interpolation="none")
    ax.tick_params(length=0)
    return image
