"""From the tables that users pass to codes, and to logits."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor

from sparsectr.encoding.columns import TableLike, as_table
from sparsectr.encoding.field_encoder import FieldEncoder
from sparsectr.encoding.given import encode_training_rows
from sparsectr.parameters import reported_as
from sparsectr.persistence import NetStorageMixin, usable_device
from sparsectr.rows.labelled import LabelledRows, label_rows
from sparsectr.targets.target import Target, Weights
from sparsectr.training.prediction import predict_logits


class TableReader(NetStorageMixin):
    """Check and encode tables, and run the fitted net on them."""

    encoder: FieldEncoder | str
    encoder_: FieldEncoder

    def _check_table(self, X: TableLike, y: ArrayLike = "no_validation", *, reset: bool) -> Any:
        """Check names and number of columns; return the table."""
        table = as_table(X)
        validate_data(self, table, y, reset=reset, skip_check_array=True)
        return table

    def _encode(self, X: TableLike, *, fit: bool = False, warn: bool = True) -> Tensor:
        """Turn checked columns into codes (n, F) on the device."""
        if fit:
            self.encoder_, codes = encode_training_rows(self.encoder, X, several=True)
        else:
            codes = self.encoder_._encode(X, warn=warn)
        return torch.from_numpy(codes).to(usable_device(self.device_))

    def _encode_validation(
        self, X: TableLike, y: ArrayLike, sample_weight: Weights, target: Target
    ) -> LabelledRows | None:
        """Encode the validation rows that the user has passed."""
        if X is None and y is None and sample_weight is None:
            return None
        given = {"X_val": X, "y_val": y, "sample_weight_val": sample_weight}
        if X is None or y is None:
            came = [name for name, value in given.items() if value is not None]
            raise ValueError(f"X_val and y_val must be passed together, got only {came}.")
        with reported_as("X_val"):
            table = self._check_table(X, reset=False)
            codes = self._encode(table, warn=False)
        rows = target.read(y, sample_weight, table.shape[0], "_val")
        return label_rows(codes, *rows, target.loss)

    def _predict_logits(self, X: TableLike) -> NDArray[np.float64]:
        """Return the logits (n_rows, K) of the columns of `fit`, (n_rows, n_fields)."""
        check_is_fitted(self)
        table = self._check_table(X, reset=False)
        return predict_logits(self._fitted_net(), self._encode(table))
