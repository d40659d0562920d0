"""The mean of several fits of CatBoost, as `suite.averaged` has it of nets."""

from suite.averaged import AveragedOnAllRows
from suite.peers.catboost_trees import CatBoostPeer


class AllRowsCatBoost(AveragedOnAllRows, CatBoostPeer):
    """The mean of five fits of `CatBoostPeer` on all rows."""

    single = CatBoostPeer
