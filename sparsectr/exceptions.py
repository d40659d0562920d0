"""Warnings of our own, and where they point."""

from __future__ import annotations

import sys
import warnings

# Packages whose functions stand between a user and what warns.
_BETWEEN = ("sparsectr", "sklearn", "torch")


class UnknownValuesWarning(UserWarning):
    """Warn that no value of a field is known.

    `FieldEncoder.transform` and what predicts with it say so once per call if at least 50 rows
    come and every value of a field that is not missing is unknown. Either the field has changed
    its type since `fit`: 1 and "1" are different values. Or all its values are new, as those of a
    time column or a key are. The text says which.

    Examples
    --------
    >>> import warnings
    >>> from sparsectr import UnknownValuesWarning
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", UnknownValuesWarning)  # or "ignore"
    """


def warn_caller(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the line of the user that led here."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and _package(frame.f_globals) in _BETWEEN:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def _package(names: dict[str, object]) -> str:
    return str(names.get("__name__", "")).partition(".")[0]
