"""How much memory the training of a net takes, from the number of values and of rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

BYTES = 4  # of a float32
# Of a value, beside weights and state: counts of its rows in float64 (three at a time), the counts
# that are kept, what its prior weighs, and counts as float32.
VALUE_BYTES = 3 * 8 + 2 + 4 + 4
# Of a row: target and weight, once of all rows and once of those that are trained on, number and
# place in the order of the rows, and what the intercept is fitted with.
ROW_BYTES = 30
# The place is allocated while the net is trained.
ORDER_BYTES = 4
# Of a row that crosses are measured on, and the most such rows.
MEASURING_BYTES, MEASURED_ROWS = 450, 100_000


class PhaseNumbers(NamedTuple):
    """Count the numbers of four bytes that a phase of the training holds for every value.

    Attributes
    ----------
    weights : int
        Of the tables of the net that is trained.
    state : int
        Of the optimizers of these tables.
    others : int
        Of the tables of another net that is kept meanwhile.
    keeps_best : bool
        Whether early stopping, if there is any, keeps the weights of the best epoch.
    """

    weights: int
    state: int
    others: int = 0
    keeps_best: bool = True


class MemoryEstimate(NamedTuple):
    """Say how much memory a fit takes beyond its rows and the imports.

    `estimate_memory` of every estimator returns it. All sizes are in bytes. The layers of a net and
    its batches are left out: they are small beside tables that matter.

    Attributes
    ----------
    n_rows : int
        Number of rows.
    n_values : int
        Number V of rows of the embedding table: the values of all columns of codes.
    table : int
        The embedding table, and other weights that every value has.
    optimizer : int
        State of the optimizer of these weights, in the phase of the training that takes most.
    copies : int
        Further copies of the weights: of the best epoch, of the search, of other members.
    vocabularies : int
        The values themselves.
    codes : int
        Codes of the rows in memory; 0 where they are mapped.
    rows : int
        What training keeps of every row beside its codes.
    peak : int
        Most memory that the fit holds at a time; the sum of the above, and of what counts values
        and measures crosses. While rows are encoded, there are two copies of the codes.
    available : int or None
        What this process can get: the least of the memory that the machine has left, of the limits
        of its control groups, and of its own limits; None if the system does not tell.

    Examples
    --------
    >>> from sparsectr import DynIntClassifier
    >>> from sparsectr.datasets import make_clicks
    >>> clicks = make_clicks(1000, 5, 10, random_state=0)
    >>> estimate = DynIntClassifier(embedding_dim=8).estimate_memory(clicks.X, clicks.y)
    >>> estimate.n_values, estimate.table, estimate.optimizer
    (60, 1920, 240)
    """

    n_rows: int
    n_values: int
    table: int
    optimizer: int
    copies: int
    vocabularies: int
    codes: int
    rows: int
    peak: int
    available: int | None


def estimate_training(
    phases: Sequence[PhaseNumbers], n_values: int, *, keeps_best: bool, n_members: int = 1
) -> tuple[int, int, int]:
    """Estimate the memory of the tables while a net is trained.

    Parameters
    ----------
    phases : sequence of PhaseNumbers
        What the phases of the training hold.
    n_values : int
        Number V of values.
    keeps_best : bool
        Whether there is early stopping.
    n_members : int, default=1
        How many nets are trained one after the other.

    Returns
    -------
    table : int
        Bytes of the weights, of the largest phase.
    optimizer : int
        Bytes of its optimizer state.
    copies : int
        Bytes of further copies of weights.
    """
    in_bytes = BYTES * n_values
    earlier = (n_members - 1) * phases[-1].weights
    sizes = [
        (
            phase.weights * in_bytes,
            phase.state * in_bytes,
            (phase.others + phase.weights * (keeps_best and phase.keeps_best) + earlier) * in_bytes,
        )
        for phase in phases
    ]
    return max(sizes, key=sum)
