"""What FieldEncoder's parameters say about each field; checked in fit."""

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd

from sparsectr.encoding.bag_columns import BagColumn
from sparsectr.encoding.bag_counts import BagCounts
from sparsectr.encoding.binning import RULES
from sparsectr.encoding.columns import Column
from sparsectr.encoding.counts import ValueCounts
from sparsectr.encoding.kinds import Kind, name_types
from sparsectr.parameters import ParameterCheck, describe, guess

Role: TypeAlias = Literal["vocabulary", "bins", "hash"]


@dataclass(frozen=True)
class Roles:
    """Say how each field is encoded.

    Attributes
    ----------
    numeric : set of int or None
        Positions of the fields of bins; None takes the columns of floats.
    buckets : dict of int to int
        Number of buckets of the fields that are hashed by their position.
    other_buckets : int or None
        Number of buckets of all other fields that are not numeric; None stores vocabularies.
    integers : bool
        Whether None takes the columns of integers, too.
    separators : dict of int to (str or None)
        What stands between the values of the fields of several values, by their position; None
        where cells are lists. Columns of lists are of several values even if they are not named.
    """

    numeric: set[int] | None
    buckets: dict[int, int]
    other_buckets: int | None
    integers: bool = False
    separators: Mapping[int, str | None] = field(default_factory=dict)

    def of(self, j: int, kind: Kind) -> Role:
        """Return the role of field j, whose column is of this kind."""
        if j in self.buckets:
            return "hash"
        if j in self.numeric if self.numeric is not None else self._is_numeric(kind):
            return "bins"
        return "vocabulary" if self.other_buckets is None else "hash"

    def _is_numeric(self, kind: Kind) -> bool:
        """Tell whether a column of this kind holds quantities, as far as the kind tells."""
        return kind == "float" or (self.integers and kind == "integer")

    def n_buckets(self, j: int) -> int:
        """Return the number of buckets of field j, which is hashed."""
        return self.buckets.get(j, self.other_buckets or 0)

    def count(self, j: int, column: Column | BagColumn) -> ValueCounts:
        """Count the values of field j, unless it is hashed and there is nothing to learn.

        Raises
        ------
        ValueError
            If a field of several values is to be binned or hashed.
        """
        if isinstance(column, BagColumn):
            self.check_several(j)
            return BagCounts.of(column)
        if self.of(j, column.kind) == "hash":
            none = slice(0, 0)
            return ValueCounts(column.values[none], np.zeros(0, dtype=np.int64), column.kind)
        return ValueCounts(column.values, column.counts(), column.kind)

    def check_several(self, j: int) -> None:
        """Raise ValueError if field j, whose cells hold several values, has another role."""
        for name, fields in (("numeric_features", self.numeric), ("hash_buckets", self.buckets)):
            if j in (fields or ()):
                raise ValueError(
                    f"{name} must not name a field whose cells hold several values; its values "
                    "are categories with a vocabulary."
                )

    def check_kept(
        self, before: list[ValueCounts], after: list[ValueCounts], names: list[str]
    ) -> None:
        """Raise ValueError if a field cannot stay what its first chunk has made it."""
        for j, name in enumerate(names):
            past, now = self.of(j, before[j].kind), self.of(j, after[j].kind)
            # Integers that were binned beside their exact values become categories at no loss.
            lost = self.numeric is not None or before[j].kind != "integer"
            if past == "bins" != now and lost and before[j].counts.any():
                raise ValueError(
                    f"Field {name!r} held numbers, which were binned, and now holds "
                    f"{name_types(after[j].values)}; convert it to numbers, or say in "
                    "numeric_features which fields are binned."
                )
            if past == "hash" != now and before[j].kind != "none":
                raise ValueError(
                    f"Field {name!r} held integers, which were hashed, and now holds floats; name "
                    "it in numeric_features or in hash_buckets, or keep its integers."
                )


def check_parameters(encoder: Any) -> None:
    """Check the parameters that do not depend on the table, and make them plain.

    Parameters
    ----------
    encoder : FieldEncoder
        The draft of a fit.

    Raises
    ------
    ValueError
        Names the parameter, what must hold and what came.
    """
    check, least = ParameterCheck(encoder), encoder.min_frequency
    is_share = isinstance(least, Real) and 0 < float(least) < 1
    if not (_is_count(least) or is_share):
        raise ValueError(
            f"min_frequency must be an int >= 1 or a float in (0, 1), got {describe(least)}."
        )
    encoder.min_frequency = float(least) if is_share else int(least)
    check.integer("max_categories", 1, or_none=True)
    check.choice("numeric", [*RULES, "category"])
    check.integer("n_bins", 1)
    check.choice("numeric_columns", ["auto", "one", "several"])
    check.choice("new_values", ["unknown", "grow"])


def resolve_roles(parameters: Mapping[str, Any], names: list[str]) -> Roles:
    """Find out how each field of a table is to be encoded.

    Parameters
    ----------
    parameters : mapping
        What ``FieldEncoder.get_params()`` returns.
    names : list of str
        Names of the fields.

    Returns
    -------
    Roles

    Raises
    ------
    ValueError
        If one of the parameters about fields is no such parameter, names a field that does
        not exist, or both name the same field.
    """
    numeric = numeric_positions(parameters["numeric_features"], names)
    if parameters["numeric"] == "category":
        numeric = set()
    given = parameters["hash_buckets"]
    by_field = given if isinstance(given, Mapping) else {}
    for_all = None if isinstance(given, Mapping) else given
    counts = [*by_field.values(), *([] if for_all is None else [for_all])]
    if not all(_is_count(n) and n <= np.iinfo(np.int32).max - 2 for n in counts):
        raise ValueError(
            "hash_buckets must be None, an int from 1 to 2**31 - 3 or a dict of fields to such "
            f"ints, got {describe(given)}."
        )
    buckets = {field_position(f, names, "hash_buckets"): int(n) for f, n in by_field.items()}
    both = sorted(buckets.keys() & (numeric or set()))
    if both:
        raise ValueError(
            "a field must be in numeric_features or in hash_buckets, not in both, got "
            f"{[names[j] for j in both]}."
        )
    integers = parameters["numeric_columns"] == "several" and for_all is None
    separators = _separators(parameters["multi_valued"], names)
    return Roles(numeric, buckets, None if for_all is None else int(for_all), integers, separators)


def _separators(given: Any, names: list[str]) -> dict[int, str | None]:
    """Return what stands between the values of the fields that are named as of several values."""
    if given is None:
        return {}
    named = given
    if isinstance(given, list | tuple) and all(isinstance(f, str | Integral) for f in given):
        named = dict.fromkeys(given)
    if not isinstance(named, Mapping) or not all(
        separator is None or (isinstance(separator, str) and separator)
        for separator in named.values()
    ):
        raise ValueError(
            "multi_valued must be None, a list of fields or a dict of fields to separators such as "
            f"'|', or to None for cells that are lists, got {describe(given)}."
        )
    return {field_position(f, names, "multi_valued"): s for f, s in named.items()}


def numeric_positions(fields: Any, names: list[str]) -> set[int] | None:
    """Return the positions of the fields that ``numeric_features`` names, None for "auto"."""
    if isinstance(fields, str) and fields == "auto":
        return None
    listed = isinstance(fields, list | tuple | Set | range | pd.Index)
    if not listed and not (isinstance(fields, np.ndarray) and fields.ndim == 1):
        raise ValueError(
            f"numeric_features must be 'auto' or a list of fields, got {describe(fields)}."
        )
    return {field_position(field, names, "numeric_features") for field in fields}


def field_position(field: Any, names: list[str], parameter: str) -> int:
    """Return the position of a field that a parameter names, or gives by its position."""
    if isinstance(field, str) and field in names:
        return names.index(field)
    if _is_count(field, least=0) and field < len(names):
        return int(field)
    raise ValueError(
        f"{parameter} must name fields of the table or give their positions, got "
        f"{describe(field)}{guess(field, names)}; the fields are {describe(names)}."
    )


def _is_count(value: Any, least: int = 1) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= least
