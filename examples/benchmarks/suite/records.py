"""JSON lines: one record per line, appended and never changed."""

import json
import os
import platform
import subprocess
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ["sparsectr", "torch", "numpy", "pandas", "scikit-learn"]
PACKAGES += ["lightgbm", "catboost", "deepctr-torch", "fuxictr"]

Record = dict[str, Any]


def parse(text: str) -> Any:
    """Read JSON; keys that are whole numbers become numbers again (``n_crosses``)."""

    def number_keys(pairs: dict[str, Any]) -> dict[Any, Any]:
        return {int(key) if key.isdigit() else key: value for key, value in pairs.items()}

    return json.loads(text, object_hook=number_keys)


def normalise(value: Any) -> Any:
    """Return a value as it comes back from a file."""
    return parse(json.dumps(value))


def read_records(path: Path) -> list[Record]:
    """Read all records of a file; there are none if there is no file."""
    return [parse(line) for line in path.read_text().splitlines()] if path.exists() else []


def append_record(path: Path, record: Record) -> None:
    """Write one line in one go, so that processes may share the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")


def find_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that are there."""
    return {"python": platform.python_version()} | dict(_installed(PACKAGES))


def _installed(names: list[str]) -> Iterator[tuple[str, str]]:
    for name in names:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            continue


def find_commit(folder: Path) -> str:
    """Return the commit of a checkout, with a plus if tracked code differs from it."""

    changed = _git(folder, "status", "--porcelain", "--untracked-files=no", "--", "*.py", "*.toml")
    return _git(folder, "rev-parse", "--short=12", "HEAD") + ("+" if changed else "")


def find_tree(folder: Path) -> str:
    """Return the identity in git of what a folder holds, with a plus if it is not committed."""
    changed = _git(folder, "status", "--porcelain", "--", ".")
    return _git(folder, "rev-parse", "--short=12", "HEAD:./") + ("+" if changed else "")


def _git(folder: Path, *words: str) -> str:
    result = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True)
    return result.stdout.strip()


def find_machine() -> dict[str, Any]:
    """Return what times depend on: the processor, its cores, and the load now."""
    return {
        "cpu": _proc_value("/proc/cpuinfo", "model name") or platform.processor(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "load": round(os.getloadavg()[0], 2),
    }


def peak_memory() -> float | None:
    """Return the peak memory of this process in MiB; None where /proc does not tell."""
    kilobytes = _proc_value("/proc/self/status", "VmHWM")
    return int(kilobytes.split()[0]) / 1024 if kilobytes else None


def _proc_value(path: str, name: str) -> str | None:
    if not Path(path).exists():
        return None
    for line in Path(path).read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return None
