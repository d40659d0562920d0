"""Evidence of crosses: the rate of false discoveries, by the definition of the procedure."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from sparsectr.interactions.evidence import CrossEvidence, significant_fields

PAIRS = np.array([[0, 1], [0, 2], [1, 2], [1, 3]])
TRIPLES = np.array([[0, 1, 2], [0, 2, 3]])
DEVIATES = np.array([5.0, 2.9, -1.0, 3.2])


def evidence(n_pairs=6, n_triples=4):
    return CrossEvidence([PAIRS, TRIPLES], [DEVIATES, np.array([4.0, 0.0])], [n_pairs, n_triples])


def stand_out(deviates, n_sets, fdr):
    """Places of the sets that stand out, step by step."""
    chances = np.r_[norm.sf(deviates), np.ones(n_sets - len(deviates))]
    order = np.argsort(chances, kind="stable")
    factor = sum(1 / k for k in range(1, n_sets + 1))
    passing = [k for k, p in enumerate(chances[order], 1) if p <= fdr * k / (n_sets * factor)]
    return set(order[: max(passing, default=0)].tolist())


@pytest.mark.parametrize("fdr", [1e-4, 0.01, 0.02, 0.05, 0.2, 0.9])
@pytest.mark.parametrize("n_pairs", [4, 6, 5000])
def test_sets_stand_out_as_the_procedure_says(fdr, n_pairs):
    found = [cross for cross in evidence(n_pairs).significant(fdr) if len(cross) == 2]
    assert set(found) == {tuple(PAIRS[k].tolist()) for k in stand_out(DEVIATES, n_pairs, fdr)}


def test_the_rate_is_kept_under_noise():
    """Of independent tests, fewer than one run in twenty has any significant set."""
    rng = np.random.default_rng(0)
    sets = np.stack(np.triu_indices(20, 1), 1)
    runs = [CrossEvidence([sets], [rng.normal(size=190)], [190]) for _ in range(400)]
    assert sum(bool(run.significant(0.05)) for run in runs) < 20


def test_the_surest_come_first_over_all_orders():
    assert evidence().significant(0.2) == [(0, 1), (0, 1, 2), (1, 3), (0, 2)]
    assert evidence().significant(0.001) == [(0, 1), (0, 1, 2)]


def test_what_was_not_tested_has_no_evidence():
    found = evidence().of([(1, 3), (2, 3), (0, 2, 3), (0, 1, 2, 3)])
    np.testing.assert_array_equal(found, [3.2, np.nan, 0.0, np.nan])
    assert len(evidence().of([])) == 0
    nothing = CrossEvidence([PAIRS[:0]], [DEVIATES[:0]], [0])
    assert nothing.significant(0.5) == []
    assert CrossEvidence([], [], []).significant(0.5) == []


class Telling:
    def interaction_table(self, *, fdr):
        return pd.DataFrame(
            {
                "fields": [("a", "b"), ("a", "c")],
                "evidence": [5.0, 1.0],
                "significant": [fdr > 0.01, False],
            }
        )


class Silent:
    def interaction_table(self):
        return pd.DataFrame({"fields": [("a", "b")]})


def test_only_who_tells_evidence_can_be_asked():
    assert significant_fields(Telling(), 0.05) == {("a", "b")}
    assert significant_fields(Telling(), 0.001) == set()
    for other in (Silent(), object()):
        with pytest.raises(ValueError, match="fdr needs an estimator that tells the evidence"):
            significant_fields(other, 0.05)
