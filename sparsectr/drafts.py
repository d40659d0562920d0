"""Fits that happen as a whole or not at all, and readers that see one fit."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from sklearn.base import BaseEstimator

Method = TypeVar("Method", bound=Callable[..., Any])


def on_a_draft(method: Method) -> Method:
    """Make a method that fits change everything at its end, or nothing.

    The method runs on a shallow copy of the estimator, whose attributes then replace those of the
    estimator in one step. An error, or Ctrl-C, leaves the estimator as it was, and other threads
    see the fit before until the new one is complete. Objects that the estimator holds must be
    replaced, not changed.

    Parameters
    ----------
    method : callable
        A method of an estimator. What it returns is returned; for the copy, the estimator itself.

    Returns
    -------
    callable
        The method, all or nothing.
    """

    @wraps(method)
    def fit(self: Any, *args: Any, **kwargs: Any) -> Any:
        draft = sibling(self, dict(vars(self)))
        returned = method(draft, *args, **kwargs)
        # A parameter stays as it was passed: on the draft it may have become a plain number.
        self.__dict__ = vars(draft) | self.get_params(deep=False)
        return self if returned is draft else returned

    return cast("Method", fit)


def on_one_fit(method: Method) -> Method:
    """Make a method that reads fitted attributes read them all from the same fit.

    The method runs on another object with the attributes of this one, those that it has when the
    method is called: a fit that ends meanwhile (see `on_a_draft`) gives the estimator new ones.
    Attributes that the method sets are set on both.

    Parameters
    ----------
    method : callable
        A method.

    Returns
    -------
    callable
        The method, with one fit in view.
    """

    @wraps(method)
    def read(self: Any, *args: Any, **kwargs: Any) -> Any:
        return method(sibling(self, vars(self)), *args, **kwargs)

    return cast("Method", read)


def sibling(estimator: BaseEstimator, attributes: dict[str, Any]) -> Any:
    """Return another object of the same class, without a copy of the attributes."""
    sibling = object.__new__(type(estimator))
    sibling.__dict__ = attributes
    return sibling
