"""What a process may use."""

import os

import pytest

from sparsectr.rows import limits
from sparsectr.rows.limits import memory_limit


def test_the_memory_of_the_machine_is_the_most():
    assert memory_limit() <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@pytest.mark.parametrize(
    ("text", "bound"), [("1048576\n", 2**20), ("max\n", None), ("9" * 30, None)]
)
def test_a_group_of_processes_may_have_less(text, bound, tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "LIMIT_FILES", ())
    without = memory_limit()
    path = tmp_path / "memory.max"
    path.write_text(text)
    monkeypatch.setattr(limits, "LIMIT_FILES", (str(tmp_path / "none"), str(path)))
    assert memory_limit() == (without if bound is None else bound)


def test_no_system_that_tells_is_no_limit(monkeypatch):
    monkeypatch.setattr(limits, "LIMIT_FILES", ())
    monkeypatch.delattr(os, "sysconf")
    assert memory_limit() is None
