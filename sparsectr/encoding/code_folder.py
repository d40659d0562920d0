"""The folder of a code table: it appears when it is complete, and says what is in it."""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from sparsectr.encoding.code_table import ENCODER, FORMAT, MANIFEST, read_manifest


def write_manifest(folder: Path, facts: dict[str, Any], encoder: Any) -> None:
    """Write the encoder, and last what says what is in the folder.

    Parameters
    ----------
    folder : Path
        Of the code table.
    facts : dict
        What the writer of the rows knows of them.
    encoder : FieldEncoder
        A fitted one.
    """
    with (folder / ENCODER).open("wb") as file:
        pickle.dump(encoder, file, protocol=pickle.HIGHEST_PROTOCOL)
    manifest = {
        "code_table": FORMAT,
        "sparsectr": version("sparsectr"),
        "numpy": np.__version__,
        "code_fields": encoder.code_fields_.tolist(),
        "vocabulary_sizes": encoder.vocabulary_sizes_.tolist(),
        "encoder": digest_fields(encoder),
    }
    text = json.dumps(manifest | facts, indent=1)
    (folder / MANIFEST).write_text(text, encoding="utf-8")


@contextmanager
def appearing_folder(path: Path) -> Iterator[Path]:
    """Yield a folder beside a path that takes its place when the block has ended well.

    A code table that was there is replaced.

    Raises
    ------
    ValueError
        If there is something else at this place.
    """
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        try:
            read_manifest(path)
        except ValueError as error:
            raise ValueError(
                "path must be a new folder, an empty one or that of a code table, got "
                f"{str(path)!r}."
            ) from error
    path.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        yield made
        old = made.with_name(f"{made.name}-old")
        if path.exists():
            path.rename(old)
        made.rename(path)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def digest(encoder: BaseEstimator) -> str:
    """Return a digest of what an encoder will learn of the same rows: of its parameters."""
    parameters = sorted(encoder.get_params(deep=False).items())
    return hashlib.sha256(repr(parameters).encode("utf-8", "surrogatepass")).hexdigest()


def digest_fields(encoder: Any) -> str:
    """Return a digest of what a fitted encoder makes of values."""
    hashed = hashlib.sha256()
    for field in encoder._fields:
        for column in field:
            _update(hashed, type(column).__name__, None)
            stored = column.__getstate__()
            for name in sorted(stored):
                _update(hashed, name, stored[name])
    return hashed.hexdigest()


def _update(hashed: Any, name: str, value: Any) -> None:
    hashed.update(name.encode())
    if isinstance(value, np.ndarray) and value.dtype != object:
        hashed.update(str((value.dtype, value.shape)).encode())
        hashed.update(np.ascontiguousarray(value).tobytes())
        return
    values = value.tolist() if isinstance(value, np.ndarray) else [value]
    for entry in values:
        hashed.update(repr(entry).encode("utf-8", "surrogatepass"))
