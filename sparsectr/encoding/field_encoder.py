"""The transformer from a table of anything to a matrix of integer codes."""

from collections.abc import Iterable, Mapping
from functools import partial
from os import PathLike
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from sparsectr.drafts import on_a_draft, on_one_fit
from sparsectr.encoding.bag_columns import BagColumn
from sparsectr.encoding.bag_counts import BagCounts, merge_counts
from sparsectr.encoding.bags import BagVocabulary, learn_bags
from sparsectr.encoding.binning import Bins, as_numbers, learn_bins
from sparsectr.encoding.category_orders import find_ranks, show_in_order
from sparsectr.encoding.cells import (
    Field,
    codes_of_cells,
    encode_cells,
    encode_column,
    naming_field,
    read_columns,
)
from sparsectr.encoding.code_table import CodeTable
from sparsectr.encoding.code_writer import encode_source
from sparsectr.encoding.columns import Column, TableLike, as_table, iterate_columns, read_column
from sparsectr.encoding.counts import ValueCounts
from sparsectr.encoding.doubtful import Doubts, may_be_ids, warn_of_ids, warn_of_unknown
from sparsectr.encoding.growth import grow_encoder, rare_values
from sparsectr.encoding.hashing import Buckets
from sparsectr.encoding.intervals import name_intervals
from sparsectr.encoding.kinds import name_types
from sparsectr.encoding.new_bags import NewBags
from sparsectr.encoding.parameters import Roles, check_parameters, resolve_roles
from sparsectr.encoding.resolutions import (
    CodeColumn,
    check_stored_fields,
    fewest_rows,
    name_columns,
    number_columns,
    several_columns,
)
from sparsectr.encoding.tags import CategoricalInputMixin
from sparsectr.encoding.vocabulary import (
    MISSING,
    N_RESERVED,
    UNKNOWN,
    Vocabulary,
    as_objects,
    learn_vocabulary,
)
from sparsectr.exceptions import warn_caller
from sparsectr.stored_state import StoredStateMixin

# Up to so many rows, cells are looked up one by one: factorising a column costs more.
FEW_ROWS = 16
# From so many rows on, a field without any known value is worth a warning.
MANY_ROWS = 50


class FieldEncoder(
    StoredStateMixin, CategoricalInputMixin, OneToOneFeatureMixin, TransformerMixin, BaseEstimator
):
    """Encode each column of a table as integer codes.

    Every column is a field with its own vocabulary. Code 0 stands for unknown values (never seen,
    or rarer than `min_frequency`), code 1 for missing ones (None, NaN, NaT, pd.NA), codes from 2
    for the values by falling frequency; equally frequent values are in rising order (numbers,
    then strings, then the rest by what they print), whatever the order of the rows.

    The table may be a pandas, polars or other frame that narwhals knows, an Arrow table or record
    batch, a 2-d array, in which masked cells are missing, or a list of rows. Columns of floats are
    cut into bins, and the bin is a category like any other; all other columns (strings, integers,
    booleans, dates) are categories. A column of objects that are all numbers, such as Decimals, or
    floats beside None, is handled as the dtype that these numbers would have.

    Values are the same when Python says that they are equal: 1, 1.0 and True are one value, ``"1"``
    is another. Integers never pass through floats, so that 64-bit ids stay exact. A calendar day is
    its midnight, and times and durations are the same values in every unit and type:
    `datetime.date`, datetime64, Timestamp, dates of polars or Arrow. Times with a zone are
    instants, listed in UTC; they never equal times without a zone.

    Parameters
    ----------
    min_frequency : int or float, default=1
        Values in fewer rows are unknown; a float in (0, 1) is a share of the rows.
    max_categories : int or None, default=None
        Keep at most this many values of a field, the most frequent ones; the others are unknown.
        None keeps all.
    numeric : {"quantile", "log_squared", "log_square", "category"}, default="quantile"
        How the number v of a numeric field becomes a bin. "quantile": up to `n_bins` bins of
        about equally many rows, or one bin per number where there are no more than `n_bins`; a
        number more frequent than that takes one bin and leaves the others to the other rows;
        "log_squared": floor((ln v)^2) if v > 2, else v without its fraction; "log_square":
        floor(ln(v^2 + 1)). A number never seen falls into the nearest bin, so that only a bin
        rarer than `min_frequency` is unknown. "category": no bins, each number is a category.
    n_bins : int, default=64
        Largest number of quantile bins of a field; fewer where the rows do not suffice to put
        `min_frequency` of them into each, and never more than `max_categories`.
    numeric_features : "auto" or list of str or int, default="auto"
        Names or positions of the numeric fields, all others being categories. "auto" takes the
        columns of a float dtype, and warns where such a column has more than `n_bins` different
        numbers that are all whole, as ids that one missing cell has turned into floats. With
        ``numeric_columns="several"`` and without buckets for all fields, it takes the columns of
        integers, too, and does not warn.
    numeric_columns : {"auto", "one", "several"}, default="auto"
        How many columns of codes a numeric field gets. "auto": several if the encoder is the
        ``encoder`` of a classifier, one by itself. "one": the bins. "several": the bins; 8 quantile
        bins, if there are more than 16 different numbers; and the exact numbers, those of at least
        3 rows, if there are more than `n_bins`. A column of at most `n_bins` different integers
        that "auto" has taken keeps them as categories, in the place of the bins. "several" also
        counts values of one row as unknown in a field that is not binned and where more than half
        of the rows, of 1,000 or more, have such a value.
    hash_buckets : int, dict or None, default=None
        Number of buckets into which a stable 64-bit hash puts the values of a field, instead of
        storing a vocabulary: codes run from 2 to ``hash_buckets + 1``. An int holds for every
        field of single values that is not numeric; a dict maps names or positions of fields to
        their numbers.
    new_values : {"unknown", "grow"}, default="unknown"
        What `partial_fit` of a classifier or regressor does with values that it meets first.
        "unknown": it keeps the vocabularies. "grow": values that have come in `min_frequency` rows
        since the first call, within `max_categories`, get codes behind those of their field; the
        codes of others stay. Bins and buckets stay, too, and so do fields of several values.
    multi_valued : dict, list of str or int, or None, default=None
        Fields whose cells hold several values: a dict from their names or positions to the
        separator between the values of strings, such as ``{"genres": "|"}``, or to None where cells
        are lists. Columns of lists are found without it. Values have codes as those of any field,
        and `min_frequency` holds for them; every set of several values in the training rows has a
        code behind them. Estimators take the mean of what they have learnt of the values, also for
        sets that no training row has.

    Attributes
    ----------
    vocabularies_ : list of ndarray or None
        For each column of codes, its values in the order of their codes from 2 on. A column of bins
        gives the median training number of each bin, a hashed one None, one of several values the
        values and then the sets of them, as tuples.
    vocabulary_sizes_ : ndarray of int64, shape (n_columns,)
        Number of codes of each column of codes, codes 0 and 1 included.
    code_fields_ : ndarray of int64, shape (n_columns,)
        The field of each column of codes. The columns of a field are neighbours; the first one
        stands for it.
    n_features_in_ : int
        Number of fields.
    feature_names_in_ : ndarray of str, shape (n_fields,)
        Names of the fields, if the table has names that are all strings.

    Notes
    -----
    The numeric rules come from the public preparations of the Criteo data: "log_squared" from
    OptFeature (Lyu et al., 2023), "log_square" from xDeepInt (Yan and Li, 2020), on which DynInt
    builds. Differences: vocabularies are learnt on the training rows only, a missing number has its
    own code, and a level not seen in training falls into the bin of the nearest one.

    Examples
    --------
    >>> import pandas as pd
    >>> from sparsectr import FieldEncoder
    >>> encoder = FieldEncoder().fit(pd.DataFrame({"city": ["Oslo", "Bergen", "Oslo", None]}))
    >>> encoder.transform(pd.DataFrame({"city": ["Bergen", "Oslo", None, "Paris"]})).ravel()
    array([3, 2, 1, 0], dtype=int32)
    >>> encoder.vocabulary_sizes_
    array([4])
    """

    def __init__(
        self,
        *,
        min_frequency: int | float = 1,
        max_categories: int | None = None,
        numeric: str = "quantile",
        n_bins: int = 64,
        numeric_features: str | Iterable[str | int] = "auto",
        numeric_columns: str = "auto",
        hash_buckets: int | Mapping[str | int, int] | None = None,
        new_values: str = "unknown",
        multi_valued: Mapping[str | int, str | None] | Iterable[str | int] | None = None,
    ) -> None:
        self.min_frequency = min_frequency
        self.max_categories = max_categories
        self.numeric = numeric
        self.n_bins = n_bins
        self.numeric_features = numeric_features
        self.numeric_columns = numeric_columns
        self.hash_buckets = hash_buckets
        self.new_values = new_values
        self.multi_valued = multi_valued

    @on_a_draft
    def fit(self, X: TableLike, y: ArrayLike | None = None) -> Self:
        """Learn the vocabulary of each field.

        Parameters
        ----------
        X : DataFrame, ndarray or list of rows, shape (n_rows, n_fields)
            The table.
        y : array-like of shape (n_rows,), default=None
            Ignored.

        Returns
        -------
        FieldEncoder
            Itself.

        Raises
        ------
        ValueError
            If a parameter or the table is not as described.
        TypeError
            If the table is sparse or a cell cannot be hashed.
        """
        self._fit(X, encode=False)
        return self

    @on_a_draft
    def fit_transform(self, X: TableLike, y: ArrayLike | None = None) -> NDArray[np.int32]:
        """Learn the vocabularies and encode the same table, reading each column once.

        Parameters
        ----------
        X : DataFrame, ndarray or list of rows, shape (n_rows, n_fields)
            The table.
        y : array-like of shape (n_rows,), default=None
            Ignored.

        Returns
        -------
        ndarray of int32, shape (n_rows, n_columns)
            The codes, C-contiguous; what ``fit(X).transform(X)`` returns.
        """
        return self._fit(X, encode=True)

    @on_a_draft
    def partial_fit(self, X: TableLike, y: ArrayLike | None = None) -> Self:
        """Learn from one more chunk of rows.

        After the last chunk the vocabularies are, bit for bit, those that `fit` learns from all
        chunks put together. Codes may change from chunk to chunk. All distinct values and their
        counts stay in memory (those of hashed fields excepted), and in the pickle; `fit` keeps
        none, so that `partial_fit` after `fit` starts over, with a warning. A field of numbers that
        are binned stays one: other values in a later chunk are an error.

        Parameters
        ----------
        X : DataFrame, ndarray or list of rows, shape (n_rows, n_fields)
            The next rows.
        y : array-like of shape (n_rows,), default=None
            Ignored.

        Returns
        -------
        FieldEncoder
            Itself.
        """
        past = self._counts if self.__sklearn_is_fitted__() else []
        if past is None:
            warn_caller(
                "partial_fit after fit starts over, because fit keeps no counts; call partial_fit "
                "from the first chunk on."
            )
        table, names, roles = self._prepare_fit(X, reset=not past)
        several = {j for j, old in enumerate(past or []) if isinstance(old, BagCounts)}
        counts = self._count_all(table, names, roles, several)
        n_rows = len(table)
        known: set[str] = set()
        if past:
            known = {n for j, n in enumerate(names) if may_be_ids(self, j, past[j], roles)}
            n_rows += self._n_rows
            for j, new in enumerate(counts):
                with naming_field(names[j]):
                    counts[j] = merge_counts(past[j], new)
            roles.check_kept(past, counts, names)
        fields = [self._learn(j, names, c, n_rows, roles)[0] for j, c in enumerate(counts)]
        self._set_fields(fields, counts, n_rows, self._rare_values(fields, counts))
        self._ranks = find_ranks(table, fields)
        perhaps_ids = [n for j, n in enumerate(names) if may_be_ids(self, j, counts[j], roles)]
        warn_of_ids([name for name in perhaps_ids if name not in known], self.n_bins)
        return self

    @on_one_fit
    def transform(self, X: TableLike) -> NDArray[np.int32]:
        """Encode a table.

        Parameters
        ----------
        X : DataFrame, ndarray or list of rows, shape (n_rows, n_fields)
            The table; a frame must have the columns of the training table in the same order.

        Returns
        -------
        ndarray of int32, shape (n_rows, n_columns)
            The codes, C-contiguous; those of column c are below ``vocabulary_sizes_[c]``. There is
            one column per field, but for ``numeric_columns="several"``: see ``code_fields_``.

        Warns
        -----
        UnknownValuesWarning
            If at least 50 rows come and all values of a field, but for missing ones, are unknown.
        """
        check_is_fitted(self)
        return self._encode(self._check_table(X, reset=False))

    @on_a_draft
    def encode_dataset(
        self,
        source: object,
        path: str | PathLike[str],
        *,
        y: str | None = None,
        sample_weight: str | None = None,
        fit: bool = True,
    ) -> CodeTable:
        """Encode rows that need not fit into memory, and write their codes into a folder.

        The rows are read twice, some at a time: once for the vocabularies, once for the codes. Both
        are those of `fit` and `transform` on all rows at once. All distinct values stay in memory,
        as in `partial_fit`; floats may have as many as there are rows. Needs pyarrow.

        Parameters
        ----------
        source : str, path, list of them, pyarrow.dataset.Dataset or Arrow stream
            The rows: a file, a folder, a pattern such as ``"train/*.parquet"`` or a list of files,
            of Parquet, CSV or Arrow IPC. A stream is first written to the disk.
        path : str or path
            The folder of the codes. It appears when all is written; a code table that is there is
            replaced.
        y, sample_weight : str, default=None
            Columns of the source with targets and weights, which are copied. All others are fields.
        fit : bool, default=True
            Whether to learn the vocabularies from these rows. As in the estimators,
            ``numeric_columns="auto"`` then gives numeric fields several columns of codes. False
            keeps the vocabularies of an earlier fit, such as for validation rows.

        Returns
        -------
        CodeTable
            The codes, mapped.

        Raises
        ------
        ValueError, TypeError
            If the source cannot be read, has no such columns, or lacks values of ``y`` or weights.
        ImportError
            If pyarrow is not installed.
        """
        return encode_source(self, source, path, y, sample_weight, fit=fit)

    @on_one_fit
    def unknown_share(self, X: TableLike) -> pd.Series:
        """Tell how many values of each field are unknown, to see how a table drifts.

        Parameters
        ----------
        X : DataFrame, ndarray or list of rows, shape (n_rows, n_fields)
            The table, as for `transform`.

        Returns
        -------
        Series of float64, shape (n_fields,)
            Indexed by the names of the fields: unknown values as a share of those that are not
            missing; 0 where all are missing, and for hashed fields. Of a field of several columns
            the first counts; a set of values is unknown if all of its values are.
        """
        check_is_fitted(self)
        table = self._check_table(X, reset=False)
        codes = self._encode(table, warn=False, new=self._new_bags())[:, self._main_columns]
        n_values = (codes != MISSING).sum(axis=0)
        shares = (codes == UNKNOWN).sum(axis=0) / np.maximum(n_values, 1)
        return pd.Series(shares, index=self._field_names(), name="unknown_share")

    @on_one_fit
    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[Any]:
        """Name the columns of codes.

        Parameters
        ----------
        input_features : array-like of str, shape (n_fields,), or None, default=None
            Names of the fields, if the training table had none; otherwise only checked.

        Returns
        -------
        ndarray of str objects, shape (n_columns,)
            The names of the fields. A field of several columns gives names such as ``"age"``,
            ``"age (8 bins)"`` and ``"age (exact)"``; where another column has such a name, an
            underscore follows.
        """
        fields = super().get_feature_names_out(input_features)
        if len(self.code_fields_) == len(fields):
            return np.asarray(fields)
        taken, names = {str(name) for name in fields}, []
        for field, columns in zip(fields, self._fields, strict=True):
            for name in name_columns(field, columns):
                while name != field and name in taken:
                    name += "_"
                taken.add(name)
                names.append(name)
        return np.array(names, dtype=object)

    @on_one_fit
    def inverse_transform(self, X: TableLike) -> NDArray[Any]:
        """Give the values of codes back.

        Parameters
        ----------
        X : array-like of int, shape (n_rows, n_columns)
            Codes.

        Returns
        -------
        ndarray of object, shape (n_rows, n_fields)
            The values. A bin gives its median training number, unless the field has a column of
            exact numbers that knows better. Unknown and missing ones are None, in numeric fields
            NaN; the values of hashed fields are not stored and are None.

        Raises
        ------
        ValueError
            If X does not hold codes of this encoder.
        """
        check_is_fitted(self)
        codes = np.asarray(X)
        n_columns = len(self.code_fields_)
        if codes.ndim != 2 or codes.shape[1] != n_columns or codes.dtype.kind not in "iu":
            raise ValueError(
                f"X must hold integer codes of shape (n_rows, {n_columns}), got {codes.dtype} of "
                f"shape {codes.shape}; pass what transform returns."
            )
        if np.any(codes < 0) or np.any(codes >= self.vocabulary_sizes_):
            raise ValueError(
                f"the codes of each column must lie in [0, vocabulary_sizes_), got codes from "
                f"{codes.min()} to {codes.max()}; pass what transform of this encoder returns."
            )
        values = np.empty((len(codes), len(self._fields)), dtype=object)
        for j, (place, field) in enumerate(zip(self._main_columns, self._fields, strict=True)):
            values[:, j] = _values_of_codes(field[0])[codes[:, place]]
            if isinstance(field[0], Bins) and isinstance(field[-1], Vocabulary):
                exact = codes[:, place + len(field) - 1]
                known = exact >= N_RESERVED
                values[known, j] = _values_of_codes(field[-1])[exact[known]]
        return values

    def _show(self, column: int, codes: NDArray[np.integer[Any]]) -> pd.Series:
        """Return what people are shown for codes: values, or intervals and categories in order.

        Unknown and missing values, and those of hashed fields, are None, in numeric fields NaN.
        """
        coder = self._columns()[column]
        if isinstance(coder, BagVocabulary):
            none = np.full(N_RESERVED, None, dtype=object)
            return pd.Series(np.concatenate([none, coder.names()])[codes], dtype=object)
        if isinstance(coder, Bins):
            names = np.array(name_intervals(coder), dtype=object)
            return show_in_order(names, np.argsort(np.argsort(coder.values)), codes - N_RESERVED)
        # An estimator that an older version has stored knows no ranks.
        if isinstance(coder, Vocabulary) and column in (ranks := getattr(self, "_ranks", {})):
            return show_in_order(as_objects(coder.values), ranks[column], codes - N_RESERVED)
        return pd.Series(_values_of_codes(coder)[codes], dtype=object)

    def _numbers(self, table: Any) -> dict[int, NDArray[np.float64]]:
        """Return the numbers of the numeric fields of a checked table, NaN where missing."""
        names = self._field_names()
        numbers = {}
        for j, cells in enumerate(iterate_columns(table)):
            if isinstance(self._fields[j][0], Bins):
                with naming_field(names[j]):
                    column = read_column(cells)
                    numbers[j] = np.append(as_numbers(column.values), np.nan)[column.positions]
        return numbers

    @property
    def vocabularies_(self) -> list[NDArray[Any] | None]:
        """The values of each column of codes in the order of their codes from 2 on."""
        check_is_fitted(self)
        return [column.values for column in self._columns()]

    def _columns(self) -> list[CodeColumn]:
        """Return what makes each column of codes."""
        return [column for field in self._fields for column in field]

    @property
    def _main_columns(self) -> NDArray[np.intp]:
        """The column of codes that stands for each field, shape (n_fields,)."""
        return np.unique(self.code_fields_, return_index=True)[1]

    def _field_names(self) -> list[str]:
        """Return the names of the fields."""
        return [str(name) for name in super().get_feature_names_out()]

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_fields")

    def _check_state(self, state: dict[str, Any]) -> None:
        if "_fields" in state:
            check_stored_fields(state)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        return tags

    def _new_bags(self) -> NewBags | None:
        """Return what gives codes to sets of values that have none, if a field has sets."""
        several = any(isinstance(field[0], BagVocabulary) for field in self._fields)
        return NewBags(self.vocabulary_sizes_) if several else None

    def _encode(
        self, table: Any, *, warn: bool = True, new: NewBags | None = None
    ) -> NDArray[np.int32]:
        """Encode a table whose columns have been checked."""
        if len(table) <= FEW_ROWS and (few := codes_of_cells(table, self._fields)) is not None:
            return few
        names, first = self._field_names(), self._main_columns
        codes = np.empty((len(table), len(self.code_fields_)), dtype=np.int32)
        strange = []
        for j, cells in enumerate(iterate_columns(table)):
            field = self._fields[j]
            with naming_field(names[j]):
                new_code = None if new is None else partial(new.code, int(first[j]))
                for place, found in enumerate(encode_cells(cells, field, new_code), first[j]):
                    codes[:, place] = found
                if warn and len(table) >= MANY_ROWS and self._knows_none(j, codes[:, first[j]]):
                    strange.append((names[j], *_types_then_and_now(field[0], cells)))
        if strange:
            warn_of_unknown(strange)
        return codes

    def _encode_fields(self, table: Any, *, warn: bool = True) -> NDArray[np.int32]:
        """Encode a checked table by the columns that stand for the fields, (n_rows, n_fields)."""
        codes = self._encode(table, warn=warn)
        return codes if codes.shape[1] == len(self._fields) else codes[:, self._main_columns]

    def _knows_none(self, j: int, codes: NDArray[np.int32]) -> bool:
        """Tell whether all values of field j, of which there are some, are unknown."""
        if codes.max() > MISSING or not (codes == UNKNOWN).any():
            return False
        # Where no value was frequent enough to be stored, nothing has changed.
        keeps_all = self.min_frequency == 1 and self.numeric_columns != "several"
        return self._fields[j][0].size > N_RESERVED or keeps_all

    def _fit(self, X: TableLike, encode: bool, warn: bool = True) -> NDArray[np.int32]:
        table, names, roles = self._prepare_fit(X, reset=True)
        n_rows = len(table)
        codes: list[NDArray[np.int32]] = []
        fields, rare, doubts = [], [], Doubts(self, roles, n_rows)
        for j, column in enumerate(read_columns(table, names, roles.separators)):
            counts = self._count(j, column, names, roles)
            field, codes_of_values = self._learn(j, names, counts, n_rows, roles)
            fields.append(field)
            rare += self._rare_values([field], [counts])
            if warn:
                doubts.look_at(j, names[j], counts)
            if encode:
                codes += encode_column(column, field, codes_of_values)
        self._set_fields(fields, None, n_rows, rare)
        self._ranks = find_ranks(table, fields)
        doubts.warn()
        return np.stack(codes, axis=1) if encode else np.empty((0, 0), dtype=np.int32)

    def _prepare_fit(self, X: TableLike, reset: bool) -> tuple[Any, list[str], Roles]:
        check_parameters(self)
        table = self._check_table(X, reset)
        names = self._field_names()
        return table, names, resolve_roles(self.get_params(deep=False), names)

    def _check_table(self, X: TableLike, reset: bool) -> Any:
        table = as_table(X)
        validate_data(self, table, reset=reset, skip_check_array=True)
        return table

    @staticmethod
    def _count(j: int, column: Column | BagColumn, names: list[str], roles: Roles) -> ValueCounts:
        with naming_field(names[j]):
            return roles.count(j, column)

    def _count_all(
        self, table: Any, names: list[str], roles: Roles, several: set[int]
    ) -> list[ValueCounts]:
        """Count the values of all fields, some of which are known to hold several in a cell."""
        read = read_columns(table, names, roles.separators, several)
        return [self._count(j, column, names, roles) for j, column in enumerate(read)]

    def _learn(
        self, j: int, names: list[str], counts: ValueCounts, n_rows: int, roles: Roles
    ) -> tuple[Field, NDArray[np.int32] | None]:
        """Learn field j, with the codes of the counted values where they cost nothing."""
        is_share = self.min_frequency < 1
        min_count = self.min_frequency * n_rows if is_share else self.min_frequency
        if isinstance(counts, BagCounts):
            separator = roles.separators.get(j)
            return (learn_bags(counts, min_count, self.max_categories, separator),), None
        role = roles.of(j, counts.kind)
        if role == "hash":
            return (Buckets(roles.n_buckets(j)),), None
        if role == "vocabulary" and self.numeric_columns == "several" and self.new_values != "grow":
            min_count = max(min_count, fewest_rows(counts, n_rows))
        limits = (counts.values, counts.counts, min_count, self.max_categories)
        with naming_field(names[j]):
            if role == "vocabulary":
                vocabulary, codes_of_values = learn_vocabulary(*limits)
                return (vocabulary,), codes_of_values
            if self.numeric_columns != "several":
                return (learn_bins(*limits, rule=self.numeric, n_bins=self.n_bins),), None
            by_kind = roles.numeric is None and counts.kind == "integer"
            return several_columns(
                counts,
                min_count,
                self.max_categories,
                rule=self.numeric,
                n_bins=self.n_bins,
                keep_values=by_kind,
            ), None

    def _fit_counts(self, counts: list[ValueCounts], n_rows: int, roles: Roles) -> None:
        """Learn all fields from the counts of their values in so many rows."""
        names = self._field_names()
        fields = [self._learn(j, names, c, n_rows, roles)[0] for j, c in enumerate(counts)]
        self._set_fields(fields, None, n_rows, self._rare_values(fields, counts))
        self._ranks = {}
        doubts = Doubts(self, roles, n_rows)
        for j, name in enumerate(names):
            doubts.look_at(j, name, counts[j])
        doubts.warn()

    def _rare_values(self, fields: list[Field], counts: list[ValueCounts]) -> list[Any]:
        """Return the counts of values without a code, if they may get one later."""
        return list(map(rare_values, fields, counts)) if self.new_values == "grow" else []

    def _grow(self, table: Any) -> Self:
        """Return an encoder with codes for values of a checked table; see `grow_encoder`."""
        names = self._field_names()
        roles = resolve_roles(self.get_params(deep=False), names)
        several = {j for j, f in enumerate(self._fields) if isinstance(f[0], BagVocabulary)}
        counts = self._count_all(table, names, roles, several)
        grown: Self = grow_encoder(self, counts, len(table))
        return grown

    def _set_fields(
        self, fields: list[Field], counts: list[ValueCounts] | None, n_rows: int, rare: list[Any]
    ) -> None:
        self._fields = fields
        self._counts = counts
        self._n_rows = n_rows
        self._rare = rare
        self.code_fields_ = number_columns(fields)
        sizes = [column.size for column in self._columns()]
        self.vocabulary_sizes_ = np.array(sizes, dtype=np.int64)


def _types_then_and_now(first: CodeColumn, cells: Any) -> tuple[str, str]:
    if isinstance(first, BagVocabulary):
        return "sets of values", "sets of values"
    then = "nothing" if first.values is None else name_types(first.values)
    return then, name_types(read_column(cells).values)


def _values_of_codes(column: CodeColumn) -> NDArray[Any]:
    """Return the value of each code as a Python object, shape (column.size,)."""
    values = np.empty(column.size, dtype=object)
    if column.values is not None:
        values[N_RESERVED:] = as_objects(column.values)
    values[[UNKNOWN, MISSING]] = np.nan if isinstance(column, Bins) else None
    return values
