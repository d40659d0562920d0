"""The estimators of the benchmarks by name, and their settings for every table."""

import importlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from suite.datasets import SOURCES

Settings = dict[str, Any]


class Model(NamedTuple):
    """A row of the tables: its title, where its class is, and what makes it this row."""

    title: str
    path: str  # module:class; imported when needed, since peers need not be installed
    parameters: Settings
    family: str  # models of one family share their settings
    ours: bool = False
    mean_of: str = ""  # the model whose fits it averages, with the settings of a single fit

    @property
    def estimator_class(self) -> type:
        module, name = self.path.split(":")
        return getattr(importlib.import_module(module), name)


def _ours(method: str, path: str, parameter: str, *values: str) -> dict[str, Model]:
    return {
        f"{method.lower()}-{value}": Model(
            f"{method} {value}", path, {parameter: value}, f"{method.lower()}-{value}", ours=True
        )
        for value in values
    }


_TITLES = {"WDL": "Wide&Deep"}
# Without an MLP: settings chosen for nets with one are not theirs.
_FAMILIES = {"FM": "factorization", "AFM": "attention"}


def _nets(library: str, prefix: str, *architectures: str) -> dict[str, Model]:
    return {
        f"{library}-{architecture.lower().replace(' ', '-')}": Model(
            f"{_TITLES.get(architecture, architecture)} ({prefix})",
            "suite.peers.nets:NetPeer",
            {"library": library, "architecture": architecture},
            _FAMILIES.get(architecture, "net"),
        )
        for architecture in architectures
    }


_SINGLE = (
    _ours("OptFeature", "sparsectr:OptFeatureClassifier", "granularity", "hybrid", "field", "value")
    | _ours("PROFIT", "sparsectr:ProfitClassifier", "predictor", "linear", "mlp")
    | _ours("DynInt", "sparsectr:DynIntClassifier", "variant", "pin", "da", "dgp", "dwp")
    | {
        "lr": Model("logistic regression, one-hot", "suite.peers.linear:OneHotLogistic", {}, "lr"),
        "lightgbm": Model("LightGBM", "suite.peers.lightgbm_trees:LightGBMPeer", {}, "lightgbm"),
        "catboost": Model("CatBoost", "suite.peers.catboost_trees:CatBoostPeer", {}, "catboost"),
    }
    | _nets("deepctr", "DeepCTR-Torch", "FM", "DeepFM", "DCN-V2", "xDeepFM", "AutoInt")
    | _nets("deepctr", "DeepCTR-Torch", "AFN", "FiBiNET", "PNN", "WDL", "DCN", "AFM")
    | _nets("fuxictr", "FuxiCTR layers", "FM", "DCN-V2", "two-stream MLP")
)


MODELS = _SINGLE | {
    "dynint-pin-mean": _SINGLE["dynint-pin"]._replace(
        title="DynInt pin, mean of 5 fits",
        parameters={"variant": "pin", "n_members": 5},
        mean_of="dynint-pin",
    ),
    "catboost-all-rows": _SINGLE["catboost"]._replace(
        title="CatBoost, mean of 5 fits on all rows",
        path="suite.peers.averaged_trees:AllRowsCatBoost",
        mean_of="catboost",
    ),
}

# Of 1e-3 (the default), 1e-4 and 1e-5, the best on validation rows of Amazon and of Adult, seed 0.
_ATTENTION = {"embedding_l2": 1e-5}
_FACTORS_ON_FRAPPE = {"embedding_l2": 3e-4, "batch_size": 512, "learning_rate": 3e-3}
_DEEP_ON_FRAPPE = {"dropout": 0.2, "batch_size": 4096, "embedding_l2": 1e-2, "learning_rate": 3e-3}
_CROSSES_ON_FRAPPE = {"space": "full", "n_crosses": {2: 20, 3: 30}, "max_order": 3}

# Chosen by hand on validation rows. What is not here runs with its defaults.
CHOSEN: dict[str, dict[str, Settings]] = {
    "flights": {"attention": _ATTENTION},
    "amazon": {"attention": _ATTENTION},
    "adult": {"attention": _ATTENTION},
    "ml1m": {"dynint-pin": {"batch_size": 1024}, "attention": _ATTENTION},
    "frappe": {
        "dynint-pin": {"embedding_dim": 32},
        "profit-linear": _CROSSES_ON_FRAPPE | {"embedding_dim": 32, "embedding_l2": 3e-4},
        "profit-mlp": _CROSSES_ON_FRAPPE | _DEEP_ON_FRAPPE | {"hidden_units": [400, 400, 400]},
        "net": _DEEP_ON_FRAPPE | {"hidden_units": [400, 400, 400]},
        "factorization": _FACTORS_ON_FRAPPE,
        "attention": _FACTORS_ON_FRAPPE,
    },
}


def find_settings(
    dataset: str, model: str, kind: str, tuned: Sequence[dict[str, Any]] = ()
) -> Settings:
    """Return what a model is constructed with, beside seed and the parameters of its row.

    Parameters
    ----------
    dataset, model : str
        Names of `SOURCES` and `MODELS`.
    kind : {"default", "chosen", "tuned"}
        Defaults; those of `CHOSEN`; or the best trial of a search.
    tuned : sequence of dict
        Records of the trials.
    """
    if kind == "default":
        return {}
    if kind == "chosen":
        return CHOSEN.get(dataset, {}).get(MODELS[model].family, {})
    searched = MODELS[model].mean_of or model
    trials = [row for row in tuned if (row["dataset"], row["model"]) == (dataset, searched)]
    if not trials:
        raise ValueError(f"{searched} must be tuned on {dataset} first: run `bench.py tune`.")
    return min(trials, key=lambda row: validation_cost(row, dataset))["parameters"]


def validation_cost(record: dict[str, Any], dataset: str) -> float:
    """Return the validation value that decides, turned so that smaller is better."""
    if SOURCES[dataset].monitor == "roc_auc":
        return -record["validation"]["roc_auc"]
    return record["validation"]["log_loss"]


def make_model(dataset: str, model: str, settings: Settings, seed: int) -> Any:
    """Construct the estimator of a row; every one watches the same validation value."""
    row, source = MODELS[model], SOURCES[dataset]
    known = row.estimator_class().get_params(deep=False)
    shared = {"monitor": source.monitor, "random_state": seed}
    if source.min_frequency > 1:
        shared["min_frequency"] = source.min_frequency
        if "encoder" in known:
            encoder = importlib.import_module("sparsectr.encoding.field_encoder").FieldEncoder
            shared["encoder"] = encoder(min_frequency=source.min_frequency)
    shared = {name: value for name, value in shared.items() if name in known}
    return row.estimator_class(**shared | row.parameters | settings)
