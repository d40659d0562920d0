"""Checks of constructor parameters, with one grammar of errors. No torch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from numbers import Integral, Number, Real
from typing import Any

import numpy as np


def check_integer(
    name: str, value: Any, low: int, high: int | None = None, *, or_auto: bool = False
) -> int | str:
    """Return a whole number in [low, high] as int, or "auto" where that is allowed.

    Raises
    ------
    ValueError
        If it is not a whole number (bools are not) or out of range.
    """
    if or_auto and _is_auto(value):
        return "auto"
    must = f"{name} must be {_auto_or(or_auto)}an int >= {low}"
    must += "" if high is None else f" and <= {high}"
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise ValueError(f"{must}, got {describe(value)}.")
    number = int(value)
    if number < low or (high is not None and number > high):
        raise ValueError(f"{must}, got {describe(value)}.")
    return number


def check_real(
    name: str,
    value: Any,
    low: float,
    high: float = math.inf,
    *,
    open_low: bool = False,
    open_high: bool = False,
    or_auto: bool = False,
) -> float | str:
    """Return a finite number in the interval from low to high as float, or "auto" if allowed.

    Raises
    ------
    ValueError
        If it is not a number, out of range or not finite.
    """
    if or_auto and _is_auto(value):
        return "auto"
    left = f"> {low}" if open_low else f">= {low}"
    right = "" if math.isinf(high) else f" and {'<' if open_high else '<='} {high}"
    must = f"{name} must be {_auto_or(or_auto)}a number {left}{right}"
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ValueError(f"{must}, got {describe(value)}.")
    number = float(value)
    above = number > low if open_low else number >= low
    below = number < high if open_high else number <= high
    if not (math.isfinite(number) and above and below):
        raise ValueError(f"{must}, got {describe(value)}.")
    return number


def check_choice(name: str, value: Any, choices: Sequence[Any]) -> Any:
    """Return the value if it is one of the choices; ValueError otherwise."""
    plain = value.item() if isinstance(value, np.bool_ | np.str_) else value
    # Compared by type as well: 1 is not True, and an array equals nothing here.
    if not any(type(plain) is type(choice) and plain == choice for choice in choices):
        listed = ", ".join(repr(choice) for choice in choices)
        raise ValueError(f"{name} must be one of {listed}, got {describe(value)}.")
    return value


@contextmanager
def reported_as(name: str) -> Iterator[None]:
    """Begin the errors of the block by the name that the user knows."""
    try:
        yield
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{name}: {error}") from error


def describe(value: Any, depth: int = 3) -> str:
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
    shape = getattr(value, "shape", None)
    of_shape = f" of shape {tuple(shape)}" if isinstance(shape, tuple) else ""
    return f"a {type(value).__name__}{of_shape}"


def _cut(text: str, longest: int = 80) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _is_auto(value: Any) -> bool:
    return isinstance(value, str) and value == "auto"


def _auto_or(or_auto: bool) -> str:
    return "'auto' or " if or_auto else ""
