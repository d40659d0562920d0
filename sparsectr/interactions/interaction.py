"""The record of a discovered cross."""

from inspect import get_annotations
from typing import NamedTuple

from sklearn.base import BaseEstimator


class Interaction(NamedTuple):
    """Record one cross of two or more fields.

    Lists of these records turn into a table by ``pd.DataFrame(clf.selected_interactions_)``.

    Attributes
    ----------
    fields : tuple of str
        Names of the crossed fields, in column order.
    order : int
        Number of fields in the cross.
    strength : float
        Standard deviation, over the training rows, of what the cross adds to the log-odds; of a
        regressor, to the prediction or to its logarithm.

    Examples
    --------
    >>> from sparsectr import Interaction
    >>> print(Interaction(fields=("month", "day"), order=2, strength=0.5))
    month × day (0.500)
    """

    fields: tuple[str, ...]
    order: int
    strength: float

    def __str__(self) -> str:
        return f"{' × '.join(self.fields)} ({self.strength:.3f})"


def lists_crosses(estimator: BaseEstimator) -> bool:
    """Tell whether an estimator, fitted or not, has or declares ``selected_interactions_``."""
    name = "selected_interactions_"
    declared = any(
        name in vars(cls) or name in get_annotations(cls) for cls in type(estimator).__mro__
    )
    # Asking for the attribute may measure it.
    return declared or hasattr(estimator, name)
