"""What an ensemble tells about its parts, its crosses, and single rows."""

from collections import defaultdict
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sparsectr.encoding.columns import take_rows
from sparsectr.ensembles.folds import NET, PARTS, Fold
from sparsectr.ensembles.stacking import Stack, blended_loss, fit_stack
from sparsectr.interactions.interaction import Interaction

Floats = NDArray[np.float64]


def make_leaderboard(
    folds: list[Fold], stack: Stack, log_odds: Floats, numbers: NDArray[np.int64], weights: Floats
) -> pd.DataFrame:
    """Say what every part is worth.

    Parameters
    ----------
    folds : list of Fold
        Fitted folds.
    stack : Stack
        The blend of all parts.
    log_odds : ndarray of shape (n_parts, n_rows, n_classes)
        What the parts say about rows that are held out.
    numbers, weights : ndarray of shape (n_rows,)
        Class numbers and weights of these rows.

    Returns
    -------
    DataFrame
        See ``leaderboard_`` of `CrossEnsembleClassifier`.
    """
    others = [np.delete(log_odds, place, axis=0) for place in range(len(PARTS))]
    blends = [(fit_stack(rest, numbers, weights), rest) for rest in others]
    without = [blended_loss(blend.apply(rest), numbers, weights) for blend, rest in blends]
    seconds = [sum(fold.seconds[part] for fold in folds) for part in PARTS]
    own = [blended_loss(part, numbers, weights) for part in log_odds]
    return pd.DataFrame(
        {
            "part": [*PARTS, "ensemble"],
            "log_loss": [*own, blended_loss(stack.apply(log_odds), numbers, weights)],
            "weight": [*stack.weights, np.nan],
            "log_loss_without": [*without, np.nan],
            "seconds": [*seconds, sum(seconds)],
        }
    )


def list_interactions(listed: list[list[Interaction]], weight: float) -> list[Interaction]:
    """Return the crosses that nets list, with mean strengths times a weight, strongest first."""
    strengths: dict[tuple[str, ...], float] = defaultdict(float)
    for crosses in listed:
        for cross in crosses:
            strengths[cross.fields] += cross.strength * weight / len(listed)
    ranked = sorted(strengths.items(), key=lambda item: (-item[1], item[0]))
    return [Interaction(fields, len(fields), strength) for fields, strength in ranked if strength]


def gather_evidence(
    nets: list[Any], crosses: list[tuple[str, ...]], fdr: float
) -> tuple[Floats, NDArray[np.bool_]]:
    """Return what the tests of several nets say of crosses.

    Parameters
    ----------
    nets : list
        The net of every fold, each of which has tested crosses on its own rows.
    crosses : list of tuples of str
        Fields of P crosses.
    fdr : float
        Rate of false discoveries of each fold.

    Returns
    -------
    evidence : ndarray of shape (P,), float64
        Mean over the folds that tell the evidence of a cross; NaN if none does.
    significant : ndarray of shape (P,), bool
        Whether a cross stands out in more than half of the folds.
    """
    told: dict[tuple[str, ...], list[float]] = defaultdict(list)
    n_found: dict[tuple[str, ...], int] = defaultdict(int)
    for net in nets:
        table, missed = net.interaction_table(fdr=fdr), net.missed_interactions(fdr=fdr)
        found = pd.concat([table[table["significant"]], missed])
        for fields in set(found["fields"]):
            n_found[fields] += 1
        every = pd.concat([table, missed]).dropna(subset=["evidence"])
        for fields, evidence in zip(every["fields"], every["evidence"], strict=True):
            told[fields].append(evidence)
    means = [np.mean(told[fields]) if told[fields] else np.nan for fields in crosses]
    often = [2 * n_found[fields] > len(nets) for fields in crosses]
    return np.array(means, np.float64), np.array(often, bool)


def tabulate_crosses(
    fold_models: list[dict[str, Any]], selected: list[Interaction], fdr: float
) -> pd.DataFrame:
    """Return the crosses of all parts as a table.

    Parameters
    ----------
    fold_models : list of dict
        For each fold, the fitted model of every part by its name.
    selected : list of Interaction
        The crosses of the nets.
    fdr : float
        Rate of false discoveries of each fold.

    Returns
    -------
    DataFrame
        See `CrossEnsembleClassifier.interaction_table`.
    """
    nets = [models[NET] for models in fold_models]
    listed = [{cross.fields for cross in net.selected_interactions_} for net in nets]
    with_statistics = [
        {cross.fields for cross in models[PARTS[2]].statistics.interactions_}
        for models in fold_models
    ]
    strengths = {cross.fields: cross.strength for cross in selected}
    fields = list(dict.fromkeys([*strengths, *(f for found in with_statistics for f in found)]))
    evidence, significant = gather_evidence(nets, fields, fdr)
    table = pd.DataFrame(
        {
            "fields": fields,
            "order": [len(names) for names in fields],
            "strength": [strengths.get(names, 0.0) for names in fields],
            "evidence": evidence,
            "significant": significant,
            "net_share": [np.mean([names in found for found in listed]) for names in fields],
            "statistics_share": [
                np.mean([names in found for found in with_statistics]) for names in fields
            ],
        }
    )
    ranks = ["strength", "net_share", "statistics_share"]
    return table.sort_values(ranks, ascending=False, kind="stable", ignore_index=True)


def explain_rows(
    nets: list[Any],
    weight: float,
    table: Any,
    numbers: NDArray[np.integer[Any]],
    log_odds: Floats,
    intercept: Floats,
) -> pd.DataFrame:
    """Say what crosses, single fields and parts add to the log-odds of rows.

    Parameters
    ----------
    nets : list
        The net of every fold.
    weight : float
        Weight of the nets in the blend.
    table : DataFrame or ndarray, shape (n_rows, n_fields)
        The rows.
    numbers : ndarray of int, shape (n_rows,)
        Number of the class whose log-odds are meant, for every row.
    log_odds : ndarray of shape (n_parts, n_rows, n_classes)
        What every part adds, its weight included.
    intercept : ndarray of shape (n_classes,)
        What the blend adds.

    Returns
    -------
    DataFrame
        row, rank (0), part, fields, values, contribution; those of a row sum to its log-odds.
    """
    parts = []
    for number in np.unique(numbers):
        rows = np.flatnonzero(numbers == number)
        part = take_rows(table, rows)
        for net in nets:
            entries = net.explain(part, None, class_label=net.classes_[number], complete=True)
            entries["row"] = rows[entries["row"]]
            entries["contribution"] *= weight / len(nets)
            parts.append(entries)
    entries = pd.concat(parts)
    entries = entries[entries["fields"].map(len) > 0]  # what is left over is found below
    of_nets = entries.groupby(["row", "fields"], sort=False, as_index=False).agg(
        values=("values", "first"), contribution=("contribution", "sum")
    )
    rows = np.arange(len(numbers))
    # Of two classes, half the usual log-odds with either sign.
    scale = 2.0 if len(intercept) == 2 else 1.0
    of_parts = dict(zip(PARTS, scale * log_odds[:, rows, numbers], strict=True))
    np.subtract.at(of_parts[NET], of_nets["row"].to_numpy(), of_nets["contribution"].to_numpy())
    of_parts["intercept"] = scale * intercept[numbers]
    wholes = [
        pd.DataFrame(
            {"row": rows, "part": part, "fields": [()] * len(rows), "values": [()] * len(rows)}
        ).assign(contribution=contribution)
        for part, contribution in of_parts.items()
    ]
    return pd.concat([of_nets.assign(part=NET), *wholes]).assign(rank=0)
