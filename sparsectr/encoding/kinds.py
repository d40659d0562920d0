"""What a column holds: quantities, integers or other values."""

from decimal import Decimal
from typing import Any, Literal, TypeAlias, cast, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sparsectr.encoding.vocabulary import as_number

# From the narrowest to the widest: a column of several chunks is of the widest kind of them.
Kind: TypeAlias = Literal["none", "integer", "float", "other"]
_WIDTHS = get_args(Kind)

_KINDS: dict[str, Kind] = {"f": "float", "i": "integer", "u": "integer"}
_TYPES = {"b": "bool", "i": "int", "u": "int", "f": "float", "M": "datetime", "m": "timedelta"}
# So many values tell their types.
N_SAMPLED = 1000

_INFERRED: dict[str, Kind] = {
    "integer": "integer",
    "floating": "float",
    "mixed-integer-float": "float",
}


def kind_of(dtype: Any, values: NDArray[np.generic]) -> Kind:
    """Tell what a column holds: by its dtype, and by its values where they are objects.

    Parameters
    ----------
    dtype : dtype
        Of the column, NumPy's or pandas'.
    values : ndarray, shape (n_values,)
        Its distinct values, none missing.

    Returns
    -------
    {"none", "integer", "float", "other"}
        "none" for objects without values, which say nothing.
    """
    if isinstance(dtype, pd.CategoricalDtype):
        return "other"
    if values.dtype == object:
        return _kind_of_objects(cast(NDArray[np.object_], values))
    return _KINDS.get(dtype.kind, "other")


def widest(first: Kind, second: Kind) -> Kind:
    """Return the kind of two chunks put together."""
    return max(first, second, key=_WIDTHS.index)


def name_types(values: NDArray[np.generic]) -> str:
    """Name the types of distinct values (m,) for a reader, such as "int" or "float, str"."""
    if values.dtype != object:
        return _TYPES.get(values.dtype.kind, str(values.dtype)) if len(values) else "nothing"
    names = sorted({type(value).__name__ for value in values[:N_SAMPLED]})
    return ", ".join(names) or "nothing"


def _kind_of_objects(values: NDArray[np.object_]) -> Kind:
    """Tell what dtype objects would have that are all numbers; bools are none."""
    if len(values) == 0:
        return "none"
    if isinstance(values[0], str):  # most columns of objects: no need to look further
        return "other"
    inferred = pd.api.types.infer_dtype(values, skipna=False)
    if inferred in _INFERRED:
        return _INFERRED[inferred]
    if inferred not in ("decimal", "mixed", "mixed-integer"):
        return "other"
    kind: Kind = "none"
    for value in values:
        number = as_number(value)
        if number is None or isinstance(number, bool):
            return "other"
        kind = widest(kind, "integer" if _is_integer(number) else "float")
    return kind


def _is_integer(number: int | float | Decimal) -> bool:
    """Tell whether the type has no fraction: an int, or a Decimal without decimal places."""
    if isinstance(number, Decimal):
        exponent = number.as_tuple().exponent
        return isinstance(exponent, int) and exponent >= 0
    return isinstance(number, int)
