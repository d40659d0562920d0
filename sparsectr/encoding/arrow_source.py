"""Rows of files, datasets and streams as Arrow's record batches. pyarrow is optional."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, TypeAlias

import narwhals as nw

from sparsectr.encoding.containers import first_line
from sparsectr.parameters import describe

# Columns to record batches of these columns, in the order of the rows.
Part: TypeAlias = Callable[[list[str]], Iterator[Any]]

# What the names of files end in, by format of pyarrow.dataset.
SUFFIXES = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".arrow": "ipc",
    ".ipc": "ipc",
    ".feather": "ipc",
}
WHAT_IS_A_SOURCE = (
    "the rows must come from a path, a pattern or a list of paths (Parquet, CSV or Arrow IPC), a "
    "pyarrow.dataset.Dataset or an Arrow stream"
)
# What `pandas.read_csv` takes for missing.
MISSING_TEXTS = [
    *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN"),
    *("<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"),
]
# Rows of a batch: enough for arrays, and a few MB.
BATCH_ROWS = 1 << 16


class ArrowSource:
    """Read the rows of a source as often as needed, some batches at a time.

    Parameters
    ----------
    source : str, path, list of them, pyarrow.dataset.Dataset or Arrow stream
        Where the rows are.
    spill : Path, optional
        Where the rows of a stream are written, because a stream can be read only once. Without
        it, a stream is read only once.

    Attributes
    ----------
    schema : pyarrow.Schema
        Names and types of the columns.
    fingerprint : dict or None
        Names, sizes and times of the files, and the columns; None where there are no files.

    Raises
    ------
    ValueError
        If there are no such files, or Arrow cannot read them.
    TypeError
        If the source is none of these.
    ImportError
        If pyarrow is not installed.
    """

    def __init__(self, source: object, spill: Path | None = None) -> None:
        self._dataset: Any = None
        self._stream: Any = None
        self._spill: Path | None = None
        dataset = load_dataset()
        if isinstance(source, dataset.Dataset):
            self._dataset = source
        elif (paths := as_paths(source)) is not None:
            self._dataset = _open_files(paths)
        elif hasattr(source, "__arrow_c_stream__"):
            self._open_stream(source, spill)
        else:
            raise TypeError(f"{WHAT_IS_A_SOURCE}, got {describe(source)}.")
        origin: Any = self._stream if self._dataset is None else self._dataset
        self.schema = origin.schema
        repeated = {name for name in self.schema.names if self.schema.names.count(name) > 1}
        if repeated:
            raise ValueError(
                f"the columns of a source must have different names, repeated: {sorted(repeated)}."
            )
        self.fingerprint = _fingerprint(self._dataset, self.schema)

    @property
    def is_stream(self) -> bool:
        """Whether the rows come from a stream."""
        return self._dataset is None

    @property
    def parts(self) -> list[Part]:
        """Parts of the rows, in their order, that can be read at the same time."""
        if self._dataset is None:
            return [self._read_stream]
        try:
            fragments = list(self._dataset.get_fragments())
        except ValueError:  # with a filter, a dataset does not tell its fragments
            return [partial(_read, self._dataset, None)]
        pieces: list[Any] = []
        for fragment in fragments:
            split = getattr(fragment, "split_by_row_group", None)
            pieces += [fragment] if split is None else split()
        schema = self.schema
        return [partial(_read, piece, schema) for piece in pieces]

    def batches(self, names: list[str]) -> Iterator[Any]:
        """Yield record batches of these columns, in the order of the rows."""
        for part in self.parts:
            yield from part(names)

    def _open_stream(self, source: object, spill: Path | None) -> None:
        pa: Any = import_module("pyarrow")
        reader = pa.RecordBatchReader.from_stream(source)
        if spill is None:
            self._stream = reader
            return
        with pa.ipc.new_stream(str(spill), reader.schema) as writer:
            for batch in reader:
                writer.write_batch(batch)
        self._spill = spill
        self._stream = reader

    def _read_stream(self, names: list[str]) -> Iterator[Any]:
        if self._spill is None:
            yield from (_select(batch, names) for batch in self._stream if len(batch))
            return
        pa: Any = import_module("pyarrow")
        with pa.memory_map(str(self._spill)) as file, pa.ipc.open_stream(file) as reader:
            for batch in reader:
                for start in range(0, len(batch), BATCH_ROWS):
                    yield _select(batch.slice(start, BATCH_ROWS), names)


def is_source(X: object) -> bool:
    """Tell whether X names rows that are not in memory, instead of being a table.

    Parameters
    ----------
    X : object
        What a user has passed as a table.
    """
    if as_paths(X) is not None:
        return True
    kind = type(X)
    if kind.__module__.startswith("pyarrow._dataset") and hasattr(X, "to_batches"):
        return True
    return (
        hasattr(X, "__arrow_c_stream__")
        and not hasattr(X, "__arrow_c_array__")  # a record batch is a table
        and not nw.dependencies.is_into_dataframe(X)
        and not nw.dependencies.is_into_series(X)
    )


def as_paths(source: object) -> list[str] | None:
    """Return the paths that a source names, patterns as they are; None if it names none."""
    if isinstance(source, str | os.PathLike):
        return [os.fspath(source)]
    if not (isinstance(source, list | tuple) and source):
        return None
    paths = [path for path in source if isinstance(path, str | os.PathLike)]
    return [os.fspath(path) for path in paths] if len(paths) == len(source) else None


def load_dataset() -> Any:
    """Import pyarrow.dataset, or say what to install."""
    try:
        return import_module("pyarrow.dataset")
    except ImportError as error:
        raise ImportError(
            "reading files needs the package pyarrow; install it by pip install 'sparsectr[data]'."
        ) from error


def _open_files(paths: list[str]) -> Any:
    """Open files as a dataset whose strings are read as dictionaries, where the format has them."""
    dataset = load_dataset()
    found: list[str] = []
    for path in paths:
        if glob.has_magic(path) and not os.path.exists(path):
            matches = sorted(glob.glob(path, recursive=True))
            if not matches:
                raise ValueError(f"the rows must be in files that exist, got none for {path!r}.")
            found += matches
        else:
            found.append(path)
    for path in found:
        if "://" not in path and not os.path.exists(path):
            raise ValueError(f"the rows must be in files that exist, got {path!r}.")
    style = _format_of(found)
    where = found[0] if len(found) == 1 else found
    try:
        opened = _open_csv(where) if style == "csv" else dataset.dataset(where, format=style)
        strings = [field.name for field in opened.schema if _is_string(field.type)]
        if style == "parquet" and strings:
            # Each distinct string is read once, and not for every row.
            options = dataset.ParquetFileFormat(dictionary_columns=strings)
            opened = dataset.dataset(where, format=options)
    except (OSError, ValueError) as error:  # Arrow's errors are either
        raise ValueError(f"Arrow must be able to read the files: {first_line(error)}") from error
    return opened


def _open_csv(where: str | list[str]) -> Any:
    """Open CSV files so that their columns are what `pandas.read_csv` makes of them.

    Models that are fitted on files predict frames, and the other way round: dates are text, and
    what pandas takes for missing is missing.
    """
    pa, dataset = import_module("pyarrow"), load_dataset()
    csv = import_module("pyarrow.csv")
    options = csv.ConvertOptions(null_values=MISSING_TEXTS, strings_can_be_null=True)
    style = dataset.CsvFileFormat(convert_options=options)
    fields = [
        field.with_type(pa.string()) if pa.types.is_temporal(field.type) else field
        for field in dataset.dataset(where, format=style).schema
    ]
    return dataset.dataset(where, format=style, schema=pa.schema(fields))


def _format_of(paths: Sequence[str]) -> str:
    files = [Path(file) for path in paths for file in _files_of(path)]
    formats = {SUFFIXES.get(file.suffix.lower()) for file in files}
    if len(formats) == 1 and None not in formats:
        return str(formats.pop())
    endings = sorted({file.suffix or file.name for file in files})
    raise ValueError(
        f"the files must end in one of {', '.join(SUFFIXES)}, and be of one format, got "
        f"{describe(endings)}; open others by pyarrow.dataset.dataset."
    )


def _files_of(path: str) -> list[str]:
    if not os.path.isdir(path):
        return [path]
    inside = [str(file) for file in sorted(Path(path).rglob("*")) if file.is_file()]
    return [file for file in inside if not Path(file).name.startswith((".", "_"))] or [path]


def _is_string(kind: Any) -> bool:
    types = import_module("pyarrow").types
    return bool(types.is_string(kind) or types.is_large_string(kind))


def _read(piece: Any, schema: Any, names: list[str]) -> Iterator[Any]:
    """Read columns of a fragment or of a dataset."""
    options = {} if schema is None else {"schema": schema}
    # One thread: others read other fragments.
    batches = piece.to_batches(columns=names, batch_size=BATCH_ROWS, use_threads=False, **options)
    try:
        yield from (batch for batch in batches if len(batch))
    except (OSError, ValueError) as error:
        advice = ""
        if getattr(getattr(piece, "format", None), "default_extname", "") == "csv":
            # Types are those of the first rows; a later one of another type is met only here.
            advice = (
                " Name the type yourself: pyarrow.dataset.dataset(paths, format='csv', schema=...)."
            )
        raise ValueError(
            f"Arrow must be able to read the rows: {first_line(error)}.{advice}"
        ) from error


def _select(batch: Any, names: list[str]) -> Any:
    return batch.select(names)


def _fingerprint(dataset: Any, schema: Any) -> dict[str, Any] | None:
    files = getattr(dataset, "files", None)
    if not files:
        return None
    infos = dataset.filesystem.get_file_info(files)
    # With a filter or other columns, the same files are other rows.
    options = getattr(dataset, "_scan_options", None) or {}
    return {
        "files": [[info.path, info.size, info.mtime_ns] for info in infos],
        "columns": [[field.name, str(field.type)] for field in schema],
        "options": {name: str(value) for name, value in options.items()},
    }
