"""Realised false discoveries and power of the evidence, on tables of which the truth is known.

    python examples/benchmarks/bench.py evidence cases [--seeds 20] [--cases NAME ...]
    python examples/benchmarks/bench.py evidence numbers [--seeds 15] [--cases NAME ...]
    python examples/benchmarks/bench.py evidence rates [--seeds 20] [--first-seed 0]
    python examples/benchmarks/bench.py evidence peers [--seeds 5]
    python examples/benchmarks/bench.py evidence shares [--seeds 3] [--first-seed 50]
    python examples/benchmarks/bench.py evidence real [--tables flights adult amazon --data DIR]
    python examples/benchmarks/bench.py evidence cost

``cases``: for tables of ten kinds, in how many runs any set is significant that is not planted, how
many planted ones are, and the share of false ones among all significant sets, at a rate of .05.
Copies and coarse versions of a field count as that field. The tests are those that every
classifier makes in `fit`; no net is trained.

``numbers``: the same for numbers with noise of five kinds and for counts of two kinds, as
regressors test them; 20,000 rows.

``rates``: tables with weak pairs and triples, so that not all can be found: realised share of false
discoveries and power at rates of .05, .1 and .2, by the procedure of Benjamini and Yekutieli, which
the classifiers use, and by that of Benjamini and Hochberg.

``peers``: the same tables, and other ways to rank sets. None but the evidence says how many sets to
take, so each takes as many as the evidence finds at a rate: realised share of false ones, and
power. And how many sets have a score above 0 at all. FAST, of the package
`interpret`, measures pairs beside an additive model. LightGBM ranks sets by the gain on paths that
hold them. The Taylor score takes the mean over rows of the product, over the fields of a set, of
the derivative of the loss along the embedding of the field in a trained net, which is how we read
TayFCS (X. Wang et al., "TayFCS: Towards light feature combination selection for deep recommender
systems", KDD 2025).

``shares``: of pairs of listed crosses that are the same planted one, by a copy, a coarse version or
itself, how many does ``shares_with`` name; and of pairs of different planted crosses, how many.

``real``: 30,000 rows of real tables, with labels that an additive model of the real ones draws, and
with the real ones permuted: in how many runs any set is significant, which no set should be.

``cost``: seconds of the tests beside those of whole fits of `DynIntClassifier`.
"""

import time
from dataclasses import replace
from itertools import combinations
from math import comb
from pathlib import Path

import numpy as np
import torch
from planted_tables import TablePlan, draw_table
from scipy.stats import false_discovery_control, norm
from suite.datasets import load_parts

from sparsectr import DynIntClassifier, OptFeatureClassifier
from sparsectr.encoding.field_encoder import FieldEncoder
from sparsectr.interactions.evidence import CrossEvidence
from sparsectr.rows.labelled import Batch
from sparsectr.targets.numbers import NumberTarget
from sparsectr.training.additive import additive_residuals
from sparsectr.training.evidence import gather_evidence

PAIRS = {(0, 1): 0.8, (2, 3): 0.5, (4, 5): 0.35, (6, 7): 0.25, (8, 9): 0.15}
TRIPLES = {(0, 1, 2): 0.8, (3, 4, 5): 0.8, (6, 7): 0.5, (8, 9): 0.3, (10, 11): 0.2}
WEAK = {(0, 1): 0.2, (2, 3): 0.15, (4, 5): 0.12, (6, 7): 0.1}
WEAK |= {(0, 2, 4): 0.5, (1, 3, 5): 0.4, (6, 8, 9): 0.3}
CASES = {
    "main effects": TablePlan(n_noise=3, n_numeric=2),
    "rare positives": TablePlan(main=1.0, base=-3.5),
    "main effects, Zipf": TablePlan(n_fields=10, n_values=60, zipf=1.0, main=0.7, n_noise=2),
    "noise": TablePlan(main=0.0),
    "nearly constant columns": TablePlan(main=0.0, n_nearly_constant=10, nearly_unique=True),
    "dependent fields": TablePlan(
        n_fields=8, n_values=20, main=1.0, copies=(3,), coarse=(3, 4), followers={0: 0.9, 1: 0.6}
    ),
    "pairs": TablePlan(crosses=PAIRS),
    "pairs, Zipf": TablePlan(crosses=PAIRS, zipf=1.0, base=-1.5),
    "copies": TablePlan(crosses={(0, 1): 0.5, (2, 3): 0.3}, copies=(0,), coarse=(2,)),
    "triples": TablePlan(n_rows=100_000, n_fields=20, crosses=TRIPLES, base=-1.0),
}
COUNTS = ["counts", "overdispersed"]
NOISES = ["normal", "unequal", "heavy", "skewed", "skewed and unequal", *COUNTS]
SHAPES = {
    "main effects": TablePlan(n_noise=3, n_numeric=2),
    "strong main effects": TablePlan(n_fields=8, main=1.0),
    "Zipf": TablePlan(n_fields=8, n_values=60, zipf=1.0, main=0.7, n_noise=2),
    "dependent fields": TablePlan(
        n_fields=6, main=1.0, copies=(0,), coarse=(0, 1), followers={2: 0.9, 3: 0.5}
    ),
    "nearly constant columns": TablePlan(main=0.0, n_nearly_constant=10, nearly_unique=True),
    "pairs": TablePlan(crosses=PAIRS),
}
NUMBERS = {
    f"{noise}, {shape}": replace(plan, n_rows=20_000, target=noise)
    for noise in NOISES
    for shape, plan in SHAPES.items()
}
RATES = [0.05, 0.1, 0.2]
WEAK_TABLE = TablePlan(n_rows=20_000, n_fields=12, crosses=WEAK)


def encode(table):
    encoder = FieldEncoder().fit(table.X)
    codes = torch.from_numpy(np.asarray(encoder.transform(table.X)))
    ones = torch.ones(len(codes))
    if table.target == "classes":
        return Batch(codes, torch.from_numpy(table.y).float(), ones)
    loss = "poisson" if table.target in COUNTS else "squared_error"
    y = table.y.astype(float)
    target = NumberTarget.settle(loss, y, np.ones(len(y)))
    values = torch.from_numpy(target.read(y, None, len(y)).values)
    return Batch(codes, values, ones, target.loss)


def test(table, order):
    """Return the tests of all sets up to an order, as `fit` makes them."""
    names = list(table.X.columns)
    listed = [tuple(names.index(name) for name in cross) for cross in table.crosses]
    listed += [tuple(range(order))]
    listed = [fields for fields in listed if len(fields) <= order]
    return collect(encode(table), len(names), listed)


def collect(rows, n_fields, listed):
    found = gather_evidence(rows, range(n_fields), listed)
    arrays = [(tests.sets.numpy(), tests.deviates.numpy(), tests.n_sets) for tests in found]
    return CrossEvidence(*zip(*arrays, strict=True))


def named(table, sets):
    names = list(table.X.columns)
    return [tuple(names[field] for field in fields) for fields in sets]


def run_cases(arguments):
    count_false_and_missed(CASES, arguments)


def run_numbers(arguments):
    count_false_and_missed(NUMBERS, arguments)


def count_false_and_missed(plans, arguments):
    for name in arguments.cases or plans:
        n_false, n_all, missed, runs, seconds = 0, 0, 0, 0, 0.0
        for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
            table = draw_table(plans[name], seed)
            started = time.process_time()
            evidence = test(table, 3)
            seconds += time.process_time() - started
            found = named(table, evidence.significant(0.05))
            false = [fields for fields in found if not table.is_true(fields)]
            n_false, n_all, runs = n_false + len(false), n_all + len(found), runs + bool(false)
            missed += len(set(table.crosses) - set(found))
        n_planted = arguments.seeds * len(plans[name].crosses)
        print(
            f"{name}: {runs} of {arguments.seeds} runs with a false set, {n_false} false of "
            f"{n_all} significant, {missed} of {n_planted} planted missed, "
            f"{seconds / arguments.seeds:.2f} s of one core",
            flush=True,
        )


def significant_at(deviates, n_sets, rate, dependent):
    """Return which tests are significant by either procedure."""
    factor = sum(1 / k for k in range(1, n_sets + 1)) if dependent else 1.0
    chances = false_discovery_control(norm.sf(deviates))
    return chances * n_sets / len(deviates) * factor <= rate


def run_rates(arguments):
    counts = np.zeros((2, 2, len(RATES), 3))  # order, procedure, rate; false, significant, true
    for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
        table = draw_table(WEAK_TABLE, seed)
        evidence = test(table, 3)
        for order in range(2):
            sets, deviates = evidence.sets[order].tolist(), evidence.deviates[order]
            is_true = np.array([fields in table.crosses for fields in named(table, sets)])
            for procedure in range(2):
                for k, rate in enumerate(RATES):
                    kept = significant_at(deviates, evidence.n_sets[order], rate, not procedure)
                    found = [(kept & ~is_true).sum(), kept.sum(), (kept & is_true).sum()]
                    counts[order, procedure, k] += found
    for order in range(2):
        n_planted = arguments.seeds * sum(len(fields) == order + 2 for fields in WEAK)
        for procedure, name in enumerate(["Benjamini-Yekutieli", "Benjamini-Hochberg"]):
            for k, rate in enumerate(RATES):
                false, kept, true = counts[order, procedure, k]
                print(
                    f"order {order + 2}, {name} at {rate}: false {false:.0f} of {kept:.0f} "
                    f"({false / max(kept, 1):.3f}), power {true / n_planted:.2f}",
                    flush=True,
                )


# Other ways to rank sets -----------------------------------------------------------------


def rank_by_evidence(table, codes, order):
    evidence = test(table, order)
    return dict(
        zip(
            map(tuple, evidence.sets[order - 2].tolist()),
            evidence.deviates[order - 2].tolist(),
            strict=True,
        )
    )


def rank_at_random(table, codes, order):
    rng = np.random.default_rng(0)
    return {fields: rng.random() for fields in combinations(range(codes.shape[1]), order)}


def rank_by_fast(table, codes, order):
    """FAST beside an additive model; pairs only."""
    from interpret.utils import measure_interactions  # noqa: PLC0415 - needs a library of its own
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
    from sklearn.preprocessing import OneHotEncoder  # noqa: PLC0415

    onehot = OneHotEncoder().fit_transform(codes)
    additive = LogisticRegression(max_iter=200).fit(onehot, table.y).decision_function(onehot)
    X = table.X.to_numpy()
    found = measure_interactions(
        X,
        table.y,
        init_score=additive,
        feature_types=["nominal"] * X.shape[1],
        objective="log_loss",
    )
    return {tuple(sorted(fields)): strength for fields, strength in found}


def rank_by_paths(table, codes, order):
    """Sum, over all paths of LightGBM's trees, the gain of the splits of fields that share one."""
    import lightgbm  # noqa: PLC0415

    model = lightgbm.LGBMClassifier(
        n_estimators=100, num_leaves=31, random_state=0, n_jobs=1, verbose=-1
    )
    model.fit(codes, table.y, categorical_feature=list(range(codes.shape[1])))
    scores = dict.fromkeys(combinations(range(codes.shape[1]), order), 0.0)

    def walk(node, above):
        if "split_feature" not in node:
            return
        field, gain = node["split_feature"], node["split_gain"]
        others = sorted(set(above) - {field})
        for some in combinations(others, order - 1):
            scores[tuple(sorted((*some, field)))] += gain
        for side in ("left_child", "right_child"):
            walk(node[side], (*above, field))

    for tree in model.booster_.dump_model()["tree_info"]:
        walk(tree["tree_structure"], ())
    return scores


def rank_by_taylor(table, codes, order):
    """Score sets by the first derivatives of a trained net."""
    clf = DynIntClassifier(random_state=0).fit(table.X, table.y)
    net = clf._fitted_net()
    rows = torch.from_numpy(np.asarray(clf.encoder_.transform(table.X)))
    kept = {}

    def keep(module, arguments, output):
        kept["embeddings"] = output
        output.retain_grad()

    hook = net.embedding.register_forward_hook(keep)
    with torch.enable_grad():
        logits = net.requires_grad_(True)(rows)[:, 0]
        targets = torch.from_numpy(table.y).to(logits.dtype)
        torch.nn.functional.binary_cross_entropy_with_logits(
            logits, targets, reduction="sum"
        ).backward()
    hook.remove()
    embeddings = kept["embeddings"]
    along = (embeddings.grad * embeddings).sum(-1).detach()  # (n, F)
    return {
        fields: float(along[:, list(fields)].prod(1).abs().mean())
        for fields in combinations(range(codes.shape[1]), order)
    }


RANKINGS = {
    "evidence": rank_by_evidence,
    "FAST": rank_by_fast,
    "Taylor score": rank_by_taylor,
    "LightGBM paths": rank_by_paths,
    "random": rank_at_random,
}


def run_peers(arguments):
    for name in arguments.rankings or RANKINGS:
        for order in (2, 3):
            if name == "FAST" and order == 3:
                continue
            counts = np.zeros((len(RATES), 2), dtype=int)  # true, taken
            positive, n_planted, started = 0, 0, time.process_time()
            for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
                table = draw_table(WEAK_TABLE, seed)
                codes = encode(table).codes.numpy()
                scores = RANKINGS[name](table, codes, order)
                best = named(table, sorted(scores, key=lambda fields: -scores[fields]))
                evidence = test(table, order)
                for k, rate in enumerate(RATES):
                    n_taken = sum(len(fields) == order for fields in evidence.significant(rate))
                    counts[k] += [sum(map(table.is_true, best[:n_taken])), n_taken]
                positive += sum(score > 0 for score in scores.values())
                n_planted += sum(len(cross) == order for cross in table.crosses)
            seconds = (time.process_time() - started) / arguments.seeds
            at_rates = "; ".join(
                f"at {rate}: {taken - true} of {taken} false ({1 - true / max(taken, 1):.2f}), "
                f"power {true / n_planted:.2f}"
                for rate, (true, taken) in zip(RATES, counts.tolist(), strict=True)
            )
            print(
                f"{name}, order {order}: {at_rates}; {positive / arguments.seeds:.0f} of "
                f"{comb(codes.shape[1], order)} sets with a score above 0, {seconds:.1f} s",
                flush=True,
            )


# Crosses that share an effect ------------------------------------------------------------

SHARES = {
    "copies": TablePlan(
        n_rows=10_000,
        n_fields=6,
        crosses={(0, 1): 0.7, (2, 3): 0.5, (1, 4): 0.5},
        copies=(0,),
        coarse=(2,),
    ),
    "fields in common": TablePlan(
        n_rows=10_000,
        n_fields=6,
        crosses={(0, 1): 0.7, (1, 2): 0.6, (2, 3): 0.5, (0, 3): 0.5},
        main=0.7,
    ),
    "copies, Zipf": TablePlan(
        n_rows=10_000,
        n_fields=6,
        n_values=30,
        zipf=1.0,
        crosses={(0, 1): 0.9, (1, 2): 0.9},
        copies=(0,),
        main=0.7,
    ),
}
SHARING = [
    DynIntClassifier(max_epochs=5, embedding_dim=8, n_interactions=12, random_state=0),
    OptFeatureClassifier(max_epochs=4, embedding_dim=8, n_interactions=12, random_state=0),
]


def run_shares(arguments):
    for clf in SHARING:
        for name, plan in SHARES.items():
            told = {True: [], False: []}  # by whether both are the same planted cross
            for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
                table = draw_table(plan, seed)
                listed = clf.fit(table.X, table.y).interaction_table().query("strength > 0")
                shared = dict(zip(listed["fields"], listed["shares_with"], strict=True))
                for one, other in combinations(filter(table.is_true, shared), 2):
                    same = table.original(one) == table.original(other)
                    told[same].append(other in shared[one])
            print(
                f"{type(clf).__name__}, {name}: {sum(told[True])} of {len(told[True])} stand-ins "
                f"told, {sum(told[False])} of {len(told[False])} different crosses said to share",
                flush=True,
            )


# Real columns and cost -------------------------------------------------------------------


def run_real(arguments):
    for name in arguments.tables:
        X, y = load_parts(name, arguments.data, 0).train
        X, y = X[:30_000], np.asarray(y, dtype=float)[:30_000]
        codes = torch.from_numpy(np.asarray(FieldEncoder().fit(X).transform(X)))
        targets, ones = torch.from_numpy(y)[:, None], torch.ones(len(y))
        left = additive_residuals(list(codes.long().T.contiguous()), targets, ones.double())
        chances = (targets - left)[:, 0].clamp(0, 1).numpy()
        runs = {"additive": 0, "permuted": 0}
        for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
            rng = np.random.default_rng(seed)
            drawn = {"additive": rng.random(len(y)) < chances, "permuted": rng.permutation(y)}
            for kind, labels in drawn.items():
                rows = Batch(codes, torch.from_numpy(labels).float(), ones)
                runs[kind] += bool(collect(rows, codes.shape[1], [(0, 1, 2)]).significant(0.05))
        for kind, n_runs in runs.items():
            print(f"{name}, {kind} labels: {n_runs} of {arguments.seeds} runs", flush=True)


def run_cost(arguments):
    for n_rows, n_fields in [(5_000, 14), (50_000, 14), (100_000, 20), (100_000, 39)]:
        plan = TablePlan(n_rows=n_rows, n_fields=n_fields, crosses={(0, 1): 0.5, (2, 3): 0.3})
        table = draw_table(plan, 100)
        started = time.process_time()
        test(table, 3)
        tested = time.process_time()
        DynIntClassifier(random_state=0, n_interactions=0).fit(table.X, table.y)
        print(
            f"{n_rows} rows, {n_fields} fields: tests {tested - started:.2f} s, the rest of the "
            f"fit {time.process_time() - tested:.2f} s of one core",
            flush=True,
        )


RUNS = {
    "cases": run_cases,
    "numbers": run_numbers,
    "rates": run_rates,
    "peers": run_peers,
    "shares": run_shares,
    "real": run_real,
    "cost": run_cost,
}


def add_arguments(parser):
    parser.add_argument("what", choices=RUNS)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--cases", nargs="+", choices=[*CASES, *NUMBERS])
    parser.add_argument("--rankings", nargs="+", choices=RANKINGS)
    parser.add_argument("--tables", nargs="+", default=["flights"])
    parser.add_argument("--data", type=Path, help="folder of the tables, but for flights")


def run(arguments):
    torch.set_num_threads(1)
    RUNS[arguments.what](arguments)
