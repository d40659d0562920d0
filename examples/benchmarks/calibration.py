"""Whether the mean prediction is the share of the class, for classes of 1 in 100 to 1 in 2,000.

Planted clicks of 5 fields with 30 values each and a cross of two and one of three fields; as many
training rows as give about 240 of the rare class, and 20,000 test rows:

    python examples/benchmarks/calibration.py [--one-in 100 500 2000] [--seeds 100 101 102 103 104]

Prints, per share, method and seed, the mean prediction over the share: on all rows passed to `fit`
(of which a tenth stopped the training), and on test rows, where the mean of the true probabilities
is the share. Then the expected log loss of the test rows beside that of a constant, the share of
the training rows. Last, per share and method, the means over seeds.
"""

import argparse
import time

import numpy as np
import pandas as pd
from scipy.special import expit

from sparsectr import DynIntClassifier, OptFeatureClassifier, ProfitClassifier
from sparsectr.datasets import make_clicks

N_RARE, N_TEST = 240, 20_000
METHODS = {
    "DynInt": DynIntClassifier,
    "PROFIT": ProfitClassifier,
    "OptFeature": OptFeatureClassifier,
}


def expected_log_loss(true, predicted):
    return -np.mean(true * np.log(predicted) + (1 - true) * np.log1p(-predicted))


def measure(method, one_in, seed):
    """Fit once; return a record."""
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


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--one-in", type=int, nargs="+", default=[100, 500, 2000])
    parser.add_argument("--seeds", type=int, nargs="+", default=[100, 101, 102, 103, 104])
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    arguments = parser.parse_args()
    records = []
    for one_in in arguments.one_in:
        for method in arguments.methods:
            for seed in arguments.seeds:
                records.append(measure(method, one_in, seed))
                print(
                    *(
                        f"{name} {value:.5g};" if isinstance(value, float) else f"{name} {value};"
                        for name, value in records[-1].items()
                    ),
                    flush=True,
                )
    table = pd.DataFrame(records).groupby(["one in", "method"])
    ratio = table["mean / share"].agg(["mean", "min", "max"])
    rest = table[["on test rows", "log loss / constant's", "seconds"]].mean()
    print(pd.concat([ratio, rest], axis=1).round(4).to_string())


if __name__ == "__main__":
    main()
