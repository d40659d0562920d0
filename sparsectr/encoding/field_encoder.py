"""The transformer from a table of anything to a matrix of integer codes."""

import warnings
from collections.abc import Iterable, Mapping
from typing import Any, Self, TypeAlias

import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from sparsectr.encoding.binning import Bins, learn_bins
from sparsectr.encoding.columns import Column, as_table, iterate_columns, read_column
from sparsectr.encoding.counts import ValueCounts
from sparsectr.encoding.hashing import Buckets
from sparsectr.encoding.parameters import bucket_numbers, check_parameters, numeric_positions
from sparsectr.encoding.vocabulary import MISSING, N_RESERVED, UNKNOWN, Vocabulary, most_frequent

Field: TypeAlias = Vocabulary | Bins | Buckets


class FieldEncoder(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Encode each column of a table as integer codes into its own vocabulary."""

    def __init__(
        self,
        *,
        min_frequency: int | float = 1,
        max_categories: int | None = None,
        numeric: str = "quantile",
        n_bins: int = 64,
        numeric_features: str | Iterable[str | int] = "auto",
        hash_buckets: int | Mapping[str | int, int] | None = None,
    ) -> None:
        self.min_frequency = min_frequency
        self.max_categories = max_categories
        self.numeric = numeric
        self.n_bins = n_bins
        self.numeric_features = numeric_features
        self.hash_buckets = hash_buckets

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the vocabulary of each field."""
        self._fit(X)
        return self

    def fit_transform(self, X: Any, y: Any = None) -> NDArray[np.int32]:
        """Learn the vocabularies and encode the same table, reading each column once."""
        return self._fit(X, encode=True)

    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Learn from one more chunk of rows."""
        first = not self.__sklearn_is_fitted__()
        if not first and self._counts is None:
            warnings.warn(
                "partial_fit after fit starts over, because fit keeps no counts; use partial_fit "
                "from the first chunk on.",
                UserWarning,
                stacklevel=2,
            )
            first = True
        X = self._check_table(X, reset=first)
        names = self._check_parameters()
        counts = [ValueCounts.of(c) for c in self._read(X, names)]
        if not first:
            counts = [old.merge(new) for old, new in zip(self._counts, counts, strict=True)]
        self._counts = counts
        self._n_rows = len(X) + (0 if first else self._n_rows)
        self._set_fields([self._learn(j, c, self._n_rows, names) for j, c in enumerate(counts)])
        return self

    def transform(self, X: Any) -> NDArray[np.int32]:
        """Encode a table."""
        check_is_fitted(self)
        X = self._check_table(X, reset=False)
        names = list(self.get_feature_names_out())
        codes = np.empty((len(X), len(names)), dtype=np.int32)
        for j, column in enumerate(self._read(X, names)):
            codes[:, j] = _encode(column, self._fields[j])
        return codes

    def inverse_transform(self, X: Any) -> NDArray[Any]:
        """Give the values of codes back."""
        check_is_fitted(self)
        codes = np.asarray(X)
        if codes.ndim != 2 or codes.shape[1] != len(self._fields) or codes.dtype.kind not in "iu":
            raise ValueError(
                f"X must hold integer codes of shape (n_rows, {len(self._fields)}), got "
                f"{codes.dtype} of shape {codes.shape}."
            )
        if np.any(codes < 0) or np.any(codes >= self.vocabulary_sizes_):
            raise ValueError("X must hold codes below vocabulary_sizes_, got others.")
        values = np.empty(codes.shape, dtype=object)
        for j, field in enumerate(self._fields):
            values[:, j] = _decoding_table(field)[codes[:, j]]
        return values

    @property
    def vocabularies_(self) -> list[NDArray[Any] | None]:
        """The values of each field in the order of their codes, from code 2 on."""
        check_is_fitted(self)
        return [field.values for field in self._fields]

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_fields")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        tags.input_tags.allow_nan = True
        tags.input_tags.sparse = False
        tags.transformer_tags.preserves_dtype = []
        return tags

    def _fit(self, X: Any, encode: bool = False) -> NDArray[np.int32]:
        X = self._check_table(X, reset=True)
        names = self._check_parameters()
        n_rows = len(X)
        codes = np.empty((n_rows if encode else 0, len(names)), dtype=np.int32)
        fields = []
        for j, column in enumerate(self._read(X, names)):
            fields.append(self._learn(j, ValueCounts.of(column), n_rows, names))
            if encode:
                codes[:, j] = _encode(column, fields[j])
        self._counts = None
        self._n_rows = n_rows
        self._set_fields(fields)
        return codes

    def _set_fields(self, fields: list[Field]) -> None:
        self._fields = fields
        self.vocabulary_sizes_ = np.array([field.size for field in fields], dtype=np.int64)

    def _learn(self, j: int, counts: ValueCounts, n_rows: int, names: list[str]) -> Field:
        numeric = numeric_positions(self.numeric_features, names)
        buckets = bucket_numbers(self.hash_buckets, names)
        min_count = self.min_frequency
        if isinstance(min_count, float):
            min_count = min_count * n_rows
        if isinstance(buckets, dict) and j in buckets:
            return Buckets(buckets[j])
        is_numeric = counts.kind == "float" if numeric is None else j in numeric
        if is_numeric and self.numeric != "category":
            return learn_bins(
                counts.values,
                counts.counts,
                self.numeric,
                self.n_bins,
                min_count,
                self.max_categories,
            )
        if isinstance(buckets, int):
            return Buckets(buckets)
        kept = most_frequent(counts.values, counts.counts, min_count, self.max_categories)
        return Vocabulary(counts.values[kept])

    def _check_parameters(self) -> list[str]:
        check_parameters(self.get_params(deep=False))
        return list(self.get_feature_names_out())

    def _read(self, X: Any, names: list[str]) -> Iterable[Column]:
        return map(read_column, iterate_columns(X))

    def _check_table(self, X: Any, reset: bool) -> Any:
        if sp.issparse(X):
            raise TypeError(
                "X must be a table or a dense array, got a sparse matrix; FieldEncoder does not "
                "support sparse input: pass X.toarray()."
            )
        table = as_table(X)
        validate_data(self, table, reset=reset, skip_check_array=True)
        return table


def _encode(column: Column, field: Field) -> NDArray[np.int32]:
    # A missing cell has position -1, which reads the last entry.
    table = np.append(field.codes(column.values), np.int32(MISSING))
    return table[column.positions]


def _decoding_table(field: Field) -> NDArray[Any]:
    """Return the value of each code as a Python object."""
    table = np.empty(field.size, dtype=object)
    if field.values is not None:
        table[N_RESERVED:] = pd.Index(field.values, tupleize_cols=False).astype(object)
    table[[UNKNOWN, MISSING]] = np.nan if isinstance(field, Bins) else None
    return table
