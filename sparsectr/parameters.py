"""Checks of constructor parameters, with one grammar of errors. No torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral, Real
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
        raise ValueError(f"{must}, got {value!r}.")
    number = int(value)
    if number < low or (high is not None and number > high):
        raise ValueError(f"{must}, got {value!r}.")
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
        raise ValueError(f"{must}, got {value!r}.")
    number = float(value)
    above = number > low if open_low else number >= low
    below = number < high if open_high else number <= high
    if not (math.isfinite(number) and above and below):
        raise ValueError(f"{must}, got {value!r}.")
    return number


def check_choice(name: str, value: Any, choices: Sequence[Any]) -> Any:
    """Return the value if it is one of the choices; ValueError otherwise."""
    plain = value.item() if isinstance(value, np.bool_ | np.str_) else value
    # Compared by type as well: 1 is not True, and an array equals nothing here.
    if not any(type(plain) is type(choice) and plain == choice for choice in choices):
        listed = ", ".join(repr(choice) for choice in choices)
        raise ValueError(f"{name} must be one of {listed}, got {value!r}.")
    return value


def _is_auto(value: Any) -> bool:
    return isinstance(value, str) and value == "auto"


def _auto_or(or_auto: bool) -> str:
    return "'auto' or " if or_auto else ""
