"""Compare ways to train on rare clicks, by probabilities of the full stream.

    python examples/benchmarks/bench.py imbalanced --seeds 0 1 2

`make_clicks` with a base rate of 3 %: 30,000 rows to train on, of which the sampled fits see every
click and a tenth of the others; 10,000 further rows, not sampled, for calibration; 20,000 to test.
"""

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import f1_score, log_loss, roc_auc_score
from sklearn.model_selection import TunedThresholdClassifierCV

from sparsectr import DynIntClassifier
from sparsectr.datasets import make_clicks
from sparsectr.metrics import calibration_error

RATE, N_TRAIN, N_CALIBRATION = 0.1, 30_000, 10_000
MEASURES = ["log loss", "calibration error", "AUC", "mean probability", "F1"]


def evaluate(model, X, y):
    """Return the measures of a fitted model."""
    p = model.predict_proba(X)[:, 1]
    return [
        log_loss(y, p),
        calibration_error(y, p),
        roc_auc_score(y, p),
        p.mean(),
        f1_score(y, model.predict(X)),
    ]


def fit_all(seed):
    """Yield names and fitted models, and the test rows."""
    clicks = make_clicks(60_000, 6, 20, base_rate=0.03, random_state=seed)
    X, y, n = clicks.X, clicks.y, N_TRAIN
    kept = (y[:n] == 1) | (np.random.default_rng(seed).random(n) < RATE)
    sampled = X[:n][kept], y[:n][kept]
    free = slice(n, n + N_CALIBRATION)
    test = X[n + N_CALIBRATION :], y[n + N_CALIBRATION :]

    def net(**settings):
        return DynIntClassifier(random_state=seed, max_epochs=6, **settings)

    uncorrected = net().fit(*sampled)
    yield "sampled negatives, no rate", uncorrected, test
    yield (
        "sampled negatives, `negative_sampling_rate=0.1`",
        net(negative_sampling_rate=RATE).fit(*sampled),
        test,
    )
    weights = np.where(sampled[1] == 1, 1, 1 / RATE)
    yield (
        "sampled negatives, `sample_weight` 10 for them",
        net().fit(*sampled, sample_weight=weights),
        test,
    )
    for method in ("sigmoid", "isotonic"):
        calibrated = CalibratedClassifierCV(FrozenEstimator(uncorrected), method=method)
        yield (
            f"sampled negatives, calibrated ({method}) on 10,000 other rows",
            calibrated.fit(X[free], y[free]),
            test,
        )
    everything = net().fit(X[:n], y[:n])
    yield "all rows", everything, test
    tuned = TunedThresholdClassifierCV(
        FrozenEstimator(everything), scoring="f1", cv="prefit", refit=False
    )
    yield "all rows, threshold tuned for F1 on 10,000 other rows", tuned.fit(X[free], y[free]), test
    yield (
        "all rows, `class_weight='balanced'`",
        net(class_weight="balanced").fit(X[:n], y[:n]),
        test,
    )


def add_arguments(parser):
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])


def run(arguments):
    results = {}
    for seed in arguments.seeds:
        for name, model, test in fit_all(seed):
            results.setdefault(name, []).append(evaluate(model, *test))
    print("| training | " + " | ".join(MEASURES) + " |")
    print("|---" * (1 + len(MEASURES)) + "|")
    for name, rows in results.items():
        cells = " | ".join(f"{value:.4f}" for value in np.mean(rows, axis=0))
        print(f"| {name} | {cells} |")
