"""How much memory this process may use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

# Where Linux says to which control groups this process belongs, and what is free.
OWN_GROUPS, GROUPS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")
MACHINE, OWN_SIZE = Path("/proc/meminfo"), Path("/proc/self/status")


class _GroupFiles(NamedTuple):
    """Name the files of a control group, by version."""

    limit: str
    usage: str
    # Line of memory.stat: pages of files that the system takes back first.
    reclaimable: str


VERSION_1 = _GroupFiles("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
VERSION_2 = _GroupFiles("memory.max", "memory.current", "inactive_file")


def memory_limit() -> int | None:
    """Return the bytes of memory of this machine, or of its groups of processes if they have less.

    None if the system does not tell.
    """
    limits = [limit for folder, files in _groups() if (limit := _read(folder / files.limit))]
    with suppress(AttributeError, ValueError, OSError):  # Windows
        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return min(limits, default=None)


def available_memory() -> int | None:
    """Return the bytes of memory that this process can still get, None if the system does not tell.

    The least of what is available on the machine, left to its groups of processes (control groups
    of Linux, as containers and batch systems use them), and left of its own limits (``ulimit``).
    """
    machine = _read_table(MACHINE)
    left = []
    if "MemAvailable" in machine:
        left.append(1024 * (machine["MemAvailable"] + machine.get("SwapFree", 0)))
    for folder, files in _groups():
        limit, used = _read(folder / files.limit), _read(folder / files.usage)
        if limit is not None and used is not None:
            left.append(
                limit - used + _read_table(folder / "memory.stat").get(files.reclaimable, 0)
            )
    left += _left_of_own_limits()
    # Limits below what is used already leave nothing.
    return max(min(left), 0) if left else memory_limit()


def _left_of_own_limits() -> Iterator[int]:
    try:
        resource: Any = import_module("resource")
    except ImportError:  # Windows
        return
    size = _read_table(OWN_SIZE)
    for limit, used in (("RLIMIT_AS", "VmSize"), ("RLIMIT_DATA", "VmData")):
        soft, _ = resource.getrlimit(getattr(resource, limit))
        if soft != resource.RLIM_INFINITY:
            yield soft - 1024 * size.get(used, 0)


def _groups() -> Iterator[tuple[Path, _GroupFiles]]:
    """Yield the control groups of this process that limit memory, and those around them."""
    try:
        lines = OWN_GROUPS.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        root, files = (GROUPS / "memory", VERSION_1) if controllers else (GROUPS, VERSION_2)
        inside = Path(path.lstrip("/"))
        # In a container the path may be one outside, which does not exist here.
        yield from ((root / part, files) for part in dict.fromkeys([inside, *inside.parents]))


def _read(path: Path) -> int | None:
    try:
        text = path.read_text(encoding="ascii").strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None  # "max" is no limit


def _read_table(path: Path) -> dict[str, int]:
    """Return the numbers of a file with a name and a number in every line."""
    with suppress(OSError):
        words = [line.replace(":", " ").split() for line in path.read_text("utf-8").splitlines()]
        return {some[0]: int(some[1]) for some in words if len(some) > 1 and some[1].isdecimal()}
    return {}
