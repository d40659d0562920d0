"""Lines that tell how far a fit is."""

import re

import pyarrow as pa
import pytest

from sparsectr import DynIntClassifier, progress
from sparsectr.datasets import make_clicks
from sparsectr.progress import ProgressBar

CLICKS = make_clicks(600, 3, 9, crosses=[(0, 1)], random_state=0)
SHORT = {"embedding_dim": 4, "batch_size": 60, "max_epochs": 2, "random_state": 0}


def test_a_line_without_an_end_has_no_bar():
    bar = ProgressBar("counted")
    bar.n_done = 3_000
    assert bar.line(1.5) == "counted: 3,000 rows, 2,000 rows/s"


def test_a_shorter_line_leaves_nothing_behind(capsys):
    bar = ProgressBar("x")
    bar._write("a longer line", end="\r")
    bar._write("short", end="\n")
    assert capsys.readouterr().err == "\ra longer line\r\rshort        \n"


@pytest.mark.parametrize("verbose", [0, 1, 2])
def test_a_fit_on_files_tells_of_rows_and_epochs(verbose, monkeypatch, capsys):
    monkeypatch.setattr(progress, "EVERY", 0.0)
    rows = pa.Table.from_pandas(CLICKS.X.assign(click=CLICKS.y), preserve_index=False)
    clf = DynIntClassifier(verbose=verbose, early_stopping=False, **SHORT)
    clf.fit(rows.to_reader(100), "click")
    written = capsys.readouterr().err
    if verbose < 2:
        assert written == ""
        return
    ends = [line.split("\r")[-1].strip() for line in written.strip().split("\n")]
    patterns = [
        r"\[DynIntClassifier\] counted: 600 rows, [\d,]+ rows/s",
        r"\[DynIntClassifier\] encoded: \[#{20}\] 600 of 600 rows, [\d,]+ rows/s, 0 s left",
        r"\[DynIntClassifier\] epoch 1: \[#{20}\] 600 of 600 rows, [\d,]+ rows/s, 0 s left",
        r"\[DynIntClassifier\] epoch 2: \[#{20}\] 600 of 600 rows, [\d,]+ rows/s, 0 s left",
    ]
    assert len(ends) == len(patterns)
    for line, pattern in zip(ends, patterns, strict=True):
        assert re.fullmatch(pattern, line), line
    assert "epoch 1: [##########          ] 300 of 600 rows" in written
