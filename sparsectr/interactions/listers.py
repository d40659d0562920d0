"""Estimators that list crosses for `InteractionFeatures`: which can, and of what target."""

from numbers import Integral
from typing import Any

from numpy.typing import ArrayLike
from sklearn.base import is_classifier, is_regressor

from sparsectr.interactions.interaction import lists_crosses
from sparsectr.parameters import describe
from sparsectr.targets.numbers import has_fractions


def check_lister(estimator: Any, n_interactions: int | None) -> None:
    """Refuse what lists no crosses, or too few, before it is fitted.

    Raises
    ------
    TypeError
        If it is no estimator that lists crosses.
    ValueError
        If its own ``n_interactions`` is smaller.
    """
    if isinstance(estimator, type) or not hasattr(estimator, "fit"):
        raise TypeError(
            "estimator must be an estimator that lists crosses, got "
            f"{describe(estimator)}; for crosses that you know, pass ListedInteractions([...])."
        )
    if not lists_crosses(estimator):
        raise TypeError(
            "estimator must list crosses in selected_interactions_, got a "
            f"{type(estimator).__name__}, whose class declares no such attribute; take a "
            "classifier of this package or ListedInteractions."
        )
    listed = getattr(estimator, "n_interactions", None)
    if isinstance(listed, Integral) and (n_interactions or 0) > listed:
        raise ValueError(
            "n_interactions must not be larger than the estimator's own n_interactions, "
            f"{listed}, got {n_interactions}; raise estimator__n_interactions as well."
        )


def takes_numbers(estimator: Any, target_type: str, y: ArrayLike) -> bool:
    """Tell whether a target is numbers, and not classes.

    Parameters
    ----------
    estimator : estimator
        A regressor takes numbers, a classifier classes, any other estimator both.
    target_type : {"auto", "classes", "numbers"}
        What the user says. "auto": of an estimator that takes both, fractions are numbers.
    y : array-like of shape (n_rows,)
        The target.

    Raises
    ------
    ValueError
        If the estimator takes no such target.
    """
    known = None
    if is_regressor(estimator):
        known = "numbers"
    elif is_classifier(estimator):
        known = "classes"
    if known is None:
        return target_type == "numbers" or (target_type == "auto" and has_fractions(y))
    if target_type not in ("auto", known):
        raise ValueError(
            f"target_type must be 'auto' or {known!r} beside a {type(estimator).__name__}, got "
            f"{target_type!r}."
        )
    return known == "numbers"
