"""Row-wise Adagrad for embedding tables, on the rows of the batch only."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.optim.optimizer import ParamsT

from sparsectr.kernels.rows import AdagradTable, adagrad_rows_
from sparsectr.training.optimizers.per_parameter import require_not_negative, require_positive
from sparsectr.training.optimizers.row_optimizer import RowOptimizer


class RowAdagrad(RowOptimizer):
    """Run Adagrad with one step length per row on those rows that the batch has touched.

    A table needs one number per row beside its weights, where `RowAdam` needs 2 D + 1.

    Parameters
    ----------
    params : iterable of Tensor or of dict
        Embedding tables (V, D), with sparse gradients. A dense gradient touches every row.
    lr : float, default=1e-2
        Learning rate: the root mean square over the D numbers of a row of its first step.
    eps : float, default=1e-10
        Added to the root of the summed squares.
    weight_decay : float, default=0.0
        Times the weights, added to the gradient of the touched rows.
    columns : pair of int, optional
        First column and the one behind the last that this optimizer updates, as in `RowAdam`.

    Attributes
    ----------
    gradient_scales : dict of Tensor to float
        For a table, the size of the gradients of the sum loss at one lookup: the summed squares
        of every row start at the square of this number over ``n_rows``, not at 0. Empty at first.

    Raises
    ------
    ValueError
        If a parameter is out of range, or, in ``step``, a gradient is not 2-d.

    Notes
    -----
    State of a table: ``square_sum`` (V,).

    From 0, the first step of a row is as long as the learning rate, however small its gradient.
    Where a class has 1 row in 1,000, most lookups have a gradient of a thousandth. Until a value
    meets its first row of the class, steps of the full length lower its weight, and that row takes
    only one of them back: weights of one number per value fall far below their optimum. From a
    start at the size of the gradients of both classes, small gradients make small steps.

    Source: J. Duchi, E. Hazan and Y. Singer, "Adaptive subgradient methods for online learning and
    stochastic optimization", JMLR 12 (2011), with the diagonal matrix's entries of a row replaced
    by their mean, as in M. Naumov et al., "Deep learning recommendation model for
    personalization and recommendation systems" (2019). Untouched rows would not move there either.

    Examples
    --------
    >>> import torch
    >>> from sparsectr.training.optimizers import RowAdagrad
    >>> table = torch.nn.Parameter(torch.zeros(3, 2))
    >>> optimizer = RowAdagrad([table], lr=0.5)
    >>> torch.nn.functional.embedding(torch.tensor([1, 1]), table, sparse=True).sum().backward()
    >>> optimizer.step()
    >>> table.detach().round(decimals=3).tolist()
    [[0.0, 0.0], [-0.5, -0.5], [0.0, 0.0]]
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-2,
        eps: float = 1e-10,
        weight_decay: float = 0.0,
        columns: tuple[int, int] | None = None,
    ) -> None:
        require_positive(lr=lr, eps=eps)
        require_not_negative(weight_decay=weight_decay)
        defaults = {"lr": lr, "eps": eps, "weight_decay": weight_decay, "columns": columns}
        super().__init__(params, defaults)
        self.gradient_scales: dict[Tensor, float] = {}

    def _make_table(self, weights: Tensor, values: Tensor, parameter: Tensor) -> AdagradTable:
        state = self.state[parameter]
        if not state:
            start = self.gradient_scales.get(parameter, 0.0) / self.n_rows
            state["square_sum"] = weights.new_full((len(weights),), start**2)
        decay = self._decay_of(parameter)
        return AdagradTable(weights, state["square_sum"], values, decay)

    def _update_tables(
        self, tables: list[AdagradTable], rows: Tensor, group: dict[str, Any]
    ) -> None:
        adagrad_rows_(
            tables,
            rows,
            lr=group["lr"],
            eps=group["eps"],
            weight_decay=group["weight_decay"],
            n_rows=self.n_rows,
        )
