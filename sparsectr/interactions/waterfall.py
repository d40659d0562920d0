"""Draw how effects add up to the score of one row: its log-odds, or what is predicted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit

from sparsectr.interactions.drawing import (
    AS_WRITTEN,
    GRID_COLOR,
    score_of,
    shorten,
    write_title,
)

UP_COLOR, DOWN_COLOR, REST_COLOR = "#b2432f", "#3b6ea8", "#8a8a8a"
# Characters of a label, and at least of each field with its value.
LONGEST_LABEL, SHORTEST_PART = 60, 28
START, NOT_LISTED, OTHERS = "no field known", "crosses that are not listed", "others"
BOTH = f"{START}, and all that is not listed"


def waterfall_steps(entries: pd.DataFrame, n_entries: int) -> pd.DataFrame:
    """Return the steps from the start to the score of a row.

    Parameters
    ----------
    entries : DataFrame
        Columns fields, values, contribution: those of one row of
        ``explain(X, top=None, complete=True)``.
    n_entries : int
        Most effects with a step of their own; the smaller ones share one.

    Returns
    -------
    DataFrame
        Columns label, start and end; the first step starts at 0, and the last one ends at the
        score. What it is a score of is noted as in the entries. The first step is a row of which
        nothing is known, if the entries say in ``attrs["start"]`` what that predicts, with its
        probability; else the effects of crosses that are not listed are in it.
    """
    is_rest = entries["fields"].map(len) == 0
    effects, rest = entries[~is_rest], float(entries.loc[is_rest, "contribution"].sum())
    names = [_name(*pair) for pair in zip(effects["fields"], effects["values"], strict=True)]
    moves = effects["contribution"].tolist()
    start = entries.attrs.get("start")
    if start is None:
        first, start = BOTH, rest
    else:
        first, names, moves = START, [*names, NOT_LISTED], [*moves, rest - start]
    order = np.argsort(-np.abs(moves), kind="stable")
    shown, others = order[:n_entries], order[n_entries:]
    labels = [first + _probability(start, entries), *(names[place] for place in shown)]
    changes = [start, *(moves[place] for place in shown)]
    if len(others):
        labels.append(f"{len(others)} {OTHERS}")
        changes.append(sum(moves[place] for place in others))
    ends = np.cumsum(changes)
    steps = pd.DataFrame({"label": labels, "start": np.append(0.0, ends[:-1]), "end": ends})
    steps.attrs.update(entries.attrs)
    return steps


def draw_waterfall(ax: Any, steps: pd.DataFrame) -> None:
    """Draw one bar per step, the first one on top; of that, where it ends.

    Parameters
    ----------
    ax : matplotlib Axes
        Where to draw.
    steps : DataFrame
        From `waterfall_steps`.
    """
    places = np.arange(len(steps))
    changes = (steps["end"] - steps["start"]).to_numpy()
    colors = np.where(changes > 0, UP_COLOR, DOWN_COLOR)
    if str(steps["label"].iloc[-1]).endswith(OTHERS):
        colors[-1] = REST_COLOR
    ax.barh(places[1:], changes[1:], left=steps["start"][1:], height=0.62, color=colors[1:])
    ax.plot(steps["end"][:1], [0], marker="o", color=REST_COLOR, markersize=7)
    for place, (end, change) in enumerate(zip(steps["end"], changes, strict=True)):
        ax.plot([end, end], [place - 0.31, place + 1.31], color="#555555", linewidth=0.6)
        right = change >= 0
        ax.annotate(
            f"{change:+.3g}" if place else f"{end:.3g}",
            (end, place),
            (6 if right else -6, 0),
            textcoords="offset points",
            ha="left" if right else "right",
            va="center",
            size=8,
        )
    last = float(steps["end"].iloc[-1])
    ax.plot([last], [len(steps) + 0.1], marker="^", color="black", markersize=5, clip_on=False)
    ax.set_yticks(places, steps["label"], size=9, **AS_WRITTEN)
    ax.set_ylim(len(steps) + 0.1, -0.6)
    low, high = steps["end"].min(), steps["end"].max()
    room = 0.2 * max(high - low, 1e-3)  # for the numbers beside the bars
    ax.set_xlim(low - room, high + room)
    ax.grid(axis="x", color=GRID_COLOR)
    ax.set_axisbelow(True)
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel(score_of(steps))
    write_title(ax, f"sum of the row: {last:.3g}{_probability(last, steps)}")
    for side in ("top", "right", "left"):
        ax.spines[side].set_visible(False)


def waterfall_size(steps: pd.DataFrame) -> tuple[float, float]:
    """Return a width and a height, inches, in which all steps can be read."""
    return 4.8 + 0.075 * max(map(len, steps["label"])), 1.4 + 0.3 * len(steps)


def _probability(score: float, table: pd.DataFrame) -> str:
    """Write the probability that log-odds are, where the table says of which of two classes."""
    label = table.attrs.get("probability_of")
    if label is None:
        return ""
    return f" (probability of {shorten(label)}: {expit(score):.3g})"


def _name(fields: Sequence[str], values: Sequence[str | None]) -> str:
    """Write fields with the values that they have in the row."""
    pairs = zip(fields, values, strict=True)
    parts = [f"{field} = {'missing' if value is None else value}" for field, value in pairs]
    label = " × ".join(parts)
    if len(label) <= LONGEST_LABEL:
        return shorten(label, LONGEST_LABEL)
    # Each part by itself, so that every field can still be read.
    return " × ".join(
        shorten(part, max(LONGEST_LABEL // len(parts), SHORTEST_PART)) for part in parts
    )
