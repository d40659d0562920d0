"""The public estimators, found by looking: a new class is tested without a line in a list."""

import inspect

from sklearn.base import BaseEstimator

import sparsectr
from sparsectr.classification import BaseInteractionClassifier
from sparsectr.regression import BaseInteractionRegressor

PUBLIC = [getattr(sparsectr, name) for name in sparsectr.__all__]
ESTIMATORS = [cls for cls in PUBLIC if inspect.isclass(cls) and issubclass(cls, BaseEstimator)]
CLASSIFIERS = [cls for cls in ESTIMATORS if issubclass(cls, BaseInteractionClassifier)]
REGRESSORS = [cls for cls in ESTIMATORS if issubclass(cls, BaseInteractionRegressor)]
