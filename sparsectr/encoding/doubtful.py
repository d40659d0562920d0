"""Fields that are read as they come, though they may not be meant so: a fit warns of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from sparsectr.encoding.bag_counts import BagCounts
from sparsectr.encoding.binning import are_many_integers
from sparsectr.encoding.counts import ValueCounts
from sparsectr.encoding.parameters import Roles
from sparsectr.exceptions import UnknownValuesWarning, warn_caller

# From so many rows on, a field of which more than this share have values of their own is no field
# that rows share.
UNIQUE_ROWS, UNIQUE_SHARE = 1_000, 0.9


class EncoderParameters(Protocol):
    """Parameters of `FieldEncoder`."""

    numeric: str
    numeric_columns: str
    n_bins: int
    min_frequency: int | float


class Doubts:
    """Collect the fields that a fit warns of.

    Parameters
    ----------
    parameters : EncoderParameters
        Of the encoder that is fitted.
    roles : Roles
        How each field is encoded.
    n_rows : int
        Number of rows.
    """

    def __init__(self, parameters: EncoderParameters, roles: Roles, n_rows: int) -> None:
        self.parameters, self.roles, self.n_rows = parameters, roles, n_rows
        self.perhaps_ids: list[str] = []
        self.n_values: dict[str, int] = {}

    def look_at(self, j: int, name: str, counts: ValueCounts) -> None:
        """Note field j, by its name, if its values are doubtful."""
        if may_be_ids(self.parameters, j, counts, self.roles):
            self.perhaps_ids.append(name)
        if self._is_nearly_unique(j, counts):
            self.n_values[name] = len(counts.values)

    def warn(self) -> None:
        """Warn of the fields that were noted."""
        warn_of_ids(self.perhaps_ids, self.parameters.n_bins)
        if self.n_values:
            fields = ", ".join(
                f"{name!r} ({n:,} values in {self.n_rows:,} rows)"
                for name, n in self.n_values.items()
            )
            warn_caller(
                f"nearly every row has its own value of these fields: {fields}. Rows to come have "
                "others, which are unknown. Drop such a column, or make of it what rows share, "
                "such as the hour and the weekday of a time."
            )

    def _is_nearly_unique(self, j: int, counts: ValueCounts) -> bool:
        if self.parameters.min_frequency != 1 or isinstance(counts, BagCounts):
            return False
        is_category = self.roles.of(j, counts.kind) == "vocabulary"
        is_unique = len(counts.values) > UNIQUE_SHARE * self.n_rows
        return is_category and is_unique and self.n_rows >= UNIQUE_ROWS


def may_be_ids(parameters: EncoderParameters, j: int, counts: ValueCounts, roles: Roles) -> bool:
    """Tell whether field j is binned because of its dtype alone, but looks like ids."""
    by_dtype = roles.numeric is None and roles.of(j, counts.kind) == "bins"
    if not by_dtype or parameters.numeric != "quantile" or parameters.numeric_columns == "several":
        return False
    return are_many_integers(counts.values, parameters.n_bins)


def warn_of_ids(names: Sequence[str], n_bins: int) -> None:
    """Warn of fields that are binned because of their dtype alone, and look like ids."""
    if names:
        warn_caller(
            f"{list(names)} hold whole numbers stored as floats, more of them than "
            f"n_bins={n_bins}, and are cut into bins. If they are ids, make them "
            "integers, such as X[name].astype('Int64'); if they are quantities, name the "
            "numeric fields in numeric_features."
        )


def warn_of_unknown(fields: Sequence[tuple[str, str, str]]) -> None:
    """Warn of fields without a known value, given by name, types in fit and types now."""
    listed = ", ".join(f"{name!r} ({then} in fit, {now} now)" for name, then, now in fields)
    message = f"every value of these fields is unknown: {listed}."
    if any(then != now for _, then, now in fields):
        message += " A field needs the type that it had in fit: 1 and '1' are different values."
    if alike := [name for name, then, now in fields if then == now]:
        message += (
            f" Of {', '.join(map(repr, alike))} the types are those of fit, and the values are new"
            " or were too rare: these rows are predicted without the field. Of a time or a key that"
            " is expected; what rows share, such as the hour of a time, would tell more."
        )
    warn_caller(
        f"{message} FieldEncoder.unknown_share tells about all fields.", UnknownValuesWarning
    )
