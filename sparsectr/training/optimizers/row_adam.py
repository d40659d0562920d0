"""Adam for embedding tables, on the rows of the batch only."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT, StateDict

from sparsectr.kernels.rows import AdamTable, adam_rows_
from sparsectr.training.optimizers.per_parameter import (
    require_betas,
    require_not_negative,
    require_positive,
)
from sparsectr.training.optimizers.row_optimizer import RowOptimizer


class RowAdam(RowOptimizer):
    """Run Adam on those rows of a table that the batch has touched.

    Untouched rows keep their weights and moments bit for bit, so a step costs the same for a
    table of ten thousand and of ten million rows. Every row counts its own updates t, and its
    bias correction uses that count: the first step of a row has length ``lr`` in every
    coordinate, however late the row is met.

    Parameters
    ----------
    params : iterable of Tensor or of dict
        Embedding tables (V, D), with sparse gradients. A dense gradient touches every row.
    lr : float, default=1e-3
        Learning rate.
    betas : pair of float, default=(0.9, 0.999)
        Decay of both moments, in (0, 1).
    eps : float, default=1e-8
        Added to the root of the second moment.
    weight_decay : float, default=0.0
        Times the weights, added to the gradient of the touched rows (L2, not decoupled, as in
        `torch.optim.Adam`). A row thus decays as often as it is met.
    columns : pair of int, optional
        First column and the one behind the last that this optimizer updates; it has moments for
        no others. Two optimizers with different learning rates can thus share a table.

    Raises
    ------
    ValueError
        If a parameter is out of range, or, in ``step``, a gradient is not 2-d.

    Notes
    -----
    State of a table: ``exp_avg`` and ``exp_avg_sq`` (V, D), or (V, number of columns), and
    ``step`` (V,) int32.

    Source: D. P. Kingma and J. Ba, "Adam: a method for stochastic optimization", ICLR 2015,
    algorithm 1. Differences:

    - Only touched rows move and only their moments decay; Adam moves every row in every step.
      If all rows are touched in every step, both are the same.
    - The bias correction counts the updates of the row. `torch.optim.SparseAdam` counts the
      steps of the whole table: a row first met late has its moments, which start at zero,
      corrected as if they were old, and takes a first step of 3.2 times ``lr``. It has no weight
      decay either.

    Examples
    --------
    >>> import torch
    >>> from sparsectr.training.optimizers import RowAdam
    >>> table = torch.nn.Parameter(torch.zeros(3, 2))
    >>> optimizer = RowAdam([table], lr=0.5)
    >>> torch.nn.functional.embedding(torch.tensor([1, 1]), table, sparse=True).sum().backward()
    >>> optimizer.step()
    >>> table.detach().round(decimals=3).tolist()
    [[0.0, 0.0], [-0.5, -0.5], [0.0, 0.0]]
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        columns: tuple[int, int] | None = None,
    ) -> None:
        require_positive(lr=lr, eps=eps)
        require_not_negative(weight_decay=weight_decay)
        require_betas(betas)
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "columns": columns,
        }
        super().__init__(params, defaults)

    def load_state_dict(self, state_dict: StateDict) -> None:
        """Load a saved state, from whatever device it was saved on."""
        super().load_state_dict(state_dict)
        # torch moves all state to the device of its parameter except what is called "step".
        for table, state in self.state.items():
            state["step"] = state["step"].to(table.device)

    def _make_table(self, weights: Tensor, values: Tensor, parameter: Tensor) -> AdamTable:
        state = self.state[parameter]
        if not state:
            # Side by side: both moments of a row are fetched from one place.
            moments = weights.new_zeros(len(weights), 2, weights.shape[1])
            state["exp_avg"], state["exp_avg_sq"] = moments.unbind(1)
            state["step"] = torch.zeros(len(weights), dtype=torch.int32, device=weights.device)
        decay = self._decay_of(parameter)
        return AdamTable(
            weights, state["exp_avg"], state["exp_avg_sq"], state["step"], values, decay
        )

    def _update_tables(self, tables: list[AdamTable], rows: Tensor, group: dict[str, Any]) -> None:
        # NOTE[DIFF] only the rows of the batch, each with its own count of updates.
        adam_rows_(
            tables,
            rows,
            lr=group["lr"],
            betas=group["betas"],
            eps=group["eps"],
            weight_decay=group["weight_decay"],
            n_rows=self.n_rows,
        )
