"""scikit-learn's own checks for every public estimator that wants more than a table."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from sparsectr import (
    DynIntClassifier,
    InteractionFeatures,
    ListedInteractions,
    OptFeatureClassifier,
    ProfitClassifier,
)

MINIBATCHES = "repeating a row changes the minibatches; see test_base for the full-batch identity"
EXPECTED_FAILURES = {
    "check_sample_weight_equivalence_on_dense_data": MINIBATCHES,
}


@parametrize_with_checks(
    [
        DynIntClassifier(random_state=0),
        OptFeatureClassifier(random_state=0),
        ProfitClassifier(random_state=0),
    ],
    expected_failed_checks=lambda estimator: EXPECTED_FAILURES,  # strict, by pyproject.toml
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@parametrize_with_checks(
    [
        InteractionFeatures(
            ProfitClassifier(max_order=order, search_epochs=1, max_epochs=1, random_state=0),
            encoder=encoder,
        )
        # Pairs, as thirty rows hold many triples once: `fit_transform`, out of fold, knows nothing
        # about those, `transform` does, and the checks want them to be equal.
        for encoder, order in (("target", 2), ("onehot", "auto"), ("codes", "auto"))
    ]
    + [InteractionFeatures(ListedInteractions(), n_interactions=None)]
)
def test_scikit_learn_checks_of_the_transformer(estimator, check):
    check(estimator)


@parametrize_with_checks(
    [ListedInteractions()],
    expected_failed_checks=lambda estimator: {"check_complex_data": "reads names, no values"},
)
def test_scikit_learn_checks_of_the_list(estimator, check):
    check(estimator)
