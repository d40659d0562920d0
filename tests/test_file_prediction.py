"""Predictions of rows that are read batch by batch."""

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from sklearn.exceptions import NotFittedError

from sparsectr import DynIntClassifier, DynIntRegressor, FieldEncoder
from sparsectr.datasets import make_clicks
from sparsectr.encoding import arrow_source

CLICKS = make_clicks(600, 3, 9, crosses=[(0, 1)], random_state=0)
SHORT = {"embedding_dim": 4, "max_epochs": 1, "random_state": 0}
CLASSIFIER = DynIntClassifier(**SHORT).fit(CLICKS.X, np.where(CLICKS.y, "yes", "no"))
REGRESSOR = DynIntRegressor(**SHORT).fit(CLICKS.X, CLICKS.y + 0.5)
# Other columns, and in another order.
ROWS = pa.Table.from_pandas(
    CLICKS.X[["f2", "f0", "f1"]].assign(key=[f"k{k}" for k in range(600)], number=range(600)),
    preserve_index=False,
)


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setattr(arrow_source, "BATCH_ROWS", 100)
    pq.write_table(ROWS, tmp_path / "rows.parquet", row_group_size=250)
    return tmp_path / "rows.parquet"


def read(model, source):
    found = list(getattr(model, model._iterator_name)(source))
    assert len(found) > 5
    return np.concatenate(found)


@pytest.mark.parametrize("model", [CLASSIFIER, REGRESSOR])
def test_batches_are_the_rows_of_one_prediction(model, path):
    whole = model.predict_proba if model is CLASSIFIER else model.predict
    sources = [path, ds.dataset(path), ds.dataset(path).scanner(batch_size=100).to_reader()]
    for source in sources:
        np.testing.assert_array_equal(read(model, source), whole(CLICKS.X))


def test_code_tables_are_predicted_in_pieces(path, tmp_path, monkeypatch):
    monkeypatch.setattr("sparsectr.tables.BATCH_ROWS", 100)
    table = CLASSIFIER.encoder_.encode_dataset(path, tmp_path / "codes", fit=False)
    np.testing.assert_array_equal(read(CLASSIFIER, table), CLASSIFIER.predict_proba(CLICKS.X))
    other = FieldEncoder().encode_dataset(path, tmp_path / "codes")
    with pytest.raises(ValueError, match=r"feature names|encoder of this estimator"):
        next(CLASSIFIER.iter_predict_proba(other))


def test_a_file_of_predictions_holds_the_columns_asked_for(path, tmp_path):
    target = tmp_path / "new" / "scores.parquet"
    for _ in range(2):  # a file that is there is replaced
        CLASSIFIER.predict_to_parquet(path, target, columns=["number", "key", "f1"])
    scores = pq.read_table(target)
    assert scores.column_names == ["number", "key", "f1", "proba_no", "proba_yes"]
    expected = CLASSIFIER.predict_proba(CLICKS.X)
    np.testing.assert_array_equal(scores["proba_yes"], expected[:, 1])
    np.testing.assert_array_equal(scores["proba_no"], expected[:, 0])
    assert scores["key"].to_pylist() == ROWS["key"].to_pylist()
    assert scores.schema.field("key").type == pa.string()
    assert [entry.name for entry in target.parent.iterdir()] == ["scores.parquet"]
    REGRESSOR.predict_to_parquet(path, target)
    scores = pq.read_table(target)
    assert scores.column_names == ["prediction"]
    np.testing.assert_array_equal(scores["prediction"], REGRESSOR.predict(CLICKS.X))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"columns": ["key", "no"]},
            ValueError,
            r"columns must name columns of the source, which has no 'no'; it has 'f2', .* 'key'",
        ),
        ({"columns": "key"}, TypeError, "columns must be a list of names, got 'key'"),
        ({"columns": ["proba_no"]}, ValueError, "columns of target must have different names"),
        ({"source": ROWS.drop("f0").to_reader()}, ValueError, r"none named \['f0'\]"),
        ({"source": ROWS[:0].to_reader()}, ValueError, "the source must have rows, got none"),
        ({"source": CLICKS.y}, TypeError, "the rows must come from a path"),
    ],
)
def test_what_cannot_be_written_is_refused_with_a_sentence(options, error, message, path, tmp_path):
    if options == {"columns": ["proba_no"]}:
        pq.write_table(ROWS.append_column("proba_no", ROWS["number"]), path)
    target = tmp_path / "out" / "scores.parquet"
    with pytest.raises(error, match=message):
        CLASSIFIER.predict_to_parquet(**{"source": path} | options, target=target)
    assert not list(tmp_path.glob("out/*"))


def test_an_error_names_ten_columns_of_a_wide_source(tmp_path):
    wide = pa.table({f"column {k}": CLICKS.X["f0"] for k in range(9)})
    for name in CLICKS.X:
        wide = wide.append_column(name, pa.array(CLICKS.X[name]))
    message = r"has no 'id'; it has 'column 0', .* 'column 8', 'f0' and 2 more\.$"
    with pytest.raises(ValueError, match=message):
        CLASSIFIER.predict_to_parquet(wide.to_reader(), tmp_path / "scores", columns=["id"])


def test_only_the_fitted_predict(path, tmp_path):
    model = DynIntClassifier()
    with pytest.raises(NotFittedError):
        next(model.iter_predict_proba(path))
    with pytest.raises(NotFittedError):
        model.predict_to_parquet(path, tmp_path / "scores.parquet")
