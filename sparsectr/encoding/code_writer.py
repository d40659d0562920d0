"""Write the codes of rows that do not fit into memory: two passes over record batches."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted, validate_data

from sparsectr.encoding.array_files import array_file, array_files
from sparsectr.encoding.arrow_source import ArrowSource, Part
from sparsectr.encoding.bag_counts import BagCounts
from sparsectr.encoding.batch_coder import BatchCoder
from sparsectr.encoding.batch_counter import BatchCounter
from sparsectr.encoding.cells import naming_field
from sparsectr.encoding.code_folder import appearing_folder, write_manifest
from sparsectr.encoding.code_table import CODES, CodeTable, write_new_bags
from sparsectr.encoding.counts import ValueCounts
from sparsectr.encoding.growth import grow_encoder
from sparsectr.encoding.kinds import Kind
from sparsectr.encoding.parameters import Roles, check_parameters, resolve_roles
from sparsectr.encoding.source_columns import Columns, choose_columns, plain_cells
from sparsectr.encoding.tally import Strings, Tally

# A stream that is read twice.
SPILLED = "rows.arrows"
Result = TypeVar("Result")
# Called with the number of rows that are done, and what is done with them.
Progress = Callable[[int, str], None]


class Contents(NamedTuple):
    """Say what a pass over all rows has found.

    Attributes
    ----------
    n_rows : list of int
        Rows of every part.
    counts : list of ValueCounts
        Of every field, if they were asked for.
    dtypes : dict of str to dtype
        What holds the cells of the columns that are not encoded, by file.
    """

    n_rows: list[int]
    counts: list[ValueCounts]
    dtypes: dict[str, np.dtype[Any]]


def encode_source(
    encoder: Any,
    source: object,
    path: str | os.PathLike[str],
    y: str | None,
    w: str | None,
    *,
    fit: bool,
    grow: bool = False,
    progress: Progress = lambda n_rows, done: None,
) -> CodeTable:
    """Do the work of `FieldEncoder.encode_dataset`.

    Parameters
    ----------
    encoder : FieldEncoder
        The draft of a fit.
    source, path, y, w, fit
        As there.
    grow : bool, default=False
        Whether an encoder that is fitted gets codes for more values; it stays as it is, and that of
        the table has them.
    progress : callable, optional
        Told of the rows that are done.
    """
    place = Path(path)
    if not fit:
        check_is_fitted(encoder)
    with appearing_folder(place) as folder:
        rows = ArrowSource(source, folder / SPILLED)
        encoder, columns, contents = _learn(encoder, rows, y, w, fit, grow, progress)
        write_rows(folder, rows, columns, contents, encoder, progress)
        (folder / SPILLED).unlink(missing_ok=True)
        facts = {
            "n_rows": sum(contents.n_rows),
            "fields": columns.fields,
            "y": y,
            "sample_weight": w,
            "source": rows.fingerprint,
        }
        write_manifest(folder, facts, encoder)
    return CodeTable(place)


def learn_source(
    encoder: Any, source: object, y: str | None, w: str | None, *, fit: bool
) -> tuple[int, NDArray[Any] | None]:
    """Do the first half of `encode_source`: learn the vocabularies, and write nothing.

    Parameters
    ----------
    encoder, source, y, w, fit
        As there.

    Returns
    -------
    n_rows : int
        Number of rows.
    labels : ndarray of shape (m,), or None
        The distinct targets, if ``y`` names a column.

    Raises
    ------
    TypeError
        If the source is a stream, which can be read only once.
    """
    rows = ArrowSource(source)
    if rows.is_stream:
        raise TypeError(
            "the rows must be in files or in a pyarrow.dataset.Dataset, got a stream, which can be "
            "read only once."
        )
    *_, contents = _learn(encoder, rows, y, w, fit, False, lambda n_rows, done: None)
    if y is None:
        return sum(contents.n_rows), None
    found = [np.unique(plain_cells(batch.column(y), y)) for batch in rows.batches([y])]
    return sum(contents.n_rows), np.unique(np.concatenate(found))


def _learn(
    encoder: Any,
    rows: ArrowSource,
    y: str | None,
    w: str | None,
    fit: bool,
    grow: bool,
    progress: Progress,
) -> tuple[Any, Columns, Contents]:
    """Look through the rows; learn the vocabularies, or let them grow, if that is wanted."""
    known = None if fit else getattr(encoder, "feature_names_in_", None)
    columns = choose_columns(rows.schema, y, w, None if known is None else known.tolist())
    # What scikit-learn knows of the columns, it learns from a frame without rows.
    frame = pd.DataFrame(columns=columns.fields)
    validate_data(encoder, frame, reset=fit, skip_check_array=True)
    if fit:
        check_parameters(encoder)
        if encoder.numeric_columns == "auto":
            encoder.numeric_columns = "several"
    roles = None
    if fit or grow:
        roles = resolve_roles(encoder.get_params(deep=False), encoder._field_names())
    contents = look_through(rows, columns, roles, progress)
    n_rows = sum(contents.n_rows)
    if fit and roles is not None:
        encoder._fit_counts(contents.counts, n_rows, roles)
    elif grow:
        encoder = grow_encoder(encoder, contents.counts, n_rows)
    return encoder, columns, contents


def look_through(
    source: ArrowSource, columns: Columns, roles: Roles | None, progress: Progress
) -> Contents:
    """Count rows and, with roles, the values of every field, in one pass.

    Parameters
    ----------
    source : ArrowSource
        The rows.
    columns : Columns
        Which columns are counted.
    roles : Roles or None
        How fields are encoded; None counts rows only.
    progress : callable
        Told of the rows that are done.
    """
    tallies = [Tally() for _ in columns.fields]
    n_rows: list[int] = []
    dtypes: dict[str, np.dtype[Any]] = {}

    def look(part: Part) -> _PartContents:
        return _look_through_part(part, columns, roles, progress)

    for found in _in_order(look, source.parts):
        n_rows.append(found.n_rows)
        for j, (tally, of_part) in enumerate(zip(tallies, found.counts, strict=False)):
            if roles is not None and isinstance(of_part, BagCounts):
                with naming_field(columns.fields[j]):
                    roles.check_several(j)
            if of_part is not None:
                tally.add(of_part)
        for file, dtype in found.dtypes.items():
            dtypes[file] = np.promote_types(dtypes.get(file, dtype), dtype)
    if not sum(n_rows):
        raise ValueError("the source must have rows, got none.")
    counts = [tally.counts() for tally in tallies] if roles is not None else []
    return Contents(n_rows, counts, dtypes)


def write_rows(
    folder: Path,
    source: ArrowSource,
    columns: Columns,
    contents: Contents,
    encoder: Any,
    progress: Progress,
) -> None:
    """Write the codes of all rows, their targets and weights, as arrays of NumPy.

    Parameters
    ----------
    folder : Path
        Where the files go.
    source : ArrowSource
        The rows.
    columns : Columns
        Which columns are encoded, and which are copied.
    contents : Contents
        What the first pass has found.
    encoder : FieldEncoder
        A fitted one.
    progress : callable
        Told of the rows that are done.
    """
    n_rows = sum(contents.n_rows)
    shape = (n_rows, len(encoder.code_fields_))
    new = encoder._new_bags()
    with (
        array_file(folder / CODES, np.dtype(np.int32), shape) as codes,
        array_files(folder, contents.dtypes, n_rows) as beside,
    ):

        def write(numbered: tuple[int, Part]) -> None:
            number, part = numbered
            first = sum(contents.n_rows[:number])
            coders = [
                BatchCoder(field, None if new is None else partial(new.code, int(place)))
                for field, place in zip(encoder._fields, encoder._main_columns, strict=True)
            ]
            read = first
            for batch in part(columns.all_names):
                codes(read, _encode_batch(batch, columns.fields, coders))
                for file, name in columns.beside.items():
                    beside[file](read, plain_cells(batch.column(name), name))
                read += len(batch)
                progress(len(batch), "encoded")
            if read - first != contents.n_rows[number]:
                raise ValueError(
                    "the rows must not change while they are encoded, got "
                    f"{read - first:,} where there were {contents.n_rows[number]:,}."
                )

        for _ in _in_order(write, enumerate(source.parts)):
            pass
    if new is not None and len(new.rows().rows):
        write_new_bags(folder, new.rows())


class _PartContents(NamedTuple):
    n_rows: int
    counts: list[Strings | ValueCounts | None]
    dtypes: dict[str, np.dtype[Any]]


def _look_through_part(
    part: Part, columns: Columns, roles: Roles | None, progress: Progress
) -> _PartContents:
    counters: list[BatchCounter] = []
    if roles is not None:
        several = roles.separators
        counters = [
            BatchCounter(_dropped(roles, j), j in several, several.get(j))
            for j in range(len(columns.fields))
        ]
    names = columns.all_names if counters else list(columns.beside.values())
    n_rows = 0
    dtypes: dict[str, np.dtype[Any]] = {}
    # A column at least, or there would be no batches.
    for batch in part(names or columns.fields[:1]):
        n_rows += len(batch)
        for counter, name in zip(counters, columns.fields, strict=False):
            with naming_field(name):
                counter.add(batch.column(name))
        for file, name in columns.beside.items():
            dtype = plain_cells(batch.column(name), name).dtype
            dtypes[file] = np.promote_types(dtypes.get(file, dtype), dtype)
        progress(len(batch), "counted")
    return _PartContents(n_rows, [counter.result() for counter in counters], dtypes)


def _dropped(roles: Roles, j: int) -> Callable[[Kind], bool]:
    """Return what tells which kinds of a field are hashed whatever other rows hold."""
    if j in roles.buckets:
        return lambda kind: True
    numeric = roles.numeric is not None and j in roles.numeric
    hashed = roles.other_buckets is not None and not numeric
    # Integers may turn out to be floats, which are binned.
    return lambda kind: hashed and kind == "other"


def _encode_batch(batch: Any, fields: list[str], coders: list[BatchCoder]) -> NDArray[np.int32]:
    found: list[NDArray[np.int32]] = []
    for name, coder in zip(fields, coders, strict=True):
        with naming_field(name):
            found += coder.codes(batch.column(name))
    return np.stack(found, axis=1)


def _in_order(function: Callable[[Any], Result], items: Iterable[Any]) -> Iterator[Result]:
    """Call a function for items in threads, as many as pyarrow has; yield results in order.

    Few calls are under way at a time, so that few results wait in memory.
    """
    n_threads = import_module("pyarrow").cpu_count()
    if n_threads == 1:
        yield from map(function, items)
        return
    with ThreadPoolExecutor(n_threads) as executor:
        waiting: deque[Any] = deque()
        try:
            for item in items:
                waiting.append(executor.submit(function, item))
                if len(waiting) > n_threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
