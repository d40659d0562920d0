"""What methods train on: one loss per kind of target."""

from sparsectr.losses.log_loss import LOG_LOSS, log_loss
from sparsectr.losses.loss import Loss
from sparsectr.losses.poisson import POISSON
from sparsectr.losses.squared_error import SQUARED_ERROR

__all__ = ["LOG_LOSS", "POISSON", "SQUARED_ERROR", "Loss", "log_loss"]
