"""The benchmark of evidence: its procedures and rankings are what they say."""

import evidence as bench
import numpy as np
import pytest
from planted_tables import TablePlan, draw_table

from sparsectr.interactions.evidence import CrossEvidence


@pytest.mark.parametrize("rate", bench.RATES)
def test_its_procedure_is_that_of_the_classifiers(rate):
    rng = np.random.default_rng(0)
    sets = np.stack(np.triu_indices(12, 1), 1)
    deviates = rng.normal(size=66) + 2.5 * (rng.random(66) < 0.3)
    kept = bench.significant_at(deviates, 80, rate, True)
    found = CrossEvidence([sets], [deviates], [80]).significant(rate)
    assert {tuple(fields) for fields in sets[kept].tolist()} == set(found)
    plain = bench.significant_at(deviates, 80, rate, False)
    assert plain[kept].all()
    assert kept.sum() < plain.sum()


def test_rankings_put_a_strong_pair_first():
    plan = TablePlan(n_rows=4_000, n_fields=5, n_values=4, crosses={(0, 1): 2.0}, main=0.1)
    table = draw_table(plan, 0)
    codes = bench.encode(table).codes.numpy()
    for name in ("evidence", "Taylor score"):
        scores = bench.RANKINGS[name](table, codes, 2)
        assert len(scores) == 10
        assert bench.named(table, [max(scores, key=scores.get)]) == table.crosses


def test_every_case_is_what_the_specification_of_tables_allows():
    for plan in bench.CASES.values():
        assert {field for cross in plan.crosses for field in cross} <= set(range(plan.n_fields))
