"""The runner: what it skips, keeps and reports."""

import subprocess
import threading

import pytest
from suite import runner
from suite.records import normalise, read_records
from suite.runner import is_same, make_jobs, run_jobs
from suite.tuning import make_trial_jobs

RESULT = {"test": {"roc_auc": 0.9, "log_loss": 0.2}, "epochs": 3, "fit_seconds": 1.0}


@pytest.fixture
def jobs():
    return list(make_jobs(["frappe"], ["lr", "profit-linear"], [0, 1], "chosen", data="folder"))


@pytest.fixture
def measured(monkeypatch):
    """Jobs handed to the measuring process, which is not started."""
    seen = []

    def run_job(job, threads, timeout):
        seen.append(job)
        return RESULT

    monkeypatch.setattr(runner, "run_job", run_job)
    return seen


def test_what_the_file_holds_is_skipped(tmp_path, jobs, measured):
    path, said = tmp_path / "results.jsonl", []
    assert run_jobs(jobs[:3], path, report=said.append) == 0
    assert run_jobs(jobs, path, report=said.append) == 0
    assert len(measured) == len(read_records(path)) == 4
    assert sum(line.endswith("known") for line in said) == 3
    for job, record in zip(jobs, read_records(path), strict=True):
        assert is_same(job | {"parameters": record["parameters"]}, record)
        assert RESULT.items() <= record.items()
        assert "data" not in record
        assert {"commit", "date", "wall_seconds"} <= set(record)


def test_trials_are_kept_without_test_and_known_again(tmp_path, monkeypatch):
    values = {"roc_auc": 0.9, "log_loss": 0.2}
    monkeypatch.setattr(
        runner, "run_job", lambda *_: {"validation": values, "epochs": 1, "fit_seconds": 1.0}
    )
    trials, path, said = list(make_trial_jobs(["adult"], ["lr"], ".", None, 3)), tmp_path / "t", []
    for _ in range(2):
        assert run_jobs(trials, path, report=said.append) == 0
    assert sum("validation AUC 0.9000" in line for line in said) == 3
    assert sum(line.endswith("known") for line in said) == 3
    assert not any("test" in record for record in read_records(path))


def test_several_fits_at_once_leave_the_same_lines(tmp_path, jobs, monkeypatch):
    together, path = threading.Barrier(2, timeout=60), tmp_path / "results.jsonl"

    def run_job(job, threads, timeout):
        together.wait()  # ends only if there are two
        return RESULT

    monkeypatch.setattr(runner, "run_job", run_job)
    assert run_jobs(jobs, path, at_once=2, report=lambda _: None) == 0
    found = read_records(path)
    assert len(found) == len(jobs) == 4
    assert all(any(is_same(normalise(job), record) for record in found) for job in jobs)


@pytest.mark.parametrize(
    "change",
    [{"seed": 7}, {"parameters": {}}, {"model": "lr"}, {"n_rows": 5}, {"test": False}],
)
def test_other_fits_are_not_the_same(jobs, change):
    job = jobs[1]
    record = job | RESULT
    assert is_same(job, record)
    assert not is_same(job | change, record)


def test_a_failure_is_reported_and_leaves_no_line(tmp_path, jobs, monkeypatch):
    def run_job(job, threads, timeout):
        raise subprocess.CalledProcessError(1, "fit", stderr=b"Traceback\nValueError: no")

    monkeypatch.setattr(runner, "run_job", run_job)
    said = []
    assert run_jobs(jobs, tmp_path / "results.jsonl", report=said.append) == 4
    assert read_records(tmp_path / "results.jsonl") == []
    assert all(line.endswith("ValueError: no") for line in said)


def test_a_fit_that_took_too_long_is_tried_again_only_with_more_time(tmp_path, jobs, monkeypatch):
    seen, said = [], []

    def run_job(job, threads, timeout):
        seen.append(timeout)
        raise subprocess.TimeoutExpired("fit", timeout)

    monkeypatch.setattr(runner, "run_job", run_job)
    for timeout, n_failed in ((5, 1), (4, 0), (5, 0), (6, 1)):
        options = {"timeout": timeout, "report": said.append}
        assert run_jobs(jobs[:1], tmp_path / "results.jsonl", **options) == n_failed
    assert seen == [5, 6]
    assert read_records(tmp_path / "results.jsonl") == []
    assert [row["seconds"] for row in read_records(tmp_path / "stopped.jsonl")] == [5, 6]
    assert "stopped after 5 s" in said[0]
    assert "known to take more than 4 s" in said[1]
    run_jobs(jobs[1:2], tmp_path / "results.jsonl", timeout=5)
    assert seen == [5, 6, 5]  # another fit


def test_a_fit_runs_in_a_process_of_its_own(tmp_path):
    (job,) = make_jobs(["flights"], ["lr"], [0], "default", n_rows=300)
    path, said = tmp_path / "results.jsonl", []
    assert run_jobs([job], path, report=said.append) == 0, said
    (record,) = read_records(path)
    assert 0.4 < record["test"]["roc_auc"] < 1
    assert record["threads"] == 1
    assert record["settings"] == "default"
