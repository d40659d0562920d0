"""Fields by name, and the columns of codes that stand for them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor

from sparsectr.encoding.bags import BagVocabulary
from sparsectr.encoding.field_encoder import FieldEncoder
from sparsectr.encoding.vocabulary import N_RESERVED
from sparsectr.nn.effects import Columns
from sparsectr.parameters import describe, guess

Array = npt.NDArray[Any]
FieldNames = tuple[str, ...]

# Rows of which single values are looked at, where cells hold several.
MOST_TAKEN_APART = 20_000


class Fields:
    """Know the names of the fields of a table, their columns of codes, and what codes stand for.

    Parameters
    ----------
    encoder : FieldEncoder
        Fitted.

    Attributes
    ----------
    names : list of str
        Names of the fields, in column order.
    columns : list of tuples of int
        The columns of codes of every field; the first one stands for it.
    """

    def __init__(self, encoder: FieldEncoder) -> None:
        self.encoder = encoder
        self.names = encoder._field_names()
        owners = encoder.code_fields_
        self.columns: Columns = [
            tuple(np.flatnonzero(owners == field).tolist())
            for field in range(encoder.n_features_in_)
        ]

    def places(self, fields: Iterable[str]) -> tuple[int, ...]:
        """Return the numbers of some fields."""
        return tuple(self.names.index(name) for name in fields)

    def named(self, places: Iterable[int]) -> FieldNames:
        """Return the names of fields that are given by their numbers."""
        return tuple(self.names[place] for place in places)

    def check(self, fields: Any, fewest: int = 2) -> None:
        """Check what a user names as the fields of a cross.

        Raises
        ------
        ValueError
            If these are not the names of so many or more different fields.
        """
        listed = isinstance(fields, list | tuple | np.ndarray | pd.Index)
        if not (listed and all(isinstance(field, str) for field in fields)):
            raise ValueError(
                "fields must be the names of the fields of a cross, such as "
                f"{describe(tuple(self.names[:2]))}, got {describe(fields)}."
            )
        if strangers := [field for field in fields if field not in self.names]:
            raise ValueError(
                f"fields must name fields of X, {describe(self.names)}, got {describe(strangers)}"
                f"{guess(strangers[0], self.names)}."
            )
        if len(set(fields)) < max(fewest, len(fields)):
            least = "two or more different fields" if fewest > 1 else "one field or more, each once"
            raise ValueError(f"fields must name {least}, got {describe(fields)}.")

    def main_columns(self, fields: Iterable[str]) -> list[int]:
        """Return for some fields the columns of codes that stand for them."""
        return [self.columns[field][0] for field in self.places(fields)]

    def n_values(self, column: int) -> int:
        """Return how many values of a column of codes have a code of their own."""
        coder = self.encoder._columns()[column]
        codes = coder.vocabulary.size if isinstance(coder, BagVocabulary) else coder.size
        return codes - N_RESERVED

    def take_apart(self, codes: Tensor, columns: Sequence[int]) -> Tensor | None:
        """Return a row for every value of a cell, of cells that hold several.

        Parameters
        ----------
        codes : Tensor of shape (n, C)
            Rows.
        columns : sequence of int
            The columns whose cells are taken apart.

        Returns
        -------
        Tensor of shape (m, C), or None
            None if the columns hold single values.
        """
        coders = self.encoder._columns()
        several = [column for column in columns if isinstance(coders[column], BagVocabulary)]
        codes = codes[:MOST_TAKEN_APART]
        for column in several:
            vocabulary = cast(BagVocabulary, coders[column])
            places, values = vocabulary.spread(codes[:, column].cpu().numpy())
            codes = codes[torch.from_numpy(places).to(codes.device)]
            codes[:, column] = torch.from_numpy(values).to(codes)
        return codes if several else None

    def widen(self, fields: Sequence[str], codes: Array) -> Array:
        """Make whole rows (M, C) of codes (M, o) of some fields; the other columns are unknown."""
        full = np.zeros((len(codes), len(self.encoder.code_fields_)), dtype=np.int32)
        full[:, self.main_columns(fields)] = codes
        return full

    def tabulate(self, fields: Sequence[str], codes: Array, **columns: Array) -> pd.DataFrame:
        """Put columns beside the values that codes (M, o) of some fields stand for.

        The name of a column that a field has, too, gets underscores.
        """
        places = self.main_columns(fields)
        shown = [self.encoder._show(j, part) for j, part in zip(places, codes.T, strict=True)]
        table = pd.concat(shown, axis=1, keys=list(fields))
        for field in fields:
            # Values of one type only can go into a Parquet file.
            if pd.api.types.infer_dtype(table[field]).startswith(("mixed", "complex")):
                table[field] = table[field].map(as_text)
        for name, column in columns.items():
            while name in table.columns:
                name += "_"
            table[name] = column
        return table


def as_text(value: Any) -> str | None:
    """Return what a value prints, None if it is missing."""
    if isinstance(value, str):
        return value
    if isinstance(value, list | set | np.ndarray):  # a cell of several values
        return ", ".join(map(str, value)) or None
    return None if pd.isna(value) is True else str(value)
