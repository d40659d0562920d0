"""Two or more classes as a target."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sparsectr.losses import LOG_LOSS
from sparsectr.metrics import validation_values
from sparsectr.parameters import describe
from sparsectr.targets.labels import as_labels, label_numbers
from sparsectr.targets.splitting import split_rows
from sparsectr.targets.target import Array, Floats, Target, TargetRows
from sparsectr.targets.weights import balance, check_weights
from sparsectr.training.prediction import is_saturated, to_probabilities


class ClassTarget(Target):
    """Predict which of some classes a row belongs to.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,)
        Sorted labels.
    factors : ndarray of shape (n_classes,), optional
        What the weights of the rows of every class are multiplied by; ones if missing.
    """

    loss = LOG_LOSS
    score = "log-odds"

    def __init__(self, classes: Array, factors: npt.NDArray[np.float64] | None = None) -> None:
        self.classes = classes
        self.factors = np.ones(len(classes)) if factors is None else factors
        self.n_outputs = 1 if len(classes) == 2 else len(classes)

    def read(
        self, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None, n_rows: int, suffix: str = ""
    ) -> TargetRows:
        """Check labels and weights of n rows; see `Target`."""
        labels = as_labels(y, name=f"y{suffix}", n_rows=n_rows)
        weights = check_weights(sample_weight, n_rows, name=f"sample_weight{suffix}")
        numbers = label_numbers(labels, self.classes, f"y{suffix}")
        return self.label(numbers, weights, suffix)

    def label(
        self, numbers: npt.NDArray[np.int64], weights: npt.NDArray[np.float64], suffix: str = ""
    ) -> TargetRows:
        """Put class numbers and weights (n_rows,) together, weighted by class."""
        factors = self.factors[numbers] if (self.factors != 1).any() else None
        weights = balance(weights, factors, f"sample_weight{suffix}")
        # One logit is compared with 0.0 and 1.0.
        return TargetRows(numbers.astype(np.float32) if self.n_outputs == 1 else numbers, weights)

    def split(
        self, values: Array, fraction: float, random_state: np.random.RandomState
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Split row numbers, with equal class shares where possible; see `Target`."""
        return split_rows(values.astype(np.int64), fraction, random_state)

    def measure(self, values: Array, logits: Floats, weights: Floats) -> dict[str, float]:
        """Measure log loss and area under the ROC curve; see `Target`."""
        return validation_values(values.astype(np.int64), to_probabilities(logits), weights)

    def choose_monitor(self, monitor: str, values: Array) -> str:
        """Fall back to the log loss where a class is missing among values (n_rows,)."""
        return monitor if len(np.unique(values)) == len(self.classes) else "log_loss"

    def rarer_share(self, values: Array) -> float:
        """Return the share of the rarer of two classes among values (n_rows,); see `Target`."""
        if self.n_outputs > 1:
            return 1.0
        share = float(values.astype(np.float32, copy=False).mean(dtype=np.float64))
        return min(share, 1 - share) or 1.0

    def find_fault(self, logits: Floats) -> str | None:
        """Say so if logits (n, K) are as good as certain of every row."""
        saturated = is_saturated(logits)
        return "all probabilities of training rows are 0 or 1" if saturated else None

    def choose_outputs(self, logits: Floats, label: object = None) -> npt.NDArray[np.int64]:
        """Return the number of a class; by default the second of two, or the predicted ones.

        Of logits (n, K), see `Target`.
        """
        if label is not None or logits.shape[1] == 1:
            return self.choose_output(label)
        return logits.argmax(1)

    def choose_output(self, label: object = None) -> npt.NDArray[np.int64]:
        """Return the number of a class, by default the last one."""
        if label is None:
            return np.array([len(self.classes) - 1])
        numbers = np.flatnonzero(self.classes == label)
        if len(numbers) != 1:
            raise ValueError(
                f"class_label must be one of classes_, {describe(self.classes.tolist())}, got "
                f"{describe(label)}."
            )
        return numbers

    def to_scores(self, logits: Floats, outputs: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Pick log-odds (P, n) of classes from logits (P, n, K), by outputs (1,) or (n,)."""
        if logits.shape[2] == 1:
            return np.asarray(logits[:, :, 0] * np.where(outputs == 1, 1.0, -1.0))
        # What is added to all logits alike changes no probability.
        centred = logits - logits.mean(2, keepdims=True)
        outputs = np.broadcast_to(outputs, logits.shape[1:2])
        return np.asarray(centred[:, np.arange(len(outputs)), outputs])

    def name_probability(self, output: int) -> str | None:
        """Name one of two classes; scores of more classes are no odds. See `Target`."""
        return str(self.classes[output]) if self.n_outputs == 1 else None
