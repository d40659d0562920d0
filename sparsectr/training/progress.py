"""How far a run of the training loop has come."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

EpochRecord = dict[str, Any]

# A smaller gain, as a share of the watched value, is kept but counts as none: with small steps an
# epoch may be better than the last by nearly nothing, again and again.
SMALLEST_GAIN = 2e-4


@dataclass
class BestEpoch:
    """The weights of the epoch with the lowest cost, and the last gain that counts.

    Attributes
    ----------
    cost : float
        Lowest cost so far.
    epoch : int
        Its epoch; 0 before the first.
    last_gain : int
        Last epoch that was better by `SMALLEST_GAIN` at least.
    level : float
        Cost of that epoch.
    state : dict of str to Tensor
        Weights of the epoch with the lowest cost.
    """

    cost: float = math.inf
    epoch: int = 0
    last_gain: int = 0
    level: float = math.inf
    state: dict[str, Tensor] = field(default_factory=dict)

    def look_at(self, net: nn.Module, cost: float, epoch: int) -> None:
        """Keep the weights if no earlier epoch had as low a cost."""
        if cost < self.cost:
            self.cost, self.epoch = cost, epoch
            _copy_state(net, self.state)
        if epoch == 1 or cost < self.level - SMALLEST_GAIN * abs(self.level):
            self.last_gain, self.level = epoch, cost

    def restore(self, net: nn.Module) -> None:
        """Put the kept weights, if there are any, where those of the net are now."""
        if self.state:
            net.load_state_dict(self.state)


@dataclass
class Progress:
    """What a run of the loop must know to go on, beside weights, optimizers and generators.

    Attributes
    ----------
    history : list of dict
        Records of the epochs that are complete.
    seconds : list of float
        How long each of them took.
    best : BestEpoch
        Watched by early stopping.
    is_finished : bool
        Whether no epoch follows.
    n_drops : int
        How often learning rates have dropped.
    n_steps : int
        Steps so far, those of the running epoch included.
    n_epoch_steps : int
        Steps of the running epoch.
    epoch_loss : float
        Sum of the losses of the rows of these steps.
    epoch_seconds : float
        How long these steps took.
    order : Tensor or None
        State of the generator of the order of the rows when the running epoch began.
    """

    history: list[EpochRecord] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    best: BestEpoch = field(default_factory=BestEpoch)
    is_finished: bool = False
    n_drops: int = 0
    n_steps: int = 0
    n_epoch_steps: int = 0
    epoch_loss: float = 0.0
    epoch_seconds: float = 0.0
    order: Tensor | None = None

    def end_epoch(self, record: EpochRecord, seconds: float) -> None:
        """Note a complete epoch."""
        self.history.append(record)
        self.seconds.append(seconds)
        self.n_epoch_steps, self.epoch_loss, self.epoch_seconds = 0, 0.0, 0.0
        self.order = None


def _copy_state(net: nn.Module, into: dict[str, Tensor]) -> None:
    """Overwrite a saved state in place: one extra copy of the weights, never two."""
    for name, value in net.state_dict().items():
        if name in into:
            into[name].copy_(value)
        else:
            into[name] = value.clone()
