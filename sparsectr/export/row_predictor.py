"""Predictions for one row at a time, without a table."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from sparsectr.encoding.bag_columns import read_bags
from sparsectr.encoding.bags import BagVocabulary
from sparsectr.encoding.binning import Bins
from sparsectr.encoding.columns import read_column
from sparsectr.encoding.resolutions import CodeColumn, encode_values
from sparsectr.encoding.vocabulary import MISSING, N_RESERVED, UNKNOWN, Vocabulary, as_objects
from sparsectr.export.row_program import RowProgram

Lookup: TypeAlias = dict[Any, int] | tuple[list[float], list[int]]
Finish: TypeAlias = Callable[[npt.NDArray[Any]], Any]

# Cells of these types that are no value of a vocabulary are unknown; others, such as dates, may be
# equal to one in another form.
PLAIN = (str, int, float)
# Larger integers are rounded before they are put into bins.
LARGEST_EXACT = 2**53


class RowPredictor:
    """Predict one row, given as a dict or a tuple.

    What ``compile_predictor`` of classifiers and regressors returns. It holds the fit of that
    moment, goes through pickle, and may be called by several threads.

    Parameters
    ----------
    estimator : BaseInteractionEstimator
        A fitted one.
    finish : callable
        Turns logits (1, K) into what is returned. It must go through pickle.

    Attributes
    ----------
    unknown_counts : dict of str to int
        For each field, in how many calls its value was unknown. A copy or an unpickled predictor
        starts at zero.
    n_calls : int
        Number of rows so far.
    """

    def __init__(self, estimator: Any, finish: Finish) -> None:
        encoder = estimator.encoder_
        self._estimator, self._finish = estimator, finish
        self._names: list[str] = encoder._field_names()
        self._fields: list[tuple[CodeColumn, ...]] = encoder._fields
        first = encoder._main_columns.tolist()
        several = [j for j, field in zip(first, self._fields, strict=True) if _has_several(field)]
        self._program = RowProgram(estimator._fitted_net().eval(), several)
        self._lookups = [
            [_make_lookup(getattr(column, "vocabulary", column)) for column in field]
            if _has_fast_way(field)
            else None
            for field in self._fields
        ]
        # Of fields that are one vocabulary; None and a value that is there need no closer look.
        self._known: list[dict[Any, int]] = [
            lookups[0] | {None: MISSING}
            if lookups
            and len(lookups) == 1
            and isinstance(lookups[0], dict)
            and not _has_several(field)
            else {}
            for field, lookups in zip(self._fields, self._lookups, strict=True)
        ]
        self.unknown_counts = dict.fromkeys(self._names, 0)
        self.n_calls = 0

    def __call__(self, row: Mapping[str, Any] | Sequence[Any]) -> Any:
        """Return the probability of every class, or the number that is predicted.

        Parameters
        ----------
        row : dict or tuple
            Values by the names of the fields, other names being ignored, or one value per field in
            the order of `fit`. None and NaN are missing.

        Returns
        -------
        ndarray of shape (n_classes,), float64, or float
            Probabilities in the order of ``classes_``; of a regressor the prediction.

        Raises
        ------
        ValueError
            If a field is not there, or the value of a numeric field is no number.
        """
        codes: list[int] = []
        several: list[list[int]] = []
        for place, (cell, known) in enumerate(zip(self._cells(row), self._known, strict=True)):
            try:
                code = known.get(cell)
            except TypeError:  # cannot be hashed
                code = None
            if code is not None:
                codes.append(code)
            else:
                codes += self._look_closely(place, cell, several)
        self.n_calls += 1
        return self._finish(self._program(codes, several))

    def _look_closely(self, place: int, cell: object, several: list[list[int]]) -> list[int]:
        """Return the codes of a cell of a field, and count it where it is unknown.

        Where cells have several values, all of them are appended to ``several``, and the largest
        stands for the cell: a set is unknown if all of its values are.
        """
        name, field, lookups = self._names[place], self._fields[place], self._lookups[place]
        if isinstance(field[0], BagVocabulary):
            several.append(_encode_values(name, cell, field[0], lookups))
            found = [max(several[-1])]
        else:
            quick = None if lookups is None else _look_up(cell, lookups)
            found = _encode_cell(name, cell, field) if quick is None else quick
        if found[0] == UNKNOWN:
            self.unknown_counts[name] += 1
        return found

    def _cells(self, row: Mapping[str, Any] | Sequence[Any]) -> Sequence[Any]:
        if isinstance(row, Mapping):
            try:
                return [row[name] for name in self._names]
            except KeyError:
                lacking = [name for name in self._names if name not in row]
                raise ValueError(
                    f"row must have all fields, {lacking} are not there; None is a missing value."
                ) from None
        if not isinstance(row, tuple | list) or len(row) != len(self._names):
            raise ValueError(
                f"row must be a dict, or a tuple of {len(self._names)} values for {self._names}."
            )
        return row

    def __reduce__(self) -> tuple[Any, ...]:
        return RowPredictor, (self._estimator, self._finish)


def _has_several(field: tuple[CodeColumn, ...]) -> bool:
    return isinstance(field[0], BagVocabulary)


def _has_fast_way(field: tuple[CodeColumn, ...]) -> bool:
    return all(
        isinstance(column, Vocabulary | BagVocabulary)
        or (isinstance(column, Bins) and column.rule == "quantile")
        for column in field
    )


def _make_lookup(column: Any) -> Lookup:
    """Return the codes of values as a dict, or cuts and the codes of the bins between them."""
    if isinstance(column, Bins):
        return column.cuts.tolist(), column.codes_of_bins.tolist()
    values = as_objects(column.values).tolist()
    return dict(zip(values, range(N_RESERVED, N_RESERVED + len(values)), strict=True))


def _look_up(cell: Any, lookups: list[Lookup]) -> list[int] | None:
    """Return the codes of a cell, None where its type needs a closer look."""
    kind = type(cell)
    if cell is None or (kind is float and cell != cell):
        return [MISSING] * len(lookups)
    codes = []
    for lookup in lookups:
        if isinstance(lookup, dict):
            try:
                code = lookup.get(cell)
            except TypeError:  # cannot be hashed
                return None
            if code is None:
                if kind not in PLAIN:
                    return None
                code = UNKNOWN
        elif kind is float or (kind is int and abs(cell) <= LARGEST_EXACT):
            cuts, codes_of_bins = lookup
            code = codes_of_bins[bisect_left(cuts, cell)]
        else:
            return None
        codes.append(code)
    return codes


def _encode_cell(name: str, cell: object, field: tuple[CodeColumn, ...]) -> list[int]:
    """Encode a cell as a column of one row is encoded."""
    cells = np.empty(1, dtype=object)
    cells[0] = cell
    try:
        column = read_column(cells)
        if column.positions[0] < 0:
            return [MISSING] * len(field)
        return [int(codes[column.positions[0]]) for codes in encode_values(field, column.values)]
    except (TypeError, ValueError) as error:
        raise ValueError(f"Field {name!r}: {error}") from error


def _encode_values(
    name: str, cell: object, bags: BagVocabulary, lookups: list[Lookup] | None
) -> list[int]:
    """Encode the values of a cell of several, at least one code."""
    if lookups is not None and (found := _look_up_values(cell, bags.separator, lookups)):
        return found
    cells = np.empty(1, dtype=object)
    cells[0] = cell
    try:
        column = read_bags(cells, bags.separator)
    except (TypeError, ValueError) as error:
        raise ValueError(f"Field {name!r}: {error}") from error
    if column.bags[0] < 0:
        return [MISSING]
    codes: list[int] = bags.vocabulary.codes(column.values)[column.positions].tolist()
    return codes


def _look_up_values(cell: object, separator: str | None, lookups: list[Lookup]) -> list[int] | None:
    """Return the codes of the values of a list, None where a type needs a closer look."""
    if separator is not None:
        values = [part for part in cell.split(separator) if part] if isinstance(cell, str) else []
    else:
        values = cell if isinstance(cell, list) else []
    codes: list[int] = []
    for value in values:
        found = _look_up(value, lookups)
        if found is None:
            return None
        if found[0] != MISSING:
            codes += found
    return codes
