"""From the rows that users pass to codes, and to logits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any, ClassVar, TypeAlias

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor, nn

from sparsectr.encoding.arrow_source import BATCH_ROWS, ArrowSource, is_source
from sparsectr.encoding.bags import BagRows, gather_bags
from sparsectr.encoding.code_cache import CodeCache
from sparsectr.encoding.code_table import CodeTable
from sparsectr.encoding.columns import TableLike, as_table
from sparsectr.encoding.field_encoder import FieldEncoder
from sparsectr.encoding.given import (
    check_table_encoder,
    encode_training_rows,
    is_kept,
    own_encoder,
    same_codes,
)
from sparsectr.parameters import describe, guess, reported_as
from sparsectr.persistence import NetStorageMixin, usable_device
from sparsectr.rows.bags import Bags
from sparsectr.rows.labelled import PIECE_ROWS, LabelledRows, label_rows
from sparsectr.rows.mapped import MappedRows
from sparsectr.rows.memory import MemoryRows
from sparsectr.rows.source import RowSource
from sparsectr.targets.target import Target
from sparsectr.training.pooling import widen
from sparsectr.training.prediction import predict_logits

# X, y and sample_weight, as users pass them.
Given: TypeAlias = tuple[Any, Any, Any]

# Most columns of a source that an error lists.
MOST_NAMED = 10


class TableReader(NetStorageMixin):
    """Check and encode tables, and run the fitted net on them."""

    # What predicts rows of files.
    _iterator_name: ClassVar[str]
    encoder: FieldEncoder | str
    encoder_: FieldEncoder

    def _open_rows(
        self, given: Given, cache: CodeCache, *, fit: bool, grow: bool = False, suffix: str = ""
    ) -> Given:
        """Put code tables in the place of sources; take targets and weights from code tables.

        Parameters
        ----------
        given : tuple
            X, y and sample_weight. Where X is a path, a dataset or a stream, y and sample_weight
            are names of its columns.
        cache : CodeCache
            Where codes are written.
        fit : bool
            Whether these are the rows of a fit from scratch.
        grow : bool, default=False
            Whether the vocabularies grow by values of a source.
        suffix : str, default=""
            What follows the names of the parameters in errors.
        """
        X, y, weights = given
        if is_source(X):
            for name, value, example in (
                (f"y{suffix}", y, "click"),
                (f"sample_weight{suffix}", weights, "weight"),
            ):
                if not (isinstance(value, str) or (value is None and name[0] == "s")):
                    # Whoever gives values has the rows in memory, too.
                    or_table = "" if value is None else f"; or X{suffix} must be a table"
                    raise TypeError(
                        f"{name} must name a column of the source where X{suffix} is a path, a "
                        f"dataset or a stream, such as {name}={example!r}, got "
                        f"{describe(value)}{or_table}."
                    )
            encoder = own_encoder(self.encoder) if fit else self.encoder_
            learns = fit and not is_kept(self.encoder)
            table = cache.encode(encoder, X, y, weights, fit=learns, grow=grow)
            if grow:
                self.encoder_ = table.encoder
            return table, table.y, table.sample_weight
        if isinstance(X, CodeTable):
            if fit:
                check_table_encoder(self.encoder, X)
            y = X.y if y is None else y
            weights = X.sample_weight if weights is None else weights
        return X, y, weights

    def _check_table(self, X: TableLike, y: ArrayLike = "no_validation", *, reset: bool) -> Any:
        """Check names and number of columns; return the table."""
        if not isinstance(X, CodeTable):
            table = as_table(X)
            validate_data(self, table, y, reset=reset, skip_check_array=True)
            return table
        columns = pd.DataFrame(columns=X.manifest["fields"])
        validate_data(self, columns, y, reset=reset, skip_check_array=True)
        if not reset and not same_codes(self.encoder_, X):
            raise ValueError(
                "the codes must be made by the encoder of this estimator, got those of another; "
                "write them by estimator.encoder_.encode_dataset(source, path, fit=False)."
            )
        return X

    def _grows(self) -> bool:
        """Tell whether the vocabularies grow while training goes on."""
        return self.encoder_.new_values == "grow" and not is_kept(self.encoder)

    def _encode_for_net(self, X: TableLike) -> tuple[Tensor, nn.Module]:
        """Return codes (n, F) of checked columns on the device, and the net that knows them all."""
        if isinstance(X, CodeTable):
            source = self._row_source(X)
            return source.read(0, len(source)), widen(self._fitted_net(), source.bags)
        codes, bags = self._encode_table(X, warn=True)
        net = self._fitted_net()
        return codes, net if bags is None else widen(net, bags)

    def _encode_table(
        self, table: Any, *, fit: bool = False, warn: bool = False
    ) -> tuple[Tensor, Bags | None]:
        """Return codes (n, F) of a checked table on the device, and the sets among them."""
        if fit:
            self.encoder_, codes, sets = encode_training_rows(self.encoder, table, several=True)
        else:
            new = self.encoder_._new_bags()
            codes = self.encoder_._encode(table, warn=warn, new=new)
            if new is None:  # no field has sets
                return torch.from_numpy(codes).to(usable_device(self.device_)), None
            sets = new.rows()
        device = usable_device(self.device_)
        return torch.from_numpy(codes).to(device), self._bags(sets, device)

    def _row_source(self, table: Any, *, fit: bool = False, grow: bool = False) -> RowSource:
        """Return the codes of a checked table, in memory or mapped."""
        if not isinstance(table, CodeTable):
            if grow:
                self.encoder_ = self.encoder_._grow(table)
            return MemoryRows(*self._encode_table(table, fit=fit))
        if fit:
            self.encoder_ = table.encoder
        device = usable_device(self.device_)
        return MappedRows(table.mapped, device, table.rows, self._bags(table.new_bags, device))

    def _bags(self, new: BagRows | None, device: torch.device) -> Bags | None:
        """Return the sets of values of the encoder, and new ones behind them."""
        known = gather_bags(self.encoder_._columns())
        if known is None:
            return None
        if new is None:
            return Bags(self.encoder_.vocabulary_sizes_.tolist(), *known, device)
        joined = BagRows(
            np.concatenate([known.rows, new.rows]),
            np.concatenate([known.starts, known.starts[-1] + new.starts[1:]]),
            np.concatenate([known.values, new.values]),
        )
        return Bags(self.encoder_.vocabulary_sizes_.tolist(), *joined, device)

    def _encode_validation(
        self, given: Given, cache: CodeCache, target: Target
    ) -> LabelledRows | None:
        """Encode the validation rows that the user has passed."""
        names = ("X_val", "y_val", "sample_weight_val")
        came = [name for name, value in zip(names, given, strict=True) if value is not None]
        if not came:
            return None
        X, y, sample_weight = self._open_rows(given, cache, fit=False, suffix="_val")
        if X is None or y is None:
            raise ValueError(f"X_val and y_val must be passed together, got only {came}.")
        with reported_as("X_val"):
            table = self._check_table(X, reset=False)
            source = self._row_source(table)
        rows = target.read(y, sample_weight, table.shape[0], "_val")
        return label_rows(source, *rows, target.loss)

    def _predict_logits(self, X: TableLike) -> NDArray[np.float64]:
        """Return the logits (n_rows, K) of the columns of `fit`, (n_rows, n_fields)."""
        check_is_fitted(self)
        if is_source(X):
            raise TypeError(
                f"X must be a table in memory or a CodeTable, got {describe(X)}: "
                f"{self._iterator_name}(X) predicts rows of files and streams batch by batch, and "
                "predict_to_parquet(X, path) writes what it predicts."
            )
        table = self._check_table(X, reset=False)
        if not isinstance(table, CodeTable):
            codes, net = self._encode_for_net(table)
            return predict_logits(net, codes)
        source = self._row_source(table)
        net = widen(self._fitted_net(), source.bags)
        stops = range(PIECE_ROWS, len(source) + PIECE_ROWS, PIECE_ROWS)
        pieces = (source.read(stop - PIECE_ROWS, min(stop, len(source))) for stop in stops)
        return np.concatenate([predict_logits(net, codes) for codes in pieces])

    def _batches(self, source: object, columns: Sequence[str] = ()) -> Iterator[tuple[Any, Any]]:
        """Yield the fields of some rows at a time, as a table, and other columns beside them.

        Parameters
        ----------
        source : object
            See `FieldEncoder.encode_dataset`, or a CodeTable.
        columns : sequence of str, default=()
            Columns of the source.
        """
        if isinstance(source, CodeTable):
            for start in range(0, len(source), BATCH_ROWS):
                yield source[start : start + BATCH_ROWS], None
            return
        rows, pa = ArrowSource(source), import_module("pyarrow")
        fields = list(getattr(self, "feature_names_in_", rows.schema.names))
        names = rows.schema.names
        if absent := [name for name in fields if name not in names]:
            raise ValueError(
                f"the source must have the columns {describe(fields)}, got none named "
                f"{describe(absent)}."
            )
        if absent := [name for name in columns if name not in names]:
            listed = ", ".join(map(describe, names[:MOST_NAMED]))
            more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
            raise ValueError(
                f"columns must name columns of the source, which has no {describe(absent[0])}"
                f"{guess(absent[0], names)}; it has {listed}{more}."
            )
        for batch in rows.batches(list(dict.fromkeys([*fields, *columns]))):
            table = pa.Table.from_batches([batch])
            yield table.select(fields), table.select(list(columns))
