"""scikit-learn's own checks for every public estimator."""

from public import CLASSIFIERS, ESTIMATORS, REGRESSORS
from sklearn.utils.estimator_checks import parametrize_with_checks

from sparsectr import (
    CrossEnsembleClassifier,
    CrossStatistics,
    DynIntClassifier,
    FieldEncoder,
    InteractionFeatures,
    ListedInteractions,
    ProfitClassifier,
)

LEARNERS = [*CLASSIFIERS, *REGRESSORS]
MINIBATCHES = "repeating a row changes the minibatches; see test_base for the full-batch identity"
FOLDS = "repeating a row, or leaving one out, deals other folds"
EXPECTED_FAILURES = {
    CrossEnsembleClassifier: {"check_sample_weight_equivalence_on_dense_data": FOLDS},
    CrossStatistics: {
        "check_transformer_general": "training rows are encoded out of fold, new rows are not",
        "check_transformer_data_not_an_array": "as above",
        "check_sample_weight_equivalence_on_dense_data": FOLDS,
    },
    ListedInteractions: {"check_complex_data": "reads names, no values"},
    **{cls: {"check_sample_weight_equivalence_on_dense_data": MINIBATCHES} for cls in LEARNERS},
}
# What is checked of a class; of any other one, an object with its defaults.
SETTINGS = {
    FieldEncoder: [FieldEncoder(), FieldEncoder(hash_buckets=7), FieldEncoder(min_frequency=2)],
    InteractionFeatures: [
        InteractionFeatures(
            ProfitClassifier(max_order=order, search_epochs=1, max_epochs=1, random_state=0),
            encoder=encoder,
        )
        # Pairs, as thirty rows hold many triples once: `fit_transform`, out of fold, knows nothing
        # about those, `transform` does, and the checks want them to be equal.
        for encoder, order in (("target", 2), ("onehot", "auto"), ("codes", "auto"))
    ]
    + [InteractionFeatures(ListedInteractions(), n_interactions=None)],
    CrossEnsembleClassifier: [
        CrossEnsembleClassifier(net=DynIntClassifier(max_epochs=5), n_folds=2, random_state=0)
    ],
    **{cls: [cls(random_state=0)] for cls in LEARNERS},
}


@parametrize_with_checks(
    [estimator for cls in ESTIMATORS for estimator in SETTINGS.get(cls) or [cls()]],
    # Strict, by pyproject.toml.
    expected_failed_checks=lambda estimator: EXPECTED_FAILURES.get(type(estimator), {}),
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)
