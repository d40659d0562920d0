"""The one training loop: epochs of shuffled batches around a closure, best state kept."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import repeat
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from sparsectr.kernels.memory import reused_memory
from sparsectr.kernels.threads import one_torch_thread
from sparsectr.rows.orders import shuffled_batches
from sparsectr.training.exchange import current_exchange
from sparsectr.training.recording import RecordedStep, Step

EpochRecord = dict[str, Any]
Evaluate = Callable[[nn.Module], dict[str, float]]

# Validation values that are scores; all others are losses.
LARGER_IS_BETTER = frozenset({"roc_auc"})
# What learning rates are multiplied by after epochs without improvement.
RATE_DROP = 0.1
# So many such epochs in a row are put down to noise: they change nothing.
GRACE_EPOCHS = 1
# A smaller gain, as a share of the watched value, is kept but counts as none: with small steps an
# epoch may be better than the last by nearly nothing, again and again.
SMALLEST_GAIN = 2e-4
# Rows of a batch up to which torch's threads bring little, and cost much beside other processes.
SMALL_BATCH = 128


@dataclass(frozen=True)
class Schedule:
    """Say how long to train and when to stop.

    Attributes
    ----------
    batch_size : int
        Rows per step.
    max_epochs : int
        Passes over the training rows.
    patience : int or None
        Stop after this many epochs in a row without a better validation value, by
        `SMALLEST_GAIN` at least, and go back to the best epoch. None: run all epochs and keep
        the last.
    monitor : str
        The validation value that is watched, such as "log_loss".
    """

    batch_size: int
    max_epochs: int
    patience: int | None = None
    monitor: str = "log_loss"

    @property
    def monitored_key(self) -> str:
        """Name of the watched value in an epoch's record."""
        return f"validation_{self.monitor}"

    def threads(self) -> AbstractContextManager[None]:
        """Return the block to train in: batches of few rows keep torch to one thread."""
        return one_torch_thread(self.batch_size <= SMALL_BATCH)

    def cost(self, record: EpochRecord) -> float:
        """Return the watched value of an epoch, turned so that smaller is better."""
        value = float(record[self.monitored_key])
        return -value if self.monitor in LARGER_IS_BETTER else value


class Reporter(Protocol):
    """What the loop tells the outside world, and how the outside world can stop it.

    Attributes
    ----------
    complete : callable
        Gives the values that no training row has their embeddings: during training only those of
        validation rows, and of rows set apart for a search, have one. To be called before a net is
        used for anything else.
    """

    complete: Callable[[], None]

    def begin_epoch(self, net: nn.Module) -> None:
        """Called at the start of every epoch."""

    def end_epoch(self, net: nn.Module, record: EpochRecord) -> bool:
        """Called at the end of every epoch; return True to end the phase."""


def run_epochs(
    net: nn.Module,
    n_rows: int,
    step: Step,
    schedule: Schedule,
    *,
    generator: torch.Generator,
    reporter: Reporter,
    evaluate: Evaluate | None = None,
    phase: str = "train",
    annealed: Sequence[Optimizer] = (),
    beside: Iterator[Sequence[Tensor]] | None = None,
    generators: Sequence[torch.Generator] = (),
    block_rows: int = 1,
) -> list[EpochRecord]:
    """Train a net by calling ``step`` on shuffled batches of row numbers.

    The loop knows nothing about the method: a step may run one optimizer on one batch or
    alternate between two (bi-level search), only the closure differs. Where several processes train
    together, every step gets the part of its batches that is this process's, and records are those
    of the whole: see `sparsectr.training.exchange`.

    Parameters
    ----------
    net : nn.Module
        Changed in place. Ends in the state of the best epoch when ``schedule.patience`` is set.
    n_rows : int
        Number of training rows.
    step : callable
        Takes row numbers (B,) and what ``beside`` yields, trains on them and returns the detached
        loss, shape (). On a GPU it is recorded and repeated: see `RecordedStep` for what it must
        not do.
    schedule : Schedule
        Batch size, epochs and early stopping.
    generator : torch.Generator
        Source of the order of the rows.
    reporter : Reporter
        Told of every epoch; may end the phase.
    evaluate : callable, optional
        Takes the net, returns validation values by name. Needed for early stopping.
    phase : str, default="train"
        Written into every record.
    annealed : sequence of Optimizer, default=()
        Optimizers whose learning rates drop to a tenth, when ``schedule.patience`` is set, after
        the second epoch in a row without a better validation value and after every further one.
        Training then goes on from the weights of the best epoch, and the optimizers start afresh:
        what they know of gradients, they have learnt elsewhere.
    beside : iterator of sequences of Tensor, optional
        Further row numbers, for every step those of one sequence: batches of other rows.
    generators : sequence of torch.Generator, default=()
        Those that the step may draw from.
    block_rows : int, default=1
        How many neighbours are read together; see `shuffled_batches`.

    Returns
    -------
    list of dict
        One record per epoch: phase, epoch, train_loss, the validation values.

    Raises
    ------
    ValueError
        If the training loss, a weight or a validation value is not finite.
    """
    history: list[EpochRecord] = []
    best = _BestEpoch()
    recorded = RecordedStep(step, generator.device, generators)
    beside = repeat(()) if beside is None else beside
    exchange = current_exchange()
    for epoch in range(1, schedule.max_epochs + 1):
        reporter.begin_epoch(net)
        started = time.perf_counter()
        batches = shuffled_batches(n_rows, schedule.batch_size, generator, block_rows)
        loss = _train_epoch(net, n_rows, recorded, batches, beside)
        exchange.align(net)
        _require_finite(loss, "training loss", phase, epoch)
        # The losses were those before each step; the last step may have been one too far.
        _require_finite(_extreme_weight(net), "weights", phase, epoch)
        record: EpochRecord = {"phase": phase, "epoch": epoch, "train_loss": loss}
        if evaluate is not None:
            for name, value in exchange.gather(evaluate(net))[0].items():
                _require_finite(value, name, phase, epoch)
                record[name] = value
        history.append(record)
        # Told, not kept: two fits of the same rows are to have the same history.
        seconds = time.perf_counter() - started
        stopped = any(exchange.gather(reporter.end_epoch(net, record | {"seconds": seconds})))
        if schedule.patience is not None:
            best.look_at(net, schedule.cost(record), epoch)
            n_without = epoch - best.last_gain
            stopped = stopped or n_without >= schedule.patience
            if annealed and not stopped and n_without > GRACE_EPOCHS:
                # With smaller steps from where it was best, not from where larger ones have led.
                best.restore(net)
                _start_afresh(annealed)
                recorded.forget()
        if stopped:
            break
    if best.epoch < len(history):
        best.restore(net)
    return history


class _BestEpoch:
    """Keep the weights of the epoch with the lowest cost, and note the last gain that counts."""

    def __init__(self) -> None:
        self.cost, self.epoch = math.inf, 0
        self.last_gain, self._level = 0, math.inf
        self._state: dict[str, Tensor] = {}

    def look_at(self, net: nn.Module, cost: float, epoch: int) -> None:
        """Keep the weights if no earlier epoch had as low a cost."""
        if cost < self.cost:
            self.cost, self.epoch = cost, epoch
            _copy_state(net, self._state)
        if epoch == 1 or cost < self._level - SMALLEST_GAIN * abs(self._level):
            self.last_gain, self._level = epoch, cost

    def restore(self, net: nn.Module) -> None:
        """Put the kept weights, if there are any, where those of the net are now."""
        if self._state:
            net.load_state_dict(self._state)


def _train_epoch(
    net: nn.Module,
    n_rows: int,
    step: RecordedStep,
    batches: Iterator[Tensor],
    beside: Iterator[Sequence[Tensor]],
) -> float:
    """Run one pass over the rows and return the mean loss per row."""
    net.train()
    # Summed on the device: reading a loss at every step would stall a GPU.
    on_cpu = step.device.type == "cpu"
    total = 0.0 if on_cpu else torch.zeros((), dtype=torch.float64, device=step.device)
    exchange = current_exchange()
    with reused_memory(), step.epoch():
        for rows in batches:
            shares = [exchange.share(some) for some in (rows, *next(beside))]
            loss = step(*shares)
            total += (loss.item() if on_cpu else loss) * shares[0].shape[0]
    return sum(exchange.gather(float(total))) / n_rows


@torch.no_grad()
def _extreme_weight(net: nn.Module) -> float:
    """Return the largest absolute weight, NaN if there is one; no copy of a table is made."""
    ends = [torch.stack(weight.aminmax()) for weight in net.parameters() if weight.numel()]
    return float(torch.cat(ends).abs().max()) if ends else 0.0


def _start_afresh(optimizers: Sequence[Optimizer]) -> None:
    """Lower the learning rates and forget the moments and squares of gradients."""
    for optimizer in optimizers:
        optimizer.state.clear()
        for group in optimizer.param_groups:
            group["lr"] *= RATE_DROP


def _copy_state(net: nn.Module, into: dict[str, Tensor]) -> None:
    """Overwrite a saved state in place: one extra copy of the weights, never two."""
    for name, value in net.state_dict().items():
        if name in into:
            into[name].copy_(value)
        else:
            into[name] = value.clone()


def _require_finite(value: float, what: str, phase: str, epoch: int) -> None:
    if not math.isfinite(value):
        raise ValueError(
            f"the {what} must stay finite, got {value} in epoch {epoch} of the {phase} phase. "
            "Lower learning_rate or raise weight_decay."
        )
