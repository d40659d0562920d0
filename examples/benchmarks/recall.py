"""How many planted crosses each method lists first.

12 fields of 50 values, three pairs and two triples in random places, 60,000 rows; the triples
leave no trace in lower orders:

    python examples/benchmarks/recall.py [--seeds 0 1 2 3 4] [--cardinality 50]

Beside our estimators: how often LightGBM splits on fields one below the other, and the pairs that
an explainable boosting machine (interpret) would add to its main effects, by its FAST measure.
Prints, per seed and as means, the share of the planted pairs among the first 3 pairs and of the
planted triples among the first 5 triples. Needs lightgbm and interpret-core.
"""

import argparse
import time
from collections import Counter

import lightgbm
import pandas as pd
from interpret.glassbox import ExplainableBoostingClassifier
from interpret.utils import measure_interactions
from profit_planted import draw_crosses

from sparsectr import DynIntClassifier, OptFeatureClassifier, ProfitClassifier
from sparsectr.datasets import make_clicks

N_ROWS, N_FIELDS = 60_000, 12
FIRST = {2: 3, 3: 5}  # how many crosses of an order are looked at
ESTIMATORS = {
    "PROFIT": ProfitClassifier(max_order=3, n_crosses=10),
    "OptFeature": OptFeatureClassifier(orders=(2, 3), granularity="hybrid"),
    "DynInt": DynIntClassifier(),
}


# Each of the following returns crosses, tuples of field names, the strongest first.


def rank_by_estimator(estimator, X, y, seed):
    table = estimator.set_params(random_state=seed).fit(X, y).interaction_table()
    return table.sort_values("strength", ascending=False)["fields"].tolist()


def rank_by_splits(X, y, seed):
    """Count, in LightGBM's trees, the paths of two and three splits on distinct fields."""
    model = lightgbm.LGBMClassifier(n_estimators=300, random_state=seed, n_jobs=1, verbose=-1)
    trees = model.fit(X.astype("category"), y).booster_.dump_model()["tree_info"]
    counts = Counter()

    def walk(node, path):
        if "split_feature" not in node:
            return
        path = (*path, node["split_feature"])[-3:]
        for fields in {frozenset(path[-2:]), frozenset(path)}:
            counts[tuple(X.columns[sorted(fields)])] += len(fields) > 1
        walk(node["left_child"], path)
        walk(node["right_child"], path)

    for tree in trees:
        walk(tree["tree_structure"], ())
    return [fields for fields, _ in counts.most_common()]


def rank_by_fast(X, y, seed):
    """Measure all pairs on what the main effects of an explainable boosting machine leave."""
    options = {"feature_types": ["nominal"] * N_FIELDS}
    main_effects = ExplainableBoostingClassifier(
        interactions=0, outer_bags=1, random_state=seed, n_jobs=1, **options
    ).fit(X, y)
    measured = measure_interactions(X, y, init_score=main_effects, **options)
    measured.sort(key=lambda pair: -pair[1])
    return [tuple(X.columns[sorted(fields)]) for fields, _ in measured]


RANKINGS = {
    **{
        name: lambda X, y, seed, estimator=estimator: rank_by_estimator(estimator, X, y, seed)
        for name, estimator in ESTIMATORS.items()
    },
    "LightGBM splits": rank_by_splits,
    "EBM FAST": rank_by_fast,
}


def measure_recall(ranked, planted, order):
    """Return the share of the planted crosses of an order among the first ones listed."""
    first = [fields for fields in ranked if len(fields) == order][: FIRST[order]]
    wanted = [fields for fields in planted if len(fields) == order]
    return sum(fields in first for fields in wanted) / len(wanted)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=range(5))
    parser.add_argument("--cardinality", type=int, default=50)
    parser.add_argument("--models", nargs="+", choices=RANKINGS, default=list(RANKINGS))
    arguments = parser.parse_args()
    results = []
    for seed in arguments.seeds:
        crosses = draw_crosses(seed, N_FIELDS)
        clicks = make_clicks(
            N_ROWS, N_FIELDS, arguments.cardinality, crosses=crosses, random_state=seed
        )
        for name in arguments.models:
            started = time.perf_counter()
            ranked = RANKINGS[name](clicks.X, clicks.y, seed)
            row = {"model": name, "seed": seed}
            row |= {f"order {o}": measure_recall(ranked, clicks.crosses, o) for o in FIRST}
            row["seconds"] = time.perf_counter() - started
            results.append(row)
            print(row, flush=True)
    print(pd.DataFrame(results).groupby("model", sort=False).mean().drop(columns="seed").round(3))


if __name__ == "__main__":
    main()
