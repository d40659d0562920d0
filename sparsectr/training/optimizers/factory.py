"""The optimizers of one net: one for its embedding tables, one for everything else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from sparsectr.training.optimizers.dense_adam import DenseAdam
from sparsectr.training.optimizers.ftrl import FTRL
from sparsectr.training.optimizers.group_ftrl import GroupFTRL
from sparsectr.training.optimizers.row_adagrad import RowAdagrad
from sparsectr.training.optimizers.row_adam import RowAdam

OPTIMIZERS = ["adam", "adagrad", "ftrl"]
# The steps of Adagrad and of FTRL shorten by themselves, as one over the root of their number.
ADAGRAD_PACE = 30.0
FTRL_PACE = 20.0


def make_optimizers(
    tables: Sequence[nn.Parameter],
    others: Sequence[nn.Parameter],
    kind: str,
    *,
    learning_rate: float,
    weight_decay: float = 0.0,
    columns: tuple[int, int] | None = None,
    ftrl: Mapping[str, float] | None = None,
    going_on: bool = False,
) -> list[Optimizer]:
    """Make the optimizers of one net.

    Parameters
    ----------
    tables : sequence of nn.Parameter
        Embedding tables (V, D), with sparse gradients; may be empty.
    others : sequence of nn.Parameter
        Parameters with dense gradients; may be empty.
    kind : {"adam", "adagrad", "ftrl"}
        "adam": `RowAdam` and `DenseAdam`, on a GPU `torch.optim.Adam`. "adagrad": the same
        with `RowAdagrad` for the tables. "ftrl": `GroupFTRL` and `FTRL`, whose penalties hold for
        the sum loss: see `set_batch_rows`.
    learning_rate : float
        Learning rate of both, `ADAGRAD_PACE` times as large for `RowAdagrad` and `FTRL_PACE` times
        for both kinds of FTRL.
    weight_decay : float, default=0.0
        L2 penalty of "adam" and "adagrad". FTRL has its own penalties and does not use it.
    columns : pair of int, optional
        First column of the tables to train and the one behind the last; with "adam" and "adagrad".
    ftrl : mapping, optional
        Options of `GroupFTRL`: "l1", "l2" and "beta".
    going_on : bool, default=False
        Whether all were trained by the same kind before; see `GroupFTRL`.

    Returns
    -------
    list of Optimizer
        One for the tables and one for the others, as far as there are any.

    Raises
    ------
    ValueError
        If ``kind`` is not known.
    """
    if kind not in OPTIMIZERS:
        known = ", ".join(map(repr, OPTIMIZERS))
        raise ValueError(f"optimizer must be one of {known}, got {kind!r}.")
    optimizers: list[Optimizer] = []
    if kind == "ftrl":
        rate = FTRL_PACE * learning_rate
        if tables:
            optimizers.append(GroupFTRL(tables, lr=rate, going_on=going_on, **(ftrl or {})))
        if others:
            optimizers.append(FTRL(others, lr=rate, going_on=going_on))
        return optimizers
    options: dict[str, Any] = {"lr": learning_rate, "weight_decay": weight_decay}
    if tables and kind == "adam":
        optimizers.append(RowAdam(tables, **options, columns=columns))
    elif tables:
        faster = options | {"lr": ADAGRAD_PACE * learning_rate}
        optimizers.append(RowAdagrad(tables, **faster, columns=columns))
    if others:
        optimizers.append(make_adam([{"params": others}], **options))
    return optimizers


def make_adam(groups: Sequence[dict[str, Any]], **options: Any) -> Optimizer:
    """Make Adam for parameters with dense gradients: `DenseAdam`, on a GPU `torch.optim.Adam`.

    Parameters
    ----------
    groups : sequence of dict
        "params", a sequence with at least one parameter, and options of their own.
    **options
        Of all groups.
    """
    if groups[0]["params"][0].is_cuda:
        # fused: a third of the time of the default. capturable: the number of the step is kept on
        # the GPU, where a recorded step counts on.
        return torch.optim.Adam(groups, fused=True, capturable=True, **options)
    return DenseAdam(groups, **options)


def state_numbers(kind: str, width: int) -> int:
    """Return how many numbers of four bytes an optimizer keeps of a row of a table (V, width)."""
    return {"adagrad": 1, "adam": 2 * width + 1, "ftrl": 2 * width}[kind]


def continuing(kind: str) -> str:
    """Return the kind of optimizers that goes on with trained embeddings."""
    # The sums of Adagrad do not outlive a fit. Without them its steps would be those of fresh
    # embeddings again, too long for trained ones.
    return "adam" if kind == "adagrad" else kind
