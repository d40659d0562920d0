"""The search for crosses: alternating steps on architecture and weights, order by order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import repeat

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from sparsectr.methods.profit.search_net import EMBEDDING_STD, CrossSearchNet
from sparsectr.methods.profit.start_scores import estimate_scores
from sparsectr.nn.embedding import FieldEmbedding
from sparsectr.rows.labelled import Batch, LabelledRows
from sparsectr.rows.orders import endless_batches
from sparsectr.training.agreement import affordable_rows, agreement_scores, outstanding_sets
from sparsectr.training.descent import descend, pool_batch
from sparsectr.training.optimizers import make_adam, make_optimizers
from sparsectr.training.prior import add_embedding_prior
from sparsectr.training.progress import EpochRecord
from sparsectr.training.task import TrainingTask

Cross = tuple[int, ...]

# Architectures drawn by the random search, of which the best is kept.
RANDOM_DRAWS = 20
# Rows of a batch of the architecture, unless its share of the batches of the weights is larger.
ARCHITECTURE_ROWS = 512
# Rows per forward pass where nothing is trained.
ROWS_AT_ONCE = 8192
# Signs of the four coordinates in which a direction starts. The rows sum to zero, so that what
# is added to one field, and for order 3 to two, cancels in the lower orders.
WALSH = [[1.0, 1.0, 1.0, 1.0], [1.0, 1.0, -1.0, -1.0], [1.0, -1.0, 1.0, -1.0]]


@dataclass(frozen=True)
class SearchSettings:
    """Say how crosses are searched.

    Attributes
    ----------
    search : {"progressive", "one_step", "random"}
        Order by order, all orders at once, or by drawing architectures.
    epochs : dict of int to int
        Most epochs of every order from 1 on.
    patience : int
        Epochs without improvement after which an order ends.
    architecture_learning_rate, learning_rate : float
        Of the architecture, and of all other weights.
    weight_decay, embedding_l2
        Penalties of the weights; the architecture has none.
    fraction : float
        Share of the rows on which the architecture is searched.
    most_screened : dict of int to int
        Order to the largest number of screened sets that start it. Orders without an entry
        start at random, and so does any search but the progressive one.
    """

    search: str
    fraction: float
    epochs: dict[int, int]
    patience: int
    architecture_learning_rate: float
    learning_rate: float
    weight_decay: float
    embedding_l2: float
    most_screened: dict[int, int]


class CrossSearch:
    """Train a search net on two parts of the rows: one for weights, one for the architecture.

    Parameters
    ----------
    net : CrossSearchNet
        Trained in place.
    task : TrainingTask
        All rows, and those of early stopping.
    settings : SearchSettings
        How to search.

    Raises
    ------
    ValueError
        If one of the two parts has too few rows to learn from, such as rows of one class only.
    """

    def __init__(self, net: CrossSearchNet, task: TrainingTask, settings: SearchSettings) -> None:
        self.net = net
        self.settings = settings
        self.all_rows = task.train
        self.task, self.architecture_rows = task.split_off(settings.fraction)
        for name, part in (
            ("weights", self.task.train),
            ("architecture", self.architecture_rows),
        ):
            if shortage := part.loss.shortage(part.targets):
                raise ValueError(
                    f"both parts of the search must hold {shortage} among the {len(part)} rows of "
                    f"the {name}. Pass more rows, or change search_fraction."
                )
        self._screened: set[Cross] = set()

    def has_screened(self, fields: Cross) -> bool:
        """Return whether the search of an order started from this set."""
        return fields in self._screened

    def run(self) -> list[EpochRecord]:
        """Search; return one record per epoch, with the order that was searched."""
        max_order = self.net.space.max_order
        if self.settings.search == "progressive":
            history: list[EpochRecord] = []
            for order in range(1, max_order + 1):
                if order in self.settings.most_screened:
                    self._screen(order)
                history += self._search([order])
            return history
        history = self._search(list(range(1, max_order + 1)))
        if self.settings.search == "random":
            self._keep_best_draw()
        return history

    # One phase ------------------------------------------------------------------------

    def _search(self, orders: Sequence[int]) -> list[EpochRecord]:
        """Train the architecture of some orders, and all weights, on orders up to theirs."""
        self.net.order = max(orders)
        whole = self.task.schedule
        schedule = replace(
            whole,
            max_epochs=min(sum(map(self.settings.epochs.__getitem__, orders)), whole.max_epochs),
            patience=None if whole.patience is None else self.settings.patience,
        )
        step = _SearchStep(self, orders, schedule.batch_size)
        history = self.task.run(
            self.net,
            step,
            phase="search",
            schedule=schedule,
            optimizers=[step.architecture_optimizer, *step.optimizers],
            beside=step.beside(),
        )
        for record in history:
            record["order"] = self.net.order
        return history

    @torch.no_grad()
    def _keep_best_draw(self) -> None:
        """Draw architectures and keep the one with the lowest loss on the architecture rows."""
        generator, rows = self.task.new_generator(), self.architecture_rows
        best_loss, best_state = float("inf"), self.net.space.state_dict()
        for _ in range(RANDOM_DRAWS):
            self.net.space.reset_parameters(generator)
            loss = float(rows.loss.mean(self._logits(rows), rows.targets, rows.weights))
            if loss < best_loss:
                best_loss = loss
                best_state = {k: v.clone() for k, v in self.net.space.state_dict().items()}
        self.net.space.load_state_dict(best_state)

    def _logits(self, rows: LabelledRows) -> Tensor:
        return torch.cat([self.net(piece.codes) for piece in rows.pieces(ROWS_AT_ONCE)])

    # Screening ------------------------------------------------------------------------

    @torch.no_grad()
    def _screen(self, order: int) -> None:
        """Start an order at the sets whose joint values explain the residuals so far."""
        generator = self.task.new_generator()
        rows = self._sample_rows(order, generator)
        if rows is None:
            return
        residuals = self._residuals(rows)
        sizes = self.task.vocabulary_sizes
        scores = agreement_scores(rows.codes, residuals, sizes, order)
        found = outstanding_sets(scores)[: self.settings.most_screened[order]]
        if not found:
            return
        self._screened.update(found)
        self.net.space.start_at(found, order, generator)
        for fields in found:
            self._start_embeddings(fields, rows, residuals, generator)

    def _sample_rows(self, order: int, generator: torch.Generator) -> Batch | None:
        """Draw rows of both parts for a screening; None if it is not affordable."""
        rows = self.all_rows
        n_rows = affordable_rows(len(rows), self.net.space.n_fields, order)
        if not n_rows:
            return None
        return rows.sample(n_rows, generator)

    def _residuals(self, rows: Batch) -> Tensor:
        """Return weighted target minus prediction, (n_rows, K)."""
        logits = torch.cat([self.net(codes) for codes in rows.codes.split(ROWS_AT_ONCE)])
        return rows.loss.residuals(logits, rows.targets) * rows.weights[:, None]

    def _start_embeddings(
        self, fields: Cross, rows: Batch, residuals: Tensor, generator: torch.Generator
    ) -> None:
        """Add to the embeddings of some fields the directions whose product has an effect."""
        table, codes = self.net.embedding, rows.codes
        dim = table.weight.shape[1]
        n_directions = max(1, dim // len(WALSH))
        coordinates = torch.arange(dim, dtype=torch.int64, device=codes.device)
        directions, turns = coordinates % n_directions, coordinates // n_directions % len(WALSH)
        sizes = [table.vocabulary_sizes[f] for f in fields]
        pulls = residuals @ self.net.readout.weight[:, :n_directions]  # (n_rows, S)
        scores, strengths = estimate_scores(codes[:, list(fields)], pulls, sizes, generator)
        shares = (strengths / strengths.max().clamp(min=1e-30))[directions]
        # The last field's signs are the product of the others': the cross itself keeps its sign.
        signs = table.weight.new_tensor(WALSH)[[1 + k % 2 for k in range(len(fields) - 1)]]
        signs = torch.cat([signs, signs.prod(0, keepdim=True)])[:, turns]
        for f, size, score, sign in zip(fields, sizes, scores, signs, strict=True):
            start = int(table.offsets[f])
            if rows.bags is not None:
                score = rows.bags.average(f, score, codes)
            table.weight[start : start + size] += (
                EMBEDDING_STD * sign * shares * score[:, directions]
            )


def make_weight_optimizers(
    net: nn.Module, learning_rate: float, weight_decay: float, kind: str = "adam"
) -> list[Optimizer]:
    """Make optimizers for the tables of a net and for its other weights that want gradients."""
    tables = [module.weight for module in net.modules() if isinstance(module, FieldEmbedding)]
    in_tables = {id(table) for table in tables}
    others = [p for p in net.parameters() if p.requires_grad and id(p) not in in_tables]
    return make_optimizers(
        tables, others, kind, learning_rate=learning_rate, weight_decay=weight_decay
    )


def architecture_batch_size(batch_size: int, n_rows: int, n_weight_rows: int) -> int:
    """Return how many of the architecture's rows a step takes.

    One pass over the rows of the weights is then one over those of the architecture, if that is
    enough for a gradient: batches of 16 made the search worse.

    Parameters
    ----------
    batch_size : int
        Rows of the weights per step; never more are taken.
    n_rows, n_weight_rows : int
        Rows of the architecture, and of the weights.
    """
    share = round(batch_size * n_rows / n_weight_rows)
    return min(batch_size, n_rows, max(share, ARCHITECTURE_ROWS))


class _SearchStep:
    """Step on the architecture with one batch, then on the weights with another."""

    def __init__(self, search: CrossSearch, orders: Sequence[int], batch_size: int) -> None:
        self.net, self.task, self.settings = search.net, search.task, search.settings
        self.rows = search.architecture_rows
        n_rows = architecture_batch_size(batch_size, len(self.rows), len(self.task.train))
        self.batches = endless_batches(
            len(self.rows), n_rows, self.task.new_generator(), self.rows.source.block_rows
        )
        self.generator = self.task.new_generator()
        self.architecture = [self.net.space.architecture[order - 1] for order in orders]
        # NOTE[DIFF] no weight decay: it would make the weight of a set depend on the scale of
        # the embeddings.
        self.architecture_optimizer = make_adam(
            [{"params": self.architecture}],
            lr=self.settings.architecture_learning_rate,
            betas=(0.5, 0.999),
        )
        self.optimizers = make_weight_optimizers(
            self.net, self.settings.learning_rate, self.settings.weight_decay
        )
        add_embedding_prior(
            self.optimizers,
            self.net.embedding,
            self.task.train,
            self.settings.embedding_l2,
        )

    def beside(self) -> Iterator[Sequence[Tensor]]:
        """Yield for every step the numbers of the architecture's rows; none for a random one."""
        if self.settings.search == "random":
            yield from repeat(())
        for rows in self.batches:
            yield (rows,)

    def __call__(self, rows: Tensor, *beside: Tensor) -> Tensor:
        """Train on the rows with these numbers; return the loss."""
        if self.settings.search == "random":
            self.net.space.reset_parameters(self.generator)
        for architecture_rows in beside:
            self.step_architecture(pool_batch(self.net, self.rows.take(architecture_rows)))
        return self.step_weights(pool_batch(self.net, self.task.train.take(rows)))

    def step_architecture(self, batch: Batch) -> None:
        """Follow the gradient of the loss on unseen rows; all other weights stay."""
        for parameter in self.architecture:
            parameter.requires_grad_(True)
        descend(self.net.loss(batch, of_space=True), [self.architecture_optimizer], len(batch))
        for parameter in self.architecture:
            parameter.requires_grad_(False)

    def step_weights(self, batch: Batch) -> Tensor:
        """Follow the gradient of the training loss; the architecture stays."""
        loss = self.net.loss(batch, of_space=False)
        descend(loss, self.optimizers, len(batch), batch.bags)
        return loss.detach()
