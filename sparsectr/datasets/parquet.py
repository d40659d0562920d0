"""Streaming conversion to Parquet files, one per subset, and loading them."""

import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.utils import Bunch, check_random_state

try:
    import pyarrow as pa
    from pyarrow import csv
    from pyarrow import dataset as arrow_dataset
    from pyarrow import parquet as pq
except ImportError:  # only the fetchers need it
    pa = None

SUBSETS = ("train", "validation", "test")
# Bytes of text that become one chunk. Criteo's 40 columns are converted within 0.6 GB at this size.
CHUNK_BYTES = 2**23

Part = tuple[str, pd.DataFrame]  # the subset a chunk of rows belongs to, and the rows


class Split(NamedTuple):
    """A random split."""

    train: float
    validation: float
    test: float
    seed: int


class Source(NamedTuple):
    """What a fetcher tells about its data set."""

    target: str
    target_names: tuple[str, str]
    description: str  # file in data/
    min_frequency: int = 1


def check_request(subset: str, n_rows: int | None, subsets: Sequence[str] = SUBSETS) -> None:
    """Refuse what cannot be answered, before anything is downloaded."""
    if pa is None:
        raise ImportError(
            'Fetching data sets needs pyarrow; install it with pip install "sparsectr[data]".'
        )
    allowed = [*subsets, "all"]
    if subset not in allowed:
        raise ValueError(f"subset must be one of {allowed}, got {subset!r}.")
    if n_rows is not None and (not isinstance(n_rows, int) or n_rows < 0):
        raise ValueError(f"n_rows must be an int >= 0 or None, got {n_rows!r}.")


def check_paper(paper: str, papers: Iterable[str]) -> None:
    """Refuse a paper whose preparation is not known."""
    if paper not in (known := [*papers]):
        raise ValueError(f"paper must be one of {known}, got {paper!r}.")


def read_text(
    file: IO[bytes],
    columns: Sequence[str],
    *,
    delimiter: str = ",",
    header: bool = False,
    missing: Sequence[str] = ("",),
    encoding: str = "utf-8",
) -> Iterator[pd.DataFrame]:
    """Read a table of unquoted text as chunks of Arrow strings, nulls where `missing` stands."""
    reader = csv.open_csv(
        file,
        csv.ReadOptions(
            column_names=list(columns),
            skip_rows=int(header),
            block_size=CHUNK_BYTES,
            encoding=encoding,
        ),
        csv.ParseOptions(delimiter=delimiter, quote_char=False),
        csv.ConvertOptions(
            column_types=dict.fromkeys(columns, pa.string()),
            null_values=list(missing),
            strings_can_be_null=True,
        ),
    )
    for batch in reader:
        yield batch.to_pandas(types_mapper=pd.ArrowDtype)


def split_randomly(chunks: Iterable[pd.DataFrame], split: Split) -> Iterator[Part]:
    """Deal rows out to the subsets, each row on its own.

    The outcome depends on the seed and the order of the rows, not on the size of the chunks.
    """
    # RandomState's streams are frozen for good, unlike those of numpy's newer generators.
    rng = check_random_state(split.seed)
    bounds = np.cumsum([split.train, split.validation])
    for chunk in chunks:
        dealt = np.searchsorted(bounds, rng.random_sample(len(chunk)), side="right")
        for i, subset in enumerate(SUBSETS):
            yield subset, chunk[dealt == i]


def write_parquet(parts: Iterable[Part], folder: Path) -> None:
    """Write ``<folder>/<subset>.parquet``, holding one part at a time.

    The folder appears when it is complete.
    """
    partial = folder.with_name(folder.name + ".part")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    writers: dict[str, Any] = {}
    with ExitStack() as stack:
        for subset, frame in parts:
            if subset not in writers:
                # The metadata would make pandas undo the categories that load_subset asks for.
                schema = pa.Schema.from_pandas(frame, preserve_index=False).remove_metadata()
                path = partial / f"{subset}.parquet"
                writer = pq.ParquetWriter(path, schema, compression="zstd")
                writers[subset] = stack.enter_context(writer)
            writer = writers[subset]
            writer.write_table(
                pa.Table.from_pandas(frame, schema=writer.schema, preserve_index=False)
            )
    partial.rename(folder)


def load_subset(
    folder: Path,
    subset: str,
    n_rows: int | None,
    source: Source,
    *,
    return_X_y: bool,
    as_frame: bool,
) -> Any:
    """Load what `write_parquet` wrote, as the result of a fetcher."""
    files = {name: folder / f"{name}.parquet" for name in SUBSETS}
    files = {name: path for name, path in files.items() if path.exists()}
    frame = _read_parquet([*files.values()] if subset == "all" else [files[subset]], n_rows)
    data: Any = frame.drop(columns=source.target)
    target: Any = frame[source.target]
    feature_names = data.columns.tolist()
    if not as_frame:
        data, target = data.to_numpy(dtype=object), target.to_numpy(dtype=np.int64)
    if return_X_y:
        return data, target
    description = Path(__file__).parent / "data" / source.description
    return Bunch(
        data=data,
        target=target,
        frame=frame if as_frame else None,
        feature_names=feature_names,
        target_names=list(source.target_names),
        min_frequency=source.min_frequency,
        DESCR=description.read_text(encoding="utf-8"),
        filenames={name: str(path) for name, path in files.items()},
    )


def _read_parquet(paths: list[Path], n_rows: int | None) -> pd.DataFrame:
    """Read the rows in order, strings as categories: 4 bytes each and every value once."""
    strings = [
        field.name
        for field in pq.read_schema(paths[0])
        if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)
    ]
    style = arrow_dataset.ParquetFileFormat(dictionary_columns=strings)
    rows = arrow_dataset.dataset([str(path) for path in paths], format=style)
    table = rows.to_table() if n_rows is None else rows.head(n_rows)
    return table.to_pandas()
