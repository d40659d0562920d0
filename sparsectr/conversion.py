"""Conversions that other packages do, told about the estimators of this one."""

from __future__ import annotations

from sparsectr.export.skl2onnx import register_with_skl2onnx
from sparsectr.methods.dynint.classifier import DynIntClassifier
from sparsectr.methods.optfeature.classifier import OptFeatureClassifier
from sparsectr.methods.profit.classifier import ProfitClassifier


def register_onnx() -> None:
    """Let skl2onnx convert pipelines that hold classifiers of this package.

    Afterwards `skl2onnx.convert_sklearn` and ``to_onnx`` take them as they take scikit-learn's own,
    alone, behind a `ColumnTransformer`, or within a `CalibratedClassifierCV`, which skl2onnx gives
    one matrix of numbers. `sparsectr.to_onnx` needs no registration, for a classifier alone.

    Raises
    ------
    ImportError
        If skl2onnx is not installed.

    Notes
    -----
    Columns come in the types that skl2onnx is told in ``initial_types``: strings and integers as
    they are, and numeric fields best as doubles, because floats of 32 bits may fall into another
    bin than those of 64 bits.

    Examples
    --------
    >>> import sparsectr
    >>> sparsectr.register_onnx()
    """
    register_with_skl2onnx([DynIntClassifier, OptFeatureClassifier, ProfitClassifier])
