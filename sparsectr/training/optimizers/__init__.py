"""Optimizers for one huge embedding table and a few small dense parameters."""

from sparsectr.training.optimizers.dense_adam import DenseAdam
from sparsectr.training.optimizers.factory import (
    OPTIMIZERS,
    continuing,
    make_adam,
    make_optimizers,
    state_numbers,
)
from sparsectr.training.optimizers.ftrl import FTRL
from sparsectr.training.optimizers.group_ftrl import GroupFTRL, zero_row_share
from sparsectr.training.optimizers.per_parameter import set_batch_rows
from sparsectr.training.optimizers.row_adagrad import RowAdagrad
from sparsectr.training.optimizers.row_adam import RowAdam

__all__ = [
    "DenseAdam",
    "FTRL",
    "GroupFTRL",
    "OPTIMIZERS",
    "RowAdagrad",
    "RowAdam",
    "continuing",
    "make_adam",
    "make_optimizers",
    "set_batch_rows",
    "state_numbers",
    "zero_row_share",
]
