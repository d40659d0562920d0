"""One step of all optimizers of a net."""

from collections.abc import Sequence

from torch import Tensor
from torch.optim import Optimizer

from sparsectr.training.optimizers import set_gradient_scale


def descend(loss: Tensor, optimizers: Sequence[Optimizer], n_rows: int) -> None:
    """Compute the gradient of a mean loss over ``n_rows`` rows and step every optimizer."""
    for optimizer in optimizers:
        optimizer.zero_grad(set_to_none=True)
    loss.backward()
    set_gradient_scale(optimizers, n_rows)
    for optimizer in optimizers:
        optimizer.step()
