"""Where machine code is kept between processes, and until when it counts.

The machine code of a function holds that of the functions it calls. numba looks at the file of the
function alone, so after a change of another file it would run old code. Here machine code is kept
under a digest of everything that it depends on: all files of this folder, numba with its settings,
and llvmlite. numba itself keeps the code of different processors and versions of Python apart.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite
import numba
import numpy as np
from numba.core import caching, sigutils

# All kernels for a CPU: machine code of one holds that of the others that it calls.
PACKAGE = __name__.removesuffix(".machine.cache")
FOLDER = Path(__file__).parents[1]
# Settings of numba that change machine code and that it does not keep apart. Those of the processor
# it does.
SETTINGS = (
    "BOUNDSCHECK",
    "DEBUGINFO_DEFAULT",
    "DISABLE_INTEL_SVML",
    "EXTEND_VARIABLE_LIFETIMES",
    "LLVM_REFPRUNE_FLAGS",
    "LLVM_REFPRUNE_PASS",
    "LOOP_VECTORIZE",
    "OPT",
    "SLP_VECTORIZE",
)
# Digests kept side by side, say of several environments and checkouts: about 20 MB each.
MOST_KEPT = 8
DIGEST_LENGTH = 32


class KernelCache(caching.FunctionCache):  # type: ignore[misc]
    """Keep the machine code of one function, without ever standing in the way of a fit.

    Parameters
    ----------
    function : callable
        Of a file of this folder.
    folder : Path
        From `cache_folder`.
    """

    def __init__(self, function: Callable[..., Any], folder: Path) -> None:
        def files_of(function: Callable[..., Any]) -> _Kept:
            return _Kept(function, _Locator(function, folder))

        self._impl_class: Any = files_of
        super().__init__(function)  # type: ignore[no-untyped-call]

    def load_overload(self, signature: Any, target: Any) -> Any:
        """Return the kept result of compilation, or None: then it is compiled anew."""
        try:
            result = super().load_overload(signature, target)  # type: ignore[no-untyped-call]
        except Exception:  # a damaged file may raise anything
            with suppress(OSError):
                self.flush()  # type: ignore[no-untyped-call]
            return None
        # Two processes that save at the same moment may take one name for two signatures.
        arguments, _ = sigutils.normalize_signature(signature)
        return result if result and tuple(result.signature.args) == tuple(arguments) else None

    def save_overload(self, signature: Any, result: Any) -> None:
        """Keep a result of compilation, if there is scratch and the folder can be written."""
        with suppress(Exception):
            super().save_overload(signature, result)  # type: ignore[no-untyped-call]


class _Kept(caching.CompileResultCacheImpl):  # type: ignore[misc]
    """Name the files of a function; where they lie has been decided."""

    def __init__(self, function: Callable[..., Any], locator: _Locator) -> None:
        self._lineno, self._locator = function.__code__.co_firstlineno, locator
        name = f"{function.__module__.removeprefix(f'{PACKAGE}.')}.{function.__qualname__}"
        abi = getattr(sys, "abiflags", "")
        self._filename_base = self.get_filename_base(name, abi)  # type: ignore[no-untyped-call]


class _Locator(caching._CacheLocator):  # type: ignore[misc]
    def __init__(self, function: Callable[..., Any], folder: Path) -> None:
        self._py_file = function.__code__.co_filename
        self._lineno, self._folder = function.__code__.co_firstlineno, folder

    def get_cache_path(self) -> str:
        return str(self._folder)

    def get_source_stamp(self) -> str:
        return self._folder.name

    def get_disambiguator(self) -> str:
        return str(self._lineno)


def keep_machine_code(kernel: Any, function: Callable[..., Any]) -> None:
    """Let a compiled function of this folder keep its machine code on disk, if there is a place."""
    module = function.__module__
    if not module.startswith(f"{PACKAGE}.") or not _unchanged(module):
        return
    folder = cache_folder()
    if folder is not None:
        kernel._cache = KernelCache(function, folder)


@cache
def cache_folder() -> Path | None:
    """Return the folder of this version's machine code, None if nothing can be kept.

    The first of these that can be written, or that holds machine code of this version already:
    ``NUMBA_CACHE_DIR``, the user's cache folder, and a folder of the user in that for temporary
    files. Files of a cache are code that will run. So the last two must belong to the user, and
    nobody else may write there. Those of old versions are deleted, the longest unused first.
    """
    try:
        digest = digest_of(_sources())
    except OSError:  # the package lies in an archive
        return None
    for find in (_given_folder, _user_folder, _temporary_folder):
        try:
            root, is_private = find()
            if root is not None and (folder := _open(root, digest, is_private)):
                return folder
        except OSError:
            continue
    return None


def digest_of(files: list[Path]) -> str:
    """Return what stands for machine code made of these files by this numba with its settings."""
    settings = [getattr(numba.config, name, None) for name in SETTINGS]
    versions = (numba.__version__, llvmlite.__version__, np.__version__, sys.version)
    total = hashlib.sha256(repr((versions, [str(setting) for setting in settings])).encode())
    for file in files:
        content = file.read_bytes()
        name = file.relative_to(FOLDER).as_posix() if FOLDER in file.parents else file.name
        total.update(repr((name, len(content))).encode())
        total.update(content)
    return total.hexdigest()[:DIGEST_LENGTH]


def _sources() -> list[Path]:
    """Return the files of which kernels are made; a frozen program is one file."""
    if getattr(sys, "frozen", False):
        return [Path(sys.executable)]
    return sorted(
        file
        for file in FOLDER.rglob("*.py*")
        if file.suffix in {".py", ".pyc"} and file.parent.name != "__pycache__"
    )


def _stamps() -> tuple[tuple[str, int, int], ...] | None:
    """Return name, size and time of every source, None if they cannot be read."""
    try:
        found = [(str(file), file.stat()) for file in _sources()]
    except OSError:
        return None
    return tuple((name, status.st_size, status.st_mtime_ns) for name, status in found)


_AT_IMPORT = _stamps()


@cache
def _unchanged(module: str) -> bool:
    """Return whether the sources are still those of the digest, now that a module is imported.

    Modules are imported when they are needed, hours after the first perhaps. What an update did in
    between must not be kept under the digest of before.
    """
    return _stamps() == _AT_IMPORT


# Places ----------------------------------------------------------------------------------


def _given_folder() -> tuple[Path | None, bool]:
    given = numba.config.CACHE_DIR  # type: ignore[attr-defined]
    return (Path(given) / "sparsectr" if given else None), False


def _user_folder() -> tuple[Path | None, bool]:
    home = os.path.expanduser("~")  # not Path.home, which fails for a user without one
    if sys.platform == "win32":
        parent = os.environ.get("LOCALAPPDATA", "")
    elif sys.platform == "darwin":
        parent = os.path.join(home, "Library", "Caches")
    else:
        parent = os.environ.get("XDG_CACHE_HOME", "")
        if not os.path.isabs(parent):
            parent = os.path.join(home, ".cache") if os.path.isdir(home) else ""
    return (Path(parent) / "sparsectr" if os.path.isabs(parent) else None), True


def _temporary_folder() -> tuple[Path | None, bool]:
    user = os.geteuid() if hasattr(os, "geteuid") else "user"
    return Path(tempfile.gettempdir()) / f"sparsectr-{user}", True


def _open(root: Path, digest: str, is_private: bool) -> Path | None:
    """Return the folder of a digest, made if need be; None if it cannot be made or trusted."""
    folder = root / digest
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        root.mkdir(0o700 if is_private else 0o777, exist_ok=True)
        if is_private and not _is_private(root):
            return None
        is_new = not folder.exists()
        folder.mkdir(exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()  # also marks the folder as used now
    except OSError:
        # Made in advance, it serves where nothing can be written.
        readable = folder.is_dir() and os.access(folder, os.R_OK | os.X_OK)
        return folder if readable and (not is_private or _is_private(root)) else None
    if is_new:
        _forget_old(root, folder)
    return folder


def _is_private(folder: Path) -> bool:
    """Return whether a folder is the user's own, and nobody else can write there."""
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode):
        return False
    if not hasattr(os, "geteuid"):  # Windows: the folders are those of the user's profile
        return True
    return status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _forget_old(root: Path, current: Path) -> None:
    """Delete the machine code of all but the most recently used digests.

    A process that still uses such a folder compiles, and makes it anew.
    """
    name = re.compile(f"[0-9a-f]{{{DIGEST_LENGTH}}}")
    others = []
    for folder in root.iterdir():
        if name.fullmatch(folder.name) and folder != current:
            try:
                others.append((folder.lstat().st_mtime_ns, folder))
            except OSError:  # another process was faster
                continue
    for _, folder in sorted(others, reverse=True)[MOST_KEPT - 1 :]:
        shutil.rmtree(folder, ignore_errors=True)
