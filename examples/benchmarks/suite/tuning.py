"""Trials of random settings, judged on validation rows only."""

from collections.abc import Iterator
from typing import Any

from sklearn.model_selection import ParameterSampler

from suite.models import MODELS
from suite.records import Record

N_TRIALS = 20
# What depends on the number of fields and is therefore in no space; 28 pairs are the fewest here.
ADDED = {name: {"n_crosses": ["auto", 10, 20]} for name in ("profit-linear", "profit-mlp")}


def list_trials(dataset: str, model: str, n_trials: int = N_TRIALS) -> Iterator[dict[str, Any]]:
    """Yield the settings to try: first the defaults, then draws from the model's own space.

    The space is the class attribute ``param_distributions``, for our estimators and peers alike.
    What the row of the model fixes is not searched.
    """
    row = MODELS[model]
    space = row.estimator_class.param_distributions | ADDED.get(model, {})
    space = {name: values for name, values in space.items() if name not in row.parameters}
    yield {}
    for trial in ParameterSampler(space, n_trials - 1, random_state=0):
        yield {name: _as_python(value) for name, value in trial.items()}


def make_trial_jobs(
    datasets: list[str], models: list[str], data: str, n_rows: int | None, n_trials: int = N_TRIALS
) -> Iterator[Record]:
    """Yield a job per trial; test rows are not touched."""
    for dataset in datasets:
        for model in models:
            for number, settings in enumerate(list_trials(dataset, model, n_trials)):
                yield {
                    "dataset": dataset,
                    "model": model,
                    "settings": f"trial {number}",
                    "parameters": settings,
                    "seed": 0,
                    "data": data,
                    "n_rows": n_rows,
                    "test": False,
                }


def _as_python(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value
