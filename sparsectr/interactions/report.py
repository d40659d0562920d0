"""A fitted model in one HTML file: fields, crosses, heat maps and rows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import is_classifier
from sklearn.metrics import log_loss, r2_score, roc_auc_score, root_mean_squared_error

from sparsectr.encoding.columns import TableLike, as_table, take_rows
from sparsectr.interactions.drawing import printable, score_of
from sparsectr.interactions.field_bars import choose_values
from sparsectr.interactions.heat_maps import choose_cells, value_grids
from sparsectr.interactions.values import sorted_names, value_names
from sparsectr.interactions.waterfall import waterfall_steps
from sparsectr.parameters import check_integer, describe
from sparsectr.targets.labels import as_labels
from sparsectr.targets.numbers import as_numbers

Floats = npt.NDArray[np.float64]

# Values of a field in a heat map, and in its own picture.
MOST_IN_MAP, MOST_VALUES = 24, 40
# Steps of a row with a label of their own.
MOST_STEPS = 14


def interaction_report(
    estimator: Any,
    X: TableLike,
    y: npt.ArrayLike,
    path: str | PathLike[str],
    *,
    n_interactions: int = 20,
    n_rows: int = 50,
    class_label: object = None,
) -> Path:
    """Write what a fitted estimator has learnt into one HTML file.

    The file shows fields, their values, crosses with their evidence, heat maps, and how the effects
    of a row's values add up, for a sample of rows from the lowest prediction to the highest. It
    needs no network and no other file. Whoever gets it gets the values of these rows, too.

    Parameters
    ----------
    estimator : classifier or regressor of this package
        Fitted.
    X : DataFrame or array-like of shape (n, n_fields)
        Rows to predict: rows that were not trained on tell how well the model predicts.
    y : array-like of shape (n,)
        Their classes, or their numbers.
    path : str or path-like
        The file to write; an existing one is replaced.
    n_interactions : int, default=20
        Most crosses in the list. Those of up to three fields have heat maps.
    n_rows : int, default=50
        Most rows in the sample.
    class_label : object, default=None
        The class whose log-odds are shown. By default the last of ``classes_``; with more than two
        classes, rows show their predicted class.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    TypeError
        If the estimator knows nothing of fields and crosses.
    ValueError
        If X or y do not fit the estimator.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import mkdtemp
    >>> from sparsectr import DynIntClassifier, interaction_report
    >>> from sparsectr.datasets import make_clicks
    >>> clicks = make_clicks(500, 4, 5, crosses=[(0, 1)], random_state=0)
    >>> clf = DynIntClassifier(max_epochs=1, random_state=0).fit(clicks.X, clicks.y)
    >>> interaction_report(clf, clicks.X, clicks.y, Path(mkdtemp()) / "report.html").name
    'report.html'
    """
    check_integer("n_interactions", n_interactions, 1)
    check_integer("n_rows", n_rows, 1)
    if not hasattr(estimator, "field_table") or isinstance(estimator, type):
        raise TypeError(
            "estimator must be a fitted classifier or regressor of this package, got "
            f"{describe(estimator)}."
        )
    table, fields = as_table(X), estimator.field_table()
    known = dict(zip(fields["field"], fields["n_values"].tolist(), strict=True))
    title = f"{type(estimator).__name__}: fields and crosses"
    crosses = estimator.interaction_table()
    crosses = crosses[crosses["strength"] > 0]
    predicted, rows = _predict(estimator, table, y, class_label)
    shown, missed = crosses.head(n_interactions), estimator.missed_interactions()
    data = {
        "title": title,
        "about": f"Strengths and effects are in {score_of(crosses)}.",
        "score": score_of(crosses),
        "facts": [
            ["rows predicted here", f"{len(predicted):,}"],
            ["fields", f"{len(fields):,}"],
            ["crosses listed", f"{len(crosses):,}"],
            ["of them significant", f"{int(crosses['significant'].sum()):,}"],
            *_measure(estimator, y, rows),
        ],
        "fields": [_tell_field(field) for field in fields.to_dict("records")],
        "values": [
            _tell_values(estimator.value_effects([name], class_label=class_label), known)
            for name in fields["field"]
        ],
        "crosses": [_tell_cross(cross) for cross in shown.to_dict("records")],
        "missed": [_tell_cross(cross) for cross in missed.to_dict("records")],
        "maps": [
            _tell_map(estimator.value_effects(list(names), class_label=class_label), names, known)
            for names in shown["fields"]
            if len(names) < 4
        ],
        "rows": _tell_rows(estimator, table, y, predicted, n_rows, class_label),
    }
    path = Path(path)
    path.write_text(fill_page(title, data), encoding="utf-8")
    return path


def fill_page(title: str, data: dict[str, Any]) -> str:
    """Return the page with a title and data, both as text that no browser takes for markup."""
    page = files("sparsectr.interactions").joinpath("report.html").read_text(encoding="utf-8")
    text = json.dumps(data, allow_nan=False)  # ASCII
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    head, tail = page.split("DATA", 1)
    return head.replace("TITLE", escape(title), 1) + text + tail


def _number(value: float) -> float | None:
    """Return a number for JSON, which has no NaN; five digits are enough for a picture."""
    return float(f"{value:.5g}") if np.isfinite(value) else None


def _grid(cells: pd.DataFrame) -> list[list[float | None]]:
    return [[_number(value) for value in row] for row in cells.to_numpy(np.float64).tolist()]


def _names(values: Iterable[object]) -> list[str]:
    return [printable(value) for value in values]


# Parts -----------------------------------------------------------------------------------


def _predict(
    estimator: Any, table: Any, y: npt.ArrayLike, class_label: object
) -> tuple[Floats, Any]:
    """Return what sorts the rows, (n,), and all that is predicted for them."""
    if not is_classifier(estimator):
        predicted = np.asarray(estimator.predict(table), np.float64)
        as_numbers(y, n_rows=len(predicted))
        return predicted, predicted
    probabilities = estimator.predict_proba(table)
    as_labels(y, n_rows=len(probabilities))
    classes = estimator.classes_.tolist()
    place = classes.index(class_label) if class_label in classes else len(classes) - 1
    return probabilities[:, place], probabilities


def _measure(estimator: Any, y: npt.ArrayLike, predicted: Floats) -> list[list[str]]:
    """Return measures of what is predicted, by name."""
    targets = np.asarray(y)
    if not is_classifier(estimator):
        error = root_mean_squared_error(targets, predicted)
        facts = [["root mean squared error", f"{error:.4g}"]]
        if len(targets) > 1:
            facts.append(["R²", f"{r2_score(targets, predicted):.3f}"])
        return facts
    loss = log_loss(targets, predicted, labels=estimator.classes_)
    facts = [["log loss", f"{loss:.4f}"]]
    if len(estimator.classes_) == 2 and len(np.unique(targets)) == 2:
        positive = targets == estimator.classes_[1]
        facts.append(["area under ROC curve", f"{roc_auc_score(positive, predicted[:, 1]):.4f}"])
    return facts


def _tell_field(field: dict[str, Any]) -> dict[str, Any]:
    told = {
        "name": printable(field["field"]),
        "n_values": int(field["n_values"]),
        "strongest": _names(field["strongest_cross"]),
    }
    return told | {name: _number(field[name]) for name in ("total", "main", "crosses")}


def _tell_values(every: pd.DataFrame, known: dict[str, int]) -> dict[str, Any]:
    table = choose_values(every, MOST_VALUES)
    n_known, n_rows = known[str(every.columns[0])], int(every.iloc[:, 1].sum())
    n_shown = int(table.iloc[:, 0].isin(set(value_names(every.iloc[:, 0].dropna()))).sum())
    some = f"{n_shown} of {n_known:,} values, with" if n_shown < n_known else "Effects, with"
    cells = zip(*(table.iloc[:, place].tolist() for place in range(3)), strict=True)
    return {
        "note": f"{some} the number of their rows among {n_rows:,} training rows.",
        "cells": [[printable(name), int(n), _number(effect)] for name, n, effect in cells],
    }


def _tell_cross(cross: dict[str, Any]) -> dict[str, Any]:
    return {
        "fields": _names(cross["fields"]),
        "strength": _number(cross.get("strength", np.nan)),
        "evidence": _number(cross["evidence"]),
        "significant": bool(cross.get("significant", True)),
        "shares_with": [_names(fields) for fields in cross.get("shares_with", ())],
    }


def _tell_map(every: pd.DataFrame, fields: Sequence[str], known: dict[str, int]) -> dict[str, Any]:
    table = choose_cells(every, MOST_IN_MAP)
    pair = [0, 1, -2, -1]
    whole, _ = value_grids(table.iloc[:, pair])
    rows, columns = whole.axes
    parts: list[tuple[str | None, pd.DataFrame]] = [(None, table)]
    if len(fields) > 2:
        third = value_names(table.iloc[:, 2])
        parts = [
            (printable(name), table[(third == name).to_numpy()])
            for name in sorted_names(table.iloc[:, 2])
        ]
    panels = []
    for name, part in parts:
        grids = [
            grid.reindex(index=rows, columns=columns) for grid in value_grids(part.iloc[:, pair])
        ]
        panels.append({"name": name, "effects": _grid(grids[0]), "counts": _grid(grids[1])})
    notes = []
    for column, field in enumerate(fields):
        n_shown, n_known = table.iloc[:, column].dropna().nunique(), known[field]
        notes.append(f"{printable(field)}: {min(n_shown, n_known)} of {n_known:,} values")
    return {
        "fields": _names(fields),
        "rows": _names(rows),
        "columns": _names(columns),
        "panels": panels,
        "limit": _number(table.iloc[:, -1].abs().max()),
        "note": f"Rows {notes[0]}; columns {notes[1]}"
        + (f"; panels {notes[2]}." if len(fields) > 2 else ".")
        + " Where not all fit, those are shown whose rows have most of the squared effect.",
    }


def _tell_rows(
    estimator: Any,
    table: Any,
    y: npt.ArrayLike,
    predicted: Floats,
    n_rows: int,
    class_label: object,
) -> list[dict[str, Any]]:
    """Explain rows from the lowest prediction to the highest."""
    ranks = np.linspace(0, len(predicted) - 1, min(n_rows, len(predicted))).round().astype(int)
    places = np.argsort(predicted, kind="stable")[ranks]
    some = take_rows(table, places)
    explanation = estimator.explain(some, top=None, class_label=class_label, complete=True)
    targets = np.asarray(y)[places].tolist()
    guesses = np.asarray(estimator.predict(some)).tolist()
    classes = estimator.classes_.tolist() if is_classifier(estimator) else []
    shown = printable(classes[-1] if class_label is None else class_label) if classes else ""
    score = score_of(explanation)
    told = []
    for number, (place, target) in enumerate(zip(places.tolist(), targets, strict=True)):
        steps = waterfall_steps(explanation[explanation["row"] == number], MOST_STEPS)
        what = f"prediction {predicted[place]:.4g}"
        named, explained = what, score
        if classes:
            guess = printable(guesses[number])
            what = f"probability of {shown} {predicted[place]:.4g}"
            named = f"{what}, predicted class {guess}"
            explained += f" of {guess if class_label is None and len(classes) > 2 else shown}"
        end = float(steps["end"].iloc[-1])
        told.append(
            {
                "name": f"row {place}: {what}",
                "note": f"Row {place} of X. Target: {printable(target)}; {named}. The effects sum "
                f"to {end:.4g} ({explained}).",
                "steps": [
                    [printable(label), _number(start), _number(stop)]
                    for label, start, stop in steps.itertuples(index=False)
                ],
            }
        )
    return told
