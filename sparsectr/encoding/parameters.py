"""Checks of FieldEncoder's parameters, made in fit."""

from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from typing import Any

from sparsectr.encoding.binning import RULES


def check_parameters(parameters: Mapping[str, Any]) -> None:
    """Check the parameters that do not depend on the table.

    Parameters
    ----------
    parameters : mapping
        What ``FieldEncoder.get_params()`` returns.

    Raises
    ------
    ValueError
        Names the parameter, what must hold and what came.
    """
    share = parameters["min_frequency"]
    if not (_is_count(share) or (_is_real(share) and 0 < share < 1)):
        raise ValueError(f"min_frequency must be an int >= 1 or a float in (0, 1), got {share!r}.")
    limit = parameters["max_categories"]
    if not (limit is None or _is_count(limit)):
        raise ValueError(f"max_categories must be None or an int >= 1, got {limit!r}.")
    rules = (*RULES, "category")
    if parameters["numeric"] not in rules:
        raise ValueError(f"numeric must be one of {rules}, got {parameters['numeric']!r}.")
    if not _is_count(parameters["n_bins"]):
        raise ValueError(f"n_bins must be an int >= 1, got {parameters['n_bins']!r}.")


def numeric_positions(numeric_features: Any, names: list[str]) -> set[int] | None:
    """Resolve ``numeric_features``; None where it is "auto".

    Parameters
    ----------
    numeric_features : "auto" or iterable of str or int
        Names or positions of fields.
    names : list of str
        The names of all fields.

    Returns
    -------
    set of int or None
    """
    if isinstance(numeric_features, str):
        if numeric_features == "auto":
            return None
        raise ValueError(
            f'numeric_features must be "auto" or a list of fields, got {numeric_features!r}.'
        )
    if not isinstance(numeric_features, Iterable):
        raise ValueError(
            f'numeric_features must be "auto" or a list of fields, got {numeric_features!r}.'
        )
    return {_position(field, names, "numeric_features") for field in numeric_features}


def bucket_numbers(hash_buckets: Any, names: list[str]) -> dict[int, int] | int | None:
    """Resolve ``hash_buckets``: None, one number for all fields, or a number per position.

    Parameters
    ----------
    hash_buckets : None, int or mapping of str or int to int
        Number of buckets, for all fields or by name or position.
    names : list of str
        The names of all fields.

    Returns
    -------
    None, int or dict of int to int
    """
    given = hash_buckets.values() if isinstance(hash_buckets, Mapping) else [hash_buckets]
    if hash_buckets is None:
        return None
    if not all(_is_count(n) and n < 2**31 - 2 for n in given):
        raise ValueError(
            "hash_buckets must be None, an int >= 1 (below 2**31 - 2) or a dict of fields to such "
            f"ints, got {hash_buckets!r}."
        )
    if not isinstance(hash_buckets, Mapping):
        return int(hash_buckets)
    return {_position(field, names, "hash_buckets"): int(n) for field, n in hash_buckets.items()}


def _position(field: Any, names: list[str], parameter: str) -> int:
    if isinstance(field, str) and field in names:
        return names.index(field)
    if _is_count(field, least=0) and field < len(names):
        return int(field)
    raise ValueError(
        f"{parameter} must name fields of the table or their positions, got {field!r}; the fields "
        f"are {names}."
    )


def _is_count(value: Any, least: int = 1) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool) and value >= least


def _is_real(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, Integral)
