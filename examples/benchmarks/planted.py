"""What is found in tables whose true log-odds are known, made by `make_clicks`.

    python examples/benchmarks/bench.py planted recall --seeds 0 1 2 3 4
    python examples/benchmarks/bench.py planted loss --seeds 0 1 2 3 4
    python examples/benchmarks/bench.py planted shares --models PROFIT --one-in 100 500 2000

``recall``: how many planted crosses each method lists first. 12 fields of 50 values, three pairs
and two triples in random places, 60,000 rows; the triples leave no trace in lower orders. Beside
our estimators: how often LightGBM splits on fields one below the other, and the pairs that an
explainable boosting machine (interpret) would add to its main effects, by its FAST measure. Printed
are, per seed and as means, the share of the planted pairs among the first 3 pairs and of the
planted triples among the first 5 triples.

``loss``: the ranks of the planted crosses within their order in PROFIT's list, and the log loss on
20,000 further rows, beside that of the true probabilities and of the kept net that is told the
planted crosses. 20 fields of 50 values, crosses as above, 200,000 training rows.

``shares``: whether the mean prediction is the share of the class, for classes of 1 in 100 to 1 in
2,000. 5 fields of 30 values, a cross of two and one of three fields; as many training rows as give
about 240 of the rare class, and 20,000 test rows. Printed are the mean prediction over the share,
on all rows passed to `fit` (of which a tenth stopped the training) and on test rows, where the mean
of the true probabilities is the share, and the expected log loss of the test rows beside that of a
constant, the share of the training rows. Last, the means over seeds.

``bench.py screening`` measures what the screening finds, and its false alarms.
"""

import importlib
import time
from collections import Counter

import numpy as np
import pandas as pd
import torch
from scipy.special import expit
from sklearn.metrics import log_loss

from sparsectr import DynIntClassifier, OptFeatureClassifier, ProfitClassifier
from sparsectr.datasets import make_clicks
from sparsectr.methods.profit.net import ProfitConfig, ProfitNet
from sparsectr.training.agreement import agreement_scores, outstanding_sets

METHODS = {
    "PROFIT": ProfitClassifier,
    "OptFeature": OptFeatureClassifier,
    "DynInt": DynIntClassifier,
}
# Of ``recall``.
N_ROWS, N_FIELDS = 60_000, 12
FIRST = {2: 3, 3: 5}  # how many crosses of an order are looked at
LISTING = {
    "PROFIT": {"max_order": 3, "n_crosses": 10},
    "OptFeature": {"orders": (2, 3), "granularity": "hybrid"},
    "DynInt": {},
}
# Of ``loss``.
N_WIDE, N_TRAIN, N_TEST = 20, 200_000, 20_000
# Of ``shares``.
N_RARE = 240


def draw_crosses(seed, n_fields):
    """Draw three pairs and two triples, no pair within a triple."""
    rng, crosses = np.random.default_rng(seed), []
    for order, count in ((2, 3), (3, 2)):
        while sum(len(cross) == order for cross in crosses) < count:
            drawn = rng.choice(n_fields, order, replace=False)
            cross = tuple(sorted(int(field) for field in drawn))
            if not any(set(other) <= set(cross) for other in crosses):
                crosses.append(cross)
    return crosses


# Recall ----------------------------------------------------------------------------------
# Each of the following returns crosses, tuples of field names, the strongest first.


def rank_by_method(name, X, y, seed):
    model = METHODS[name](**LISTING[name], random_state=seed).fit(X, y)
    return model.interaction_table().sort_values("strength", ascending=False)["fields"].tolist()


def rank_by_splits(X, y, seed):
    """Count, in LightGBM's trees, the paths of two and three splits on distinct fields."""
    lightgbm = importlib.import_module("lightgbm")
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
    glassbox = importlib.import_module("interpret.glassbox")
    utils = importlib.import_module("interpret.utils")
    options = {"feature_types": ["nominal"] * N_FIELDS}
    main_effects = glassbox.ExplainableBoostingClassifier(
        interactions=0, outer_bags=1, random_state=seed, n_jobs=1, **options
    ).fit(X, y)
    measured = utils.measure_interactions(X, y, init_score=main_effects, **options)
    measured.sort(key=lambda pair: -pair[1])
    return [tuple(X.columns[sorted(fields)]) for fields, _ in measured]


RIVALS = {"LightGBM splits": rank_by_splits, "EBM FAST": rank_by_fast}


def measure_recall(arguments):
    """Print a line per model and seed, and means."""
    results = []
    for seed in arguments.seeds:
        crosses = draw_crosses(seed, N_FIELDS)
        clicks = make_clicks(
            arguments.n_rows or N_ROWS,
            N_FIELDS,
            arguments.cardinality,
            crosses=crosses,
            random_state=seed,
        )
        for name in arguments.models or [*METHODS, *RIVALS]:
            started = time.perf_counter()
            if name in METHODS:
                ranked = rank_by_method(name, clicks.X, clicks.y, seed)
            else:
                ranked = RIVALS[name](clicks.X, clicks.y, seed)
            row = {"model": name, "seed": seed}
            row |= {f"order {o}": share_found(ranked, clicks.crosses, o) for o in FIRST}
            row["seconds"] = time.perf_counter() - started
            results.append(row)
            print(row, flush=True)
    print(pd.DataFrame(results).groupby("model", sort=False).mean().drop(columns="seed").round(3))


def share_found(ranked, planted, order):
    """Return the share of the planted crosses of an order among the first ones listed."""
    first = [fields for fields in ranked if len(fields) == order][: FIRST[order]]
    wanted = [fields for fields in planted if len(fields) == order]
    return sum(fields in first for fields in wanted) / len(wanted)


# Loss ------------------------------------------------------------------------------------


class ToldClassifier(ProfitClassifier):
    """Train the kept net on given crosses, without a search."""

    def tell(self, crosses):
        self.told = tuple(sorted(crosses, key=len))
        return self

    def _train_net(self, task, net):
        config = ProfitConfig(self.told)
        n_values = sum(task.vocabulary_sizes)
        length = self._embedding_length(task.train.n_lookups, n_values)
        net = ProfitNet(task.vocabulary_sizes, length, task.n_outputs, config)
        net.reset_parameters(task.new_generator(), task.prior_logits())
        return net, self._retrain(task, net, self.optimizer)


def measure_loss(arguments):
    """Print a line per seed."""
    for seed in arguments.seeds:
        crosses = draw_crosses(seed, N_WIDE)
        n_train = arguments.n_rows or N_TRAIN
        clicks = make_clicks(
            n_train + N_TEST,
            N_WIDE,
            arguments.cardinality,
            crosses=crosses,
            random_state=seed,
        )
        X, y = clicks.X[:n_train], clicks.y[:n_train]
        X_test, y_test = clicks.X[n_train:], clicks.y[n_train:]
        started = time.perf_counter()
        clf = ProfitClassifier(max_order=3, n_crosses={2: 10, 3: 10}, random_state=seed).fit(X, y)
        seconds = time.perf_counter() - started
        told = ToldClassifier(random_state=seed).tell(crosses).fit(X, y)
        ranks = clf.interaction_table().set_index("fields")["rank"].to_dict()
        losses = {
            "found": log_loss(y_test, clf.predict_proba(X_test)),
            "told": log_loss(y_test, told.predict_proba(X_test)),
            "true": log_loss(y_test, expit(clicks.log_odds[n_train:])),
        }
        print(
            f"seed {seed}: ranks {[ranks.get(cross) for cross in clicks.crosses]},",
            ", ".join(f"{name} {loss:.4f}" for name, loss in losses.items()),
            f"({seconds:.0f} s)",
            flush=True,
        )


# Shares ----------------------------------------------------------------------------------


def expected_log_loss(true, predicted):
    return -np.mean(true * np.log(predicted) + (1 - true) * np.log1p(-predicted))


def compare_share(method, one_in, seed):
    """Fit once and return a record."""
    n_rows = N_RARE * one_in
    clicks = make_clicks(n_rows + N_TEST, 5, 30, base_rate=1 / one_in, random_state=seed)
    X, y, true = clicks.X[:n_rows], clicks.y[:n_rows], expit(clicks.log_odds[n_rows:])
    started = time.process_time()
    model = METHODS[method](random_state=seed).fit(X, y)
    seconds = time.process_time() - started
    predicted = model.predict_proba(clicks.X)[:, 1]
    constant = np.full(N_TEST, y.mean())
    return {
        "one in": one_in,
        "method": method,
        "seed": seed,
        "rare rows": int(y.sum()),
        "mean / share": predicted[:n_rows].mean() / y.mean(),
        "on test rows": predicted[n_rows:].mean() / true.mean(),
        "log loss / constant's": expected_log_loss(true, predicted[n_rows:])
        / expected_log_loss(true, constant),
        "seconds": seconds,
    }


def measure_shares(arguments):
    """Print a line per fit, and means over seeds."""
    records = []
    for one_in in arguments.one_in:
        for method in arguments.models or METHODS:
            for seed in arguments.seeds:
                records.append(compare_share(method, one_in, seed))
                print(records[-1], flush=True)
    table = pd.DataFrame(records).groupby(["one in", "method"])
    ratio = table["mean / share"].agg(["mean", "min", "max"])
    rest = table[["on test rows", "log loss / constant's", "seconds"]].mean()
    print(pd.concat([ratio, rest], axis=1).round(4).to_string())


SUBJECTS = {"recall": measure_recall, "loss": measure_loss, "shares": measure_shares}


def add_arguments(parser):
    parser.add_argument("subject", choices=SUBJECTS)
    parser.add_argument("--seeds", type=int, nargs="+", default=range(5))
    parser.add_argument("--models", nargs="+", choices=[*METHODS, *RIVALS])
    parser.add_argument("--n-rows", type=int, help="training rows, for a trial")
    parser.add_argument("--cardinality", type=int, default=50, help="values of a field")
    parser.add_argument("--one-in", type=int, nargs="+", default=[100, 500, 2000])


def run(arguments):
    SUBJECTS[arguments.subject](arguments)


# Screening -------------------------------------------------------------------------------

KINDS = ["near constant", "zipf", "sparse", "ids", "dependent", "mixed"]
LABELS = {"positive .46": (0.46, 0.0), "positive .01": (0.01, 0.0), "learnt by heart": (0.46, 0.5)}
PLANTED = {
    "14 fields of 10 values": [0.05, 0.07, 0.1, 0.15],
    "8 Zipf fields of 100": [0.1, 0.15, 0.2, 0.3],
    "300 x 200 values": [0.2, 0.3, 0.4],
    "1,000 x 600 values, hashed": [0.5, 0.8, 1.2],
    "5 % x 10 %": [0.03, 0.05, 0.08],
    "triple of 8 fields of 10": [0.1, 0.15, 0.2],
}


def zipf(rng, n_rows, size, exponent=1.0):
    p = np.arange(1, size + 1) ** -exponent
    return rng.choice(size, n_rows, p=p / p.sum())


def copied(rng, column, share):
    """A column that follows another in a share of the rows."""
    return np.where(rng.random(len(column)) < share, column, rng.permutation(column))


def draw_columns(kind, rng, n_rows):
    """Return the columns of a table of noise."""
    uniform = {
        "near constant": [2, 5, 10],
        "sparse": [20, 50, 100, 200, 400, 800, 1500, 3000],
        "ids": [20_000, 50_000, 200_000, 3, 20, 100],
        "mixed": [2, 3, 5, 10, 30, 100, 18_000],
    }
    columns = [rng.integers(0, size, n_rows) for size in uniform.get(kind, [])]
    if kind in ("near constant", "mixed"):
        shares = [0.02, 0.01, 0.005, 0.003, 0.003, 0.002, 0.001, 0.0005, 0.0002, 0.0002]
        columns += [(rng.random(n_rows) < share).astype(int) for share in shares]
    if kind == "near constant":
        columns += [zipf(rng, n_rows, 6, 2.5) for _ in range(4)]
    if kind == "zipf":
        columns += [zipf(rng, n_rows, m, 1.2) for m in (3, 10, 30, 100, 300, 1000, 3000, 10_000)]
        columns += [zipf(rng, n_rows, m, 0.8) for m in (10, 100, 1000)]
    if kind == "sparse":
        columns += [zipf(rng, n_rows, m) for m in (5, 50, 500, 5000)]
    if kind == "ids":
        columns += [np.arange(n_rows), columns[0] // 10, columns[0] // 1000, zipf(rng, n_rows, 50)]
    if kind == "dependent":
        first, second = rng.integers(0, 8, n_rows), zipf(rng, n_rows, 200)
        columns += [first, first // 2, rng.permutation(8)[first], second, second // 10]
        columns += [copied(rng, first, share) for share in (0.95, 0.8, 0.6, 0.4)]
        columns += [copied(rng, second, 0.7), (first + second) % 7]
    if kind == "mixed":
        columns += [zipf(rng, n_rows, m) for m in (10, 100, 1000, 3000)]
        columns += [columns[4] // 3, copied(rng, columns[3], 0.9)]
    if kind in ("ids", "mixed"):
        columns.append(np.zeros(n_rows, dtype=int))
    return [np.unique(column, return_inverse=True)[1] + 1 for column in columns]


def learn_by_heart(columns, y, share):
    """Return what an additive model leaves that takes a share of the mean of values seen once."""
    left = y - y.mean()
    for _ in range(3):
        for column in columns:
            means = np.bincount(column, left) / (np.bincount(column) + 1 / share - 1)
            left = left - means[column]
    return left


def screen(columns, residuals, order):
    codes = torch.from_numpy(np.stack(columns, 1)).int()
    sizes = [int(column.max()) + 1 for column in columns]
    scores = agreement_scores(codes, torch.from_numpy(residuals)[:, None], sizes, order)
    return outstanding_sets(scores)


def count_alarms(kind, positive, share, n_tables):
    n_alarms = 0
    for seed in range(n_tables):
        rng = np.random.default_rng([KINDS.index(kind), seed])
        columns = draw_columns(kind, rng, 20_000)
        y = (rng.random(20_000) < positive).astype(float)
        left = learn_by_heart(columns, y, share) if share else y - y.mean()
        n_alarms += bool(screen(columns, left, 2))
    return n_alarms


def draw_planted(kind, rng, n_rows):
    """Return columns, and the places of the planted set."""
    if kind == "14 fields of 10 values":
        return [rng.integers(0, 10, n_rows) for _ in range(14)], (0, 1)
    if kind == "8 Zipf fields of 100":
        return [zipf(rng, n_rows, 100) for _ in range(8)], (0, 1)
    if kind == "triple of 8 fields of 10":
        return [rng.integers(0, 10, n_rows) for _ in range(8)], (0, 1, 2)
    if kind == "5 % x 10 %":
        pair = [(rng.random(n_rows) < share).astype(int) for share in (0.05, 0.1)]
        return pair + [rng.integers(0, 10, n_rows) for _ in range(8)], (0, 1)
    sizes = (300, 200) if kind == "300 x 200 values" else (1000, 600)
    return [rng.integers(0, m, n_rows) for m in (*sizes, *[50] * 6)], (0, 1)


def find_planted(kind, effect, seed, n_rows=50_000):
    """Return whether the planted set is significant, and how many others are."""
    rng = np.random.default_rng([list(PLANTED).index(kind), seed])
    columns, planted = draw_planted(kind, rng, n_rows)
    cells = tuple(columns[f] for f in planted)
    table = rng.normal(size=[column.max() + 1 for column in cells])
    counts = np.zeros_like(table)
    np.add.at(counts, cells, 1)
    for _ in range(30):  # to mean zero along every axis, weighted by rows
        for axis in range(len(planted)):
            sums = (table * counts).sum(axis, keepdims=True)
            table = table - sums / np.maximum(counts.sum(axis, keepdims=True), 1)
    main = sum(rng.normal(0, 0.3, column.max() + 1)[column] for column in columns) - 0.5
    together = table[cells]
    logits = main + effect * together / together.std()
    y = rng.random(n_rows) < 1 / (1 + np.exp(-logits))
    found = screen(columns, y - 1 / (1 + np.exp(-main)), len(planted))
    return planted in found, len(found) - (planted in found)


def add_screening(parser):
    parser.add_argument("--tables", type=int, default=100)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)


def run_screening(arguments):
    """False alarms and power of the screening, on tables that make statistics of cells fail.

        python examples/benchmarks/bench.py screening [--tables 100] [--trials 20]

    Noise: tables of 20,000 rows whose labels say nothing, of six kinds: nearly constant columns,
    Zipf values, sparse cells, nearly unique ids, dependent columns, and all of these. The share of
    positives is .46 or .01; or it is .46, and the residuals are those of an additive model that
    knows a part of its rows by heart. Printed is how many tables have any significant pair; 5 of
    100 are expected, and up to 9 are what chance allows.

    Power: 50,000 rows, main effects that the model knows, and one set with an effect of the
    standard deviation that stands first, centred along every axis. Printed is how often it is
    significant, and how many other sets are.
    """
    for kind in arguments.kinds:
        for labels, (positive, share) in LABELS.items():
            n_alarms = count_alarms(kind, positive, share, arguments.tables)
            print(f"{kind}, {labels}: {n_alarms} of {arguments.tables} tables", flush=True)
    for kind, effects in PLANTED.items() if arguments.trials else ():
        for effect in effects:
            trials = [find_planted(kind, effect, seed) for seed in range(arguments.trials)]
            found, others = np.sum(trials, 0)
            print(f"{effect} {kind}: found {found} of {len(trials)}, others {others}", flush=True)
