"""Fits in several processes, beside the same fits in one."""

import sys

import numpy as np
import pytest
import together
from together import CLICKS, FEW_FITS, FITS, NOISY_FITS, run_together

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="gloo over loopback")

# Largest difference of a weight: sums are taken in another order.
ROUNDING = 1e-5
# Seconds in which a fit must end where another process has failed.
BOUNDED = 60


@pytest.fixture(scope="module")
def alone():
    return together.fit_all(FITS | NOISY_FITS)


def largest_difference(outcome, other):
    differences = [0.0]
    for name, weights in outcome["weights"].items():
        expected = other["weights"][name]
        if weights.shape != expected.shape:  # other crosses
            return np.inf
        if weights.size:
            differences.append(float(np.abs(weights.astype(np.float64) - expected).max()))
    return max(differences)


def assert_nearly_equal(outcome, other):
    """Weights and values differ by rounding, and crosses are the same in the same order."""
    assert largest_difference(outcome, other) < ROUNDING
    for record, expected in zip(outcome["history"], other["history"], strict=True):
        assert record.keys() == expected.keys()
        for name, value in expected.items():  # a value may be a list
            assert record[name] == pytest.approx(value, abs=ROUNDING), name
    assert outcome["table"]["fields"] == other["table"]["fields"]


def assert_equal(outcome, other):
    """Two processes have the same weights, bit for bit, history, crosses and measures."""
    assert outcome["weights"].keys() == other["weights"].keys()
    for name, array in outcome["weights"].items():
        np.testing.assert_array_equal(array, other["weights"][name])
    assert outcome["history"] == other["history"]
    np.testing.assert_equal(outcome["table"], other["table"])


@pytest.mark.parametrize(
    ("n_processes", "fits"), [(2, FITS | NOISY_FITS), (4, FEW_FITS)], ids=["two", "four"]
)
def test_several_processes_learn_what_one_learns(n_processes, fits, alone, tmp_path):
    first, *others = run_together(together.fit_all, n_processes, tmp_path, fits)
    for name, found in first.items():
        assert found["world_size"] == n_processes
        for other in others:
            assert_equal(found, other[name])
        if name in FITS:
            assert_nearly_equal(found, alone[name])
        elif name != "no seed":
            losses, of_one = (
                [record["train_loss"] for record in outcome["history"]]
                for outcome in (found, alone[name])
            )
            assert losses == pytest.approx(of_one, abs=0.01)
            # One process draws other noise for the same rows.
            assert largest_difference(found, alone[name]) > ROUNDING


def test_stopping_chunks_and_groups(tmp_path):
    expected = together.fit_in_turns()
    first, second, third = run_together(together.fit_in_turns, 3, tmp_path)
    for name in ("early stopping", "chunks"):
        assert_equal(first[name], second[name])
        assert_equal(first[name], third[name])
        assert_nearly_equal(first[name], expected[name])
    assert [first[name]["world_size"] for name in ("early stopping", "alone", "some")] == [3, 1, 2]
    assert_equal(first["alone"], second["alone"])
    assert_equal(first["some"], third["some"])
    assert "some" not in second


def test_processes_share_the_codes_of_a_file(tmp_path):
    pytest.importorskip("pyarrow")
    CLICKS.X.assign(clicked=CLICKS.y).to_parquet(tmp_path / "rows.parquet")
    first, second = run_together(together.fit_from_file, 2, tmp_path, tmp_path)
    written = {place.name: place.stat().st_mtime_ns for place in (tmp_path / "codes").iterdir()}
    expected = together.fit_from_file(tmp_path)
    for name in ("False", "True"):
        assert_equal(first[name], second[name])
        assert_nearly_equal(first[name], expected[name])
    # Of training and validation rows, once for all.
    assert len(written) == 2
    assert first["folders"] == expected["folders"] == sorted(written)
    assert written == {
        place.name: place.stat().st_mtime_ns for place in (tmp_path / "codes").iterdir()
    }


def test_killed_processes_go_on_from_a_checkpoint(tmp_path):
    fit = together.fit_with_checkpoint
    (expected, _), _ = run_together(fit, 2, tmp_path, tmp_path / "undisturbed", 9)
    killed = run_together(fit, 2, tmp_path, tmp_path / "killed", 1)
    assert killed == [together.KILLED, together.KILLED]
    for outcome, n_epochs in run_together(fit, 2, tmp_path, tmp_path / "killed", 9):
        assert_equal(outcome, expected)
        assert n_epochs == [2, 3]
    (folder,) = (tmp_path / "killed").iterdir()
    assert sorted(place.name for place in folder.iterdir()) == ["fit.json", "run-1.pt"]


def test_faults_of_one_process_are_errors_of_all(tmp_path):
    faults = ["other parameter", "other values", "other labels", "fewer rows", "one row"]
    faults += ["parameter", "disk"]
    *others, (errors, outcome) = run_together(together.fail_in_turns, 3, tmp_path, faults)
    for _, other in others:  # after all these errors
        assert_equal(outcome, other)
    words = {
        "other parameter": "the parameter n_layers must be equal, got other values in process 2",
        "other values": "the vocabularies of X must be equal",
        "other labels": "y must be equal",
        "fewer rows": "must be equal, got other values in process 2 than in process 0",
        "one row": "a row for each of 3 processes, got one of 1 rows",
    }
    for fault, expected in words.items():
        for kind, text, seconds, is_fitted in [errors[fault], *(e[fault] for e, _ in others)]:
            assert kind is ValueError
            assert expected in text
            assert seconds < BOUNDED
            assert not is_fitted
    for fault, kind, expected in [
        ("parameter", ValueError, "n_layers must be"),
        ("disk", OSError, "the disk is full"),
    ]:
        assert errors[fault][0] is kind
        assert expected in errors[fault][1]
        for other, text, seconds, is_fitted in (e[fault] for e, _ in others):
            assert issubclass(other, RuntimeError)
            assert f"process 2 of 3 has failed: {kind.__name__}" in text
            assert expected in text
            assert seconds < BOUNDED
            assert not is_fitted
    assert "one estimator at a time" in errors["threads"]


def test_a_killed_process_ends_the_fit_of_all(tmp_path):
    fit = together.fit_where_the_last_fails
    first, last = run_together(fit, 2, tmp_path, "killed")
    assert last == together.KILLED
    assert issubclass(first[0], RuntimeError)
    assert first[2] < BOUNDED
