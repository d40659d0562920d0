"""How often PROFIT finds planted crosses that leave no trace in lower orders.

20 fields of 50 values, three pairs and two triples in random places, 200,000 training rows:

    python examples/benchmarks/profit_planted.py [--seeds 0 1 2 3 4] [--cardinality 50]

Prints the ranks of the planted crosses within their order and the log loss on 20,000 further rows,
beside the log loss of the true probabilities and of the kept net that is told the planted crosses.
"""

import argparse
import time

import numpy as np
from scipy.special import expit
from sklearn.metrics import log_loss

from sparsectr.datasets import make_clicks
from sparsectr.methods.profit.classifier import ProfitClassifier
from sparsectr.methods.profit.net import ProfitConfig, ProfitNet

N_FIELDS, N_TRAIN, N_TEST = 20, 200_000, 20_000


class ToldClassifier(ProfitClassifier):
    """Train the kept net on given crosses, without a search."""

    def tell(self, crosses):
        self.told = tuple(sorted(crosses, key=len))
        return self

    def _train_net(self, task, net):
        config = ProfitConfig(self.told)
        length = self._embedding_length(task)
        net = ProfitNet(task.vocabulary_sizes, length, task.n_outputs, config)
        net.reset_parameters(task.new_generator(), task.prior_logits())
        return net, self._retrain(task, net, self.optimizer)


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


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=range(5))
    parser.add_argument("--cardinality", type=int, default=50)
    parser.add_argument("--cross-effect", type=float, default=0.8)
    parser.add_argument("--no-screening", action="store_true")
    arguments = parser.parse_args()
    for seed in arguments.seeds:
        crosses = draw_crosses(seed, N_FIELDS)
        clicks = make_clicks(
            N_TRAIN + N_TEST,
            N_FIELDS,
            arguments.cardinality,
            crosses=crosses,
            cross_effect=arguments.cross_effect,
            random_state=seed,
        )
        X, y = clicks.X[:N_TRAIN], clicks.y[:N_TRAIN]
        X_test, y_test = clicks.X[N_TRAIN:], clicks.y[N_TRAIN:]
        screening = None if arguments.no_screening else "residual"
        started = time.perf_counter()
        clf = ProfitClassifier(
            max_order=3, n_crosses={2: 10, 3: 10}, screening=screening, random_state=seed
        ).fit(X, y)
        seconds = time.perf_counter() - started
        told = ToldClassifier(random_state=seed).tell(crosses).fit(X, y)
        ranks = clf.interaction_table().set_index("fields")["rank"].to_dict()
        losses = {
            "found": log_loss(y_test, clf.predict_proba(X_test)),
            "told": log_loss(y_test, told.predict_proba(X_test)),
            "true": log_loss(y_test, expit(clicks.log_odds[N_TRAIN:])),
        }
        print(
            f"seed {seed}: ranks {[ranks.get(cross) for cross in clicks.crosses]},",
            ", ".join(f"{name} {loss:.4f}" for name, loss in losses.items()),
            f"({seconds:.0f} s)",
            flush=True,
        )


if __name__ == "__main__":
    main()
