"""What every step of training does before its loss is computed, and what it does then."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from sparsectr.kernels.one_pass import take_gradients
from sparsectr.kernels.rows import lookup_gradient, split_gradient
from sparsectr.rows.bags import Bags
from sparsectr.rows.labelled import Batch
from sparsectr.training.exchange import current_exchange
from sparsectr.training.optimizers import set_batch_rows
from sparsectr.training.optimizers.per_parameter import PerParameterOptimizer
from sparsectr.training.pooling import tables_of


@torch.no_grad()
def pool_batch(net: nn.Module, batch: Batch) -> Batch:
    """Write the means of the sets of values of a batch into the tables of a net; return it."""
    if batch.bags is not None:
        some = batch.bags.find(batch.codes)
        for table in tables_of(net):
            batch.bags.pool(table.weight, some)
    return batch


def descend(
    loss: Tensor, optimizers: Sequence[Optimizer], n_rows: int, bags: Bags | None = None
) -> None:
    """Compute the gradient of a mean loss (), over ``n_rows`` rows, and step every optimizer.

    Only the parameters of these optimizers get a gradient: a step that trains a part of a net
    does not pay for the rest. Where several processes train together, the rows are the part of a
    batch that is this process's, and the step follows the gradient of the whole batch. The
    gradients of ``bags`` go to their values.
    """
    inputs = [
        parameter
        for optimizer in optimizers
        for group in optimizer.param_groups
        for parameter in group["params"]
    ]
    for parameter in inputs:
        parameter.grad = None  # as `zero_grad` does, which reports to a profiler each time
    gradients = take_gradients(loss)
    if gradients is None:
        loss.backward(inputs=inputs)
    else:
        wanted = set(map(id, inputs))
        for parameter, gradient in gradients:
            if id(parameter) in wanted:
                parameter.grad = gradient
    if bags is not None:
        spread_gradients(inputs, bags)
    n_rows = current_exchange().sum_gradients(optimizers, n_rows)
    set_batch_rows(optimizers, n_rows)
    with torch.no_grad():
        for optimizer in optimizers:
            if isinstance(optimizer, PerParameterOptimizer):
                optimizer.update()
            else:
                optimizer.step()


@torch.no_grad()
def spread_gradients(parameters: Sequence[Tensor], bags: Bags) -> None:
    """Turn gradients of sets, of those parameters that are tables, into those of their values."""
    shared: dict[tuple[int, int], list[Tensor]] = {}
    for parameter in parameters:
        if parameter.grad is not None and parameter.grad.is_sparse:
            rows = split_gradient(parameter.grad)[0]
            shared.setdefault((rows.data_ptr(), len(rows)), []).append(parameter)
    for tables in shared.values():
        split = [split_gradient(cast(Tensor, table.grad)) for table in tables]
        rows, gradients = bags.spread(split[0][0], [values for _, values in split])
        if rows is split[0][0]:
            continue
        for table, gradient in zip(tables, gradients, strict=True):
            table.grad = lookup_gradient(rows, gradient, table.shape)
