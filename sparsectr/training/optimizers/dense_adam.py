"""Adam for small dense parameters, in one thread."""

from torch import Tensor

from sparsectr.training.optimizers.row_adam import RowAdam


class DenseAdam(RowAdam):
    """Run Adam on dense parameters, each of which is taken as one row of a table.

    A row counts its own updates, and a dense parameter is updated in every step: this is Adam.

    Parameters
    ----------
    params : iterable of Tensor or of dict
        Parameters of any shape, with dense gradients.
    lr : float, default=1e-3
        Learning rate.
    betas : pair of float, default=(0.9, 0.999)
        Decay of both moments, in (0, 1).
    eps : float, default=1e-8
        Added to the root of the second moment.
    weight_decay : float, default=0.0
        Times the weights, added to the gradient.

    Raises
    ------
    ValueError
        If a parameter is out of range.

    Notes
    -----
    The same numbers as `torch.optim.Adam`, but for rounding. That wakes all threads of torch for
    every parameter, however small; they then wait in a loop, for longer than the update takes, on
    cores that the next kernel needs. For large parameters and on a GPU it is faster.

    Examples
    --------
    >>> import torch
    >>> from sparsectr.training.optimizers import DenseAdam
    >>> weights = torch.nn.Parameter(torch.zeros(3))
    >>> optimizer = DenseAdam([weights], lr=0.5)
    >>> weights.grad = torch.tensor([2.0, -1.0, 0.0])
    >>> optimizer.step()
    >>> weights.detach().round(decimals=3).tolist()
    [-0.5, 0.5, 0.0]
    """

    def _as_table(self, parameter: Tensor) -> tuple[Tensor, Tensor]:
        _, gradient = super()._as_table(parameter)
        return parameter.view(1, -1), gradient.reshape(1, -1)
