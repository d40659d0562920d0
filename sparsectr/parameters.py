"""Checks of constructor parameters, with one grammar of errors. No torch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from difflib import get_close_matches
from numbers import Integral, Number, Real
from os import PathLike
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

# Larger numbers leave the range of what they are multiplied with.
LARGEST, LARGEST_INT = 1e30, 2**63 - 1


def check_integer(
    name: str,
    value: object,
    low: int,
    high: int | None = None,
    *,
    or_auto: bool = False,
    or_none: bool = False,
) -> Any:
    """Return a whole number in [low, high] as int, or "auto" or None where that is allowed.

    Raises
    ------
    ValueError
        If it is not a whole number (bools are not) or out of range.
    """
    if or_auto and _is_auto(value):
        return "auto"
    if or_none and value is None:
        return None
    must = f"{name} must be {'None or ' if or_none else ''}{_auto_or(or_auto)}an int >= {low}"
    must += "" if high is None else f" and <= {high}"
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise ValueError(f"{must}, got {describe(value)}.")
    number = int(value)
    if number < low or (high is not None and number > high):
        raise ValueError(f"{must}, got {describe(value)}.")
    return number


def check_real(
    name: str,
    value: object,
    low: float,
    high: float = math.inf,
    *,
    open_low: bool = False,
    open_high: bool = False,
    or_auto: bool = False,
    or_none: bool = False,
) -> float | str | None:
    """Return a finite number from low to high as float, or "auto" or None where that is allowed.

    Raises
    ------
    ValueError
        If it is not a number, out of range or not finite.
    """
    if or_auto and _is_auto(value):
        return "auto"
    if or_none and value is None:
        return None
    left = f"> {low}" if open_low else f">= {low}"
    right = "" if math.isinf(high) else f" and {'<' if open_high else '<='} {high}"
    must = (
        f"{name} must be {'None or ' if or_none else ''}{_auto_or(or_auto)}a number {left}{right}"
    )
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ValueError(f"{must}, got {describe(value)}.")
    try:
        number = float(value)
    except OverflowError:  # an int or a Fraction beyond 1e308
        number = math.inf
    above = number > low if open_low else number >= low
    below = number < high if open_high else number <= high
    if not (math.isfinite(number) and above and below):
        raise ValueError(f"{must}, got {describe(value)}.")
    return number


def check_integers(name: str, value: object, low: int) -> tuple[int, ...]:
    """Return a list of whole numbers, each at least low, as a tuple of ints.

    Raises
    ------
    ValueError
        If it is no list, tuple or array, or an entry is not such a number.
    """
    if isinstance(value, np.ndarray) and value.ndim == 1:
        value = value.tolist()
    if not isinstance(value, list | tuple):
        raise ValueError(f"{name} must be a list or tuple of ints >= {low}, got {describe(value)}.")
    return tuple(check_integer(f"every entry of {name}", entry, low) for entry in value)


def check_choice(name: str, value: object, choices: Sequence[Any]) -> Any:
    """Return the value if it is one of the choices; ValueError otherwise."""
    plain = value.item() if isinstance(value, np.bool_ | np.str_) else value
    # Compared by type as well: 1 is not True, and an array equals nothing here.
    if not any(type(plain) is type(choice) and plain == choice for choice in choices):
        listed = ", ".join(repr(choice) for choice in choices)
        raise ValueError(f"{name} must be one of {listed}, got {describe(value)}.")
    return plain


class ParameterCheck:
    """Check the parameters of an estimator by name, and make them plain.

    Used on the draft of a fit: on it, a checked value takes the place of what was passed, which
    may be a number of a kind that later computations cannot use (``np.uint8(20)`` overflows, torch
    takes no Fraction), or an iterator that is empty after the check. The estimator itself keeps
    what was passed.

    Parameters
    ----------
    estimator : estimator
        The draft. Every method below takes the name of one of its parameters, and raises the
        ValueError of the function that it calls.
    """

    def __init__(self, estimator: BaseEstimator) -> None:
        self.estimator = estimator

    def integer(self, name: str, low: int, high: int | None = None, **also: bool) -> None:
        """Check a whole number, see `check_integer`."""
        value = check_integer(name, self._get(name), low, high, **also)
        if isinstance(value, int) and value > LARGEST_INT:
            raise ValueError(f"{name} must fit into 64 bits, got {describe(self._get(name))}.")
        self._put(name, value)

    def real(self, name: str, low: float, high: float = math.inf, **also: bool) -> None:
        """Check a number, see `check_real`."""
        value = check_real(name, self._get(name), low, high, **also)
        if isinstance(value, float) and value > LARGEST:
            raise ValueError(
                f"{name} must be at most {LARGEST:g}, which 32 bits can hold, got "
                f"{describe(self._get(name))}."
            )
        self._put(name, value)

    def choice(self, name: str, choices: Sequence[Any]) -> None:
        """Check one of several values, see `check_choice`."""
        self._put(name, check_choice(name, self._get(name), choices))

    def integers(self, name: str, low: int) -> None:
        """Check a list of whole numbers, see `check_integers`."""
        self._put(name, check_integers(name, self._get(name), low))

    def integer_per_order(self, name: str, low_order: int, low: int, **also: bool) -> None:
        """Check a whole number, or a mapping of orders to whole numbers, see `check_integer`."""
        given = self._get(name)
        if not isinstance(given, Mapping):
            self.integer(name, low, **also)
            return
        numbers = {}
        for order, number in given.items():
            key = check_integer(f"every order of {name}", order, low_order)
            numbers[key] = check_integer(f"{name}[{order}]", number, low)
        self._put(name, numbers)

    def seed(self, name: str) -> None:
        """Check a seed: None, an int that NumPy takes, or a source of random numbers."""
        value = self._get(name)
        if value is None or isinstance(value, np.random.RandomState):
            return
        whole = isinstance(value, Integral) and not isinstance(value, bool)
        if not whole or not 0 <= int(value) < 2**32:
            raise ValueError(
                f"{name} must be None, an int from 0 to 2**32 - 1 or a numpy RandomState, got "
                f"{describe(value)}."
            )
        self._put(name, int(value))

    def folder(self, name: str) -> None:
        """Check the path of a folder, or None."""
        value = self._get(name)
        if value is not None and not (isinstance(value, str | PathLike) and str(value)):
            raise ValueError(f"{name} must be None or the path of a folder, got {describe(value)}.")

    def _get(self, name: str) -> Any:
        return getattr(self.estimator, name)

    def _put(self, name: str, value: object) -> None:
        setattr(self.estimator, name, value)


@contextmanager
def reported_as(name: str) -> Iterator[None]:
    """Begin the errors of the block by the name that the user knows."""
    try:
        yield
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{name}: {error}") from error


def describe(value: object, depth: int = 3) -> str:
    """Say what came, in one short line: small literals as Python writes them, else the type.

    Examples
    --------
    >>> describe(np.float64(0.5)), describe([1, "a"]), describe(np.zeros((2, 3)))
    ('0.5', "[1, 'a']", 'a ndarray of shape (2, 3)')
    """
    if isinstance(value, date | np.datetime64 | np.timedelta64 | np.longdouble):
        return str(value)
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, int) and value.bit_length() > 200:
        return f"an int of {value.bit_length()} bits"  # Python may refuse to print it
    if value is None or isinstance(value, str | bytes | Number | Decimal):
        return _cut(repr(value))
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if depth and isinstance(value, list | tuple | Set | Mapping):
        # Twenty entries fill the line already.
        shown = [describe(entry, depth - 1) for entry in list(value)[:20]]
        if isinstance(value, Mapping):
            values = [describe(value[key], depth - 1) for key in list(value)[:20]]
            shown = [f"{key}: {entry}" for key, entry in zip(shown, values, strict=True)]
        left, right = {list: ("[", "]"), tuple: ("(", ")")}.get(type(value), ("{", "}"))
        comma = "," if left == "(" and len(shown) == 1 else ""
        return _cut(left + ", ".join(shown) + comma + right)
    if type(value).__module__ == "torch" and type(value).__name__ in ("device", "dtype"):
        return str(value)
    shape = getattr(value, "shape", None)
    of_shape = f" of shape {tuple(shape)}" if isinstance(shape, tuple) else ""
    return f"a {type(value).__name__}{of_shape}"


def guess(name: object, names: Sequence[str]) -> str:
    """Ask whether a name that is not among the known ones was meant to be the closest of them.

    Examples
    --------
    >>> guess("cuntry", ["city", "country"]), guess("x", ["city", "country"])
    (" (did you mean 'country'?)", '')
    """
    closest = get_close_matches(name, names, n=1) if isinstance(name, str) else []
    return f" (did you mean {describe(closest[0])}?)" if closest else ""


def _cut(text: str, longest: int = 80) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _is_auto(value: object) -> bool:
    return isinstance(value, str) and value == "auto"


def _auto_or(or_auto: bool) -> str:
    return "'auto' or " if or_auto else ""
