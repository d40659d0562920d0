"""What methods train on: one loss per kind of target."""

from sparsectr.losses.log_loss import LOG_LOSS, log_loss
from sparsectr.losses.loss import Loss

__all__ = ["LOG_LOSS", "Loss", "log_loss"]
