"""The tables of the papers."""

import json

import pytest
from suite import papers
from suite.datasets import SOURCES
from suite.models import MODELS, make_model
from suite.papers import PAPERS, find_paper_settings, make_paper_jobs, run_paper
from suite.records import normalise
from suite.render import PUBLISHED

OURS = [(name, model) for name, paper in PAPERS.items() for model in paper.models]


@pytest.mark.parametrize(("name", "model"), OURS)
def test_settings_fit_their_estimators(name, model):
    paper = PAPERS[name]
    for dataset in paper.datasets:
        settings = normalise(find_paper_settings(paper, dataset, model))
        clf = make_model(dataset, model, settings, seed=0)
        if MODELS[model].ours:
            clf._check_parameters()
            assert (clf.embedding_dim, clf.batch_size) == (16, 4096)


@pytest.mark.parametrize("paper", PAPERS.values(), ids=PAPERS)
def test_every_table_has_published_rows(paper):
    published = {entry["dataset"] for entry in json.loads(PUBLISHED.read_text(encoding="utf-8"))}
    assert set(paper.datasets) <= published & set(SOURCES)


def test_settings_of_a_table_win():
    paper = PAPERS["dynint"]
    assert find_paper_settings(paper, "ipinyou", "dynint-dgp")["n_layers"] == 3
    assert find_paper_settings(paper, "criteo-dynint", "dynint-dgp")["n_layers"] == 4
    assert find_paper_settings(paper, "criteo-dynint", "lr") == {}


def test_a_script_runs_what_it_is_asked_for(monkeypatch):
    seen = []

    def run_jobs(jobs, path, *, threads, timeout):
        seen.extend(jobs)
        return 0

    monkeypatch.setattr(papers, "run_jobs", run_jobs)
    run_paper("profit", "", ["ml1m", "--data", "folder", "--models", "profit-linear", "lr"])
    expected = make_paper_jobs(PAPERS["profit"], ["ml1m"], ["profit-linear", "lr"], "folder", None)
    assert seen == expected
    assert len(seen) == 2 * 3
    with pytest.raises(SystemExit):
        run_paper("profit", "", ["kdd12", "--data", "folder"])
