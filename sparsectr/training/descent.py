"""One step of all optimizers of a net."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.optim import Optimizer

from sparsectr.kernels.one_pass import take_gradients
from sparsectr.rows.bags import Bags
from sparsectr.training.exchange import current_exchange
from sparsectr.training.optimizers import set_batch_rows
from sparsectr.training.optimizers.per_parameter import PerParameterOptimizer
from sparsectr.training.pooling import spread_gradients


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
