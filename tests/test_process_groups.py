"""Fits in several processes, beside the same fits in one."""

import sys

import numpy as np
import pytest
import together
from together import FITS, NOISY_FITS, run_together

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="gloo over loopback")

# Largest difference of a weight: sums are taken in another order.
ROUNDING = 1e-5
# Seconds in which a fit must end where another process has failed.
BOUNDED = 60


@pytest.fixture(scope="module")
def alone():
    return together.fit_all(FITS)


def largest_difference(outcome, other):
    pairs = [(outcome["weights"][name], other["weights"][name]) for name in outcome["weights"]]
    return max(float(np.abs(a.astype(np.float64) - b).max()) for a, b in pairs if a.size)


def assert_equal(outcome, other):
    """Two processes have the same weights, bit for bit, history, crosses and measures."""
    assert outcome["weights"].keys() == other["weights"].keys()
    for name, array in outcome["weights"].items():
        np.testing.assert_array_equal(array, other["weights"][name])
    assert outcome["history"] == other["history"]
    np.testing.assert_equal(outcome["table"], other["table"])


@pytest.mark.parametrize("n_processes", [2, 4])
def test_several_processes_learn_what_one_learns(n_processes, alone, tmp_path):
    first, *others = run_together(together.fit_all, n_processes, tmp_path, FITS | NOISY_FITS)
    for name in FITS | NOISY_FITS:
        for other in others:
            assert_equal(first[name], other[name])
        assert first[name]["world_size"] == n_processes
    for name, expected in alone.items():
        found = first[name]
        assert largest_difference(found, expected) < ROUNDING, name
        for record, other in zip(found["history"], expected["history"], strict=True):
            assert record == pytest.approx(other, abs=1e-5), name
        assert found["table"]["fields"] == expected["table"]["fields"], name


def test_noise_of_rows_is_another_one_in_every_process(tmp_path):
    first, _ = run_together(together.fit_all, 2, tmp_path, NOISY_FITS)
    expected = together.fit_all(NOISY_FITS)
    for name in ("OptFeature", "OptFeature, dropout"):
        losses = [record["validation_log_loss"] for record in first[name]["history"]]
        of_one = [record["validation_log_loss"] for record in expected[name]["history"]]
        assert losses == pytest.approx(of_one, abs=0.01)
        assert losses != pytest.approx(of_one, abs=1e-7)


def test_stopping_chunks_and_groups(tmp_path):
    expected = together.fit_in_turns()
    first, second, third = run_together(together.fit_in_turns, 3, tmp_path)
    for name in ("early stopping", "chunks"):
        assert_equal(first[name], second[name])
        assert_equal(first[name], third[name])
        assert largest_difference(first[name], expected[name]) < ROUNDING
        assert len(first[name]["history"]) == len(expected[name]["history"])
    assert [first[name]["world_size"] for name in ("early stopping", "alone", "some")] == [3, 1, 2]
    assert_equal(first["alone"], second["alone"])
    assert_equal(first["some"], third["some"])
    assert "some" not in second


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("other parameter", "the parameter n_layers must be equal, got other values in process 1"),
        ("other values", "the vocabularies of X must be equal"),
        ("other labels", "y must be equal"),
        ("fewer rows", "must be equal, got other values in process 1 than in process 0"),
    ],
)
def test_processes_must_fit_the_same(how, words, tmp_path):
    for kind, text, seconds, is_fitted in run_together(
        together.fit_where_the_last_fails, 2, tmp_path, how
    ):
        assert kind is ValueError
        assert words in text
        assert seconds < BOUNDED
        assert not is_fitted


@pytest.mark.parametrize(
    ("how", "kind", "words"),
    [
        ("parameter", ValueError, "n_layers must be"),
        ("error", OSError, "the disk is full"),
    ],
)
def test_an_error_in_one_process_is_an_error_in_all(how, kind, words, tmp_path):
    *others, last = run_together(together.fit_where_the_last_fails, 3, tmp_path, how)
    assert last[0] is kind
    assert words in last[1]
    for other in others:
        assert issubclass(other[0], RuntimeError)
        assert f"process 2 of 3 has failed: {kind.__name__}" in other[1]
        assert words in other[1]
        assert other[2] < BOUNDED
    assert not any(is_fitted for *_, is_fitted in [*others, last])


def test_a_killed_process_ends_the_fit_of_all(tmp_path):
    first, last = run_together(together.fit_where_the_last_fails, 2, tmp_path, "killed")
    assert last == together.KILLED
    assert issubclass(first[0], RuntimeError)
    assert first[2] < BOUNDED


def test_a_fit_after_an_error(tmp_path):
    first, second = run_together(together.fit_after_an_error, 2, tmp_path)
    assert_equal(first, second)
    assert first["world_size"] == 2


def test_a_batch_must_have_a_row_for_every_process(tmp_path):
    for kind, text in run_together(together.fit_small_batches, 2, tmp_path):
        assert kind is ValueError
        assert "a row for each of 2 processes, got one of 1 rows" in text


def test_one_fit_at_a_time(tmp_path):
    for (error,) in run_together(together.fit_in_two_threads, 2, tmp_path):
        assert "one estimator at a time" in error
