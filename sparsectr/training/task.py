"""What a method is handed when it has to train its net."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from sparsectr.nn.embedding import FieldEmbedding
from sparsectr.nn.mlp import Dropout
from sparsectr.rows.labelled import LabelledRows
from sparsectr.training.checkpoint import Checkpoint
from sparsectr.training.exchange import own_stream
from sparsectr.training.loop import Evaluate, Reporter, Schedule, run_epochs
from sparsectr.training.pooling import narrow, pool_all, widen
from sparsectr.training.progress import EpochRecord
from sparsectr.training.recording import Step


@dataclass(frozen=True)
class TrainingTask:
    """Bundle encoded data, schedule and sources of randomness for one ``fit``.

    Attributes
    ----------
    train : LabelledRows
        The rows to train on, on the training device.
    validation : LabelledRows or None
        The rows of early stopping. Never used for gradients.
    vocabulary_sizes : tuple of int
        Number of codes of every field.
    n_outputs : int
        Number of logits: of classes 1 for two, else one for each.
    schedule : Schedule
        Batch size, epochs and early stopping.
    evaluate : callable or None
        Net to validation values by name; None without validation rows.
    reporter : Reporter
        Told of every epoch.
    seeds : numpy.random.SeedSequence
        Root of all random numbers of this fit.
    generators : list of torch.Generator
        All that `new_generator` has returned.
    set_apart : LabelledRows or None
        Rows that `split_off` took away: a search meets their values, too.
    checkpoint : Checkpoint or None
        Where the state is written during training.
    """

    train: LabelledRows
    validation: LabelledRows | None
    vocabulary_sizes: tuple[int, ...]
    n_outputs: int
    schedule: Schedule
    evaluate: Evaluate | None
    reporter: Reporter
    seeds: np.random.SeedSequence = field(default_factory=np.random.SeedSequence)
    generators: list[torch.Generator] = field(default_factory=list)
    set_apart: LabelledRows | None = None
    checkpoint: Checkpoint | None = None

    @property
    def device(self) -> torch.device:
        """Device of the training rows."""
        return self.train.device

    def new_generator(self) -> torch.Generator:
        """Return a generator of its own stream: the n-th call gives the n-th stream."""
        (child,) = self.seeds.spawn(1)
        seed = int(child.generate_state(1, np.uint64)[0] >> np.uint64(1))
        generator = torch.Generator(self.device).manual_seed(seed)
        self.generators.append(generator)
        return generator

    def prior_logits(self) -> Tensor:
        """Return the logits of the best constant prediction, shape (K,)."""
        rows = self.train
        return rows.loss.prior_logits(rows.targets, rows.weights, self.n_outputs)

    def gradient_scale(self) -> float:
        """Return the size of the gradients of the sum loss by a logit, at the prior.

        See `sparsectr.losses.Loss`.
        """
        rows = self.train
        return rows.loss.gradient_scale(rows.targets, rows.weights, self.n_outputs)

    def widened(self, net: nn.Module | None) -> tuple[TrainingTask, nn.Module | None]:
        """Return the task, and a net to go on from, with rows for new sets of values.

        New are the sets that the encoder has no codes for; see `Bags`. Without any, both stay.
        """
        bags = self.train.bags
        if bags is None or not bags.n_new:
            return self, net
        if net is None:
            raise ValueError(
                "a frozen encoder must know all sets of values of the training rows, got "
                f"{bags.n_new:,} that it has not seen; fit it on these rows, too."
            )
        return replace(self, vocabulary_sizes=tuple(bags.widened_sizes)), widen(net, bags)

    def narrowed(self, net: nn.Module) -> tuple[TrainingTask, nn.Module]:
        """Return the task and its trained net without the rows of new sets of values."""
        bags = self.train.bags
        if bags is None or not bags.n_new:
            return self, net
        sizes = tuple(bags.sizes)
        task = replace(self, vocabulary_sizes=sizes, train=self.train.without_new_bags())
        return task, narrow(net, sizes)

    def split_off(self, share: float) -> tuple[TrainingTask, LabelledRows]:
        """Take a random share of the training rows away, for a search on rows of its own.

        Of every class (or of all rows, where targets are no classes) the same share is taken,
        rounded, and at least one of two rows.

        Returns
        -------
        task : TrainingTask
            The same task on the rows that stay.
        rows : LabelledRows
            The rows taken away.
        """
        order = torch.randperm(len(self.train), generator=self.new_generator(), device=self.device)
        away = torch.zeros(len(order), dtype=torch.bool, device=self.device)
        strata = self.train.loss.strata(self.train.targets)[order]
        for stratum in strata.unique():
            places = (strata == stratum).nonzero()[:, 0]
            away[places[: max(round(share * len(places)), int(len(places) > 1))]] = True
        parts = order[away], order[~away]
        if self.train.source.block_rows > 1:  # neighbours are to stay neighbours
            parts = parts[0].sort().values, parts[1].sort().values
        rows, stay = map(self.train.select, parts)
        return replace(self, train=stay, set_apart=rows), rows

    def run(
        self,
        net: nn.Module,
        step: Step,
        *,
        phase: str = "train",
        schedule: Schedule | None = None,
        optimizers: Sequence[Optimizer] = (),
        annealed: Sequence[Optimizer] = (),
        beside: Iterator[Sequence[Tensor]] | None = None,
    ) -> list[EpochRecord]:
        """Train a net with the loop; see `run_epochs`.

        After every epoch the values of validation rows, and of rows set apart, that no training row
        has, and at the end all values without a training row, take the mean embedding of their
        field: validation meets them as prediction will. The rows of earlier trainings of this net
        (warm start, partial fit) count as well.
        """
        # As numbers of the table's type, or every epoch would convert them.
        fillers = [(table, counts.to(table.weight)) for table, counts in self._fillers(net)]
        met = [rows for rows in (self.validation, self.set_apart) if rows is not None]
        needed = [
            table.untrained_rows(
                counts,
                sum((rows.count(table.vocabulary_sizes) for rows in met), torch.zeros_like(counts)),
            )
            for table, counts in fillers
        ]

        def evaluate(net: nn.Module) -> dict[str, Any]:
            for (table, counts), rows in zip(fillers, needed, strict=True):
                table.fill_untrained(counts, rows)
            pool_all(net, self.train.bags)
            return self.evaluate(net) if self.evaluate is not None else {}

        def complete() -> None:
            for table, counts in fillers:
                table.fill_untrained(counts)
            pool_all(net, self.train.bags)

        self.reporter.complete = complete
        for module in net.modules():
            if isinstance(module, Dropout) and module.generator is not None:
                module.generator = own_stream(module.generator)
        history = run_epochs(
            net,
            len(self.train),
            step,
            schedule or self.schedule,
            generator=self.new_generator(),
            reporter=self.reporter,
            evaluate=evaluate,
            phase=phase,
            annealed=annealed,
            beside=beside,
            generators=self.generators,
            block_rows=self.train.source.block_rows,
            optimizers=optimizers,
            checkpoint=self.checkpoint,
        )
        complete()
        return history

    def keep_counts(self, net: nn.Module) -> None:
        """Let the tables of a trained net remember the rows of this task, beside earlier ones."""
        for table, counts in self._fillers(net):
            table.keep_counts(counts)

    def _fillers(self, net: nn.Module) -> Iterator[tuple[FieldEmbedding, Tensor]]:
        """Pair every embedding table of a net with the training counts of its rows."""
        for module in net.modules():
            if isinstance(module, FieldEmbedding):
                counts = self.train.count(module.vocabulary_sizes, weighted=True)
                yield module, module.past_counts().to(counts.device) + counts
