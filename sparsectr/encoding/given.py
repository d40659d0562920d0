"""The encoder that an estimator is given: none, one to clone, or a fitted one to keep."""

from __future__ import annotations

from copy import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from sparsectr.encoding.bags import BagRows
from sparsectr.encoding.code_folder import digest, digest_fields
from sparsectr.encoding.code_table import CodeTable
from sparsectr.encoding.field_encoder import FieldEncoder
from sparsectr.encoding.one_hot import N_ROWS, warn_of_one_hot
from sparsectr.parameters import describe


def is_kept(encoder: Any) -> bool:
    """Tell whether a parameter is a FrozenEstimator around a FieldEncoder."""
    return isinstance(encoder, FrozenEstimator) and isinstance(encoder.estimator, FieldEncoder)


def check_encoder(encoder: Any) -> None:
    """Check the parameter ``encoder`` of an estimator.

    Raises
    ------
    TypeError
        If it is something else than "auto", a FieldEncoder or a FrozenEstimator around one.
    NotFittedError
        If a frozen encoder is not fitted.
    """
    if is_kept(encoder):
        check_is_fitted(encoder.estimator)
    elif not (
        isinstance(encoder, FieldEncoder) or (isinstance(encoder, str) and encoder == "auto")
    ):
        raise TypeError(
            "encoder must be 'auto', a FieldEncoder, or FrozenEstimator(fitted FieldEncoder) to "
            f"keep its vocabularies, got {describe(encoder)}."
        )


def encode_training_rows(
    encoder: Any, table: Any, *, several: bool = False, warn: bool = True
) -> tuple[FieldEncoder, NDArray[np.int32], BagRows | None]:
    """Encode the rows of a fit by an encoder of its own.

    Parameters
    ----------
    encoder : FieldEncoder, FrozenEstimator or "auto"
        See `check_encoder`; it stays as it is.
    table : DataFrame or ndarray, shape (n_rows, n_fields)
        A result of `as_table`.
    several : bool, default=False
        Whether ``numeric_columns="auto"`` gives numeric fields several columns of codes, as nets
        of our own want it. Other models see a field as one column.
    warn : bool, default=True
        Whether to warn about the columns; see `FieldEncoder` and `warn_of_one_hot`.

    Returns
    -------
    encoder : FieldEncoder
        Fitted on the table, or with the vocabularies of a frozen one.
    codes : ndarray of int32, shape (n_rows, n_columns)
    new_bags : BagRows or None
        With ``several``, sets of values that a frozen encoder has no codes for. They are unknown
        without it.

    Raises
    ------
    ValueError
        If a frozen encoder knows other columns.
    """
    own = own_encoder(encoder)
    if is_kept(encoder):
        new = own._new_bags() if several else None
        codes = own._encode(own._check_table(table, reset=False), warn=warn, new=new)
        return own, codes, None if new is None else new.rows()
    if several and own.numeric_columns == "auto":
        own.numeric_columns = "several"
    codes = own._fit(table, encode=True, warn=warn)
    if warn:
        mains, values = own._main_columns, own.vocabularies_
        warn_of_one_hot(codes[:N_ROWS, mains], [values[c] for c in mains], own._field_names())
    return own, codes, None


def learn_training_rows(encoder: Any, table: Any) -> FieldEncoder:
    """Learn the vocabularies that `encode_training_rows` learns for our own nets, without codes.

    Parameters
    ----------
    encoder : FieldEncoder, FrozenEstimator or "auto"
        See `check_encoder`; it stays as it is.
    table : DataFrame or ndarray, shape (n_rows, n_fields)
        A result of `as_table`.
    """
    own = own_encoder(encoder)
    if is_kept(encoder):
        own._check_table(table, reset=False)
        return own
    if own.numeric_columns == "auto":
        own.numeric_columns = "several"
    own._fit(table, encode=False, warn=False)
    return own


def own_encoder(encoder: Any) -> FieldEncoder:
    """Return an encoder for one fit: not fitted, but for a copy of a frozen one.

    Parameters
    ----------
    encoder : FieldEncoder, FrozenEstimator or "auto"
        See `check_encoder`; it stays as it is.
    """
    own: FieldEncoder
    if is_kept(encoder):
        # A copy: the encoder may be fitted on more rows later on.
        own = copy(encoder.estimator)
        own.__dict__.pop("_sklearn_output_config", None)  # the dict would be that of the other
    else:
        own = FieldEncoder() if isinstance(encoder, str) else clone(encoder)
    own.set_output(transform="default")
    return own


def check_table_encoder(encoder: Any, table: CodeTable) -> None:
    """Check that the parameter ``encoder`` asks for nothing else than what a table holds.

    Parameters
    ----------
    encoder : FieldEncoder, FrozenEstimator or "auto"
        See `check_encoder`.
    table : CodeTable
        Codes to be trained on.

    Raises
    ------
    ValueError
        If it asks for other codes.
    """
    if isinstance(encoder, str):
        return
    if is_kept(encoder):
        same = same_codes(encoder.estimator, table)
    else:
        wanted, there = encoder.get_params(), table.encoder.get_params()
        if wanted["numeric_columns"] == "auto":
            wanted["numeric_columns"] = "several"
        same = digest(FieldEncoder(**wanted)) == digest(FieldEncoder(**there))
    if not same:
        raise ValueError(
            "encoder must be 'auto', or that of the code table, where codes are passed to fit; got "
            f"{describe(encoder)} with other parameters or vocabularies. Write a code table by it: "
            "encoder.encode_dataset(...)."
        )


def same_codes(encoder: FieldEncoder, table: CodeTable) -> bool:
    """Tell whether a fitted encoder makes the codes of a table of the same values."""
    # Copies share what they have learnt.
    return encoder._fields is table.encoder._fields or (
        digest_fields(encoder) == table.manifest["encoder"]
    )
