"""The one training loop: epochs of shuffled batches around a closure, best state kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from itertools import islice, repeat
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from sparsectr.kernels.memory import reused_memory
from sparsectr.kernels.threads import one_torch_thread
from sparsectr.rows.orders import shuffled_batches
from sparsectr.training.checkpoint import Checkpoint
from sparsectr.training.exchange import current_exchange
from sparsectr.training.progress import EpochRecord, Progress
from sparsectr.training.recording import RecordedStep, Step
from sparsectr.training.run_checkpoint import RunCheckpoint, Trained

# Numbers, or lists of them.
Evaluate = Callable[[nn.Module], dict[str, Any]]

# Validation values that are scores; all others are losses.
LARGER_IS_BETTER = frozenset({"roc_auc"})
# What learning rates are multiplied by after epochs without improvement.
RATE_DROP = 0.1
# What batches are multiplied by at the same time, where they may grow. Small steps need no small
# batches, and Python around a step of 32 rows takes longer than its arithmetic.
GROWTH = 8
# A search of gates takes larger batches, which it is as good with.
SEARCH_GROWTH = 4
# Steps of an epoch that batches are not to fall below by growing.
FEWEST_STEPS = 30
# So many such epochs in a row are put down to noise: they change nothing.
GRACE_EPOCHS = 1
# Rows of a batch up to which torch's threads bring little, and cost much beside other processes.
SMALL_BATCH = 128


@dataclass(frozen=True)
class Schedule:
    """Say how long to train and when to stop.

    Attributes
    ----------
    batch_size : int
        Rows per step; of the first steps, where batches grow.
    max_epochs : int
        Passes over the training rows.
    patience : int or None
        Stop after this many epochs in a row without a better validation value, by `SMALLEST_GAIN`
        of `sparsectr.training.progress` at least, and go back to the best epoch. None: run all
        epochs and keep the last.
    monitor : str
        The validation value that is watched, such as "log_loss".
    largest_batch : int or None
        Whenever learning rates drop, batches grow, up to so many rows. None: they stay as they are.
    """

    batch_size: int
    max_epochs: int
    patience: int | None = None
    monitor: str = "log_loss"
    largest_batch: int | None = None

    @property
    def monitored_key(self) -> str:
        """Name of the watched value in an epoch's record."""
        return f"validation_{self.monitor}"

    def threads(self) -> AbstractContextManager[None]:
        """Return the block to train in: batches of few rows keep torch to one thread."""
        return one_torch_thread(self.batch_size <= SMALL_BATCH)

    def rows_per_step(self, n_drops: int, n_rows: int) -> int:
        """Return the size of batches of an epoch over ``n_rows`` rows, after so many drops."""
        return self._grown(GROWTH**n_drops, n_rows)

    def of_search(self, n_rows: int) -> Schedule:
        """Return the schedule of a search of gates: of ``n_rows`` rows, with larger batches."""
        return replace(self, batch_size=self._grown(SEARCH_GROWTH, n_rows))

    def _grown(self, factor: int, n_rows: int) -> int:
        if self.largest_batch is None:
            return self.batch_size
        most = max(self.batch_size, min(self.largest_batch, n_rows // FEWEST_STEPS))
        return min(self.batch_size * factor, most)

    def cost(self, record: EpochRecord) -> float:
        """Return the watched value of an epoch, turned so that smaller is better."""
        value = float(record[self.monitored_key])
        return -value if self.monitor in LARGER_IS_BETTER else value


class Reporter(Protocol):
    """What the loop tells the outside world, and how the outside world can stop it.

    Attributes
    ----------
    complete : callable
        Fills the embeddings of values without training rows. During training, only those that occur
        in validation rows, or in rows set apart for a search, are filled. Call it before the net is
        used for anything else.
    """

    complete: Callable[[], None]

    def resume(self, history: Sequence[EpochRecord], seconds: Sequence[float]) -> None:
        """Called before a run, with the epochs that a checkpoint holds of it."""

    def begin_epoch(self, net: nn.Module) -> None:
        """Called at the start of every epoch."""

    def watch(self, batches: Iterator[Tensor], n_rows: int) -> Iterator[Tensor]:
        """Return the batches of row numbers of an epoch over ``n_rows`` rows."""

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
    optimizers: Sequence[Optimizer] = (),
    checkpoint: Checkpoint | None = None,
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
        Optimizers whose learning rates drop, when ``schedule.patience`` is set, after the second
        epoch in a row without a better validation value and after every further one, to a tenth.
        Training then goes on from the weights of the best epoch, with larger batches if they may
        grow, and the optimizers start afresh: what they know of gradients, they have learnt
        elsewhere.
    beside : iterator of sequences of Tensor, optional
        Further row numbers, for every step those of one sequence: batches of other rows.
    generators : sequence of torch.Generator, default=()
        Those that the step may draw from.
    block_rows : int, default=1
        How many neighbours are read together; see `shuffled_batches`.
    optimizers : sequence of Optimizer, default=()
        All that the step updates weights with: their state goes into the checkpoint.
    checkpoint : Checkpoint, optional
        Where the state is written after every epoch, and where the run goes on from.

    Returns
    -------
    list of dict
        One record per epoch: phase, epoch, train_loss, the validation values.

    Raises
    ------
    ValueError
        If the training loss, a weight or a validation value is not finite.
    """
    beside = repeat(()) if beside is None else beside
    saved = None
    if checkpoint is not None:
        saved = checkpoint.begin_run(Trained(net, optimizers, generators))
    progress = Progress() if saved is None else saved.resume(beside)
    history, best = progress.history, progress.best
    if progress.n_steps:
        reporter.resume(history, progress.seconds)
    recorded = RecordedStep(step, generator.device, generators)
    exchange = current_exchange()
    while not progress.is_finished and len(history) < schedule.max_epochs:
        reporter.begin_epoch(net)
        started, epoch = time.perf_counter() - progress.epoch_seconds, len(history) + 1
        _begin_order(progress, generator)
        size = schedule.rows_per_step(progress.n_drops, n_rows)
        batches = shuffled_batches(n_rows, size, generator, block_rows)
        batches = reporter.watch(batches, n_rows)
        loss = _train_epoch(net, n_rows, recorded, batches, beside, progress, saved)
        exchange.align(net)
        record: EpochRecord = {"phase": phase, "epoch": epoch, "train_loss": loss}
        _require_finite(loss, "training loss", record)
        # The losses were those before each step; the last step may have been one too far.
        _require_finite(_extreme_weight(net), "weights", record)
        if evaluate is not None:
            for name, value in exchange.from_first(evaluate(net)).items():
                _require_finite(value, name, record)
                record[name] = value
        seconds = time.perf_counter() - started
        progress.end_epoch(record, seconds)
        # Told, not kept: two fits of the same rows are to have the same history.
        stopped = any(exchange.gather(reporter.end_epoch(net, record | {"seconds": seconds})))
        if schedule.patience is not None:
            best.look_at(net, schedule.cost(record), epoch)
            n_without = epoch - best.last_gain
            stopped = stopped or n_without >= schedule.patience
            if annealed and not stopped and n_without > GRACE_EPOCHS:
                # With smaller steps from where it was best, not from where larger ones have led.
                best.restore(net)
                _start_afresh(annealed)
                progress.n_drops += 1
                recorded.forget()
        progress.is_finished = stopped or epoch == schedule.max_epochs
        if progress.is_finished and best.epoch < epoch:
            best.restore(net)
        if saved is not None:
            saved.save(progress)
    return history


def _begin_order(progress: Progress, generator: torch.Generator) -> None:
    """Put the generator where it was when the running epoch began, or note where it is."""
    if progress.order is None:
        progress.order = generator.get_state()
    else:
        generator.set_state(progress.order)


def _train_epoch(
    net: nn.Module,
    n_rows: int,
    step: RecordedStep,
    batches: Iterator[Tensor],
    beside: Iterator[Sequence[Tensor]],
    progress: Progress,
    saved: RunCheckpoint | None,
) -> float:
    """Run one pass over the rows, or what is left of it; return the mean loss per row."""
    net.train()
    started = time.perf_counter() - progress.epoch_seconds
    # Summed on the device: reading a loss at every step would stall a GPU.
    on_cpu = step.device.type == "cpu"
    total: float | Tensor = progress.epoch_loss
    if not on_cpu:
        total = torch.full((), progress.epoch_loss, dtype=torch.float64, device=step.device)
    exchange = current_exchange()
    with reused_memory(), step.epoch() as take_step:
        for rows in islice(batches, progress.n_epoch_steps, None):
            shares = [exchange.share(some) for some in (rows, *next(beside))]
            loss = take_step(*shares)
            total += (loss.item() if on_cpu else loss) * shares[0].shape[0]
            progress.n_steps += 1
            progress.n_epoch_steps += 1
            if saved is not None and saved.is_due():
                progress.epoch_loss = float(total)
                progress.epoch_seconds = time.perf_counter() - started
                saved.save(progress)
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


def _require_finite(value: Any, what: str, record: EpochRecord) -> None:
    if not np.isfinite(value).all():
        raise ValueError(
            f"the {what} must stay finite, got {value} in epoch {record['epoch']} of the "
            f"{record['phase']} phase. Lower learning_rate or raise weight_decay."
        )
