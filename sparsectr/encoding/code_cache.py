"""Codes of sources for one fit, in a folder that is kept, or in one that is removed."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from sparsectr.encoding.arrow_source import ArrowSource, as_paths
from sparsectr.encoding.code_folder import digest, digest_fields
from sparsectr.encoding.code_table import FORMAT, MANIFEST, CodeTable
from sparsectr.encoding.code_writer import Progress, encode_source
from sparsectr.encoding.field_encoder import FieldEncoder


class CodeCache:
    """Encode sources, or find their codes again.

    Enter it as a context: a temporary folder is removed at the end, whatever happens.

    Parameters
    ----------
    folder : str, path or None
        Where codes are kept, each table in a folder that is named by a digest of the files (names,
        sizes and times), of the columns and of the encoder. None: in a temporary folder.
    progress : callable
        Told of the rows that are done.
    """

    def __init__(self, folder: str | os.PathLike[str] | None, progress: Progress) -> None:
        self.folder = None if folder is None else Path(folder)
        self.progress = progress
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._n_temporary = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._temporary is not None:
            self._temporary.cleanup()

    def encode(
        self,
        encoder: FieldEncoder,
        source: object,
        y: str | None,
        w: str | None,
        *,
        fit: bool,
        grow: bool = False,
    ) -> CodeTable:
        """Return the codes of a source.

        Parameters
        ----------
        encoder : FieldEncoder
            To be fitted, or a fitted one whose vocabularies stay.
        source : object
            See `FieldEncoder.encode_dataset`.
        y, w : str or None
            Columns with targets and weights.
        fit : bool
            Whether the encoder learns from these rows.
        grow : bool, default=False
            Whether the encoder of the table gets codes for more values. Such a table is not kept:
            it depends on all rows so far, which do not come again.
        """
        path = self._new_place() if grow else self._find_place(encoder, source, y, w, fit)
        if (path / MANIFEST).exists():
            return CodeTable(path)
        progress = self.progress
        return encode_source(encoder, source, path, y, w, fit=fit, grow=grow, progress=progress)

    def _find_place(
        self, encoder: FieldEncoder, source: object, y: str | None, w: str | None, fit: bool
    ) -> Path:
        # A stream is read once: whether it comes again, nobody knows.
        named = as_paths(source) is not None or hasattr(source, "files")
        files = ArrowSource(source).fingerprint if self.folder is not None and named else None
        if files is None:
            return self._new_place()
        facts = [FORMAT, files, y, w, fit, digest(encoder)]
        facts += [] if fit else [digest_fields(encoder)]
        name = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]
        return Path(self.folder or "") / name

    def _new_place(self) -> Path:
        if self._temporary is None:
            if self.folder is not None:
                self.folder.mkdir(parents=True, exist_ok=True)
            self._temporary = tempfile.TemporaryDirectory(
                prefix="sparsectr-", dir=self.folder, ignore_cleanup_errors=True
            )
        self._n_temporary += 1
        return Path(self._temporary.name) / str(self._n_temporary)
