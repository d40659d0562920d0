"""Discovered crosses as columns for any other model."""

from collections.abc import Collection, Set
from typing import Any, Self

import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray
from sklearn import get_config
from sklearn.base import BaseEstimator, MetaEstimatorMixin, TransformerMixin, clone
from sklearn.preprocessing import OneHotEncoder, TargetEncoder
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.validation import check_is_fitted, validate_data

from sparsectr.drafts import on_a_draft, on_one_fit
from sparsectr.encoding.columns import TableLike, as_table
from sparsectr.encoding.field_encoder import FieldEncoder
from sparsectr.encoding.given import encode_training_rows, is_kept
from sparsectr.encoding.tags import CategoricalInputMixin
from sparsectr.interactions.crossing import CrossVocabulary, label_codes
from sparsectr.interactions.encoders import (
    encode,
    encode_out_of_fold,
    fit_encoder,
    make_folds,
    needs_target,
)
from sparsectr.interactions.evidence import significant_fields
from sparsectr.interactions.interaction import Interaction
from sparsectr.interactions.listers import check_lister, takes_numbers
from sparsectr.parameters import ParameterCheck, describe
from sparsectr.stored_state import StoredStateMixin, check_array, damaged
from sparsectr.targets.labels import as_labels, find_classes, label_numbers
from sparsectr.targets.numbers import as_numbers

ENCODERS = ["target", "count", "onehot", "codes", "category"]
TARGET_TYPES = ["auto", "classes", "numbers"]


class InteractionFeatures(
    StoredStateMixin, CategoricalInputMixin, MetaEstimatorMixin, TransformerMixin, BaseEstimator
):
    """Make columns for other models of the crosses that an estimator discovers.

    The estimator is fitted, or comes fitted. Each of its strongest crosses becomes one categorical
    column: every combination of values seen in training is a category of its own, combinations
    never seen are one more. An encoder then turns these columns into numbers.

    Statistics of the target are taken out of fold: `fit_transform` encodes each fold of the
    training rows by what the other folds say, so that no row sees its own label, whereas
    `transform` uses all training rows. In the same way `fit_transform` leaves a row itself out of
    its counts. On the training rows the two therefore differ, and a model must be trained on what
    `fit_transform` returns. A Pipeline does so. Rows that only stop that model, or choose its
    settings, go through `transform`, as new rows do: if they are divided off after
    `fit_transform`, the statistics of the training rows hold their labels.

    Parameters
    ----------
    estimator : estimator
        A classifier or regressor that lists crosses in ``selected_interactions_``; or
        `ListedInteractions`, which lists all of them. The class of an estimator of your own
        declares the attribute: ``selected_interactions_: list[Interaction]``.
    n_interactions : int or None, default=20
        Number of crosses, the strongest ones; fewer if the estimator finds fewer. None takes all
        that it lists.
    orders : collection of int or None, default=None
        Take only crosses of so many fields, such as ``[2]``. None takes all.
    fdr : float or None, default=None
        Take only crosses that are significant at this rate of false discoveries: those that the
        training rows hold beyond what smaller sets explain. See
        `DynIntClassifier.interaction_table`.
    encoder : {"target", "count", "onehot", "codes", "category"} or transformer, default="target"
        What becomes of the columns. "target": for each category the shrunk mean of the target,
        by scikit-learn's ``TargetEncoder``; "count": how many other training rows have it;
        "onehot": a sparse matrix for linear models; "codes": integers, 0 for combinations never
        seen; "category": a pandas frame of dtype category with labels such as ``"UA × ORD"``, or
        ``"UA × (1.5, 3.5]"`` where a field is numeric. Or any encoder of category-encoders or
        scikit-learn, which is fitted on columns of dtype category; those that need a target (by
        their tags) are fitted to each class against the others, and out of fold too.
    keep_original : bool, default=True
        Whether the fields themselves come first, encoded in the same way. With "category", numeric
        fields stay the numbers that they are, missing ones NaN.
    prefit : bool, default=False
        Whether the estimator is fitted already and is taken as it is.
    hash_buckets : int or None, default=1_048_576
        A cross of more combinations than this is hashed into this many buckets, where combinations
        may collide; None never hashes.
    target_type : {"auto", "classes", "numbers"}, default="auto"
        What the target is. "auto": numbers where the estimator is a regressor, classes where it is
        a classifier. Beside `ListedInteractions`, which is neither, numbers with fractions are
        numbers, and whole numbers are classes: pass "numbers" where they are counts.
    cv : int, default=5
        Number of folds for encoders with a target.
    random_state : int, RandomState instance or None, default=None
        Seed of the folds.

    Attributes
    ----------
    estimator_ : estimator
        The fitted estimator.
    interactions_ : list of Interaction
        The crosses that became columns, the strongest first.
    field_encoder_ : FieldEncoder
        Turns the values of each field into codes, in the way of the estimator.
    encoders_ : list of transformers
        The fitted encoder; with a target and three or more classes, one per class. Empty for
        "count", "codes" and "category".
    n_features_in_ : int
        Number of fields.
    feature_names_in_ : ndarray of str, shape (n_fields,)
        Names of the fields, if the table has names that are all strings.

    Notes
    -----
    The crosses themselves are chosen with the labels of all training rows; only measure on rows
    that `fit` has not seen.

    In a search over ``n_interactions`` the estimator is fitted anew for every candidate and fold,
    as it must be for an honest choice. To fit it once, on rows of its own, pass
    ``FrozenEstimator(fitted)``: unlike ``prefit=True``, it stays fitted when it is cloned.

    To put crosses beside columns that are left alone, use ``keep_original=False`` in a
    ``FeatureUnion`` with ``"passthrough"``.

    Examples
    --------
    >>> from sparsectr import InteractionFeatures, ProfitClassifier
    >>> from sparsectr.datasets import make_clicks
    >>> clicks = make_clicks(2_000, n_fields=4, cardinality=5, crosses=[(0, 1)], random_state=0)
    >>> clf = ProfitClassifier(random_state=0)
    >>> features = InteractionFeatures(clf, n_interactions=1).fit(clicks.X, clicks.y)
    >>> features.get_feature_names_out()
    array(['f0', 'f1', 'f2', 'f3', 'f0 × f1'], dtype=object)
    """

    def __init__(
        self,
        estimator: BaseEstimator,
        *,
        n_interactions: int | None = 20,
        orders: Collection[int] | None = None,
        fdr: float | None = None,
        encoder: Any = "target",
        keep_original: bool = True,
        prefit: bool = False,
        hash_buckets: int | None = 2**20,
        target_type: str = "auto",
        cv: int = 5,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.estimator = estimator
        self.n_interactions = n_interactions
        self.orders = orders
        self.fdr = fdr
        self.encoder = encoder
        self.keep_original = keep_original
        self.prefit = prefit
        self.hash_buckets = hash_buckets
        self.target_type = target_type
        self.cv = cv
        self.random_state = random_state

    @on_a_draft
    def fit(self, X: TableLike, y: ArrayLike, **fit_params: Any) -> Self:
        """Discover the crosses and learn how to encode them.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_rows, n_fields)
            The columns of the estimator.
        y : array-like of shape (n_rows,)
            Class labels or numbers, see ``target_type``.
        **fit_params : dict
            Passed to the estimator's `fit`, such as ``sample_weight``, ``X_val`` and ``y_val``.

        Returns
        -------
        InteractionFeatures
            Itself.

        Raises
        ------
        ValueError
            If a parameter or the data are not as described, or there is no column to make.
        """
        self._fit(X, y, fit_params)
        return self

    @on_a_draft
    def fit_transform(self, X: TableLike, y: ArrayLike, **fit_params: Any) -> Any:
        """Fit, and encode the same rows without letting a row see its own label.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_rows, n_fields)
            The columns of the estimator.
        y : array-like of shape (n_rows,)
            Class labels or numbers, see ``target_type``.
        **fit_params : dict
            As in `fit`.

        Returns
        -------
        ndarray, CSR matrix or DataFrame of shape (n_rows, n_columns)
            As from `transform`, with out-of-fold statistics where the encoder uses the target,
            and one less where it counts.

        Examples
        --------
        Rows that stop a second model are set apart first:

        >>> from sklearn.model_selection import train_test_split
        >>> from sparsectr import InteractionFeatures, ListedInteractions
        >>> from sparsectr.datasets import make_clicks
        >>> clicks = make_clicks(2_000, 4, 5, crosses=[(0, 1)], random_state=0)
        >>> X, X_stop, y, y_stop = train_test_split(clicks.X, clicks.y, random_state=0)
        >>> features = InteractionFeatures(ListedInteractions(), random_state=0)
        >>> features.fit_transform(X, y).shape, features.transform(X_stop).shape
        ((1500, 10), (500, 10))
        """
        columns, numbers = self._fit(X, y, fit_params)
        if self.encoder == "count":
            return self._encode(columns, X) - 1
        if self._targets is None:
            return self._encode(columns, X)
        frame, folds = self._as_frame(columns), make_folds(numbers, self.cv, self.random_state)
        encoder = self._make_encoder()
        return _side_by_side(
            encode_out_of_fold(encoder, frame, _as_target(numbers, target), folds)
            for target in self._targets
        )

    @on_one_fit
    def transform(self, X: TableLike) -> Any:
        """Encode the fields and their crosses.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_rows, n_fields)
            The columns of `fit`, in the same order.

        Returns
        -------
        ndarray, CSR matrix or DataFrame of shape (n_rows, n_columns)
            float64 from encoders and counts, int32 codes, or a pandas frame of dtype category, with
            the numbers of numeric fields as float64.
        """
        check_is_fitted(self)
        table = as_table(X)
        validate_data(self, table, reset=False, skip_check_array=True)
        return self._encode(self._cross(self.field_encoder_._encode_fields(table)), X)

    @on_one_fit
    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[Any]:
        """Name the columns.

        Parameters
        ----------
        input_features : array-like of str, shape (n_fields,), or None, default=None
            Only checked against the fields of `fit`.

        Returns
        -------
        ndarray of str objects, shape (n_columns,)
            Such as ``"carrier × dest"``; from "onehot" ``"carrier × dest_UA × ORD"``, and with
            three or more classes ``"carrier × dest_late"``, class by class.
        """
        check_is_fitted(self)
        self.field_encoder_.get_feature_names_out(input_features)  # raises where they differ
        if not self.encoders_:
            names = self._names
        elif isinstance(self.encoder, str) and self.encoder == "onehot":
            names = [
                f"{name}_{labels[code]}"
                for name, labels, codes in zip(
                    self._names, self._labels(), self.encoders_[0].categories_, strict=True
                )
                for code in codes
            ]
        elif self._classes is None or len(self.encoders_) == 1:
            names = list(self.encoders_[0].get_feature_names_out())
        else:
            names = [
                f"{name}_{label}"
                for encoder, label in zip(self.encoders_, self._classes, strict=True)
                for name in encoder.get_feature_names_out()
            ]
        return np.array(names, dtype=object)

    def get_metadata_routing(self) -> MetadataRouter:
        """Say that the metadata of `fit` go to the estimator.

        Returns
        -------
        MetadataRouter
            The routes.
        """
        mapping = MethodMapping().add(caller="fit", callee="fit")
        mapping.add(caller="fit_transform", callee="fit")
        return MetadataRouter(owner=self).add(estimator=self.estimator, method_mapping=mapping)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "encoders_")

    def _check_state(self, state: dict[str, Any]) -> None:
        if "encoders_" not in state:
            return
        n_fields, crosses = state["n_features_in_"], state["_crosses"]
        if any(position >= n_fields for cross in crosses for position in cross.positions):
            raise damaged("InteractionFeatures", "a cross has a field that the table has not")
        if "_counts" in state:
            sizes = [cross.size for cross in crosses]
            for size, counts in zip(sizes[::-1], state["_counts"][::-1], strict=False):
                check_array("_counts", counts, "f", (size,))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.transformer_tags.preserves_dtype = []
        return tags

    # Fitting --------------------------------------------------------------------------

    def _fit(
        self, X: TableLike, y: ArrayLike, fit_params: dict[str, Any]
    ) -> tuple[NDArray[np.int32], NDArray[Any]]:
        """Fit everything; return the columns of codes, and class numbers or the numbers of y."""
        self._check_parameters()
        table = as_table(X)
        validate_data(self, table, y, reset=True, skip_check_array=True)
        continuous = takes_numbers(self.estimator, self.target_type, y)
        values = (as_numbers if continuous else as_labels)(y, n_rows=table.shape[0])
        self.estimator_ = self._fit_estimator(X, y, fit_params)
        # Numbers have no classes.
        self._classes = None if continuous else find_classes(values, fewest=1)
        numbers = values if self._classes is None else label_numbers(values, self._classes)

        given, fitted = (getattr(self.estimator_, n, None) for n in ("encoder", "encoder_"))
        is_known = isinstance(fitted, FieldEncoder)
        encoder = "auto" if not (is_known or is_kept(given)) else fitted if given is None else given
        # One column per field, since each becomes a column of another model. What there is to warn
        # of, the encoder of the estimator has said.
        self.field_encoder_, codes, _ = encode_training_rows(encoder, table, warn=not is_known)
        codes = codes[:, self.field_encoder_._main_columns]
        self._learn_crosses(codes)
        columns = self._cross(codes)
        self._fit_encoders(columns, numbers)
        if self.encoder == "count":
            self._counts = [
                np.bincount(column, minlength=size).astype(np.float64)
                for column, size in zip(columns.T, self._sizes(), strict=True)
            ]
        return columns, numbers

    def _check_parameters(self) -> None:
        check = ParameterCheck(self)
        check.integer("n_interactions", 0, or_none=True)
        check_lister(self.estimator, self.n_interactions)
        if isinstance(self.orders, Set | range):
            self.orders = list(self.orders)
        if self.orders is not None:
            check.integers("orders", 2)
        check.real("fdr", 0, 1, open_low=True, open_high=True, or_none=True)
        if isinstance(self.encoder, str):
            check.choice("encoder", ENCODERS)
        elif not hasattr(self.encoder, "transform") or isinstance(self.encoder, type):
            raise TypeError(
                f"encoder must be one of {ENCODERS} or a transformer, got {describe(self.encoder)}."
            )
        check.choice("keep_original", [True, False])
        check.choice("prefit", [True, False])
        check.integer("hash_buckets", 1, np.iinfo(np.int32).max - 2, or_none=True)
        check.choice("target_type", TARGET_TYPES)
        check.integer("cv", 2)
        check.seed("random_state")

    def _fit_estimator(self, X: TableLike, y: ArrayLike, fit_params: dict[str, Any]) -> Any:
        if self.prefit:
            check_is_fitted(self.estimator)
            return self.estimator
        if get_config()["enable_metadata_routing"]:
            fit_params = process_routing(self, "fit", **fit_params).estimator.fit
        return clone(self.estimator).fit(X, y, **fit_params)

    def _learn_crosses(self, codes: NDArray[np.int32]) -> None:
        """Take the strongest crosses and learn their combinations."""
        found: list[Interaction] = self.estimator_.selected_interactions_
        if self.orders is not None:
            found = [cross for cross in found if cross.order in self.orders]
        if self.fdr is not None:
            significant = significant_fields(self.estimator_, self.fdr)
            found = [cross for cross in found if cross.fields in significant]
        self.interactions_ = found[: self.n_interactions]

        fields = self.field_encoder_._field_names()
        strangers = {name for cross in self.interactions_ for name in cross.fields} - set(fields)
        if strangers:
            raise ValueError(
                f"X must have the columns of the estimator, {sorted(strangers)} are missing from "
                f"{fields}."
            )
        self._crosses = [
            CrossVocabulary.learn(
                codes,
                self._field_sizes(),
                [fields.index(name) for name in cross.fields],
                self.hash_buckets,
            )
            for cross in self.interactions_
        ]
        self._names = [" × ".join(cross.fields) for cross in self.interactions_]
        if self.keep_original:
            self._names = fields + self._names
        if not self._names:
            raise ValueError(
                "there must be a column to make, but the estimator found no cross of the orders "
                "asked for and keep_original is False."
            )
        if len(set(self._names)) < len(self._names):
            raise ValueError(f"the names of all columns must be different, got {self._names}.")

    def _fit_encoders(self, columns: NDArray[np.int32], numbers: NDArray[Any]) -> None:
        """Fit the encoder once, or to each of `_targets`: classes, or None for numbers."""
        self._targets: list[int | None] | None = None
        self.encoders_: list[Any] = []
        encoder = self._make_encoder()
        if encoder is None:
            return
        frame = self._as_frame(columns)
        if not needs_target(encoder):
            self.encoders_ = [fit_encoder(encoder, frame, None)]
            return
        n_classes = 0 if self._classes is None else len(self._classes)
        self._targets = [None] if n_classes == 0 else [1] if n_classes == 2 else [*range(n_classes)]
        self.encoders_ = [
            fit_encoder(encoder, frame, _as_target(numbers, target)) for target in self._targets
        ]

    def _make_encoder(self) -> Any:
        """Return the encoder, not fitted, or None where the codes stay as they are."""
        if not isinstance(self.encoder, str):
            return self.encoder
        if self.encoder == "target":
            # 0 and 1 as numbers: the mean is the same, also of rows of a single class.
            return TargetEncoder(target_type="continuous")
        return OneHotEncoder(handle_unknown="ignore") if self.encoder == "onehot" else None

    # From codes to columns ------------------------------------------------------------

    def _cross(self, codes: NDArray[np.int32]) -> NDArray[np.int32]:
        """Put the codes of the crosses beside those of the fields, (n, n_fields) -> (n, m)."""
        originals = [codes] if self.keep_original else []
        return np.column_stack([*originals, *(cross.codes(codes) for cross in self._crosses)])

    def _encode(self, columns: NDArray[np.int32], X: TableLike) -> Any:
        if self.encoders_:
            frame = self._as_frame(columns)
            return _side_by_side(encode(encoder, frame) for encoder in self.encoders_)
        if self.encoder == "count":
            counted = zip(self._counts, columns.T, strict=True)
            return np.column_stack([counts[column] for counts, column in counted])
        if self.encoder == "codes":
            return columns
        frame = self._as_frame(columns, self._labels())
        if self.keep_original:
            for j, numbers in self.field_encoder_._numbers(as_table(X)).items():
                frame[self._names[j]] = numbers
        return frame.set_axis(X.index) if isinstance(X, pd.DataFrame) else frame

    def _as_frame(self, columns: NDArray[np.int32], categories: Any = None) -> pd.DataFrame:
        """Make columns of dtype category, whose categories are the codes or labels for them."""
        if categories is None:
            categories = [pd.RangeIndex(size) for size in self._sizes()]
        return pd.DataFrame(
            {
                name: pd.Categorical.from_codes(column, categories=pd.Index(values))
                for name, column, values in zip(self._names, columns.T, categories, strict=True)
            }
        )

    def _field_sizes(self) -> NDArray[np.int64]:
        """Return the number of codes of the column that stands for each field."""
        sizes: NDArray[np.int64] = self.field_encoder_.vocabulary_sizes_
        return sizes[self.field_encoder_._main_columns]

    def _sizes(self) -> list[int]:
        originals = self._field_sizes().tolist() if self.keep_original else []
        return [*originals, *(cross.size for cross in self._crosses)]

    def _labels(self) -> list[NDArray[Any]]:
        labels = label_codes(self.field_encoder_)
        crossed = [cross.labels(labels) for cross in self._crosses]
        return labels + crossed if self.keep_original else crossed


def _as_target(numbers: NDArray[Any], target: int | None) -> NDArray[np.float64]:
    """Return 1 for the rows of a class and 0 for others, or numbers as they are; (n_rows,)."""
    return numbers if target is None else (numbers == target).astype(np.float64)


def _side_by_side(blocks: Any) -> Any:
    """Join blocks of columns, dense or sparse."""
    blocks = list(blocks)
    if len(blocks) == 1:
        return blocks[0]
    return sp.hstack(blocks, format="csr") if sp.issparse(blocks[0]) else np.hstack(blocks)
