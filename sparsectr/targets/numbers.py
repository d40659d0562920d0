"""Numbers as a target: measured ones, or counts and rates."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from sparsectr.losses import POISSON, SQUARED_ERROR
from sparsectr.metrics import number_values
from sparsectr.parameters import describe
from sparsectr.targets.columns import as_column, as_floats, read_column
from sparsectr.targets.target import Array, Floats, Target, TargetRows, Weights
from sparsectr.targets.weights import balance, check_weights

LOSSES = {loss.name: loss for loss in (SQUARED_ERROR, POISSON)}
# Larger numbers leave the range in which their squares can be summed up.
LARGEST = 1e150
# Of a predicted mean, so that its inverse and its square are numbers too.
MOST_LOG = 300.0
# Logits of larger means are beyond what 32 bits can hold.
SATURATED = 80.0


class NumberTarget(Target):
    """Predict a number: its mean, or the logarithm of its mean.

    The net learns ``(y - mean) / scale`` of the squared error, ``y / scale`` of the Poisson loss.

    Parameters
    ----------
    loss : {"squared_error", "poisson"}
        What is trained on.
    mean, scale : float
        What is taken out of the target; see `NumberTarget.settle`.
    """

    def __init__(self, loss: str, mean: float, scale: float) -> None:
        self.loss = LOSSES[loss]
        self.mean, self.scale = mean, scale
        self.n_outputs = 1
        self.is_count = loss == "poisson"
        # Of a log-link, effects have no unit, and a factor of the target is a summand.
        self.unit = 1.0 if self.is_count else scale
        self.offset = float(np.log(scale)) if self.is_count else mean
        self.score = "logarithm of the mean" if self.is_count else "units of the target"

    @classmethod
    def settle(cls, loss: str, values: Floats, weights: Floats) -> NumberTarget:
        """Take mean and scale from the training rows.

        The scale is the dispersion of a constant model: of the squared error the standard
        deviation, so that the net learns numbers of variance 1; of the Poisson loss Pearson's
        statistic ``sum w (y - m)^2 / m / sum w``. A loss divided by its dispersion is that
        of a quasi-likelihood: it does not change with the unit of exposure, and counts that
        scatter more than Poisson's do count for less, beside the prior.

        Parameters
        ----------
        loss : {"squared_error", "poisson"}
            What is trained on.
        values : ndarray of shape (n_rows,)
            From `as_numbers`.
        weights : ndarray of shape (n_rows,)
            Weight of every row.
        """
        mean = float(np.average(values, weights=weights))
        variance = float(np.average(np.square(values - mean), weights=weights))
        if loss == "poisson":
            # Equal counts, or none at all, have no dispersion.
            return cls(loss, 0.0, variance / mean if variance > 0 else 1.0)
        return cls(loss, mean, float(np.sqrt(variance)) if variance > 0 else 1.0)

    def read(
        self, y: npt.ArrayLike, sample_weight: Weights, n_rows: int, suffix: str = ""
    ) -> TargetRows:
        """Check numbers and weights of n rows; see `Target`."""
        values = as_numbers(y, name=f"y{suffix}", n_rows=n_rows, count=self.is_count)
        weights = check_weights(sample_weight, n_rows, name=f"sample_weight{suffix}")
        return self.transform(values, weights)

    def transform(self, values: Floats, weights: Floats) -> TargetRows:
        """Put numbers (n_rows,), as the net learns them, and weights of mean 1 together."""
        scaled = ((values - self.mean) / self.scale).astype(np.float32)
        return TargetRows(scaled, balance(weights))

    def predict(self, logits: Floats) -> Floats:
        """Turn logits (n_rows, 1) into numbers in units of the target, (n_rows,)."""
        scores = logits[:, 0] * self.unit + self.offset
        return np.exp(np.clip(scores, -MOST_LOG, MOST_LOG)) if self.is_count else scores

    def predict_row(self, logits: npt.NDArray[np.floating]) -> float:
        """Turn the logit (1, 1) of one row into a number in units of the target."""
        return float(self.predict(logits.astype(np.float64))[0])

    def split(
        self, values: Array, fraction: float, random_state: np.random.RandomState
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Split row numbers at random; see `Target`."""
        order = random_state.permutation(len(values))
        n_validation = int(np.ceil(fraction * len(values)))
        return np.sort(order[n_validation:]), np.sort(order[:n_validation])

    def measure(self, values: Array, logits: Floats, weights: Floats) -> dict[str, float]:
        """Measure the loss and the absolute error in units of the target; see `Target`."""
        true = values.astype(np.float64) * self.scale + self.mean
        return number_values(true, self.predict(logits), weights, counts=self.is_count)

    def find_fault(self, logits: Floats) -> str | None:
        """Say so if logits of training rows are so large that 32 bits cannot hold their mean."""
        if self.is_count and np.abs(logits).max() > SATURATED:
            return "predicted means of training rows are 0 or infinite"
        return None

    def choose_outputs(self, logits: Floats, label: object = None) -> npt.NDArray[np.int64]:
        """Return the only output; see `Target`."""
        return self.choose_output(label)

    def choose_output(self, label: object = None) -> npt.NDArray[np.int64]:
        """Return the only output; see `Target`."""
        if label is not None:
            raise ValueError(
                f"class_label must be None, as numbers have no classes, got {describe(label)}."
            )
        return np.array([0])

    def to_scores(self, logits: Floats, outputs: npt.NDArray[np.int64]) -> Floats:
        """Bring logits (P, n, 1) to the units of the target, (P, n); logarithms have none."""
        return np.asarray(logits[:, :, 0] * self.unit, dtype=np.float64)


def as_numbers(
    y: npt.ArrayLike, *, name: str = "y", n_rows: int | None = None, count: bool = False
) -> Floats:
    """Return finite numbers as a float64 array.

    Parameters
    ----------
    y : array-like of shape (n_rows,)
        Numbers of any kind: integers, floats, booleans, Decimals.
    name : str, default="y"
        What the caller calls them, for errors.
    n_rows : int, optional
        Number of them that there must be.
    count : bool, default=False
        Whether they must not be negative.

    Returns
    -------
    ndarray of shape (n_rows,)

    Raises
    ------
    ValueError
        If one is no number, missing, masked, not finite, too large or negative, or if they do not
        form one column of this length.
    """
    column = read_column(y, name, "number", n_rows)
    if column.dtype.kind == "c":  # begins as scikit-learn's estimator checks want it
        raise ValueError(f"Complex data not supported: {name} must hold real numbers, got complex.")
    values = as_floats(column, name)
    if not np.isfinite(values).all():
        raise ValueError(f"{name} must hold finite numbers, got infinity.")
    if len(values) and np.abs(values).max() > LARGEST:
        raise ValueError(
            f"{name} must hold numbers of at most {LARGEST:g}, got {describe(np.abs(values).max())}"
            "; take another unit."
        )
    if count and (negative := values[values < 0]).size:
        raise ValueError(
            f"{name} must hold numbers that are not negative with loss='poisson', got "
            f"{describe(negative[0])}."
        )
    return values


def has_fractions(y: npt.ArrayLike) -> bool:
    """Tell whether targets (n_rows,) are finite floats of which some are not whole numbers.

    Such targets cannot be class labels; whole ones can be labels or numbers.

    Raises
    ------
    ValueError
        If they are no array, list or Series.
    """
    column = as_column(y, "y", "label").ravel()
    if column.dtype == object:
        column = np.asarray(pd.Series(column).infer_objects())
    if column.dtype.kind != "f" or not np.isfinite(column).all():
        return False
    return bool((column != np.floor(column)).any())
