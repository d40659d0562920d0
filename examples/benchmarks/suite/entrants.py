"""The models of the development suite, each with the defaults of its library."""

import importlib
from importlib.metadata import version
from typing import Any, NamedTuple

from suite.arguments import DOCS
from suite.records import find_tree


class Entrant(NamedTuple):
    """A model of the suite.

    Attributes
    ----------
    title : str
        What it is called in tables.
    path : str
        Where its class is, as module:class; imported when needed.
    parameters : dict
        What it is made with, beside the seed.
    package : str
        The distribution whose version decides whether a fit must be done again.
    """

    title: str
    path: str
    parameters: dict[str, Any]
    package: str

    @property
    def ours(self) -> bool:
        """Whether it is an estimator of this package."""
        return self.package == "sparsectr"

    def make(self, seed: int) -> Any:
        """Construct the estimator."""
        module, name = self.path.split(":")
        cls = getattr(importlib.import_module(module), name)
        return cls(**self.parameters, random_state=seed)

    def find_version(self) -> str:
        """Return the version of the package; of ours, the tree of its files in git."""
        return find_tree(DOCS.parent / "sparsectr") if self.ours else version(self.package)


def _peer(title: str, path: str, package: str, **parameters: Any) -> Entrant:
    return Entrant(title, f"suite.peers.{path}", parameters, package)


_NUMBERS = {"integer_categories": False}

ENTRANTS = {
    "ensemble": Entrant(
        "CrossEnsembleClassifier", "sparsectr:CrossEnsembleClassifier", {}, "sparsectr"
    ),
    "dynint": Entrant("DynInt", "sparsectr:DynIntClassifier", {}, "sparsectr"),
    "dynint-mean": Entrant(
        "DynInt, mean of 5", "sparsectr:DynIntClassifier", {"n_members": 5}, "sparsectr"
    ),
    "profit": Entrant("PROFIT", "sparsectr:ProfitClassifier", {}, "sparsectr"),
    "optfeature": Entrant("OptFeature", "sparsectr:OptFeatureClassifier", {}, "sparsectr"),
    "catboost": _peer(
        "CatBoost", "catboost_trees:CatBoostPeer", "catboost", iterations=1000, **_NUMBERS
    ),
    "lightgbm": _peer(
        "LightGBM", "lightgbm_trees:LightGBMPeer", "lightgbm", learning_rate=0.1, **_NUMBERS
    ),
    "hgb": _peer("HistGradientBoosting", "hist_trees:HistPeer", "scikit-learn", **_NUMBERS),
    "catboost-mean": _peer("CatBoost, mean of 5", "averaged_trees:FiveCatBoosts", "catboost"),
    "lightgbm-mean": _peer("LightGBM, mean of 5", "averaged_trees:FiveLightGBMs", "lightgbm"),
    "random-crosses": _peer(
        "LightGBM on 500 random crosses", "random_crosses:RandomCrosses", "lightgbm"
    ),
    "lr": _peer("logistic regression, one-hot", "linear:OneHotLogistic", "scikit-learn"),
}
# What every model is compared with: the better of these on each table.
REFERENCES = ("catboost", "lightgbm")
