"""MLflow logs and loads estimators with its defaults: ``python -m nox -s mlflow``."""

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline

from sparsectr import (
    DynIntClassifier,
    DynIntRegressor,
    InteractionFeatures,
    ListedInteractions,
    trusted_types,
)

mlflow = pytest.importorskip("mlflow")
pytest.importorskip("mlflow.sklearn")

ROWS = np.random.default_rng(0).integers(0, 6, size=(200, 3))
X = pd.DataFrame({"user": ROWS[:, 0].astype(str), "item": ROWS[:, 1], "price": ROWS[:, 2] / 7})
Y = np.where(ROWS[:, 0] == ROWS[:, 1], "yes", "no")


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow.set_tracking_uri((tmp_path / "runs").as_uri())


@pytest.mark.parametrize("settings", [{}, {"serialization_format": "cloudpickle"}])
@pytest.mark.parametrize(
    "model",
    [
        DynIntClassifier(max_epochs=1, embedding_dim=2, random_state=0),
        make_pipeline(
            InteractionFeatures(ListedInteractions(), encoder="codes"),
            DynIntClassifier(max_epochs=1, embedding_dim=2, random_state=0),
        ),
        DynIntRegressor(max_epochs=1, embedding_dim=2, random_state=0),
    ],
    ids=["classifier", "pipeline", "regressor"],
)
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")
def test_log_model_and_load(model, settings, store):
    numbers = isinstance(model, DynIntRegressor)
    model.fit(X, ROWS[:, 2] / 3 if numbers else Y)
    predict = "predict" if numbers else "predict_proba"
    predicted = getattr(model, predict)(X)
    signature = mlflow.models.infer_signature(X, predicted)
    with mlflow.start_run():
        logged = mlflow.sklearn.log_model(
            model,
            name="model",
            signature=signature,
            skops_trusted_types=trusted_types,
            pip_requirements=["sparsectr"],
            **settings,
        )
    again = mlflow.sklearn.load_model(logged.model_uri)
    np.testing.assert_array_equal(getattr(again, predict)(X), predicted)
    assert logged.signature.inputs.input_names() == model.feature_names_in_.tolist()
    served = mlflow.pyfunc.load_model(logged.model_uri).predict(X)
    np.testing.assert_array_equal(served, model.predict(X))
