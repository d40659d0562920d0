"""How files come here: resumed downloads, checksums, archives.

scikit-learn's own fetchers, and pooch, start a broken download over: too dear at 4.6 GB.
"""

import gzip
import hashlib
import logging
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from http.client import HTTPException
from os import PathLike
from pathlib import Path, PurePosixPath
from typing import IO, Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen
from zipfile import ZipFile, is_zipfile

from sklearn.datasets import get_data_home

N_RETRIES = 3
RETRY_DELAY = 1.0  # seconds
TIMEOUT = 60.0  # seconds without a byte
BLOCK_BYTES = 2**20

logger = logging.getLogger(__name__)


def data_folder(name: str, data_home: str | PathLike[str] | None) -> Path:
    """Name the folder of a data set within scikit-learn's `data_home`."""
    return Path(get_data_home(data_home), "sparsectr", name)


def download(url: str, path: Path, *, md5: str | None = None, allowed: bool = True) -> Path:
    """Download a file to `path` unless it is there, resuming where an earlier attempt broke off.

    What has come so far is kept in ``<path>.part``, over retries and over processes. The file gets
    its name once it is complete and has the right checksum.

    Raises
    ------
    OSError
        If the file does not come, or has the wrong checksum, or is missing and not `allowed` to
        be downloaded.
    """
    if path.exists():
        with path.open("rb") as file:
            check_md5(file, md5, f"{path}; delete it to download it again")
        return path
    if not allowed:
        raise FileNotFoundError(
            f"{path} must exist if download_if_missing=False; set it to True, or bring the file "
            f"from {url}."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    _transfer_with_retries(url, part)
    try:
        with part.open("rb") as file:
            check_md5(file, md5, url)
    except OSError:
        part.unlink()  # resuming could never mend it
        raise
    return part.rename(path)


def check_md5(file: IO[bytes], expected: str | None, source: str) -> None:
    """Raise OSError if a checksum was published and the file has another one."""
    if expected is None:
        return
    digest = hashlib.md5(usedforsecurity=False)
    while block := file.read(BLOCK_BYTES):
        digest.update(block)
    if (found := digest.hexdigest()) != expected:
        raise OSError(f"The MD5 checksum must be {expected}, got {found} from {source}.")


def check_members(archive: Path, md5: Mapping[str, str]) -> None:
    """Raise OSError, and remove the zip, unless it holds files of these names and checksums."""
    try:
        for name, expected in md5.items():
            with open_member(archive, name) as file:
                check_md5(file, expected, f"{name} in {archive}")
    except (OSError, ValueError):
        archive.unlink()
        raise


def find_download(path: str | PathLike[str] | None, usual: Path, page: str) -> Path:
    """Find what only its owner may hand out: at `path`, or where it usually is put.

    Raises
    ------
    FileNotFoundError
        If it is not there; the message says where to get it and where to put it.
    """
    found = usual if path is None else Path(path)
    if not found.exists():
        raise FileNotFoundError(
            f"{found} must exist: this data set cannot be downloaded without a person. Get "
            f"{usual.name} from {page} and put it at {usual}, or pass its place as path."
        )
    return found


@contextmanager
def open_member(path: Path, *names: str) -> Iterator[IO[bytes]]:
    """Open a file, or the first file of these names within a zip, and undo gzip."""
    with ExitStack() as stack:
        name = path.name
        file: Any = stack.enter_context(path.open("rb"))
        if is_zipfile(path):
            archive = stack.enter_context(ZipFile(file))
            members = [m for m in archive.namelist() if PurePosixPath(m).name in names]
            if not members:
                raise ValueError(f"{path} must hold {' or '.join(names)}, got other files.")
            name = members[0]
            file = stack.enter_context(archive.open(name))
        if name.endswith(".gz"):
            file = stack.enter_context(gzip.open(file))
        yield file


def _transfer_with_retries(url: str, part: Path) -> None:
    failure: Exception
    for attempt in range(1 + N_RETRIES):
        if attempt:
            time.sleep(RETRY_DELAY)
        logger.info("Downloading %s", url)
        try:
            _transfer(url, part)
            return
        except HTTPError as error:
            if error.code < 500:  # asking again will not help
                raise
            failure = error
        except (OSError, HTTPException) as error:
            failure = error
    raise OSError(
        f"{url} did not come in {1 + N_RETRIES} attempts ({failure}). What came is in {part}; "
        "call again to go on from there."
    ) from failure


def _transfer(url: str, part: Path) -> None:
    """Write what `part` lacks, or all of it where the server knows no ranges."""
    held = part.stat().st_size if part.exists() else 0
    request = Request(url, headers={"Range": f"bytes={held}-"} if held else {})
    try:
        response = urlopen(request, timeout=TIMEOUT)
    except HTTPError as error:
        error.close()  # it is also the connection
        if error.code != 416:
            raise
        # No byte lies beyond what we hold: it is complete, or it is not of this file.
        if error.headers.get("Content-Range") == f"bytes */{held}":
            return
        part.unlink()
        raise ConnectionError(f"{part} was longer than {url}") from error
    with response:
        resumed = response.status == 206  # None for file: addresses
        if resumed and not response.headers["Content-Range"].startswith(f"bytes {held}-"):
            raise ConnectionError(f"asked for bytes from {held} on and got others")
        length = response.headers.get("Content-Length")
        with part.open("ab" if resumed else "wb") as file:
            shutil.copyfileobj(response, file, BLOCK_BYTES)
    # A connection that closes early looks like the end of the file.
    size = part.stat().st_size
    if length is not None and size != int(length) + held * resumed:
        raise ConnectionError(f"the connection closed after {size} bytes")
