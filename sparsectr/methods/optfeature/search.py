"""How the gates of an `OptFeatureNet` are trained."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, repeat
from typing import cast

from torch import Tensor
from torch.optim import Optimizer

from sparsectr.methods.optfeature.net import OptFeatureNet
from sparsectr.rows.labelled import LabelledRows
from sparsectr.rows.orders import endless_batches
from sparsectr.training.descent import descend
from sparsectr.training.exchange import own_stream
from sparsectr.training.optimizers import RowAdam, make_adam
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
        Nats per row that an open gate costs; None for `NATS_PER_GATE` over all rows.
    """

    def __init__(
        self,
        task: TrainingTask,
        net: OptFeatureNet,
        rows: LabelledRows,
        optimizers: Sequence[Optimizer],
        price: float | None,
    ) -> None:
        self.net, self.rows, self.optimizers = net, rows, optimizers
        self.price = NATS_PER_GATE / len(rows) if price is None else price
        self.noise = own_stream(task.new_generator())
        self.batches = endless_batches(
            len(rows),
            min(task.schedule.batch_size, len(rows)),
            task.new_generator(),
            rows.source.block_rows,
        )

    def beside(self, n_steps: int) -> Iterator[Sequence[Tensor]]:
        """Yield what each of n steps of the weights has beside it: row numbers, at first none."""
        return chain(repeat((), int(WARM_UP * n_steps)), zip(self.batches))

    def __call__(self, rows: Tensor) -> None:
        """Train on the rows with these numbers."""
        batch = self.rows.take(rows)
        gates = cast(Tensor, self.net.gates_of(batch.codes))
        # NOTE[DIFF] every cross is scaled by a random level in [0, 1), see `OptFeatureClassifier`.
        levels = gates.new_empty(len(batch), self.net.n_crosses).uniform_(generator=self.noise)
        levelled = gates + (levels - 1) * gates.detach()
        loss = self.net.loss(batch, levelled, of_gates=True)
        # NOTE[DIFF] the source has no price.
        descend(loss + self.price * gates.sum(-1).mean(), self.optimizers, len(batch))


def make_selection_optimizers(
    net: OptFeatureNet, learning_rate: float, alpha_learning_rate: float
) -> list[Optimizer]:
    """Make the optimizers of everything that decides about gates."""
    vectors, alphas, networks = net.selection_parameters()
    groups = [
        {"params": vectors, "lr": learning_rate},
        {"params": alphas, "lr": alpha_learning_rate},
        # NOTE[DIFF] see NETWORK_PACE.
        {"params": networks, "lr": NETWORK_PACE * learning_rate},
    ]
    optimizers: list[Optimizer] = [make_adam([group for group in groups if group["params"]])]
    if net.widths[1]:
        columns = (net.widths[0], sum(net.widths))
        optimizers.append(RowAdam([net.embedding.weight], lr=learning_rate, columns=columns))
    return optimizers
