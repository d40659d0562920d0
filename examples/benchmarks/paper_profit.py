"""Run the main table of PROFIT again, on Criteo, Avazu and MovieLens-1M, beside the peers.

Gao et al., "Progressive feature interaction search for deep sparse network", 2021.

    python examples/benchmarks/paper_profit.py ml1m --data DIR --n-rows 100000
    python examples/benchmarks/paper_profit.py --data DIR
    python examples/benchmarks/bench.py render

Preparation, split shares, embedding length, batch size and learning rate are the paper's; rank,
numbers of kept crosses and epochs of the search are not in it, nor are the fields of MovieLens.
Rows are appended to docs/benchmarks/results.jsonl; the page shows them beside the published ones.
"""

import sys

from suite.papers import run_paper

if __name__ == "__main__":
    sys.exit(run_paper("profit", __doc__))
