"""What stands in a stored estimator, checked before it is used. No torch."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from inspect import Parameter, signature
from typing import Any

import numpy as np
from numpy.typing import NDArray

# What skops must be told to trust: everything of this package that a stored estimator consists of.
trusted_types = [
    "sparsectr.encoding.bag_counts.BagCounts",
    "sparsectr.encoding.bags.BagVocabulary",
    "sparsectr.encoding.binning.Bins",
    "sparsectr.encoding.counts.ValueCounts",
    "sparsectr.encoding.field_encoder.FieldEncoder",
    "sparsectr.encoding.hashing.Buckets",
    "sparsectr.encoding.vocabulary.Vocabulary",
    "sparsectr.ensembles.columns.Columns",
    "sparsectr.ensembles.cross_ensemble.CrossEnsembleClassifier",
    "sparsectr.ensembles.cross_statistics.CrossStatistics",
    "sparsectr.ensembles.stacking.Stack",
    "sparsectr.ensembles.trees.Trees",
    "sparsectr.interactions.crossing.CrossVocabulary",
    "sparsectr.interactions.evidence.CrossEvidence",
    "sparsectr.interactions.features.InteractionFeatures",
    "sparsectr.interactions.interaction.Interaction",
    "sparsectr.interactions.listed.ListedInteractions",
    "sparsectr.methods.dynint.classifier.DynIntClassifier",
    "sparsectr.methods.dynint.regressor.DynIntRegressor",
    "sparsectr.methods.dynint.net.DynIntConfig",
    "sparsectr.methods.optfeature.classifier.OptFeatureClassifier",
    "sparsectr.methods.optfeature.regressor.OptFeatureRegressor",
    "sparsectr.methods.optfeature.net.ChosenGates",
    "sparsectr.methods.optfeature.net.OptFeatureConfig",
    "sparsectr.methods.profit.classifier.ProfitClassifier",
    "sparsectr.methods.profit.regressor.ProfitRegressor",
    "sparsectr.methods.profit.net.ProfitConfig",
]

# Raised when older versions of the package could no longer make sense of what is stored.
FORMAT = 1

# Numbers that are looked at together; a table of millions of rows is not copied.
NUMBERS_AT_ONCE = 1 << 20


class StoredStateMixin:
    """Store an estimator with the version that made it, and check what comes back.

    Pickle, joblib, skops and copies all pass through here. Files of older versions open in silence;
    a file of a newer minor version opens with a warning, one of a newer format is refused.
    """

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()  # type: ignore[assignment]
        return dict(state) | {
            "_sparsectr_version": version("sparsectr"),
            "_sparsectr_format": FORMAT,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        name = type(self).__name__
        if not isinstance(state, dict):
            raise damaged(name, "its state is no dict")
        state = dict(state)
        stored = str(state.pop("_sparsectr_version", "0.0"))
        check_origin(name, stored, state.pop("_sparsectr_format", FORMAT))
        with reading(name):
            self._check_state(state)
        # A parameter that the version of then did not have is what it was: the default of now.
        self.__dict__.update(_defaults(type(self)) | state)

    def _check_state(self, state: dict[str, Any]) -> None:
        """Raise ValueError if this state is none of a fitted, or unfitted, estimator."""


def _defaults(kind: type) -> dict[str, Any]:
    """Return the default values of the constructor parameters of a class."""
    parameters = signature(kind).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not Parameter.empty}


def check_origin(name: str, stored: str, stored_format: Any) -> None:
    """Check that this version of the package can open what another one has stored.

    Parameters
    ----------
    name : str
        Class of the stored estimator.
    stored : str
        Version that stored it.
    stored_format : int
        Its `FORMAT`.

    Raises
    ------
    ValueError
        If the format is a later one.

    Warns
    -----
    UserWarning
        If the version is a later one, patches apart.
    """
    running = version("sparsectr")
    if stored_format not in range(1, FORMAT + 1):
        raise ValueError(
            f"{name} was stored by sparsectr {stored} in format {stored_format!r}, and version "
            f"{running} reads formats up to {FORMAT}: upgrade sparsectr to {stored} or later, or "
            "fit the estimator again with this version."
        )
    if _minor(stored) > _minor(running):
        warnings.warn(
            f"{name} was stored by sparsectr {stored} and is opened by {running}, which is older: "
            "upgrade sparsectr, or check the predictions.",
            UserWarning,
            stacklevel=3,
        )


def _minor(number: str) -> tuple[int, ...]:
    """Return the major and the minor version."""
    return tuple(int(part) for part in re.findall(r"\d+", number)[:2])


def damaged(name: str, reason: str) -> ValueError:
    """Return the error about a stored object that cannot be what was stored."""
    return ValueError(
        f"the stored {name} is damaged or was changed by hand ({reason}); store it again."
    )


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Turn what comes of missing values, and of values of other types, into ValueError."""
    try:
        yield
    except (ValueError, MemoryError):
        raise
    except Exception as error:
        raise damaged(name, f"{type(error).__name__}: {error}") from error


def check_array(
    name: str, array: Any, kinds: str, shape: tuple[int | None, ...], *, finite: bool = True
) -> NDArray[Any]:
    """Return a stored array of the expected type and shape.

    Parameters
    ----------
    name : str
        Of the array, for errors.
    array : ndarray
        What was stored.
    kinds : str
        Allowed kinds of dtype, such as ``"iu"``.
    shape : tuple of int or None
        Expected shape; None stands for any length.
    finite : bool, default=True
        Whether floats must be finite.

    Raises
    ------
    ValueError
        If it is something else.
    """
    if not isinstance(array, np.ndarray) or array.dtype.kind not in kinds:
        got = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
        raise damaged(name, f"expected an array of kind {kinds!r}, got {got}")
    fits = array.ndim == len(shape) and all(
        expected in (None, length) for expected, length in zip(shape, array.shape, strict=True)
    )
    if not fits:
        raise damaged(name, f"expected shape {shape}, got {array.shape}")
    if finite and array.dtype.kind == "f" and not _is_finite(array):
        raise damaged(name, "it holds NaN or infinity")
    return array


def _is_finite(array: NDArray[Any]) -> bool:
    flat = array.reshape(-1)
    return all(
        bool(np.isfinite(flat[start : start + NUMBERS_AT_ONCE]).all())
        for start in range(0, flat.size, NUMBERS_AT_ONCE)
    )
