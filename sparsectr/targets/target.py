"""What an estimator has to know of its target."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from sparsectr.losses import Loss

Array = npt.NDArray[np.generic]
Floats = npt.NDArray[np.float64]
# Weights of rows, as users pass them.
Weights: TypeAlias = npt.ArrayLike | None


class TargetRows(NamedTuple):
    """Hold the targets of rows as training takes them.

    Attributes
    ----------
    values : ndarray of shape (n_rows,)
        What the loss compares logits with.
    weights : ndarray of shape (n_rows,), float64
        Weights of mean 1 over the rows that have one.
    """

    values: Array
    weights: npt.NDArray[np.float64]


class Target(ABC):
    """Say what is predicted: classes or numbers.

    Attributes
    ----------
    loss : Loss
        What is trained on.
    n_outputs : int
        Number K of logits.
    score : str
        What users see a logit as, such as "log-odds".
    unit : float
        What a logit of 1 is as a score.
    offset : float
        Score of a logit of zero.
    """

    loss: Loss
    n_outputs: int
    score: str
    unit: float = 1.0
    offset: float = 0.0

    @abstractmethod
    def read(
        self, y: npt.ArrayLike, sample_weight: Weights, n_rows: int, suffix: str = ""
    ) -> TargetRows:
        """Check targets and weights that users pass with n rows.

        Parameters
        ----------
        y : array-like of shape (n_rows,)
            Targets.
        sample_weight : array-like of shape (n_rows,) or None
            Weight of every row.
        n_rows : int
            Number of rows.
        suffix : str, default=""
            What follows the names ``y`` and ``sample_weight`` in errors.
        """

    @abstractmethod
    def split(
        self, values: Array, fraction: float, random_state: np.random.RandomState
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Split the numbers of rows with values (n_rows,) at random; both parts are sorted.

        ``fraction`` of the rows are for validation.
        """

    @abstractmethod
    def measure(self, values: Array, logits: Floats, weights: Floats) -> dict[str, float]:
        """Measure logits (n_rows, K) of validation rows; names begin with ``validation_``.

        The rows have values (n_rows,) and weights (n_rows,).
        """

    def choose_monitor(self, monitor: str, values: Array) -> str:
        """Return the metric that can be watched on validation rows with values (n_rows,)."""
        return monitor

    def rarer_share(self, values: Array) -> float:
        """Return the share of the rarer of two classes among values (n_rows,), 1 without two."""
        return 1.0

    @abstractmethod
    def find_fault(self, logits: Floats) -> str | None:
        """Say what is wrong with logits (n, K) of training rows that have left all bounds."""

    # What a logit means to users ------------------------------------------------------

    @abstractmethod
    def choose_outputs(self, logits: Floats, label: object = None) -> npt.NDArray[np.int64]:
        """Return which outputs to explain, of logits (n, K): one number, or one per row.

        Parameters
        ----------
        logits : ndarray of shape (n, K)
            Logits of the rows.
        label : object, optional
            What the user asks for.

        Raises
        ------
        ValueError
            If there is no such output.
        """

    @abstractmethod
    def choose_output(self, label: object = None) -> npt.NDArray[np.int64]:
        """Return the output to show values of, (1,), as `choose_outputs` does for rows."""

    @abstractmethod
    def to_scores(self, logits: Floats, outputs: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Turn logits (P, n, K) into what users see of the chosen outputs (1,) or (n,): (P, n).

        Without the offset: also effects, which are differences of logits, are turned into scores.
        """

    def name_probability(self, output: int) -> str | None:
        """Name the class whose probability a score stands for, where it is the log of its odds."""
        return None
