"""Conversions that other packages do, told about the estimators of this one."""

from __future__ import annotations

from sparsectr.export.skl2onnx import register_with_skl2onnx
from sparsectr.methods.dynint.classifier import DynIntClassifier
from sparsectr.methods.dynint.regressor import DynIntRegressor
from sparsectr.methods.optfeature.classifier import OptFeatureClassifier
from sparsectr.methods.optfeature.regressor import OptFeatureRegressor
from sparsectr.methods.profit.classifier import ProfitClassifier
from sparsectr.methods.profit.regressor import ProfitRegressor


def register_onnx() -> None:
    """Let skl2onnx convert pipelines that hold estimators of this package.

    Afterwards `skl2onnx.convert_sklearn` and ``to_onnx`` take them as they take scikit-learn's own,
    alone, behind a `ColumnTransformer`, or within a `CalibratedClassifierCV`, which skl2onnx gives
    one matrix of numbers. `sparsectr.to_onnx` needs no registration, for an estimator alone.

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
    classifiers: list[type] = [DynIntClassifier, OptFeatureClassifier, ProfitClassifier]
    regressors: list[type] = [DynIntRegressor, OptFeatureRegressor, ProfitRegressor]
    register_with_skl2onnx(classifiers + regressors)
