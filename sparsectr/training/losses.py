"""The loss that every method trains on."""

from torch import Tensor
from torch.nn import functional

from sparsectr.kernels.fused import fused
from sparsectr.rows.labelled import Batch, LabelledRows


def log_loss(logits: Tensor, rows: Batch | LabelledRows) -> Tensor:
    """Compute the weighted mean log loss of a batch.

    The sum of the weighted losses is divided by the number of rows, not by the sum of
    their weights: with weights of mean 1 over the training set, every batch gradient is then
    an unbiased estimate of the gradient of the full weighted mean.

    Parameters
    ----------
    logits : Tensor of shape (B, K)
        One log-odds per row (K = 1) or one logit per class.
    rows : Batch or LabelledRows
        The B rows that the logits belong to.

    Returns
    -------
    Tensor of shape ()
        Nats per row.
    """
    if logits.shape[1] == 1:
        return binary_log_loss(logits[:, 0], rows.targets, rows.weights)
    losses = functional.cross_entropy(logits, rows.targets, reduction="none")
    return (losses * rows.weights).mean()


# On a CPU torch's own is as fast.
@fused(gpu="log_loss", numbers=lambda *tensors: tensors)
def binary_log_loss(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Compute the log loss of two classes.

    Parameters
    ----------
    logits, targets, weights : Tensor of shape (B,)
        Log-odds, 0.0 or 1.0, and the weight of every row.

    Returns
    -------
    Tensor of shape ()
        The sum of the weighted losses over the number of rows.
    """
    return functional.binary_cross_entropy_with_logits(logits, targets, weight=weights)
