"""One step of all optimizers of a net."""

from collections.abc import Sequence

from torch import Tensor
from torch.optim import Optimizer

from sparsectr.training.optimizers import set_batch_rows


def descend(loss: Tensor, optimizers: Sequence[Optimizer], n_rows: int) -> None:
    """Compute the gradient of a mean loss over ``n_rows`` rows and step every optimizer.

    Only the parameters of these optimizers get a gradient: a step that trains a part of a net
    does not pay for the rest.
    """
    inputs = [
        parameter
        for optimizer in optimizers
        for group in optimizer.param_groups
        for parameter in group["params"]
    ]
    for parameter in inputs:
        parameter.grad = None  # as `zero_grad` does, which reports to a profiler each time
    loss.backward(inputs=inputs)
    set_batch_rows(optimizers, n_rows)
    for optimizer in optimizers:
        optimizer.step()
