"""Read the columns of any table as codes into their distinct values."""

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, NamedTuple, Protocol, TypeAlias, cast

import narwhals as nw
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from sparsectr.encoding.arrow import from_arrow
from sparsectr.encoding.containers import first_line, open_container
from sparsectr.encoding.kinds import Kind, kind_of
from sparsectr.encoding.times import plain_times, time_objects, unify_times

Array: TypeAlias = NDArray[np.generic]


class Frame(Protocol):
    """Describe a DataFrame of any library: pandas, polars, pyarrow."""

    @property
    def shape(self) -> tuple[int, int]: ...


TableLike: TypeAlias = Frame | ArrayLike

_PLAIN_DTYPES = {"b": np.bool_, "i": np.int64, "f": np.float64}

_RESHAPES = {
    0: "X.reshape(1, 1) if it is one cell",
    1: "X.reshape(1, -1) if it is one row, X.reshape(-1, 1) if it is one field",
}
_FLATTEN = "X.reshape(len(X), -1) gives every row one cell per field"

# What a column of objects may be, in the words of pandas, without a date, a time or a duration.
_TIMELESS = {"string", "bytes", "floating", "integer", "mixed-integer-float", "decimal", "boolean"}

# Of so many cells, at most such a share are objects of their own where equal values share one.
N_SAMPLED, MOST_DISTINCT = 1024, 0.9


class Column(NamedTuple):
    """Hold the cells of one column as positions in its distinct values.

    Attributes
    ----------
    positions : ndarray of int, shape (n_rows,)
        Position of each cell in `values`; -1 where the cell is missing.
    values : ndarray, shape (n_values,)
        The distinct values, in no promised order: bool, int64, uint64, float64, datetime64,
        timedelta64 or object (strings and everything else). Some may occur in no row. Dates are
        their midnights; see `sparsectr.encoding.times`.
    kind : {"none", "integer", "float", "other"}
        What the column holds; see `sparsectr.encoding.kinds`.
    """

    positions: NDArray[np.integer[Any]]
    values: Array
    kind: Kind

    def counts(self) -> NDArray[np.int64]:
        """Count the rows of each value, shape (n_values,)."""
        return np.bincount(self.positions + 1, minlength=len(self.values) + 1)[1:].astype(np.int64)


def as_table(X: TableLike) -> Any:
    """Return X as a frame or a 2-d array.

    Parameters
    ----------
    X : DataFrame, array-like of shape (n_rows, n_fields) or list of rows
        The table; see `sparsectr.encoding.containers`.

    Returns
    -------
    DataFrame or ndarray, shape (n_rows, n_fields)

    Raises
    ------
    ValueError
        If X is not two-dimensional, is empty or repeats a column name.
    TypeError
        If X is no table, such as a sparse matrix, a dict or a stream.
    """
    table: Any = open_container(X)
    if isinstance(table, np.ndarray) and table.ndim != 2:
        raise ValueError(
            f"Expected a table or a 2D array, got a {table.ndim}D array. Reshape your data: "
            f"{_RESHAPES.get(table.ndim, _FLATTEN)}."
        )
    for axis, noun in enumerate(("sample", "feature")):
        if table.shape[axis] == 0:
            raise ValueError(
                f"Found array with 0 {noun}(s) (shape={table.shape}) while a minimum of 1 is "
                "required."
            )
    if not isinstance(table, np.ndarray):
        names = table.columns if isinstance(table, pd.DataFrame) else pd.Index(_names(table))
        if not names.is_unique:
            repeated = list(names[names.duplicated()].unique())
            raise ValueError(f"the columns of X must have different names, repeated: {repeated}.")
    return table


def take_rows(table: Any, rows: NDArray[np.integer]) -> Any:
    """Take some rows of a table; each column keeps its dtype.

    Parameters
    ----------
    table : DataFrame or ndarray, shape (n_rows, n_fields)
        A result of `as_table`.
    rows : ndarray of int, shape (m,)
        Positions of the rows.

    Returns
    -------
    DataFrame or ndarray, shape (m, n_fields)
        A table of the same library.
    """
    if isinstance(table, pd.DataFrame):
        return table.iloc[rows]
    if isinstance(table, np.ndarray):
        return table[rows]
    return nw.from_native(table, eager_only=True)[rows].to_native()


def iterate_columns(table: Any) -> Iterator[Any]:
    """Yield the columns of a table one by one, each with its own dtype.

    Parameters
    ----------
    table : DataFrame or ndarray, shape (n_rows, n_fields)
        A result of `as_table`.

    Yields
    ------
    ndarray or pandas ExtensionArray, shape (n_rows,)
        The cells of the next column.

    Raises
    ------
    TypeError
        If the library of the frame cannot give the cells of a column.
    """
    if isinstance(table, np.ndarray):
        yield from table.T
        return
    names: list[Any] = list(_names(table))
    convert: Callable[[Any], Any]
    columns: Iterator[Any]
    if isinstance(table, pd.DataFrame):
        convert, columns = _cells, (series for _, series in table.items())
    elif hasattr(table, "itercolumns"):  # pyarrow
        convert, columns = from_arrow, iter(table.itercolumns())
    else:
        frame = nw.from_native(table, eager_only=True)
        convert, columns = _from_narwhals, (frame[name] for name in names)
    for j, (name, column) in enumerate(zip(names, columns, strict=True)):
        try:
            cells = convert(column)
        except MemoryError:
            raise
        except Exception as error:
            raise TypeError(
                f"Field {name if isinstance(name, str) else f'x{j}'!r}: its cells must be strings, "
                f"numbers, dates and the like, got a column that cannot be read "
                f"({first_line(error)}); turn it into strings."
            ) from error
        yield cells


def read_column(cells: Any) -> Column:
    """Factorise one column.

    Parameters
    ----------
    cells : ndarray or pandas ExtensionArray, shape (n_rows,)
        One column of `iterate_columns`.

    Returns
    -------
    Column

    Raises
    ------
    ValueError
        If the cells are complex numbers, or times that no unit of pandas holds.
    TypeError
        If a cell cannot be hashed and compared.
    """
    dtype = cells.dtype
    if dtype.kind == "c":
        raise ValueError(f"Complex data not supported: the cells are {dtype}; pass real numbers.")
    try:
        if isinstance(dtype, pd.CategoricalDtype):
            positions, values = cells.codes.astype(np.intp), dtype.categories.array
        else:
            positions, values = _factorize(_as_factorizable(cells))
        plain = _plain(values)
        if not isinstance(values.dtype, pd.DatetimeTZDtype):  # those have one form already
            positions, plain = _merge_equal_times(positions, plain)
    except (ValueError, MemoryError):
        raise
    except Exception as error:  # __hash__ and __eq__ of a cell may raise anything
        raise unusable_cell(error) from error
    return _without_nan(Column(positions, plain, kind_of(dtype, plain)))


def unusable_cell(error: Exception) -> TypeError:
    """Say what a cell must be that raised this error when it was hashed, compared or printed."""
    return TypeError(
        "every cell must be hashable (a string, a number, a date ...), got "
        f"{first_line(error)}; turn such cells into strings, or spread them over several columns."
    )


def as_arrow_strings(cells: Any) -> Any:
    """Return the column of `iterate_columns` as pyarrow keeps it, or None if it does not."""
    dtype = cells.dtype
    if isinstance(dtype, pd.StringDtype) and dtype.storage == "pyarrow":
        return cells.__arrow_array__()
    return None


def _names(frame: Any) -> Any:
    return frame.column_names if hasattr(frame, "column_names") else frame.columns


def _cells(series: "pd.Series[Any]") -> Any:
    if isinstance(series.dtype, pd.ArrowDtype):
        return from_arrow(series.array.__arrow_array__())
    return series.to_numpy() if isinstance(series.dtype, np.dtype) else series.array


def _as_factorizable(cells: Any) -> Any:
    """Convert the NumPy dtypes for which pandas has no hash table."""
    dtype = cells.dtype
    if not isinstance(dtype, np.dtype):
        return cells
    if dtype.kind in "USV":
        return cells.astype(object)
    if dtype == np.float16:
        return cells.astype(np.float32)
    return cells if dtype.isnative else cells.astype(dtype.newbyteorder("="))


def _factorize(cells: Any) -> tuple[NDArray[np.intp], Any]:
    """Factorise as pandas does, but every object only once.

    Where tables are read with care for memory, equal strings are one object (`pandas.read_csv`
    before its version 3, ``pyarrow.Table.to_pandas``). Its address is hashed sooner than its text.
    """
    if cells.dtype != object or len(cells) < N_SAMPLED:
        return pd.factorize(cells)
    addresses = _addresses(cells)
    sample = addresses[:: len(cells) // N_SAMPLED]
    if len(np.unique(sample)) > MOST_DISTINCT * len(sample):
        return pd.factorize(cells)
    of_objects, objects = pd.factorize(addresses)
    first_rows = np.empty(len(objects), dtype=np.intp)
    first_rows[of_objects[::-1]] = np.arange(len(cells) - 1, -1, -1)  # the last one written stays
    positions, values = pd.factorize(cells[first_rows])
    return positions[of_objects], values


def _addresses(cells: NDArray[np.object_]) -> NDArray[np.intp]:
    """View cells as the addresses of their objects; the cells must outlive the view."""
    known = cells.__array_interface__
    view = {name: known[name] for name in ("data", "shape", "strides", "version")}
    view["typestr"] = np.dtype(np.intp).str
    return np.asarray(SimpleNamespace(__array_interface__=view))


def _merge_equal_times(
    positions: NDArray[np.intp], values: Array
) -> tuple[NDArray[np.intp], Array]:
    """Give the times among distinct objects one form, in which a date equals its midnight."""
    if values.dtype != object or pd.api.types.infer_dtype(values, skipna=False) in _TIMELESS:
        return positions, values
    unified = unify_times(cast(NDArray[np.object_], values))
    if unified is values:
        return positions, values
    merged, kept = pd.factorize(unified)
    return np.append(merged, -1)[positions], kept


def _without_nan(column: Column) -> Column:
    """Make NaN missing: nullable floats can hold it beside NA."""
    if column.values.dtype.kind != "f" or not np.isnan(column.values).any():
        return column
    real = ~np.isnan(column.values)
    renumbered = np.append(np.where(real, np.cumsum(real) - 1, -1), -1)
    return Column(renumbered[column.positions], column.values[real], column.kind)


def _plain(values: Any) -> Array:
    """Turn distinct values of any array type into one of the dtypes of `Column.values`."""
    if isinstance(values.dtype, pd.ArrowDtype):  # categories
        values = from_arrow(values.__arrow_array__())
    kind = values.dtype.kind
    if kind == "u":
        numbers = np.asarray(values, dtype=np.uint64)
        small = numbers.size == 0 or numbers.max() <= np.iinfo(np.int64).max
        return numbers.astype(np.int64) if small else numbers
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        return time_objects(values.tz_convert("UTC").tz_localize(None).to_numpy(), "UTC")
    if kind in "mM":
        return plain_times(np.asarray(values))
    return np.asarray(values, dtype=_PLAIN_DTYPES.get(kind, np.object_))


def _from_narwhals(column: "nw.Series[Any]") -> Any:
    """Copy a column of a frame that is not pandas', without a detour through float."""
    dtype = column.dtype
    if dtype == nw.Boolean or (dtype.is_integer() and dtype not in (nw.Int128, nw.UInt128)):
        return _masked(column)
    if dtype.is_float() or dtype in (nw.String, nw.Duration, nw.Date):
        return column.to_numpy()
    if dtype == nw.Datetime:
        stamps = pd.DatetimeIndex(column.to_numpy())
        zone = getattr(dtype, "time_zone", None)
        return stamps.array if zone is None else stamps.tz_localize("UTC").tz_convert(zone).array
    if dtype in (nw.Categorical, nw.Enum):
        return column.cast(nw.String).to_numpy()
    cells = np.empty(len(column), dtype=object)
    cells[:] = column.to_list()
    return cells


def _masked(column: "nw.Series[Any]") -> Any:
    missing = column.is_null().to_numpy()
    if not missing.any():
        return column.to_numpy()
    if column.dtype == nw.Boolean:
        return pd.arrays.BooleanArray(column.fill_null(False).to_numpy(), missing)
    return pd.arrays.IntegerArray(column.fill_null(0).to_numpy(), missing)
