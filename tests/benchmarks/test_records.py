"""JSON lines and what is noted about the machine."""

import json
import os
import subprocess
import sys

import pytest
from suite.records import (
    append_record,
    find_commit,
    find_machine,
    find_versions,
    normalise,
    peak_memory,
    read_records,
)


def test_records_come_back_in_order(tmp_path):
    path = tmp_path / "new folder" / "results.jsonl"
    assert read_records(path) == []
    records = [{"n_crosses": {2: 20, 3: 30}, "hidden": (1, 2)}, {"none": None, "text": "±"}]
    for record in records:
        append_record(path, record)
    assert read_records(path) == [normalise(record) for record in records]
    assert read_records(path)[0] == {"n_crosses": {2: 20, 3: 30}, "hidden": [1, 2]}
    assert len(path.read_text().splitlines()) == 2


def test_normalising_twice_changes_nothing():
    value = {"n_crosses": {2: 20}, "deep": {"a": [(1, 2.5), None]}}
    assert normalise(normalise(value)) == normalise(value)


def test_facts_can_be_written():
    facts = {"machine": find_machine(), "versions": find_versions()}
    assert json.loads(json.dumps(facts)) == facts
    assert {"python", "sparsectr", "torch"} <= set(facts["versions"])
    assert facts["machine"]["cores"] == os.cpu_count()


def test_commit_marks_changed_code(tmp_path):
    def git(*words):
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        subprocess.run(["git", *identity, *words], cwd=tmp_path, check=True, capture_output=True)

    git("init")
    (tmp_path / "code.py").write_text("1")
    (tmp_path / "results.jsonl").write_text("1")
    git("add", ".")
    git("commit", "-m", "first")
    clean = find_commit(tmp_path)
    assert len(clean) == 12
    (tmp_path / "results.jsonl").write_text("2")
    assert find_commit(tmp_path) == clean
    (tmp_path / "code.py").write_text("2")
    assert find_commit(tmp_path) == clean + "+"


def test_peak_memory_grows_with_what_was_held():
    before = peak_memory()
    if sys.platform != "linux":
        assert before is None
        return
    held = bytearray(300 * 2**20)
    held[::4096] = b"x" * len(held[::4096])
    after = peak_memory()
    del held
    assert after > 300
    # Linux counts pages per processor and adds them up now and then.
    assert peak_memory() == pytest.approx(after, rel=0.01)
