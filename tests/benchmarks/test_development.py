"""Fits of the development suite, and the summary of them."""

import numpy as np
import pandas as pd
import pytest
from bench import make_parser
from suite import development, summary
from suite.development import run_suite
from suite.entrants import ENTRANTS, Entrant
from suite.records import read_records

FITS = []


class Share:
    """Predicts the share of the positive class."""

    def __init__(self, random_state):
        self.random_state = random_state

    def fit(self, X, y):
        FITS.append(X)
        self.share = np.mean(y)
        return self

    def predict_proba(self, X):
        return np.tile([1 - self.share, self.share], (len(X), 1))


@pytest.fixture
def arguments(tmp_path, monkeypatch):
    """What the command line says, for two models of which one is ours, and a small table."""
    entrants = {
        "dynint": Entrant("Ours", f"{__name__}:Share", {}, "sparsectr"),
        "lr": Entrant("Peer", f"{__name__}:Share", {}, "scikit-learn"),
    }
    monkeypatch.setattr(development, "ENTRANTS", entrants)
    monkeypatch.setattr(summary, "ENTRANTS", entrants)
    monkeypatch.setattr(Entrant, "make", lambda self, seed: Share(seed))
    monkeypatch.setattr(Entrant, "find_version", lambda self: "1.0")
    development._warm_up.cache_clear()
    (tmp_path / "suite").mkdir()
    frame = pd.DataFrame({"label": [0, 0, 1, 1] * 25, "test": [0] * 80 + [1] * 20, "age": 7})
    frame.to_csv(tmp_path / "suite" / "bank.csv.xz", index=False)
    FITS.clear()
    words = ["suite", "bank", "--models", "dynint", "lr", "--seeds", "0"]
    words += ["--data", str(tmp_path), "--results", str(tmp_path / "results.jsonl")]
    return make_parser().parse_args(words)


def test_a_fit_is_measured_once(arguments, capsys):
    assert run_suite(arguments) == 0
    records = read_records(arguments.results)
    assert [record["model"] for record in records] == ["dynint", "lr"]
    for record in records:
        assert record["rows"] == {"train": 64, "measured": 16}
        assert record["log_loss"] == pytest.approx(np.log(2))
    assert len(FITS) == 3  # one of them compiles
    assert run_suite(arguments) == 0
    assert read_records(arguments.results) == records
    assert "Ours" in capsys.readouterr().out


def test_test_rows_are_measured_only_when_asked_for(arguments):
    arguments.part = "test"
    run_suite(arguments)
    assert read_records(arguments.results)[0]["rows"] == {"train": 80, "measured": 20}


def test_a_table_that_is_not_there(arguments, capsys, tmp_path, monkeypatch):
    def refuse(name, path):
        raise OSError("no network")

    monkeypatch.setattr("suite.tables.fetch_table", refuse)
    arguments.tables = ["hotel", "bank"]
    assert run_suite(arguments) == 1
    assert "hotel: not there (no network)" in capsys.readouterr().out
    assert {record["table"] for record in read_records(arguments.results)} == {"bank"}


def test_a_fit_that_fails_is_reported(arguments, capsys, monkeypatch):
    def fail(self, X, y):
        raise RuntimeError("no")

    monkeypatch.setattr(Share, "fit", fail)
    arguments.models = ["lr"]
    assert run_suite(arguments) == 1
    assert "FAILED: RuntimeError('no')" in capsys.readouterr().out


def test_versions_of_all_models_are_found():
    assert len(ENTRANTS["dynint"].find_version().rstrip("+")) == 12
    assert ENTRANTS["lr"].find_version()[0].isdigit()
