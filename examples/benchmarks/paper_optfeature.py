"""Run the main table of OptFeature again, on Criteo, Avazu and KDD12, beside the peers.

Lyu et al., "Towards hybrid-grained feature interaction selection for deep sparse network", 2023.

    python examples/benchmarks/paper_optfeature.py criteo-optfeature --data DIR --n-rows 100000
    python examples/benchmarks/paper_optfeature.py --data DIR
    python examples/benchmarks/bench.py render

Preparation, split shares, embedding length, batch size, learning rates and L2 are the paper's.
Criteo is downloaded; Avazu and KDD12 are not handed out freely, see their fetchers. With 46 to 150
million rows a fit needs tens of GB of memory and hours; --n-rows takes the first rows.
Rows are appended to docs/benchmarks/results.jsonl; the page shows them beside the published ones.
"""

import sys

from suite.papers import run_paper

if __name__ == "__main__":
    sys.exit(run_paper("optfeature", __doc__))
