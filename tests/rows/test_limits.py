"""What a process may use, and what it can still get."""

import os
import resource

import pytest

from sparsectr.rows import limits
from sparsectr.rows.limits import available_memory, memory_limit

MIB = 2**20


@pytest.fixture
def system(tmp_path, monkeypatch):
    """Return a function that writes files of a Linux system, in which no group has a limit."""

    def write(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    monkeypatch.setattr(limits, "GROUPS", tmp_path / "groups")
    for name in ("OWN_GROUPS", "MACHINE", "OWN_SIZE"):
        monkeypatch.setattr(limits, name, tmp_path / name)
    return write


def test_the_memory_of_the_machine_is_the_most():
    assert memory_limit() <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert available_memory() > 0


@pytest.mark.parametrize(
    ("text", "bound"), [("1048576\n", MIB), ("max\n", None), ("9" * 30, None), ("0", None)]
)
@pytest.mark.parametrize("group", ["groups/a/b/", "groups/a/", "groups/"])
def test_a_group_of_processes_may_have_less(text, bound, group, system):
    without = memory_limit()
    system("OWN_GROUPS", "0::/a/b\n")
    system(group + "memory.max", text)
    assert memory_limit() == (without if bound is None else bound)


def test_groups_of_version_1_are_those_of_the_memory(system):
    system("OWN_GROUPS", "5:cpu:/a\n4:memory:/outside\n3:name=systemd:/\n0::/\n")
    system("groups/memory/memory.limit_in_bytes", str(4 * MIB))
    system("groups/memory/memory.usage_in_bytes", str(3 * MIB))
    system("groups/memory/memory.stat", f"cache 7\ntotal_inactive_file {MIB}\n")
    assert memory_limit() == 4 * MIB
    assert available_memory() == 2 * MIB


def test_what_is_left_is_the_least_of_all_limits(system):
    system("MACHINE", "MemTotal: 90 kB\nMemAvailable: 50 kB\nSwapFree: 10 kB\nHugePages: 1\n")
    assert available_memory() == 60 * 1024
    system("OWN_GROUPS", "0::/a\n")
    system("groups/a/memory.max", "max")
    system("groups/a/memory.current", "7")
    assert available_memory() == 60 * 1024
    system("groups/memory.max", "5000")
    system("groups/memory.current", "3000")
    assert available_memory() == 2000
    system("groups/memory.current", "9000")
    assert available_memory() == 0


@pytest.mark.parametrize(("name", "size"), [("RLIMIT_AS", "VmSize"), ("RLIMIT_DATA", "VmData")])
def test_limits_of_the_process_count(name, size, system, monkeypatch):
    system("MACHINE", "MemAvailable: 50 kB\n")
    system("OWN_SIZE", f"Name: python\n{size}: 3 kB\n")
    kind = getattr(resource, name)

    def limited(which):
        return (5 * 1024 if which == kind else resource.RLIM_INFINITY), resource.RLIM_INFINITY

    monkeypatch.setattr(resource, "getrlimit", limited)
    assert available_memory() == 2 * 1024


def test_no_system_that_tells_is_no_limit(system, monkeypatch):
    monkeypatch.delattr(os, "sysconf")
    assert memory_limit() is None
    assert available_memory() is None
