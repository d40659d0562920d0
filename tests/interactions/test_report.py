"""The report says what the tables say, and takes names and values for text."""

import json
import re
import shutil
import subprocess
from functools import cache
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from sparsectr import (
    DynIntClassifier,
    OptFeatureRegressor,
    ProfitClassifier,
    interaction_report,
)

EVIL = '</script><script>document.title="taken"</script>'
VALUES = np.array([EVIL, "a&b", "<b>x</b>", '"q"', "line\nbreak"], dtype=object)
QUICK = {"max_epochs": 2, "random_state": 0}
MODELS = {
    "two classes": DynIntClassifier(**QUICK),
    "three classes": ProfitClassifier(search_epochs=1, n_crosses={2: 6, 3: 4}, **QUICK),
    "numbers": OptFeatureRegressor(**QUICK),
}


def make_rows(name):
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 5, (600, 3))
    X = pd.DataFrame({EVIL: VALUES[codes[:, 0]], "b": VALUES[codes[:, 1]]})
    X["number"] = codes[:, 2] + rng.random(600)
    X.loc[:5, "b"] = None
    y = 2 * rng.normal(size=(5, 5))[codes[:, 0], codes[:, 1]] + codes[:, 2]
    if name == "numbers":
        return X, y
    limits = [2] if name == "two classes" else [0, 3]
    return X, np.array(["<i>low", "middle", "high"])[np.digitize(y, limits)]


@cache
def fit(name):
    return MODELS[name].fit(*make_rows(name))


def write(name, tmp_path, **settings):
    path = interaction_report(fit(name), *make_rows(name), tmp_path / "report.html", **settings)
    page = path.read_text(encoding="utf-8")
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    return page, json.loads(text)


@pytest.mark.parametrize("name", MODELS)
def test_fields_and_crosses_are_those_of_the_tables(name, tmp_path):
    _, data = write(name, tmp_path, n_interactions=2)
    fields, crosses = fit(name).field_table(), fit(name).interaction_table().head(2)
    assert [field["total"] for field in data["fields"]] == pytest.approx(fields["total"], rel=1e-4)
    assert [field["name"] for field in data["fields"]] == fields["field"].tolist()
    assert [tuple(cross["fields"]) for cross in data["crosses"]] == crosses["fields"].tolist()
    found = [np.nan if c["evidence"] is None else c["evidence"] for c in data["crosses"]]
    np.testing.assert_allclose(found, crosses["evidence"], rtol=1e-4)
    assert [cross["significant"] for cross in data["crosses"]] == crosses["significant"].tolist()
    assert data["score"] == crosses.attrs["score"]
    facts = dict(data["facts"])
    assert facts["rows predicted here"] == "600"
    assert ("R²" in facts) == (name == "numbers")


@pytest.mark.parametrize("name", MODELS)
def test_heat_maps_hold_the_effects_of_values(name, tmp_path):
    _, data = write(name, tmp_path)
    (drawn,) = (m for m in data["maps"] if set(m["fields"]) == {EVIL, "b"})
    table = fit(name).value_effects(drawn["fields"])
    effects, counts = (np.array(drawn["panels"][0][part], float) for part in ("effects", "counts"))
    for row in table.itertuples(index=False):
        names = ["(missing or rare)" if v is None else v.replace("\n", "\\n") for v in row[:2]]
        cell = drawn["rows"].index(names[0]), drawn["columns"].index(names[1])
        assert counts[cell] == row[2]
        assert effects[cell] == pytest.approx(row[3], rel=1e-4)
    assert np.isfinite(effects).sum() == len(table)
    assert drawn["limit"] == pytest.approx(table["effect"].abs().max(), rel=1e-4)
    triples = [m for m in data["maps"] if len(m["fields"]) == 3]
    assert all(len(m["panels"]) <= 4 and m["panels"][0]["name"] for m in triples)


@pytest.mark.parametrize("name", MODELS)
def test_the_steps_of_a_row_end_at_its_score(name, tmp_path):
    _, data = write(name, tmp_path, n_rows=7)
    X, _ = make_rows(name)
    places = [int(row["name"].split(":")[0].removeprefix("row ")) for row in data["rows"]]
    assert len(set(places)) == 7
    parts = fit(name).explain(X.iloc[places], top=None, complete=True)
    sums = parts.groupby("row")["contribution"].sum()
    ends = [row["steps"][-1][2] for row in data["rows"]]
    np.testing.assert_allclose(ends, sums, rtol=1e-3, atol=1e-4)
    if name == "two classes":  # from the lowest prediction to the highest
        assert ends == sorted(ends)


class Scripts(HTMLParser):
    """Counts script elements, and everything that loads something."""

    def __init__(self):
        super().__init__()
        self.found, self.loads = [], []

    def handle_starttag(self, tag, attrs):
        if tag in ("script", "img", "link", "iframe", "b", "i"):
            self.found.append(tag)
        self.loads += [name for name, _ in attrs if name in ("src", "href")]


def test_names_and_values_are_no_markup_and_nothing_is_loaded(tmp_path):
    page, _ = write("two classes", tmp_path)
    parser = Scripts()
    parser.feed(page)
    assert parser.found == ["script", "script"]
    assert not parser.loads
    assert "://" not in page
    assert "default-src 'none'" in page


def test_a_browser_shows_it(tmp_path):
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no browser")
    _page, data = write("three classes", tmp_path)
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", (tmp_path / "report.html").as_uri()]
    shown = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout
    assert "<title>ProfitClassifier: fields and crosses</title>" in shown  # no script has run
    body = shown.split("<script", 1)[0]
    assert body.count("<tr") > len(data["fields"]) + len(data["crosses"])
    assert "&lt;script&gt;document.title" in body
    assert data["rows"][0]["note"].split(".")[0] in body  # the last that is drawn


def test_what_cannot_be_reported_is_refused(tmp_path):
    X, y = make_rows("two classes")
    path = tmp_path / "report.html"
    for wrong in (None, DynIntClassifier, "model"):
        with pytest.raises(TypeError, match="estimator must be a fitted classifier or regressor"):
            interaction_report(wrong, X, y, path)
    with pytest.raises(ValueError, match="n_rows must be an int >= 1"):
        interaction_report(fit("two classes"), X, y, path, n_rows=0)
    with pytest.raises(ValueError, match="y must"):
        interaction_report(fit("two classes"), X, y[:-1], path)
    with pytest.raises(ValueError, match="class_label must be one of classes_"):
        interaction_report(fit("two classes"), X, y, path, class_label="none")
    assert not path.exists()
