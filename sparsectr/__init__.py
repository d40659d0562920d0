"""Estimators that learn and show the feature crosses of categorical tables."""

from importlib.metadata import version

from sparsectr.conversion import register_onnx
from sparsectr.encoding.code_table import CodeTable
from sparsectr.encoding.field_encoder import FieldEncoder
from sparsectr.ensembles.cross_ensemble import CrossEnsembleClassifier
from sparsectr.ensembles.cross_statistics import CrossStatistics
from sparsectr.exceptions import UnknownValuesWarning
from sparsectr.export.onnx import to_onnx
from sparsectr.export.onnx_inputs import onnx_inputs
from sparsectr.interactions.constraints import to_interaction_constraints
from sparsectr.interactions.display import InteractionDisplay
from sparsectr.interactions.features import InteractionFeatures
from sparsectr.interactions.interaction import Interaction
from sparsectr.interactions.listed import ListedInteractions
from sparsectr.interactions.report import interaction_report
from sparsectr.interactions.stability import interaction_stability
from sparsectr.methods.dynint.classifier import DynIntClassifier
from sparsectr.methods.dynint.regressor import DynIntRegressor
from sparsectr.methods.optfeature.classifier import OptFeatureClassifier
from sparsectr.methods.optfeature.regressor import OptFeatureRegressor
from sparsectr.methods.profit.classifier import ProfitClassifier
from sparsectr.methods.profit.regressor import ProfitRegressor
from sparsectr.process_groups import distributed
from sparsectr.screening import screen_interactions
from sparsectr.stored_state import trusted_types as trusted_types
from sparsectr.training.needs import MemoryEstimate

__version__ = version("sparsectr")

__all__ = [
    "DynIntClassifier",
    "OptFeatureClassifier",
    "ProfitClassifier",
    "DynIntRegressor",
    "OptFeatureRegressor",
    "ProfitRegressor",
    "CrossEnsembleClassifier",
    "CodeTable",
    "CrossStatistics",
    "FieldEncoder",
    "Interaction",
    "InteractionDisplay",
    "InteractionFeatures",
    "ListedInteractions",
    "MemoryEstimate",
    "UnknownValuesWarning",
    "distributed",
    "interaction_report",
    "interaction_stability",
    "onnx_inputs",
    "register_onnx",
    "screen_interactions",
    "to_interaction_constraints",
    "to_onnx",
]
