"""Discovered crosses in the form in which other libraries take constraints."""

from collections.abc import Iterable, Sequence
from typing import Any

from sparsectr.interactions.interaction import Interaction
from sparsectr.parameters import check_choice, describe


def to_interaction_constraints(
    interactions: Iterable[Interaction],
    feature_names: Sequence[str],
    *,
    library: str = "sklearn",
) -> list[Any]:
    """Turn discovered crosses into the constraints of another model.

    A boosted tree then crosses only fields that were found to belong together: the columns on a
    path from its root to a leaf all lie in one group. A column of no cross gets a group of its own.
    LightGBM would never use a column without a group, and scikit-learn puts all such columns
    together into one more.

    ===============  ==================================================  ==========================
    ``library``      where to pass it                                    form
    ===============  ==================================================  ==========================
    ``"sklearn"``    ``interaction_cst`` of ``HistGradientBoosting...``  lists of positions
    ``"lightgbm"``   ``interaction_constraints`` of ``LGBM...``          lists of positions
    ``"xgboost"``    ``interaction_constraints`` of ``XGB...``           lists of names
    ``"interpret"``  ``interactions`` of ``ExplainableBoosting...``      tuples of positions, only
                                                                         of the crosses
    ===============  ==================================================  ==========================

    Parameters
    ----------
    interactions : iterable of Interaction
        Such as ``clf.selected_interactions_[:20]``.
    feature_names : sequence of str
        Names of all columns of the other model's table, in their order.
    library : {"sklearn", "lightgbm", "xgboost", "interpret"}, default="sklearn"
        The library of the other model.

    Returns
    -------
    list of lists or list of tuples
        One entry per cross, in the order given, without repetitions; then, but for "interpret",
        one entry per column that is in no cross.

    Raises
    ------
    ValueError
        If a cross names a field that is not among ``feature_names``, these have repetitions, or
        ``library`` is none of the above.

    Examples
    --------
    >>> from sparsectr import Interaction, to_interaction_constraints
    >>> crosses = [Interaction(fields=("month", "day"), order=2, strength=0.5)]
    >>> to_interaction_constraints(crosses, ["month", "day", "hour"])
    [[0, 1], [2]]
    >>> to_interaction_constraints(crosses, ["month", "day", "hour"], library="interpret")
    [(0, 1)]
    """
    check_choice("library", library, ["sklearn", "lightgbm", "xgboost", "interpret"])
    names = list(feature_names)
    position = {name: j for j, name in enumerate(names)}
    if len(position) < len(names):
        raise ValueError(f"feature_names must all be different, got {describe(names)}.")
    crosses = [_fields(cross) for cross in interactions]
    strangers = sorted({field for cross in crosses for field in cross} - position.keys())
    if strangers:
        raise ValueError(
            f"feature_names must contain the fields of all crosses, {strangers} are missing from "
            f"{names}."
        )
    groups = list(dict.fromkeys(tuple(sorted(position[field] for field in c)) for c in crosses))
    if library == "interpret":
        return groups
    crossed = {j for group in groups for j in group}
    groups += [(j,) for j in range(len(names)) if j not in crossed]
    if library == "xgboost":
        return [[names[j] for j in group] for group in groups]
    return [list(group) for group in groups]


def _fields(cross: object) -> tuple[str, ...]:
    if not hasattr(cross, "fields"):
        raise TypeError(
            "interactions must be a list of Interaction, such as clf.selected_interactions_, got "
            f"{describe(cross)} in it."
        )
    return tuple(cross.fields)
