"""How the gates of an `OptFeatureNet` are trained."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, repeat
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from sparsectr.methods.optfeature.net import OptFeatureNet
from sparsectr.rows.labelled import LabelledRows
from sparsectr.rows.orders import endless_batches
from sparsectr.training.descent import descend, pool_batch
from sparsectr.training.exchange import own_stream
from sparsectr.training.loop import Evaluate
from sparsectr.training.needs import PhaseNumbers
from sparsectr.training.optimizers import RowAdam, make_adam, state_numbers
from sparsectr.training.task import TrainingTask

# Share of the search in which only weights are trained: before they have learnt a cross, its
# gate sees noise, and a gate that closes by chance keeps its cross from ever being learnt.
WARM_UP = 0.3
# Step size of the selection networks, as a share of that of the selection vectors. A network
# moves the scores of all crosses at once and would drown what single crosses tell.
NETWORK_PACE = 0.01
# Nats over all search rows that an open gate has to earn. Twice the log-likelihood ratio of a
# weight without effect is chi-squared with one degree of freedom: 8 is its 99.5 % quantile.
NATS_PER_GATE = 4.0
# Rows on which gates are watched while they are searched.
WATCHED_ROWS = 2_000


class GateStep:
    """Train the gates on one batch of rows of their own.

    Parameters
    ----------
    task : TrainingTask
        The training of the weights.
    net : OptFeatureNet
        The net of the search.
    rows : LabelledRows
        Rows on which gates are trained.
    optimizers : sequence of Optimizer
        Those of the selection; see `make_selection_optimizers`.
    price : float or None
        Nats per row that an open gate costs; None for `NATS_PER_GATE` over all rows, and for
        nothing in a search as in the paper.
    as_in_paper : bool
        Whether a cross is scaled by its gate alone, from the first step on.
    """

    def __init__(
        self,
        task: TrainingTask,
        net: OptFeatureNet,
        rows: LabelledRows,
        optimizers: Sequence[Optimizer],
        price: float | None,
        *,
        as_in_paper: bool = False,
    ) -> None:
        self.net, self.rows, self.optimizers = net, rows, optimizers
        self.as_in_paper = as_in_paper
        if price is None:
            price = 0.0 if as_in_paper else NATS_PER_GATE / len(rows)
        self.price = price
        self.noise = own_stream(task.new_generator())
        self.batches = endless_batches(
            len(rows),
            min(task.schedule.batch_size, len(rows)),
            task.new_generator(),
            rows.source.block_rows,
        )

    def beside(self, n_steps: int) -> Iterator[Sequence[Tensor]]:
        """Yield what each of n steps of the weights has beside it: row numbers, at first none."""
        n_waiting = 0 if self.as_in_paper else int(WARM_UP * n_steps)
        return chain(repeat((), n_waiting), zip(self.batches))

    def __call__(self, rows: Tensor) -> None:
        """Train on the rows with these numbers."""
        batch = pool_batch(self.net, self.rows.take(rows))
        gates = cast(Tensor, self.net.gates_of(batch.codes))
        loss = self.net.loss(batch, self._scale(gates, len(batch)), of_gates=True)
        # NOTE[DIFF] the source has no price.
        descend(loss + self.price * gates.sum(-1).mean(), self.optimizers, len(batch), batch.bags)

    def _scale(self, gates: Tensor, n_rows: int) -> Tensor:
        """Return what the crosses are multiplied by, (n_rows, P), for gates of one row or all."""
        if self.as_in_paper:
            return gates.expand(n_rows, -1)
        # NOTE[DIFF] every cross is scaled by a random level in [0, 1), see `OptFeatureClassifier`.
        levels = gates.new_empty(n_rows, self.net.n_crosses).uniform_(generator=self.noise)
        return gates + (levels - 1) * gates.detach()


def with_gates(evaluate: Evaluate | None, net: OptFeatureNet, rows: LabelledRows) -> Evaluate:
    """Return what tells, after an epoch, what the gates have come to, beside the validation values.

    Parameters
    ----------
    evaluate : callable or None
        Returns the validation values.
    net : OptFeatureNet
        The net of the search.
    rows : LabelledRows
        Training rows, of which some show how often gates are open.

    Returns
    -------
    callable
        Adds ``keep_rate``, and ``alpha`` where gates are hybrid: lists of P numbers.
    """
    step = max(1, len(rows) // WATCHED_ROWS)
    watched = torch.arange(0, len(rows), step, dtype=torch.int64, device=rows.device)

    @torch.inference_mode()
    def evaluate_with_gates(_: nn.Module) -> dict[str, Any]:
        codes = rows.take(watched[:WATCHED_ROWS]).codes
        net.eval()
        is_open = net.chosen_gates(net.look_up(codes)[1])
        values: dict[str, Any] = dict(evaluate(net)) if evaluate is not None else {}
        values["keep_rate"] = is_open.double().mean(0).tolist()
        if net.config.granularity == "hybrid":
            values["alpha"] = net.alphas().tolist()
        return values

    return evaluate_with_gates


def make_selection_optimizers(
    net: OptFeatureNet,
    learning_rate: float,
    alpha_learning_rate: float | None,
    *,
    as_in_paper: bool = False,
) -> list[Optimizer]:
    """Make the optimizers of everything that decides about gates.

    Parameters
    ----------
    net : OptFeatureNet
        The net of the search.
    learning_rate : float
        Step size of the selection vectors.
    alpha_learning_rate : float or None
        Step size of the choice between kinds of gates; None leaves it as it is.
    as_in_paper : bool, default=False
        Whether selection networks take steps as long as selection vectors.
    """
    vectors, alphas, networks = net.selection_parameters()
    # NOTE[DIFF] see NETWORK_PACE.
    pace = 1.0 if as_in_paper else NETWORK_PACE
    groups = [
        {"params": vectors, "lr": learning_rate},
        {"params": networks, "lr": pace * learning_rate},
    ]
    if alpha_learning_rate is not None:
        groups.insert(1, {"params": alphas, "lr": alpha_learning_rate})
    optimizers: list[Optimizer] = [make_adam([group for group in groups if group["params"]])]
    if net.widths[1]:
        columns = (net.widths[0], sum(net.widths))
        optimizers.append(RowAdam([net.embedding.weight], lr=learning_rate, columns=columns))
    return optimizers


def count_numbers(kind: str, embedding_dim: int, selection_dim: int) -> list[PhaseNumbers]:
    """Return what search and retraining hold per value, with optimizers of a kind."""
    width, state = embedding_dim + selection_dim, state_numbers(kind, embedding_dim)
    of_gates = state_numbers("adam", selection_dim) if selection_dim else 0
    search = PhaseNumbers(width, state + of_gates, keeps_best=False)
    return [search, PhaseNumbers(width, state)]
